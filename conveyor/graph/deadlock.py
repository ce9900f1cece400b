"""Which pipes wait for one another in a circle, and the words for it.

Knows: which nodes wait for items or for room in which channels.  Must never know: how they wait, or
for how long.

Rule 1.  A node that waits for items waits for the producer of a channel; one that waits for room,
         for its consumer.
Rule 2.  A node can go on if it does not wait, or if one of those that it waits for can go on.  All
         others are stuck for ever.
Rule 3.  Each node that is stuck waits for another that is stuck, so there is a circle; the shortest
         is told.  Channels never lead back, so some of its pipes are full, and some are empty.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from conveyor.graph.topology import Kind, Topology

__all__ = ["ChannelState", "Circle", "Link", "Wait", "WaitsFor", "find_cycle", "stuck_nodes"]


class WaitsFor(Enum):
    ITEMS = "items"
    ROOM = "room"


class Wait(NamedTuple):
    """What a node waits for: items, or room, in any of these channels.

    One that needs several at once, as a zip or a replicating fork does, names all that are lacking:
    it waits for each of them.
    """

    kind: WaitsFor
    channels: tuple[int, ...]


class Link(NamedTuple):
    """`node` waits for something in `channel`, which `by` would have to give."""

    node: int
    kind: WaitsFor
    channel: int
    by: int


class ChannelState(NamedTuple):
    """How much a channel holds and may hold, in items; `by_bytes`: it is large records that fill
    it, not their number."""

    queued: int
    capacity: int
    by_bytes: bool = False


class Circle:
    """Nodes each of which waits for the next, and the last for the first."""

    def __init__(self, topology: Topology, links: tuple[Link, ...]) -> None:
        self.topology = topology
        self.links = links

    @property
    def full(self) -> tuple[int, ...]:
        """The channels that have no room; a larger capacity of one of them may cure it."""
        return tuple(sorted(link.channel for link in self.links if link.kind is WaitsFor.ROOM))

    @property
    def empty(self) -> tuple[int, ...]:
        return tuple(sorted(link.channel for link in self.links if link.kind is WaitsFor.ITEMS))

    def describe(self, channels: Mapping[int, ChannelState]) -> str:
        """The whole circle in words; `channels` says how each of its channels stands."""
        lines = ["bounded pipes wait for one another in a circle:"]
        lines += [f"  {self._line(link, channels[link.channel])}" for link in self.links]
        by_bytes = [channel for channel in self.full if channels[channel].by_bytes]
        pipes = " or ".join(self._pipe(channel) for channel in self.full if channel not in by_bytes)
        cures = [f"give {pipes} more room: Pipe(capacity)"] if pipes else []
        cures += (
            ["send smaller items, such as a path or an index: bytes are what binds"]
            if by_bytes
            else []
        )
        return "\n".join(
            [*lines, f"To cure it, {'; or '.join(cures)}; or let no lane run ahead of the others."]
        )

    def _line(self, link: Link, state: ChannelState) -> str:
        name = self._name(link.node)
        if link.kind is WaitsFor.ITEMS:
            return (
                f"{name} waits for items from {self._name(link.by)}: {self._pipe(link.channel)} "
                "is empty"
            )
        how = (
            "full by bytes: it holds"
            if state.by_bytes
            else "full:"
            if state.queued >= state.capacity
            else "too full:"
        )
        held = f"{how} {state.queued} of {state.capacity} items"
        return (
            f"{name} waits for room before {self._name(link.by)}: {self._pipe(link.channel)} is "
            f"{held}"
        )

    def _pipe(self, channel: int) -> str:
        ends = self.topology.channels[channel]
        return f"c{channel} ({self._name(ends.producer)} -> {self._name(ends.consumer)})"

    def _name(self, node: int) -> str:
        spec = self.topology.nodes[node]
        return f"the {spec.name}" if spec.kind in (Kind.SOURCE, Kind.SINK) else repr(spec.name)


def find_cycle(topology: Topology, waits: Mapping[int, Wait]) -> Circle | None:
    """The shortest circle among those that wait and can never go on; None if there is none.

    `waits` tells of each node that waits, by its number; a node that is not in it is not
    waiting.
    """
    stuck = stuck_nodes(topology, waits)
    links = {node: _links(topology, node, waits[node]) for node in stuck}
    circles = [circle for node in stuck if (circle := _shortest(links, node)) is not None]
    return Circle(topology, min(circles, key=len)) if circles else None


def _links(topology: Topology, node: int, wait: Wait) -> list[Link]:
    ends = [topology.channels[channel] for channel in wait.channels]
    if wait.kind is WaitsFor.ITEMS:
        return [Link(node, wait.kind, end.index, end.producer) for end in ends]
    return [Link(node, wait.kind, end.index, end.consumer) for end in ends]


def stuck_nodes(topology: Topology, waits: Mapping[int, Wait]) -> list[int]:
    """Those that wait only for others that are stuck, too."""
    stuck = sorted(waits)
    while True:
        left = [
            node
            for node in stuck
            if all(link.by in stuck for link in _links(topology, node, waits[node]))
        ]
        if left == stuck:
            return stuck
        stuck = left


def _shortest(links: Mapping[int, list[Link]], start: int) -> tuple[Link, ...] | None:
    """The shortest way from a node back to itself."""
    came: dict[int, Link] = {}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        for link in links[node]:
            if link.by in came:
                continue
            came[link.by] = link
            if link.by == start:
                return _way(came, start)
            queue.append(link.by)
    return None


def _way(came: Mapping[int, Link], start: int) -> tuple[Link, ...]:
    way = [came[start]]
    while way[-1].node != start:
        way.append(came[way[-1].node])
    return tuple(reversed(way))
