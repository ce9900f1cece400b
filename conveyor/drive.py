"""The drive loop: how a worker moves items, in whichever world it is.

Knows: the order of peek, run, publish and commit, and how to go on where another worker died.
Must never know: which world it is in; it takes no clock, no process, no chance.

Rule 1.  It yields only where it must wait or where there is something to decide (`decisions`).
Rule 2.  Items of an input are committed only after everything that came of them has been published.
Rule 3.  Every record carries a tag (`channel.Tag`), and all lanes of a record have room before its first copy goes out.
Rule 4.  A loop that starts first does what the newest tag on its outlets says is still to be done.
Rule 5.  Half an item out pins the merge to its input.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Final, Generic, NamedTuple, Protocol, TypeAlias

from typing_extensions import TypeVar

from conveyor.channel import Inlet, Outlet, Tag
from conveyor.decisions import ALL_ENDED, Full, Idle, Merge, Request
from conveyor.nodes import Node
from conveyor.route import Route, Way, ways

__all__ = ["Cut", "Drive", "drive"]

Blob = TypeVar("Blob")

UNBOUNDED: Final = 1 << 40

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
) -> Drive[Blob]:
    """Steps `node` through one run, from its inlets to its outlets (those of the route's leaves, in their order)."""
    for inlet in inlets:
        inlet.start(run)
    resumed = resume(run, inlets, outlets)
    source, skip = resumed.source, resumed.skip
    sender = Sender(run, resumed.ordinal, outlets, ways(route) if route is not None else Way(0, (), None))
    limit = sender.limit
    merge = Merge(merge_name, inlets) if len(inlets) > 1 else None
    idle = Idle(inlets[0])
    while source < len(inlets):
        if merge is None:
            if not inlets[0].pending():
                if inlets[0].ended():
                    break
                yield idle
                continue
        elif not skip:
            source = yield merge
            if source == ALL_ENDED:
                break
        inlet = inlets[source]
        items = inlet.peek(min(cut.n, limit))
        finished = 0
        for out, done, extra in node(items, skip, limit):
            if out:
                yield from sender.send(out, source, inlet.position(done - finished), extra)
            if done > finished:
                inlet.commit(inlet.position(done - finished))
                finished = done
        skip = 0
    for out, _, extra in node.finish(skip if source == len(inlets) else 0, limit):
        yield from sender.send(out, len(inlets), 0, extra)
    for outlet in outlets:
        outlet.close(run)


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
        self.mask = -1
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
    """Where a loop begins: its last ordinal, the input to read, and how many outputs of the next item are already out."""

    ordinal: int
    source: int
    skip: int


def resume(run: int, inlets: Sequence[Inlet], outlets: Sequence[Outlet[Blob]]) -> Resumed:
    """Does what a worker that died had still to do for its newest record, and says where to go on."""
    newest = max(outlets, key=_ordinal, default=None)
    tag = newest.last_tag() if newest is not None else None
    if newest is None or tag is None:
        return Resumed(0, 0, 0)
    if tag.run != run:  # of a run that ended: nothing is left to do
        return Resumed(tag.ordinal, 0, 0)
    lanes = [outlet for bit, outlet in enumerate(outlets) if tag.lanes >> bit & 1]
    missing = [outlet for outlet in lanes if _ordinal(outlet) != tag.ordinal]
    if missing:  # there was room in all lanes before the first copy went out
        items, blob = newest.last_blob()
        for outlet in missing:
            outlet.publish(items, blob, tag)
    if tag.input == len(inlets):
        return Resumed(tag.ordinal, tag.input, tag.extra)
    inlet = inlets[tag.input]
    if inlet.head < tag.upto:
        inlet.commit(tag.upto)
    half_out = inlet.head == tag.upto  # else the item ended without another output, and was committed
    return Resumed(tag.ordinal, tag.input, tag.extra if half_out else 0)


def _ordinal(outlet: Outlet[Blob]) -> int:
    tag = outlet.last_tag()
    return 0 if tag is None else tag.ordinal
