"""The drive loop: how a worker moves items, in whichever world it is.

Knows: the order of peek, run, publish and commit, and how to go on where another worker died.
Must never know: which world it is in; it takes no clock, no process, no chance.

Rule 1.  It yields only where it must wait or where there is something to decide (`requests`).
Rule 2.  Items of an input are committed only after everything that came of them has been published.
Rule 3.  Every record carries a tag (`channel.Tag`), and all lanes of a record have room before its
         first copy goes out.  Where a fork looks at its items, each lane gets its own part of the
         record; the part that goes out first takes all the others along.
Rule 4.  A loop that starts first does what the newest tag on its outlets says is still to be done.
Rule 5.  While only some outputs of an item are published, the loop keeps reading that item's input.
Rule 6.  Counts are noted before a piece goes out (`journal`); the state of a processor is saved
         behind a slice, before the commit (`snapshots`).
Rule 7.  To its inputs a barrier is an end, behind which they go on: where all of them have come to
         one, it is passed on (`barriers`).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Final, Generic, NamedTuple, Protocol, TypeAlias

from typing_extensions import TypeVar

from conveyor.core.channel import UNBOUNDED, Inlet, Outlet, Tag
from conveyor.core.drive_spec import DriveSpec, Lanes
from conveyor.core.job_node import Node
from conveyor.core.journal import Journal
from conveyor.core.requests import (
    ALL_ENDED,
    COME_DUE,
    Request,
    WaitForItems,
    WaitForRoom,
)
from conveyor.core.routing import Way, parts_of, ways
from conveyor.core.snapshots import RestoredNode, Saved
from conveyor.core.timers import Paced, Timer
from conveyor.errors import ConveyorError, RunError
from conveyor.graph.route import Route, Select, taken

__all__ = ["BrokenNode", "Cut", "Drive", "DriveSpec", "drive"]

Blob = TypeVar("Blob")

NOWHERE: Final = Way(0, (), None)

Drive: TypeAlias = Generator[Request[Blob], int, None]


class BrokenNode(ConveyorError):
    """A node gave the last piece of a slice and had not finished all of its items.

    They would never be committed, and the node would be handed the same slice for ever.
    """

    def __init__(self, node: Node, finished: int, items: int) -> None:
        super().__init__(
            f"{type(node).__name__} finished {finished} of the {items} items of a slice: the last "
            "piece of a slice must finish all of them"
        )


class Cut(Protocol):
    """Where a slice ends: the world says how many items the next one has at most."""

    @property
    def n(self) -> int: ...


def drive(run: int, spec: DriveSpec[Blob], cut: Cut) -> Drive[Blob]:
    """Steps a node through one run; raises what its job raises, and `BrokenNode`."""
    node, inlets, _, _, _, journal, restored, timer, *_ = spec
    ordinal, source, skip, flushed = begun(run, spec)
    sender = Sender(run, ordinal, spec.outlets, spec.route, spec.selected)
    limit = sender.limit
    choose_input = spec.choice()
    cut = cut if timer is None else Paced(cut, timer)
    wait_for_items = WaitForItems(inlets[0])
    while source < len(inlets):
        if timer is not None and timer.is_due:
            yield from send_due(sender, spec, timer)
            continue
        if choose_input is None:
            if not inlets[0].pending():
                if inlets[0].ended() and not spec.passes_barrier():
                    break
                yield wait_for_items
                continue
        # What is still to come of an item that is out in part has its place before all else.
        elif not skip and (restored is None or not restored.left):
            source = yield choose_input
            if source < 0:
                if not goes_on(source, sender, spec):
                    break
                continue
        inlet = inlets[source]
        n = cut.n
        items = inlet.peek(n if n < limit else limit)
        elsewhere = 0 if journal is None else in_hand(spec, journal, source, len(items))
        if restored is not None:
            yield from send_restored(sender, spec, restored, source, items, elsewhere)
            continue
        finished = 0
        for out, done, extra in node(items, skip, limit):
            upto = inlet.position(done - finished)
            if journal is not None:
                journal.note(sender.ordinal + bool(out), elsewhere + upto, done)
            if out:
                yield from sender.send(out, source, upto, extra)
            if done > finished:
                inlet.commit(upto)
                finished = done
        if finished != len(items):
            raise BrokenNode(node, finished, len(items))
        skip = 0
    if not flushed:
        yield from flush(sender, spec, skip if source == len(inlets) else 0)
    spec.close(run)


def begun(run: int, spec: DriveSpec[Blob]) -> ResumePoint:
    """Starts the inlets, does what another worker of this node had still to do, and says where to
    go on."""
    for inlet in spec.inlets:
        inlet.start(run)
    if spec.restored is None:
        begin = resume(run, spec)
    else:
        begin = resume_restored(run, spec, spec.restored)
    if spec.journal is not None:
        spec.journal.recall(run, begin.ordinal, position_of(spec))
    return begin


def in_hand(spec: DriveSpec[Blob], journal: Journal, source: int, items: int) -> int:
    """Notes that a slice is taken in hand; gives where the other inputs stand, since a position in
    the journal is of all of them."""
    inlet = spec.inlets[source]
    journal.begin(source, inlet, items)
    return 0 if len(spec.inlets) == 1 and spec.timer is None else position_of(spec) - inlet.head


def send_restored(
    sender: Sender[Blob],
    spec: DriveSpec[Blob],
    restored: RestoredNode,
    source: int,
    items: list[object],
    elsewhere: int,
) -> Drive[Blob]:
    """Sends what comes of a slice, saves the state behind it, and only then commits it, as a
    whole."""
    inlet = spec.inlets[source]
    finished = 0
    for out, finished, extra in spec.node(items, 0, sender.limit):
        if out:
            yield from sender.send(out, source, inlet.position(finished), extra)
    if finished != len(items):
        raise BrokenNode(spec.node, finished, len(items))
    upto = inlet.position(finished)
    if restored.left and upto >= restored.until:
        raise RunError(
            f"{restored.left} outputs that a worker had given before it died did not come again "
            "from the state that was saved: a processor with snapshot() and restore() must give "
            "the same outputs for the same items"
        )
    if spec.journal is not None:
        spec.journal.note(sender.ordinal, elsewhere + upto, finished)
    there = given(spec) - restored.left
    positions = _positions(spec.inlets, source, finished)
    restored.memory.save(Saved(sender.run, False, there, positions, _decided(spec)))
    inlet.commit(upto)


def goes_on(answer: int, sender: Sender[Blob], spec: DriveSpec[Blob]) -> bool:
    """No input is to be read: something comes due, all of them are at a barrier, or at the end."""
    if answer == COME_DUE:
        come_due(sender, spec)
    return answer != ALL_ENDED or spec.passes_barrier()


def come_due(sender: Sender[Blob], spec: DriveSpec[Blob]) -> None:
    """Something is due, and that is saved before anything of it goes out."""
    assert spec.timer is not None
    spec.timer.come_due()
    note_due(sender, spec, spec.timer)


def send_due(sender: Sender[Blob], spec: DriveSpec[Blob], timer: Timer) -> Drive[Blob]:
    """Sends what is due, which comes of no item, and saves that it is out."""
    upto = spec.inlets[0].position(0)
    for out, _, _ in spec.node([], 0, sender.limit):
        if out:
            yield from sender.send(out, 0, upto, 0)
    note_due(sender, spec, timer)


def note_due(sender: Sender[Blob], spec: DriveSpec[Blob], timer: Timer) -> None:
    """Saves how far the node has come, with nothing in hand."""
    if spec.journal is not None:
        spec.journal.note(sender.ordinal, position_of(spec), 0)
    restored = spec.restored
    if restored is not None:
        there = given(spec) - restored.left
        positions = _positions(spec.inlets, 0, 0)
        restored.memory.save(Saved(sender.run, False, there, positions, timer.dues))


def flush(sender: Sender[Blob], spec: DriveSpec[Blob], skip: int) -> Drive[Blob]:
    """Sends what comes after the last item."""
    position = position_of(spec)
    for out, _, extra in spec.node.finish(skip, sender.limit):
        if spec.journal is not None:
            spec.journal.note(sender.ordinal + 1, position, 0)
        yield from sender.send(out, len(spec.inlets), 0, extra)
    if spec.restored is not None:
        positions = _positions(spec.inlets, 0, 0)
        spec.restored.memory.save(Saved(sender.run, True, given(spec), positions, _decided(spec)))


class Sender(Generic[Blob]):
    """Publishes the outputs of one worker, tagged, in every lane they go to."""

    __slots__ = (
        *("limit", "mask", "ordinal", "outlets", "run", "selected", "targets", "wait_for_room"),
        "way",
    )

    def __init__(
        self,
        run: int,
        ordinal: int,
        outlets: Sequence[Outlet[Blob]],
        route: Route | None,
        selected: Lanes | None,
    ) -> None:
        self.run = run
        self.ordinal = ordinal
        self.outlets = outlets
        self.way = ways(route) if route is not None else NOWHERE
        self.wait_for_room: WaitForRoom[Blob] = WaitForRoom()
        self.limit = min((outlet.capacity for outlet in outlets), default=UNBOUNDED)
        self.selected = selected if isinstance(route, Select) else None
        assert not isinstance(route, Select) or selected is not None, "nothing says where items go"
        self.mask: int = -1
        self.targets: list[Outlet[Blob]] = []

    def send(self, out: list[object], source: int, upto: int, extra: int) -> Drive[Blob]:
        if self.selected is not None:
            yield from self.send_parts(out, self.selected.lanes, source, upto, extra)
            return
        items = len(out)
        mask = self.way.mask
        if mask is None:
            mask = yield from self.way.resolve(out)
        if mask != self.mask:
            self.mask = mask
            self.targets = [outlet for bit, outlet in enumerate(self.outlets) if mask >> bit & 1]
        targets = self.targets
        blob = targets[0].pack(out)
        for target in targets:
            if not target.fits(items, blob):
                wait = self.wait_for_room
                wait.outlets, wait.items, wait.blob = targets, items, blob
                yield wait
                break
        self.ordinal += 1
        tag = Tag(self.run, self.ordinal, source, upto, extra, mask)
        for target in targets:
            target.publish(items, blob, tag)

    def send_parts(
        self, out: list[object], lanes: Sequence[int], source: int, upto: int, extra: int
    ) -> Drive[Blob]:
        """Publishes one record of which each lane gets the items that go there."""
        union, copies = yield from parts_of(out, lanes, self.way.ways, self.outlets)
        for target, items, blob in copies:
            # Room for one is not lost while another is waited for: only this sender takes it.
            if not target.fits(items, blob):
                wait = self.wait_for_room
                wait.outlets, wait.items, wait.blob = (target,), items, blob
                yield wait
        self.ordinal += 1
        tag = Tag(self.run, self.ordinal, source, upto, extra, union)
        for target, items, blob in copies:
            target.publish(items, blob, tag)


class ResumePoint(NamedTuple):
    """Where a loop begins: its last ordinal, the input to read, how many outputs of the next item
    are already out, and whether even `finish` is done."""

    ordinal: int
    source: int
    skip: int
    flushed: bool = False


def resume(run: int, spec: DriveSpec[Blob]) -> ResumePoint:
    """Does what a worker that died had still to do for its newest record, and says where to go
    on."""
    tag = send_missing(run, spec.outlets) if spec.outlets else None
    if tag is None or tag.run != run:  # of a run that ended: nothing is left to do
        return ResumePoint(tag.ordinal if tag is not None else 0, 0, 0)
    if tag.input == len(spec.inlets):
        return ResumePoint(tag.ordinal, tag.input, tag.extra)
    inlet = spec.inlets[tag.input]
    if inlet.head < tag.upto:
        inlet.commit(tag.upto)
    # Past it, the item ended without another output, and was committed.
    half_out = inlet.head == tag.upto
    return ResumePoint(tag.ordinal, tag.input, tag.extra if half_out else 0)


def resume_restored(run: int, spec: DriveSpec[Blob], restored: RestoredNode) -> ResumePoint:
    """Resumes a processor whose state was saved: what went out past that state comes again."""
    tag = send_missing(run, spec.outlets)
    ordinal = tag.ordinal if tag is not None else 0
    saved = restored.memory.newest()
    if saved is None or saved.run != run:
        restored.begins_run()
        restored.memory.save(Saved(run, False, given(spec), _positions(spec.inlets, 0, 0)))
        return ResumePoint(ordinal, 0, 0)
    restored.decided = saved.decided
    if spec.timer is not None:
        spec.timer.dues = saved.decided
    for inlet, position in zip(spec.inlets, saved.positions, strict=True):
        if inlet.head < position:
            inlet.commit(position)
    if saved.finished:
        return ResumePoint(ordinal, len(spec.inlets), 0, True)
    if tag is None or tag.run != run:
        return ResumePoint(ordinal, 0, 0)
    if tag.input == len(spec.inlets):
        return ResumePoint(ordinal, tag.input, tag.extra)
    restored.left = given(spec) - saved.given
    restored.until = tag.upto + (tag.extra > 0)
    return ResumePoint(ordinal, tag.input, 0)


def send_missing(run: int, outlets: Sequence[Outlet[Blob]]) -> Tag | None:
    """Makes the copies of the newest record that are missing, and gives its tag."""
    newest = max(outlets, key=_ordinal, default=None)
    tag = newest.last_tag() if newest is not None else None
    if newest is None or tag is None or tag.run != run:
        return tag
    lanes = [(bit, outlet) for bit, outlet in enumerate(outlets) if tag.lanes >> bit & 1]
    there = [outlet for _, outlet in lanes if _ordinal(outlet) == tag.ordinal]
    if len(there) < len(lanes):  # there was room in all lanes before the first copy went out
        carried = next((parts for outlet in there if (parts := outlet.carried())), ())
        elsewhere = {bit: part for part in carried for bit, _ in lanes if part.lanes >> bit & 1}
        own = next(outlet for bit, outlet in lanes if outlet in there and bit not in elsewhere)
        count, blob = own.last_blob()
        for bit, outlet in lanes:
            if outlet not in there:
                part = elsewhere.get(bit)
                items, data = (count, blob) if part is None else (part.items, part.blob)
                outlet.publish(items, data, tag)
    return tag


def given(spec: DriveSpec[Blob]) -> int:
    """How many outputs this node has given since the channels were made."""
    if spec.route is None:
        return 0
    return taken(spec.route, [outlet.tail for outlet in spec.outlets])


def position_of(spec: DriveSpec[Blob]) -> int:
    """How far a node has come: a number that grows with all that is committed, given out as due, or
    saved to be."""
    heads = sum(inlet.head for inlet in spec.inlets)
    return heads if spec.timer is None else heads + spec.timer.progress


def _decided(spec: DriveSpec[Blob]) -> int:
    if spec.timer is not None:
        return spec.timer.dues
    return 0 if spec.restored is None else spec.restored.decided


def _positions(inlets: Sequence[Inlet], source: int, items: int) -> tuple[int, ...]:
    """Where the inlets stand, once so many items of one of them are committed."""
    return tuple(
        inlet.position(items) if items and at == source else inlet.head
        for at, inlet in enumerate(inlets)
    )


def _ordinal(outlet: Outlet[Blob]) -> int:
    tag = outlet.last_tag()
    return 0 if tag is None else tag.ordinal
