"""The order of an ordered join: what comes between a fork and its join knows where it came from.

Knows: which stamps a node gives to what comes of its items; what a join has taken and committed.
Must never know: processes, time, how lanes are chosen.

Rule 1.  Behind a fork whose lanes an ordered join takes, each item has a stamp for every such fork
         around it (`stamps`).  Its origin counts what the fork took, and the last item in its lane
         that came of that origin says so.
Rule 2.  Every origin shows in its lane: where a stage drops an item, a mark goes on in its place,
         and takes as much room.  So the join knows without waiting that nothing will come, and
         bounded lanes cannot starve it.
Rule 3.  The join takes origin after origin, within one lane after lane, and takes its stamps off.
Rule 4.  What `finish` gives has the origin FINISH and comes after all others, by lane.
Rule 5.  A commit moves the heads of several lanes.  Where that leaves each, and which origin comes
         then, is stored first; a worker that finds a lane behind that brings it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, cast, runtime_checkable

from conveyor.core.channel import AnyOutlet, Inlet, Note, bring_to
from conveyor.core.fused_node import FusedNode
from conveyor.core.job_node import JobNode, Node, Piece
from conveyor.core.merge import Merge
from conveyor.core.merge_steps import Step, Turn
from conveyor.core.snapshots import RestoredNode
from conveyor.core.stamp_columns import FINISH, Column, Groups, Stamps, run_of
from conveyor.core.stamps import Entries, cut, entries_of, no_mark
from conveyor.core.timers import TimedNode, Timer
from conveyor.errors import RunError
from conveyor.graph.route import taken
from conveyor.graph.topology import NodeSpec

__all__ = ["OrderedInlet", "Selecting", "StampNode", "TrackedNode", "stamped", "words_of_ordered"]


class StampNode:
    """Stamps what a node gives with the ordinal at which the fork takes it; `taken()` says how many
    it took so far."""

    def __init__(self, node: Node, taken: Callable[[], int]) -> None:
        self.node = node
        self.tally = node.tally
        self.taken = taken

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        return self.stamp(self.node(items, skip, limit))

    def finish(self, skip: int, limit: int) -> Iterable[Piece]:
        return self.stamp(self.node.finish(skip, limit))

    def stamp(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        for out, done, extra in pieces:
            own = run_of(self.taken(), len(out))
            if isinstance(out, Entries):
                yield out.inside(own), done, extra
            else:
                yield entries_of(no_mark(out), (own,)), done, extra


class TrackedNode:
    """Runs a node in the lanes of ordered joins, and stamps what comes of each item as it was
    stamped."""

    def __init__(self, node: JobNode | FusedNode, depth: int) -> None:
        node.keep_marks()
        self.node = node
        self.tally = node.tally
        self.depth = depth

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        pieces = self.node(items, skip, limit)
        stamps = items.stamps if isinstance(items, Entries) else ()
        found = self.stamped(stamps, pieces)
        return tuple(found) if isinstance(pieces, tuple) else found

    def stamped(self, stamps: Stamps, pieces: Iterable[Piece]) -> Iterator[Piece]:
        finished = 0
        for out, done, extra in pieces:
            ends = self.node.ends
            own = tuple([stamps_of_outputs(each[finished:], len(out), ends) for each in stamps])
            if isinstance(out, Entries):  # made by the node, or the slice itself
                out.stamps = own
            else:
                out = entries_of(out, own)
            yield out, done, extra
            finished = done

    def finish(self, skip: int, limit: int) -> Iterator[Piece]:
        for out, done, extra in self.node.finish(skip, limit):
            yield Entries(no_mark(out), ([FINISH] * len(out),) * self.depth), done, extra


def stamps_of_outputs(column: Column, outputs: int, ends: list[int] | None) -> Column:
    """Gives the stamps of what came of items with these.

    `ends`: behind which of the outputs each item ended, if there is not one of each; what is behind
    the last of them is not all that comes of its item.

    >>> stamps_of_outputs([15, 17, 19], 4, [1, 3])
    [15, 16, 17, 18]
    """
    if ends is None or len(ends) == outputs:
        return column[:outputs]
    if isinstance(column, range) and ends and ends[-1] == outputs:
        return Groups(column.start >> 1, ends)
    stamps: list[int] = []
    before = 0
    for stamp, end in zip(column, ends, strict=False):
        if end > before + 1:
            stamps += [stamp & -2] * (end - before - 1)
        stamps.append(stamp)
        before = end
    if before < outputs:
        stamps += [column[len(ends)] & -2] * (outputs - before)
    return stamps


class Selecting(Protocol):
    """What selects the lanes of what a node gives; `tracked` says that a mark goes on in the place
    of what it leaves out."""

    def around(self, node: Node, tracked: bool) -> Node: ...


def stamped(
    spec: NodeSpec,
    node: Node,
    outlets: Sequence[AnyOutlet],
    restored: RestoredNode | None = None,
    timer: Timer | None = None,
    selecting: Selecting | None = None,
) -> Node:
    """A node with what an ordered join behind or around it needs; `timer`, then `selecting`, then
    `restored` belong inside the stamps."""
    job = node
    if spec.depth and isinstance(node, JobNode | FusedNode):
        node = TrackedNode(node, spec.depth)
    if timer is not None and isinstance(job, JobNode):
        node = TimedNode(node, job, timer)
    if selecting is not None:
        node = selecting.around(node, spec.depth > 0)
    if restored is not None:
        node = restored.around(node)
    route = spec.route
    if spec.stamps and route is not None:
        node = StampNode(node, lambda: taken(route, [each.tail for each in outlets]))
    return node


class OrderedInlet:
    """The lanes of one fork, read as one in the order in which the fork took their items.

    `balanced`: each origin is in one lane; else in every lane.  The note holds the origin and the
    lane that come next, for each position that a commit may leave the lanes in.  Marks that say
    nothing to the joins around this one are taken away, but where it is a lane of another, which
    takes away its own: what is between such marks can then be taken by whole runs.
    """

    def __init__(self, inlets: Sequence[Inlet], balanced: bool, note: Note | None = None) -> None:
        self.inlets = inlets
        self.balanced = balanced
        self.note = note if note is not None else Note([0] * words_of_ordered(len(inlets)))
        self.head = 0  # counts items and marks, since the channels were made
        self.turn = Turn(0, 0)
        self.found: list[object] = []  # what was merged, if nothing was committed since
        self.asked = 0  # how many items were to be merged
        self.merged: Merge | None = None
        self.begun = 0  # where the inlet stood when that was merged
        self.gone = 0  # how many items of it were committed
        self.steps: list[Step] = []  # of it that are not committed
        self.keeps_marks = False
        self.show_fronts = [isinstance(each, ShowsFront) for each in inlets]
        for each in inlets:
            if isinstance(each, OrderedInlet):
                each.keeps_marks = True

    def start(self, run: int) -> None:
        for inlet in self.inlets:
            inlet.start(run)
        self.head, origin, lane, *positions = self.note.newest()
        self.turn = Turn(origin, lane)
        self.found, self.steps, self.merged = [], [], None
        bring_to(self.inlets, positions)

    def pending(self) -> bool:
        while not self.found:
            self.merge(max(1, self.asked))
            if not self.steps:
                return False
            if not self.found:  # marks that say nothing to the joins around this one
                self.commit(self.head + sum(map(len, self.steps)))
        return True

    def ended(self) -> bool:
        return not self.pending() and all(inlet.ended() for inlet in self.inlets)

    def peek(self, n: int) -> list[object]:
        if not self.pending():
            return []
        if len(self.found) >= self.asked < n:  # there may be more
            self.merge(n)
        return self.found if len(self.found) <= n else cut(self.found, 0, n)

    def merge(self, n: int) -> None:
        """Merges the fronts of all lanes, and notes in `steps` what it took from which of them.

        Nothing is given up: a later `commit` follows the steps, in which there may be more entries
        than are given: marks stand between them.
        """
        inlets = self.inlets
        fronts = [*map(front_of, inlets, self.show_fronts)]
        ended = [
            front is None and inlet.ended() for front, inlet in zip(fronts, inlets, strict=True)
        ]
        merge = Merge(
            fronts,
            lambda lane: inlets[lane].peek(n),
            ended,
            self.turn,
            self.balanced,
            self.keeps_marks,
        )
        self.found, self.asked = merge.run(n), n
        self.merged, self.begun, self.gone = merge, self.head, 0
        self.steps = merge.steps

    def front(self) -> int:
        """The stamp that the first item has of the join around this one."""
        front = stamp_of(self.found)
        assert front is not None, "asked where nothing is pending"
        return front

    def look(self, n: int) -> list[object]:
        return self.peek(n)

    def position(self, n: int) -> int:
        if not n or self.merged is None:
            return self.head
        return self.begun + self.merged.place(self.gone + n)

    def lanes(self, n: int) -> list[int]:
        """How many entries of each lane come before the end of the first `n` items of the last
        `peek`."""
        lanes = [0] * len(self.inlets)
        left = self.position(n) - self.head
        for step in self.steps:
            step.taken(min(left, len(step)), lanes)
            left = max(0, left - len(step))
        return lanes

    def commit(self, upto: int) -> None:
        while (count := upto - self.head) > 0:
            if not self.steps:  # recovery commits what another worker had read
                self.merge(count)
            if not self.steps:
                raise RunError(
                    f"an ordered join is to commit up to position {upto}, but behind {self.head} "
                    f"its lanes have nothing of item {self.turn.origin} of their fork"
                )
            self.take(count)

    def take(self, count: int) -> None:
        """Commits the next `count` entries of the steps, or all there are."""
        lanes = [0] * len(self.inlets)
        head = self.head
        while self.steps and (left := head + count - self.head) > 0:
            step = self.steps.pop(0)
            entries = min(left, len(step))
            step.taken(entries, lanes)
            self.turn = step.turn(entries)
            self.head += entries
            if entries < len(step):
                self.steps.insert(0, step.behind(entries))
        positions = [
            inlet.position(n) if n else inlet.head
            for inlet, n in zip(self.inlets, lanes, strict=True)
        ]
        self.note.store((self.head, *self.turn, *positions))
        bring_to(self.inlets, positions)
        self.found = []
        if self.steps and self.merged is not None:
            self.gone = self.merged.before(self.head - self.begun)


@runtime_checkable
class ShowsFront(Protocol):
    """The end of a lane that knows the stamp of its first entry without a look at the entry."""

    def front(self) -> int:
        """The stamp that the first entry has of the innermost join; asked where it is pending."""
        ...


def front_of(inlet: Inlet, shows: bool) -> int | None:
    """The stamp that the first entry of a lane has of the join that reads it; None if there is no
    entry.  `shows`: the lane is one that `ShowsFront`."""
    if not inlet.pending():
        return None
    return cast("ShowsFront", inlet).front() if shows else stamp_of(inlet.peek(1))


def stamp_of(entries: list[object]) -> int | None:
    """The stamp that the first of some entries has of the innermost join around them."""
    return entries.stamps[-1][0] if isinstance(entries, Entries) and entries else None


def words_of_ordered(lanes: int) -> int:
    """How many words the note of an ordered join takes: its head, the origin and lane behind it,
    the position of each inlet."""
    return Note.words_for(3 + lanes)
