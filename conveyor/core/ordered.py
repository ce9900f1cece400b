"""The order of an ordered join: items between a fork and its join that know where they came from.

Knows: stamps and marks.  Must never know: processes, time, how lanes are chosen.

Rule 1.  Behind a fork whose lanes an ordered join takes, an item is a tuple (kind, data, origin,
         last, ...): one pair for each such fork around it, the innermost at the end.  `origin`
         counts what the fork took; `last` is true on the last item in its lane that came of that
         origin.
Rule 2.  Every origin shows in its lane: where a stage drops an item, a *mark* goes on in its
         place.  So the join knows without waiting that nothing will come, and bounded lanes cannot
         starve it.
Rule 3.  The join takes origin after origin, within one lane after lane, and takes the pair off.
Rule 4.  What `finish` gives has the origin FINISH and comes after all others, by lane.
Rule 5.  A commit moves the heads of several lanes.  Where that leaves each, and which origin comes
         then, is stored first; a worker that finds a lane behind that brings it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias, cast

from conveyor.core.channel import AnyOutlet, Inlet, Note, bring_to
from conveyor.core.fused_node import FusedNode
from conveyor.core.job_node import ItemFailed, JobNode, Node, Piece
from conveyor.core.snapshots import RestoredNode
from conveyor.core.timers import TimedNode, Timer
from conveyor.graph.route import taken
from conveyor.graph.topology import NodeSpec
from conveyor.items.atoms import is_atom, parts_of
from conveyor.items.sealing import Copied, Sealed, seal

__all__ = ["OrderedInlet", "StampNode", "TrackedNode", "stamped", "words_of_ordered"]

Tracked: TypeAlias = tuple[object, ...]

VALUE: Final = 0
SEALED: Final = 1
MARK: Final = 2
FINISH: Final = -1


class StampNode:
    """Stamps what a node gives with the ordinal at which the fork takes it; `taken()` says how many
    it took so far."""

    def __init__(self, node: Node, taken: Callable[[], int], depth: int) -> None:
        self.node = node
        self.tally = node.tally
        self.taken = taken
        self.tracked = depth > 0

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        return self.stamp(self.node(items, skip, limit))

    def finish(self, skip: int, limit: int) -> Iterable[Piece]:
        return self.stamp(self.node.finish(skip, limit))

    def stamp(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        for out, done, extra in pieces:
            origin = self.taken()
            if self.tracked:
                stamped: list[object] = [
                    (*parts_of(item), origin + i, True) for i, item in enumerate(out)
                ]
            else:
                stamped = [_wrapped(item, (origin + i, True)) for i, item in enumerate(out)]
            yield stamped, done, extra


class TrackedNode:
    """Runs a node on tracked items, one by one, and stamps what comes of each as it was stamped."""

    def __init__(self, node: JobNode | FusedNode, depth: int) -> None:
        self.node = node
        self.tally = node.tally
        self.depth = depth

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterator[Piece]:
        out: list[object] = []
        for index, item in enumerate(items):
            given = 0 if index else skip
            before = self.tally.counts()
            self.node.offset = index
            try:
                for results, done in self.results(parts_of(item), given, limit):
                    if out and len(out) + len(results) > limit:
                        # What is finished goes first, so that an item's outputs are cut as if it
                        # had come alone; and what is counted by then belongs to what is out.
                        counts = self.tally.counts()
                        self.tally.set(before)
                        yield out, index, 0
                        self.tally.set(counts)
                        out = []
                    out += results
                    given += len(results)
                    # Cut inside the item, because that was all the room there is
                    if results and not done:
                        yield out, index, given
                        out = []
            except ItemFailed:
                yield out, index, given
                raise
        yield out, len(items), 0

    def results(self, item: Tracked, skip: int, limit: int) -> Iterator[tuple[list[object], bool]]:
        """What comes of one item, tracked, in pieces, and whether it is the last piece."""
        stamps = item[2:]
        if item[0] == MARK:
            yield [item], True
            return
        unfinished = _not_last(stamps)
        for out, done, _ in self.node([_unwrapped(item)], skip, limit):
            results: list[object] = [_wrapped(result, unfinished) for result in out]
            if done and results:
                results[-1] = _wrapped(out[-1], stamps)
            elif done:
                results = [(MARK, None, *stamps)]
            yield results, bool(done)

    def finish(self, skip: int, limit: int) -> Iterator[Piece]:
        stamps = (FINISH, False) * self.depth
        for out, done, extra in self.node.finish(skip, limit):
            yield [_wrapped(result, stamps) for result in out], done, extra


def stamped(
    spec: NodeSpec,
    node: Node,
    outlets: Sequence[AnyOutlet],
    restored: RestoredNode | None = None,
    timer: Timer | None = None,
) -> Node:
    """A node with what an ordered join behind or around it needs; `timer` and `restored` belong
    inside the stamps."""
    job = node
    if spec.depth and isinstance(node, JobNode | FusedNode):
        node = TrackedNode(node, spec.depth)
    if timer is not None and isinstance(job, JobNode):
        node = TimedNode(node, job, timer)
    if restored is not None:
        node = restored.around(node)
    route = spec.route
    if spec.stamps and route is not None:
        node = StampNode(node, lambda: taken(route, [each.tail for each in outlets]), spec.depth)
    return node


class OrderedInlet:
    """The lanes of one fork, read as one in the order in which the fork took their items.

    `balanced`: each origin is in one lane; else in every lane.  `depth`: how many ordered joins are
    around this one.  The note holds the origin and the lane that come next, for each position that
    a commit may leave the lanes in.
    """

    def __init__(
        self, inlets: Sequence[Inlet], balanced: bool, depth: int, note: Note | None = None
    ) -> None:
        self.inlets = inlets
        self.balanced = balanced
        self.depth = depth
        self.note = note if note is not None else Note([0] * words_of_ordered(len(inlets)))
        self.head = 0  # counts items and marks, since the channels were made
        self.origin = 0
        self.lane = 0
        # Of each item seen by `peek`: its lane; origin and lane behind it.
        self.plan: list[tuple[int, int, int]] = []
        self.shown: list[int] = []  # of each item that `peek` gave: how many of the plan it ends

    def start(self, run: int) -> None:
        for inlet in self.inlets:
            inlet.start(run)
        self.head, self.origin, self.lane, *positions = self.note.newest()
        self.plan, self.shown = [], []
        bring_to(self.inlets, positions)

    def pending(self) -> bool:
        while True:
            shown = self.peek(1)
            if shown:
                return True
            if not self.plan:
                return False
            # Marks that say nothing to the joins around this one.
            self.commit(self.head + len(self.plan))

    def ended(self) -> bool:
        return not self.pending() and all(inlet.ended() for inlet in self.inlets)

    def peek(self, n: int) -> list[object]:
        """Merges the fronts of all lanes, and notes in `plan` what it took from which of them.

        Nothing is given up: a later `commit` follows the plan, whose entries are more than the
        items given where marks stand between them.
        """
        views = [inlet.peek(n) if inlet.pending() else [] for inlet in self.inlets]
        ended = [not view and inlet.ended() for view, inlet in zip(views, self.inlets, strict=True)]
        at = [0] * len(views)
        origin, lane = self.origin, self.lane
        out: list[object] = []
        self.plan, self.shown = [], []
        while len(out) < n:
            heads = [
                parts_of(view[i]) if i < len(view) else None
                for view, i in zip(views, at, strict=True)
            ]
            taken = self.next_lane(heads, ended, origin, lane)
            if taken is None:
                break
            item = heads[taken]
            assert item is not None
            stamps = self.stamps_behind(item, taken)
            # A mark that has nothing more to say.
            is_over = item[0] == MARK and not any(stamps[1::2])
            shown = (item[0], item[1], *stamps) if self.depth else _unwrapped(item)
            # A slice is sealed items only, or atoms only; a mark that is over is in no slice.
            if not is_over and out and isinstance(shown, Sealed) != isinstance(out[0], Sealed):
                break
            at[taken] += 1
            # The last item of its origin in this lane: the next comes from the next lane, and after
            # the last lane from the next origin.  With a balancing fork an origin has one lane.
            # Never so of what came of `finish`, which has no origin.
            if item[-1]:
                lane = 0 if self.balanced else (taken + 1) % len(views)
                origin += lane == 0
            self.plan.append((taken, origin, lane))
            if not is_over:  # any value may be an item, None, too
                out.append(shown)
                self.shown.append(len(self.plan))
        return out

    def next_lane(
        self, heads: list[Tracked | None], ended: list[bool], origin: int, lane: int
    ) -> int | None:
        """The lane that has the next item; None if it has not come yet."""
        for index in range(len(heads)) if self.balanced else (lane,):
            head = heads[index]
            if head is not None and head[-2] == origin:
                return index
        if all(
            end or (head is not None and head[-2] == FINISH)
            for head, end in zip(heads, ended, strict=True)
        ):
            for index, head in enumerate(heads):
                if head is not None:
                    return index
        return None

    def stamps_behind(self, item: Tracked, lane: int) -> Tracked:
        """The stamps of the ordered joins around this one, as they are behind it."""
        stamps = item[2:-2]
        if not self.balanced and lane < len(self.inlets) - 1:
            # The last item that came of an outer origin is in the last lane.
            return _not_last(stamps)
        return stamps

    def position(self, n: int) -> int:
        return self.head + (self.shown[n - 1] if n else 0)

    def commit(self, upto: int) -> None:
        while (count := upto - self.head) > 0:
            if not self.plan:  # recovery commits what another worker had read
                self.peek(count)
            self.take(min(count, len(self.plan)))

    def take(self, count: int) -> None:
        """Commits the next `count` of the plan."""
        taken = [0] * len(self.inlets)
        for lane, _, _ in self.plan[:count]:
            taken[lane] += 1
        positions = [
            inlet.position(n) if n else inlet.head
            for inlet, n in zip(self.inlets, taken, strict=True)
        ]
        self.head += count
        _, self.origin, self.lane = self.plan[count - 1]
        self.note.store((self.head, self.origin, self.lane, *positions))
        bring_to(self.inlets, positions)
        del self.plan[:count]
        self.shown = [place - count for place in self.shown if place > count]


def words_of_ordered(lanes: int) -> int:
    """How many words the note of an ordered join takes: its head, the origin and lane behind it,
    the position of each inlet."""
    return Note.words_for(3 + lanes)


def _wrapped(item: object, stamps: Tracked) -> Tracked:
    """An item of a slice with stamps: a tuple of atoms, whatever the item is."""
    safe = item if isinstance(item, Sealed) or is_atom(item) else seal(item)
    if not isinstance(safe, Sealed):
        return (VALUE, safe, *stamps)
    return (
        SEALED,
        (safe.data, *(bytes(each.view) for each in safe.buffers)) if safe.buffers else safe.data,
        *stamps,
    )


def _unwrapped(item: Tracked) -> object:
    """The item without its stamps, as it is in a slice."""
    if item[0] != SEALED:
        return item[1]
    if isinstance(item[1], bytes):
        return Sealed(item[1])
    data, *buffers = cast("tuple[bytes, ...]", item[1])
    return Sealed(data, [Copied(each) for each in buffers])


def _not_last(stamps: Tracked) -> Tracked:
    return tuple(False if i % 2 else stamp for i, stamp in enumerate(stamps))
