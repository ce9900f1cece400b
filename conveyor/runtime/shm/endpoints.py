"""The channel ends of one node, as they are in shared memory.

This file knows rings, and which node to wake.  It must never know what steps the node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from conveyor.core.endpoints import Ends
from conveyor.graph.topology import NodeSpec, Topology
from conveyor.runtime.shm.allocator import Allocator
from conveyor.runtime.shm.checked import inlet_of, outlet_of
from conveyor.runtime.shm.inlet import RingInlet
from conveyor.runtime.shm.layout import Layout
from conveyor.runtime.shm.memory import Memory
from conveyor.runtime.shm.outlet import RingOutlet

__all__ = ["RingEnds", "ring_ends"]

RingEnds: TypeAlias = Ends[RingInlet, RingOutlet]


def ring_ends(
    topology: Topology,
    layout: Layout,
    memory: Memory,
    spec: NodeSpec,
    wake: Callable[[int], Callable[[], None]],
    gated: bool = False,
) -> RingEnds:
    """Makes the ends of a node; `wake` gives what wakes the worker of a node, by its number; with
    `gated` its inputs stop at barriers."""
    allocator = Allocator(memory, layout.spill_base(spec.index))

    def inlet(channel: int) -> RingInlet:
        return inlet_of(layout.ring(memory, channel), wake(topology.channels[channel].producer))

    def outlet(channel: int) -> RingOutlet:
        return outlet_of(
            layout.ring(memory, channel), wake(topology.channels[channel].consumer), allocator
        )

    return Ends(spec, layout.notes(memory, spec.index), inlet, outlet, gated)
