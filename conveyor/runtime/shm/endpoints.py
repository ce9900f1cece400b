"""The channel ends of one node, as they are in shared memory.

This file knows rings, and which node to wake.  It must never know what steps the node.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from conveyor.core.channel import Note
from conveyor.core.endpoints import Ends
from conveyor.core.log_places import LogPlaces
from conveyor.graph.topology import NodeSpec, Topology, zips_of
from conveyor.runtime.shm.allocator import Allocator
from conveyor.runtime.shm.checked import inlet_of, outlet_of
from conveyor.runtime.shm.inlet import RingInlet
from conveyor.runtime.shm.layout import KEPT, PLACE_OF_ZIP, WORDS_OF_ZIP, Layout
from conveyor.runtime.shm.memory import Memory
from conveyor.runtime.shm.outlet import RingOutlet

__all__ = ["RingEnds", "places_of_zip", "ring_ends"]

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

    notes = layout.notes(memory, spec.index)
    places = partial(places_of_zip, layout, memory, spec) if gated else None
    return Ends(spec, notes, inlet, outlet, places)


def places_of_zip(layout: Layout, memory: Memory, spec: NodeSpec, name: str) -> LogPlaces:
    """The places in which a zip of this node keeps what it sets aside."""
    kept = Note(layout.kept_at(memory, spec.index))
    number = [zipped for zipped, _ in zips_of(spec.inputs)].index(name)
    at = KEPT + len(spec.inputs) + number * WORDS_OF_ZIP + PLACE_OF_ZIP

    def place_at_barrier() -> int | None:
        newest = kept.newest()
        return newest[at] if newest[0] else None

    what = f"what zip {name!r} has set aside"
    return LogPlaces(what, memory, layout.zip_base(name), place_at_barrier)
