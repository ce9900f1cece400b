"""Which channels could ever be part of a circle of pipes that wait for one another.

Knows: the graph.  Must never know: which node waits for what.

A node that waits for room waits for one that has something to read.  That one goes on before long,
unless it waits for room itself, or for one more of its inputs, as only a zip does.  So there is
such a circle only where lanes part and come together again, and a zip is among what brings them
together.  Elsewhere it does not matter how much a pipe holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from conveyor.graph.topology import Topology, channels_of, zips_of

__all__ = ["channels_that_count"]

# Of each node: channel, and the node at its other end.
Neighbours: TypeAlias = Mapping[int, Sequence[tuple[int, int]]]


def channels_that_count(topology: Topology) -> set[int]:
    """The channels on whose capacity it may depend whether a run can come to its end."""
    inputs = [set(channels_of(spec.inputs)) for spec in topology.nodes if zips_of(spec.inputs)]
    if not inputs:
        return set()
    neighbours: dict[int, list[tuple[int, int]]] = {spec.index: [] for spec in topology.nodes}
    for channel in topology.channels:
        neighbours[channel.producer].append((channel.index, channel.consumer))
        neighbours[channel.consumer].append((channel.index, channel.producer))
    return {
        channel
        for block in blocks(neighbours)
        if any(len(each & block) > 1 for each in inputs)
        for channel in block
    }


def blocks(neighbours: Neighbours) -> Iterator[set[int]]:
    """The channels, any two of one block on a circle that comes by no node twice (Hopcroft and
    Tarjan, 1973).

    >>> list(blocks({0: [(5, 1), (6, 1)], 1: [(5, 0), (6, 0), (7, 2)], 2: [(7, 1)]}))
    [{7}, {5, 6}]
    """
    entered: dict[int, int] = {}
    lowest: dict[int, int] = {}  # the earliest node that is reached from below a node
    passed: list[int] = []  # channels that are in no block yet
    for start in neighbours:
        if start in entered:
            continue
        entered[start] = lowest[start] = len(entered)
        path = [(start, -1, iter(neighbours[start]))]
        while path:
            node, by, left = path[-1]
            channel, other = next(left, (-1, -1))
            if other < 0:
                path.pop()
                if path:
                    before = path[-1][0]
                    lowest[before] = min(lowest[before], lowest[node])
                    if lowest[node] >= entered[before]:
                        at = passed.index(by)
                        yield set(passed[at:])
                        del passed[at:]
            elif other not in entered:
                entered[other] = lowest[other] = len(entered)
                passed.append(channel)
                path.append((other, channel, iter(neighbours[other])))
            elif channel != by and entered[other] < entered[node]:
                passed.append(channel)
                lowest[node] = min(lowest[node], entered[other])
