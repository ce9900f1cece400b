"""Watches a simulated run and writes down what happens.

Knows: what goes in and out of nodes, and virtual time.  Must never know: what is made of it.

Time is virtual: a slice takes one tick; it begins when its items are there and its worker is free.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from conveyor.core.concurrent_node import Held
from conveyor.core.job_node import Node, Piece
from conveyor.errors import ConveyorError
from conveyor.graph.route import leaves
from conveyor.graph.topology import Kind, channels_of
from conveyor.items.sealing import Sealed
from conveyor.items.short_repr import short_repr
from conveyor.reporting.trace import Event, EventKind, Trace
from conveyor.sim.schedule import Death, Decision
from conveyor.sim.world.loop import NodeLoop

__all__ = ["Tracer"]


class Tracer:
    """An observer of a world."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.clocks: dict[str, int] = {}
        self.times: dict[int, list[int]] = {}  # when each item of a channel was published

    def trace(self) -> Trace:
        return Trace(self.events)

    def watch(self, loop: NodeLoop, node: Node) -> Node:
        return TracedNode(self, loop, node)

    def decided(self, decision: Decision) -> None:
        point, ordinal, option, default = decision
        text = f"#{ordinal} takes {option}" + ("" if option == default else f", not {default}")
        self.events.append(Event(self.now(), point, EventKind.DECISION, text=text))

    def died(self, death: Death) -> None:
        item = (
            "at the end of the run"
            if death.item is None
            else f"with item {death.item} {death.step}"
        )
        self.events.append(
            Event(self.clocks.get(death.worker, 0), death.worker, EventKind.DEATH, text=item)
        )

    def restarted(self, worker: str) -> None:
        self.clocks[worker] = max(self.clocks.get(worker, 0), self.now())
        self.events.append(Event(self.clocks[worker], worker, EventKind.RESTART))

    def failed(self, worker: str, text: str) -> None:
        self.events.append(Event(self.clocks.get(worker, 0), worker, EventKind.FAILURE, text=text))

    def now(self) -> int:
        return max(self.clocks.values(), default=0)

    def begins(self, loop: NodeLoop, count: int) -> int:
        """When a slice of `count` items can begin; the clock of its worker is then one tick
        later."""
        name = loop.spec.name
        ready = self.clocks.get(name, 0)
        for index in channels_of(loop.spec.inputs):
            channel = loop.world.channels[index]
            published = self.published(loop, index)
            last = min(channel.head + count, len(published)) - 1
            if last >= channel.head:
                ready = max(ready, published[last])
        self.clocks[name] = ready + 1
        return ready + 1

    def published(self, loop: NodeLoop, channel: int) -> list[int]:
        """The times of all items of a channel, brought up to date with its producer's clock."""
        times = self.times.setdefault(channel, [])
        world = loop.world
        producer = world.pipeline.topology.nodes[
            world.pipeline.topology.channels[channel].producer
        ].name
        times += [self.clocks.get(producer, 0)] * (world.channels[channel].tail - len(times))
        return times

    def settle(self, loop: NodeLoop) -> None:
        """Writes down when what a worker has published so far was published."""
        for channel in leaves(loop.spec.route) if loop.spec.route is not None else ():
            self.published(loop, channel)


class TracedNode:
    """A node whose slices are written down."""

    def __init__(self, tracer: Tracer, loop: NodeLoop, node: Node) -> None:
        self.tracer = tracer
        self.loop = loop
        self.node = node
        self.tally = node.tally

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        self.tracer.settle(self.loop)
        time = self.tracer.begins(self.loop, len(items))
        shown = tuple(map(show, items))
        return self.written(self.node(items, skip, limit), EventKind.RUN, time, shown)

    def finish(self, skip: int, limit: int) -> Iterable[Piece]:
        self.tracer.settle(self.loop)
        return self.written(
            self.node.finish(skip, limit), EventKind.FINISH, self.tracer.now() + 1, ()
        )

    def written(
        self, pieces: Iterable[Piece], what: EventKind, time: int, items: tuple[str, ...]
    ) -> Iterator[Piece]:
        outputs: list[str] = []
        name = self.loop.spec.name
        at = len(self.tracer.events)
        is_end = self.loop.spec.kind in (Kind.SOURCE, Kind.SINK)
        try:
            for piece in pieces:
                outputs += map(show, piece[0])
                yield piece
        finally:
            if items or outputs:
                event = Event(
                    time,
                    name,
                    what,
                    items,
                    () if is_end and what is EventKind.RUN and not outputs else tuple(outputs),
                )
                self.tracer.events.insert(at, event)


def show(item: object) -> str:
    """A short repr of an item as it is in a slice, or in hand."""
    if isinstance(item, Held):
        item = item.item
    if isinstance(item, Sealed):
        try:
            return short_repr(item.open())
        except ConveyorError:
            return "<an item that cannot be unpickled>"
    return short_repr(item)
