"""Virtual time: every worker has a clock of its own, which stands still until there is something to
wait for.

This file knows when items were published, and when there was room for them.  It must never know a
real clock, or what is decided.

Jobs take no time.  A worker's clock is moved by what it takes in hand, which was published at some
moment, by room that it needs, which was made at some moment, and by a job that waits.  So the times
of a run follow from its items and its decisions alone, in whatever order its nodes are stepped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from conveyor.core.barriers import GatedInlet
from conveyor.core.channel import Inlet, Tag, ZipInlet
from conveyor.core.job_node import Node, Piece
from conveyor.core.ordered import OrderedInlet
from conveyor.core.set_aside import KeptZipInlet
from conveyor.core.timers import Timer
from conveyor.sim.world.channel import MemoryChannel
from conveyor.sim.world.faulty_channel import FaultyChannel
from conveyor.stages.timed import Timed

__all__ = [
    "ClockedChannel",
    "ClockedNode",
    "VirtualClock",
    "VirtualTimer",
    "arrival",
    "arrival_of_held",
    "end",
]


class VirtualClock:
    """The clock of one worker, in seconds since the run began."""

    def __init__(self) -> None:
        self.now = 0.0

    def pass_to(self, moment: float) -> None:
        """Time passes to a moment, if that has not come already."""
        self.now = max(self.now, moment)


class VirtualTimer(Timer):
    """Time passes as far as it has to; whether it does so before the next item is decided."""

    def __init__(self, stage: Timed, clock: VirtualClock) -> None:
        super().__init__(stage)
        self.clock = clock

    def now(self) -> float:
        return self.clock.now

    def begins(self) -> float:
        self.clock.pass_to(self.opens_at())
        return self.clock.now

    def is_past(self) -> bool:
        return False

    def is_open(self) -> bool:
        return True

    def come_due(self) -> None:
        deadline = self.deadline
        assert deadline is not None
        self.clock.pass_to(deadline)
        super().come_due()


class ClockedChannel(MemoryChannel):
    """A channel that knows when each of its items was published, and when its room came back."""

    __slots__ = ("closed_at", "freed", "published", "reader", "writer")

    def __init__(
        self, capacity: int, index: int, writer: VirtualClock, reader: VirtualClock
    ) -> None:
        self.published: list[float] = []
        self.freed: list[float] = []
        self.closed_at = 0.0
        super().__init__(capacity, index)
        self.writer = writer
        self.reader = reader

    def clear(self) -> None:
        super().clear()
        self.published.clear()
        self.freed.clear()

    def publish(self, n: int, blob: list[object], tag: Tag) -> None:
        needed = len(self.items) + n - self.capacity
        if needed > 0:
            self.writer.pass_to(self.freed[needed - 1])
        super().publish(n, blob, tag)
        self.published += [self.writer.now] * n

    def commit(self, upto: int) -> None:
        self.freed += [self.reader.now] * (upto - self.head)
        super().commit(upto)

    def close(self, run: int) -> None:
        super().close(run)
        self.closed_at = self.writer.now


def arrival(inlet: Inlet, n: int = 1) -> float:
    """When the `n`-th of the items that an inlet has now was there, or its source; they must have
    been peeked at.

    Those before the first, which a zip has set aside, count from 0 down; what was in an earlier
    life is there from the beginning.
    """
    if isinstance(inlet, GatedInlet):
        return arrival(inlet.inlet, n)
    if isinstance(inlet, FaultyChannel):
        inlet = inlet.channel
    if isinstance(inlet, ClockedChannel):
        at = inlet.head + n - 1
        return inlet.published[at] if at >= 0 else 0.0
    if isinstance(inlet, KeptZipInlet):
        aside = map(len, inlet.aside.lanes)
        return max(arrival(each, n - m) for each, m in zip(inlet.inlets, aside, strict=True))
    if isinstance(inlet, ZipInlet):
        return max(arrival(each, n) for each in inlet.inlets)
    if isinstance(inlet, OrderedInlet) and n > 0:
        lanes = zip(inlet.inlets, inlet.lanes(n), strict=True)
        return max(arrival(lane, entries) for lane, entries in lanes if entries)
    return 0.0  # the items of the run, which are there from the beginning


def arrival_of_held(inlet: Inlet, held: Sequence[Any]) -> float:
    """When the last of some items was there that were taken in hand, which need not be the first of
    those that the inlet has."""
    return arrival(inlet, max(each.position for each in held) + 1 - inlet.head)


def end(channels: Sequence[MemoryChannel]) -> float:
    """When the last of some channels was closed."""
    return max(
        (channel.closed_at for channel in channels if isinstance(channel, ClockedChannel)),
        default=0.0,
    )


class ClockedNode:
    """A node whose worker's clock is moved by what it takes in hand; `arrived` says when that was
    there, and `read` are all channels that it reads."""

    def __init__(
        self,
        node: Node,
        clock: VirtualClock,
        arrived: Callable[[Sequence[Any]], float],
        read: Sequence[MemoryChannel],
    ) -> None:
        self.node = node
        self.tally = node.tally
        self.clock = clock
        self.arrived = arrived
        self.read = read

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        if items:
            self.clock.pass_to(self.arrived(items))
        return self.node(items, skip, limit)

    def finish(self, skip: int, limit: int) -> Iterable[Piece]:
        self.clock.pass_to(end(self.read))
        return self.node.finish(skip, limit)
