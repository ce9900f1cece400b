"""The channel ends of one node, as they are in shared memory.

Knows: rings, and whom to wake.  Must never know: who steps the node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from conveyor.ends import Ends
from conveyor.runtime.board import Layout
from conveyor.runtime.checked import inlet_of, outlet_of
from conveyor.runtime.extents import Extents
from conveyor.runtime.memory import Memory
from conveyor.runtime.ring import RingInlet, RingOutlet
from conveyor.topology import NodeSpec, Topology

__all__ = ["RingEnds", "ring_ends"]

RingEnds: TypeAlias = Ends[RingInlet, RingOutlet]


def ring_ends(
    topology: Topology, layout: Layout, memory: Memory, spec: NodeSpec, ring: Callable[[int], Callable[[], None]]
) -> RingEnds:
    """The ends of a node; `ring` gives the bell of a node by its number."""
    extents = Extents(memory, layout.spill_base(spec.index))

    def inlet(channel: int) -> RingInlet:
        return inlet_of(layout.ring(memory, channel), ring(topology.channels[channel].producer))

    def outlet(channel: int) -> RingOutlet:
        return outlet_of(layout.ring(memory, channel), ring(topology.channels[channel].consumer), extents)

    return Ends(spec, layout.notes(memory, spec.index), inlet, outlet)
