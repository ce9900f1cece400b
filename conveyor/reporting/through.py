"""How much of what went into a graph is through it.

Knows: which nodes come before which.  Must never know: how nodes are counted.
"""

from __future__ import annotations

from collections.abc import Mapping

from conveyor.graph.topology import Topology, channels_of

__all__ = ["share_through"]


def share_through(topology: Topology, of_node: Mapping[int, tuple[int, int]]) -> float:
    """Which share of what the source gave is through the whole graph.

    `of_node` has of each node but the source how many of its inputs are done, and how many are not.
    What is through a node is a share of what is through those before it; of several, the mean.
    """
    producers = [channel.producer for channel in topology.channels]
    shares: dict[int, float] = {topology.nodes[0].index: 1.0}
    for node in topology.nodes[1:]:
        if node.within is not None:
            continue
        before = [shares.get(producers[channel], 1.0) for channel in channels_of(node.inputs)]
        done, left = of_node.get(node.index, (0, 0))
        own = done / (done + left) if done + left else 1.0
        shares[node.index] = own * sum(before) / max(1, len(before))
    return shares[topology.nodes[-1].index]
