"""The drive loop: how a worker moves items, in whichever world it is.

Knows: the order of peek, run, publish and commit, and how to go on where another worker died.
Must never know: which world it is in; it takes no clock, no process, no chance.

Rule 1.  It yields only where it must wait or where there is something to decide (`decisions`).
Rule 2.  Items of an input are committed only after everything that came of them has been published.
Rule 3.  Every record carries a tag (`channel.Tag`), and all lanes of a record have room before its
         first copy goes out.
Rule 4.  A loop that starts first does what the newest tag on its outlets says is still to be done.
Rule 5.  Half an item out pins the merge to its input.
Rule 6.  Counts are noted before a piece goes out (`journal`); the state of a processor is saved
         behind a slice, before the commit (`snapshots`).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Final, Generic, NamedTuple, Protocol, TypeAlias

from typing_extensions import TypeVar

from conveyor.core.channel import Inlet, Outlet, Tag
from conveyor.core.job_node import Node
from conveyor.core.journal import Journal
from conveyor.core.requests import ALL_ENDED, Full, Idle, Merge, Request
from conveyor.core.routing import Way, ways
from conveyor.core.snapshots import Replay, Saved
from conveyor.errors import RunError
from conveyor.graph.route import Route, taken

__all__ = ["Cut", "Drive", "drive"]

Blob = TypeVar("Blob")

UNBOUNDED: Final = 1 << 40
NOWHERE: Final = Way(0, (), None)

Drive: TypeAlias = Generator[Request[Blob], int, None]


class Cut(Protocol):
    """Where a slice ends is the world's to say."""

    @property
    def n(self) -> int: ...


def drive(
    run: int,
    node: Node,
    inlets: Sequence[Inlet],
    outlets: Sequence[Outlet[Blob]],
    route: Route | None,
    cut: Cut,
    merge_name: str = "",
    journal: Journal | None = None,
    replay: Replay | None = None,
) -> Drive[Blob]:
    """Steps `node` through one run, from its inlets to its outlets (those of the route's leaves, in
    their order).

    `journal` is there where counts are to outlive the worker, `replay` where its processor's state
    is.
    """
    for inlet in inlets:
        inlet.start(run)
    resumed = (
        resume(run, inlets, outlets)
        if replay is None
        else resume_state(run, inlets, outlets, route, replay)
    )
    source, skip = resumed.source, resumed.skip
    sender = Sender(run, resumed.ordinal, outlets, ways(route) if route is not None else NOWHERE)
    limit = sender.limit
    merge = Merge(merge_name, inlets) if len(inlets) > 1 else None
    idle = Idle(inlets[0]) if merge is None else None
    if journal is not None:
        journal.recall(run, resumed.ordinal, sum(inlet.head for inlet in inlets))
    while source < len(inlets):
        if merge is None:
            if not inlets[0].pending():
                if inlets[0].ended():
                    break
                assert idle is not None
                yield idle
                continue
        elif not skip and (replay is None or not replay.left):
            source = yield merge
            if source == ALL_ENDED:
                break
        inlet = inlets[source]
        n = cut.n
        items = inlet.peek(n if n < limit else limit)
        elsewhere = 0
        if journal is not None:
            journal.begin(source, inlet, len(items))
            elsewhere = sum(each.head for each in inlets) - inlet.head if merge is not None else 0
        if replay is not None:
            yield from remembered_slice(sender, node, inlets, source, items, replay)
            if journal is not None:
                journal.note(sender.ordinal, elsewhere + inlet.position(len(items)), len(items))
            there = given(route, outlets) - replay.left
            replay.memory.save(Saved(run, False, there, _positions(inlets, source, len(items))))
            inlet.commit(inlet.position(len(items)))
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
        skip = 0
    if not resumed.flushed:
        yield from flush(sender, node, inlets, skip if source == len(inlets) else 0, journal)
        if replay is not None:
            replay.memory.save(Saved(run, True, given(route, outlets), _positions(inlets, 0, 0)))
    for outlet in outlets:
        outlet.close(run)


def remembered_slice(
    sender: Sender[Blob],
    node: Node,
    inlets: Sequence[Inlet],
    source: int,
    items: list[object],
    replay: Replay,
) -> Drive[Blob]:
    """Sends what comes of a slice that is committed as a whole, once the state behind it is
    saved."""
    for out, done, extra in node(items, 0, sender.limit):
        if out:
            yield from sender.send(out, source, inlets[source].position(done), extra)
    if replay.left and inlets[source].position(len(items)) >= replay.until:
        raise RunError(
            f"{replay.left} outputs that a worker had given before it died did not come again from the state that was saved: "
            "a processor with snapshot() and restore() must give the same outputs for the same items"
        )


def flush(
    sender: Sender[Blob], node: Node, inlets: Sequence[Inlet], skip: int, journal: Journal | None
) -> Drive[Blob]:
    """Sends what comes after the last item."""
    position = sum(inlet.head for inlet in inlets)
    for out, _, extra in node.finish(skip, sender.limit):
        if journal is not None:
            journal.note(sender.ordinal + 1, position, 0)
        yield from sender.send(out, len(inlets), 0, extra)


class Sender(Generic[Blob]):
    """Publishes the outputs of one worker, tagged, in every lane they go to."""

    __slots__ = ("full", "limit", "mask", "ordinal", "outlets", "run", "targets", "way")

    def __init__(self, run: int, ordinal: int, outlets: Sequence[Outlet[Blob]], way: Way) -> None:
        self.run = run
        self.ordinal = ordinal
        self.outlets = outlets
        self.way = way
        self.full: Full[Blob] = Full()
        self.limit = min((outlet.capacity for outlet in outlets), default=UNBOUNDED)
        self.mask: int = -1
        self.targets: list[Outlet[Blob]] = []

    def send(self, out: list[object], source: int, upto: int, extra: int) -> Drive[Blob]:
        items = len(out)
        mask = self.way.mask
        if mask is None:
            mask = yield from self.way.resolve(items)
        if mask != self.mask:
            self.mask = mask
            self.targets = [outlet for bit, outlet in enumerate(self.outlets) if mask >> bit & 1]
        targets = self.targets
        blob = targets[0].pack(out)
        for target in targets:
            if not target.fits(items, blob):
                full = self.full
                full.outlets, full.items, full.blob = targets, items, blob
                yield full
                break
        self.ordinal += 1
        tag = Tag(self.run, self.ordinal, source, upto, extra, mask)
        for target in targets:
            target.publish(items, blob, tag)


class Resumed(NamedTuple):
    """Where a loop begins: its last ordinal, the input to read, how many outputs of the next item
    are already out, and whether even `finish` is done."""

    ordinal: int
    source: int
    skip: int
    flushed: bool = False


def resume(run: int, inlets: Sequence[Inlet], outlets: Sequence[Outlet[Blob]]) -> Resumed:
    """Does what a worker that died had still to do for its newest record, and says where to go
    on."""
    tag = send_missing(run, outlets) if outlets else None
    if tag is None or tag.run != run:  # of a run that ended: nothing is left to do
        return Resumed(tag.ordinal if tag is not None else 0, 0, 0)
    if tag.input == len(inlets):
        return Resumed(tag.ordinal, tag.input, tag.extra)
    inlet = inlets[tag.input]
    if inlet.head < tag.upto:
        inlet.commit(tag.upto)
    half_out = (
        inlet.head == tag.upto
    )  # else the item ended without another output, and was committed
    return Resumed(tag.ordinal, tag.input, tag.extra if half_out else 0)


def resume_state(
    run: int,
    inlets: Sequence[Inlet],
    outlets: Sequence[Outlet[Blob]],
    route: Route | None,
    replay: Replay,
) -> Resumed:
    """The same for a processor whose state was saved: what went out past that comes again."""
    tag = send_missing(run, outlets)
    ordinal = tag.ordinal if tag is not None else 0
    saved = replay.memory.newest()
    if saved is None or saved.run != run:
        replay.memory.save(Saved(run, False, given(route, outlets), _positions(inlets, 0, 0)))
        return Resumed(ordinal, 0, 0)
    for inlet, position in zip(inlets, saved.positions, strict=True):
        if inlet.head < position:
            inlet.commit(position)
    if saved.finished:
        return Resumed(ordinal, len(inlets), 0, True)
    if tag is None or tag.run != run:
        return Resumed(ordinal, 0, 0)
    if tag.input == len(inlets):
        return Resumed(ordinal, tag.input, tag.extra)
    replay.left = given(route, outlets) - saved.given
    replay.until = tag.upto + (tag.extra > 0)
    return Resumed(ordinal, tag.input, 0)


def send_missing(run: int, outlets: Sequence[Outlet[Blob]]) -> Tag | None:
    """Makes the copies of the newest record that are missing, and gives its tag."""
    newest = max(outlets, key=_ordinal, default=None)
    tag = newest.last_tag() if newest is not None else None
    if newest is None or tag is None or tag.run != run:
        return tag
    lanes = [outlet for bit, outlet in enumerate(outlets) if tag.lanes >> bit & 1]
    missing = [outlet for outlet in lanes if _ordinal(outlet) != tag.ordinal]
    if missing:  # there was room in all lanes before the first copy went out
        items, blob = newest.last_blob()
        for outlet in missing:
            outlet.publish(items, blob, tag)
    return tag


def given(route: Route | None, outlets: Sequence[Outlet[Blob]]) -> int:
    """How many outputs this node has given since the channels were made."""
    return taken(route, [outlet.tail for outlet in outlets]) if route is not None else 0


def _positions(inlets: Sequence[Inlet], source: int, items: int) -> tuple[int, ...]:
    """Where the inlets stand, once so many items of one of them are committed."""
    return tuple(
        inlet.position(items) if items and at == source else inlet.head
        for at, inlet in enumerate(inlets)
    )


def _ordinal(outlet: Outlet[Blob]) -> int:
    tag = outlet.last_tag()
    return 0 if tag is None else tag.ordinal
