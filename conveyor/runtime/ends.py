"""The channel ends of one node, as they are in shared memory.

Knows: which rings a node reads and writes, and what an ordered join needs around it.  Must never know: who steps the node.
"""

from __future__ import annotations

from collections.abc import Callable

from conveyor.channel import Inlet, ZipInlet
from conveyor.nodes import Node
from conveyor.ordered import OrderedInlet, StampNode, TrackedNode
from conveyor.route import leaves, taken
from conveyor.runtime.board import Layout
from conveyor.runtime.memory import Memory
from conveyor.runtime.ring import Extents, RingInlet, RingOutlet
from conveyor.topology import Input, Kind, NodeSpec, OrderedInput, Topology, ZipInput

__all__ = ["Ends"]


class Ends:
    """Made from the topology; `ring` gives the bell of a node by its number."""

    def __init__(
        self, topology: Topology, layout: Layout, memory: Memory, spec: NodeSpec, ring: Callable[[int], Callable[[], None]]
    ) -> None:
        self.topology = topology
        self.layout = layout
        self.memory = memory
        self.ring = ring
        self.inlets: list[RingInlet] = []
        self.zips: dict[str, ZipInlet] = {}
        self.inputs = [self.inlet(each) for each in spec.inputs]
        extents = Extents(memory, layout.spill_base(spec.index))
        channels = leaves(spec.route) if spec.route is not None else []
        self.outlets = [self.outlet(channel, extents) for channel in channels]

    def inlet(self, source: Input) -> Inlet:
        if isinstance(source, ZipInput):
            zipped = self.zips[source.name] = ZipInlet([self.inlet(each) for each in source.inputs])
            return zipped
        if isinstance(source, OrderedInput):
            return OrderedInlet([self.inlet(each) for each in source.inputs], source.balanced, source.depth)
        producer = self.topology.channels[source.channel].producer
        inlet = RingInlet(self.layout.ring(self.memory, source.channel), self.ring(producer))
        self.inlets.append(inlet)
        return inlet

    def outlet(self, channel: int, extents: Extents) -> RingOutlet:
        consumer = self.topology.channels[channel].consumer
        return RingOutlet(self.layout.ring(self.memory, channel), self.ring(consumer), extents)

    def stamped(self, spec: NodeSpec, node: Node) -> Node:
        """`node`, with what an ordered join behind or around it needs."""
        if spec.depth and spec.kind is Kind.JOB:
            node = TrackedNode(node, spec.depth)
        route = spec.route
        if spec.stamps and route is not None:
            node = StampNode(node, lambda: taken(route, [outlet.tail for outlet in self.outlets]), spec.depth)
        return node
