"""How much of what went into a graph is through it.

Knows: which nodes come before which.  Must never know: how nodes are counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import TopologicalSorter

from conveyor.graph.fusion import home
from conveyor.graph.topology import Topology

__all__ = ["share_through"]


def share_through(topology: Topology, of_node: Mapping[int, tuple[int, int]]) -> float:
    """Which share of what the source gave is through the whole graph.

    `of_node` has of each node but the source how many of its inputs are done, and how many are not.
    What is through a node is a share of what is through those before it; of several, the mean.
    """
    before: dict[int, list[int]] = {
        node.index: [] for node in topology.nodes if node.within is None
    }
    for channel in topology.channels:
        producer, consumer = home(topology, channel.producer), home(topology, channel.consumer)
        if producer != consumer:
            before[consumer].append(producer)
    shares: dict[int, float] = {}
    for node in TopologicalSorter(before).static_order():
        done, left = of_node.get(node, (0, 0))
        own = done / (done + left) if done + left else 1.0
        above = [shares[each] for each in before[node]]
        shares[node] = own * (sum(above) / len(above) if above else 1.0)
    return shares[topology.nodes[-1].index]
