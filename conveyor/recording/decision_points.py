"""Where the world decides in a pipeline: its first-come joins, its balancing forks, and the timers
of its stages.

A recording is of every pipeline that has the same decision points: a point is told by its name, its
kind, how many lanes it has, and which points come before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from conveyor.graph.route import Balance, nested_balances, way_to
from conveyor.graph.topology import Topology, channels_of

__all__ = ["TIMER", "Point", "described", "points_of"]

# Behind the name of a stage: does something come due there before its next item?
TIMER: Final = "~timer"


class Point(NamedTuple):
    """A decision point of a pipeline.

    `kind` is "join", "balance" or "timer", which has two lanes: the items, and what comes due.
    `before` names the points that an item may have passed on its way
    to this one, sorted.
    """

    name: str
    kind: str
    lanes: int
    before: tuple[str, ...]


def points_of(topology: Topology) -> tuple[Point, ...]:
    """Gives the decision points of a pipeline in the order of its nodes."""
    return _Points(topology).all()


class _Points:
    """Finds the decision points of a pipeline, and which of them come before which."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.before: dict[int, frozenset[str]] = {}  # by node: the points before its own

    def all(self) -> tuple[Point, ...]:
        found: list[Point] = []
        for spec in self.topology.nodes:
            before = self.before_node(spec.index)
            if len(spec.inputs) > 1:
                found.append(Point(spec.join_name, "join", len(spec.inputs), tuple(sorted(before))))
                before |= {spec.join_name}
            if spec.chooses_done and spec.concurrency is not None:
                kind = "step" if spec.interleaves else "done"
                found.append(Point(spec.done_name, kind, spec.concurrency, tuple(sorted(before))))
            if spec.is_woken:
                found.append(Point(spec.name + TIMER, "timer", 2, tuple(sorted(before))))
            for fork, around in nested_balances(spec.route):
                names = before | {each.name for each in around}
                found.append(Point(fork.name, "balance", len(fork.lanes), tuple(sorted(names))))
        return tuple(found)

    def before_node(self, node: int) -> frozenset[str]:
        if node not in self.before:
            found: frozenset[str] = frozenset()
            for channel in channels_of(self.topology.nodes[node].inputs):
                found |= self.before_channel(channel)
            self.before[node] = found
        return self.before[node]

    def before_channel(self, channel: int) -> frozenset[str]:
        spec = self.topology.nodes[self.topology.channels[channel].producer]
        own = {spec.join_name} if len(spec.inputs) > 1 else set[str]()
        way = way_to(channel, spec.route) or () if spec.route is not None else ()
        on_the_way = [fork.name for fork in way if isinstance(fork, Balance)]
        return self.before_node(spec.index) | own | {*on_the_way}


def described(name: str, points: Mapping[str, Point]) -> str:
    """Says what a pipeline with these points has under a name."""
    point = points.get(name)
    if point is None:
        return f"no {name!r}"
    behind = f", behind {', '.join(point.before)}" if point.before else ""
    return f"the {point.kind} {name!r} of {point.lanes} lanes{behind}"
