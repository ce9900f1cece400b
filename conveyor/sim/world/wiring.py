"""How one node of a pipeline in memory is connected: which channels it reads and writes.

This file knows channels and what a node's inputs and route look like.  It must never know workers.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TypeAlias

from conveyor.core.endpoints import Ends, words_of_notes
from conveyor.graph.route import Select, balances, leaves
from conveyor.graph.topology import Kind, NodeSpec, channels_of
from conveyor.sim.world.channel import MemoryChannel
from conveyor.sim.world.faulty_channel import CrashPlan, FaultyChannel

__all__ = ["AnyEnds", "Wiring"]

AnyEnds: TypeAlias = "Ends[MemoryChannel, MemoryChannel] | Ends[FaultyChannel, FaultyChannel]"


class Wiring:
    """The channels of one node, run after run."""

    def __init__(
        self, spec: NodeSpec, channels: Sequence[MemoryChannel], source: MemoryChannel
    ) -> None:
        self.spec = spec
        self.channels = channels  # of the whole pipeline
        self.source = source  # which the first node reads
        self.notes = memoryview(array("Q", [0] * words_of_notes(spec.inputs)))
        self.read = [channels[c] for c in channels_of(spec.inputs)]
        written = [] if spec.route is None else [channels[c] for c in leaves(spec.route)]
        self.own = [*self.read, *written]
        if spec.kind is Kind.SOURCE:
            self.read = [source]
        self.is_composite = len(self.notes) > 0
        self.balances = balances(spec.route)
        # May two outputs of one item go to different lanes?
        self.parts_outputs = self.balances or isinstance(spec.route, Select)
        # Is something decided about a record before it waits for room?
        self.decides_first = spec.route is not None and (len(spec.inputs) > 1 or self.balances)
        self.is_stamped = spec.depth > 0 or spec.stamps
        self.lasting_ends = self.new_ends(None)

    def clear(self) -> None:
        """Forgets what composite inputs have noted in an earlier run."""
        for at in range(len(self.notes)):
            self.notes[at] = 0

    def ends(self, crash_plan: CrashPlan | None) -> AnyEnds:
        """The ends of the channels, for a new worker.

        Those of composite inputs keep a state, so each worker has new ones; and a worker that may
        die has faulty ones.
        """
        if crash_plan is None and not self.is_composite:
            return self.lasting_ends
        return self.new_ends(crash_plan)

    def new_ends(self, crash_plan: CrashPlan | None, gated: bool = False) -> AnyEnds:
        channel = self.channels.__getitem__
        if crash_plan is None:
            return Ends(self.spec, self.notes, channel, channel)

        def faulty(index: int) -> FaultyChannel:
            return FaultyChannel(channel(index), crash_plan)

        return Ends(self.spec, self.notes, faulty, faulty, gated)

    def source_end(self, crash_plan: CrashPlan | None) -> MemoryChannel | FaultyChannel:
        """The end from which the first node reads the items of the run."""
        return self.source if crash_plan is None else FaultyChannel(self.source, crash_plan)
