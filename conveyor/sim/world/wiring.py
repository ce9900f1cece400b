"""How one node of a pipeline in memory is connected: which channels it reads and writes.

This file knows channels and what a node's inputs and route look like.  It must never know workers.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from operator import sub
from typing import TypeAlias

from conveyor.core.channel import Inlet
from conveyor.core.endpoints import Ends, standing, words_of_notes
from conveyor.core.epochs import NodeState
from conveyor.core.log_places import LogPlaces
from conveyor.core.set_aside import ZipState, begin_zip
from conveyor.graph.route import Select, balances, leaves
from conveyor.graph.topology import Kind, NodeSpec, channels_of
from conveyor.sim.world.channel import MemoryChannel
from conveyor.sim.world.durable_state import Bytes
from conveyor.sim.world.faulty_channel import CrashPlan, FaultyChannel
from conveyor.sim.world.setting import RUN

__all__ = ["AnyEnds", "Wiring", "came_before"]

FaultyEnds: TypeAlias = "Ends[FaultyChannel, FaultyChannel]"
AnyEnds: TypeAlias = "Ends[MemoryChannel, MemoryChannel] | FaultyEnds"


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

    def new_ends(self, crash_plan: CrashPlan | None) -> AnyEnds:
        channel = self.channels.__getitem__
        if crash_plan is None:
            return Ends(self.spec, self.notes, channel, channel)
        return self.faulty_ends(crash_plan)

    def kept_ends(self, crash_plan: CrashPlan, known: NodeState | None) -> FaultyEnds:
        """Ends that stop at barriers; zips begin with what is known, if that is."""

        def places(name: str) -> LogPlaces:
            return LogPlaces(f"what zip {name!r} has set aside", Bytes(), 0)

        ends = self.faulty_ends(crash_plan, places)
        zips: Mapping[str, ZipState] = {} if known is None else known.zips
        for name, zipped in zips.items():
            kept = ends.kept_zips[name]
            begin_zip(kept.note, len(kept.inlets), kept.places, RUN, zipped)
        return ends

    def faulty_ends(
        self, crash_plan: CrashPlan, places: Callable[[str], LogPlaces] | None = None
    ) -> FaultyEnds:
        def faulty(index: int) -> FaultyChannel:
            return FaultyChannel(self.channels[index], crash_plan)

        return Ends(self.spec, self.notes, faulty, faulty, places)

    def source_end(self, crash_plan: CrashPlan | None) -> MemoryChannel | FaultyChannel:
        """The end from which the first node reads the items of the run."""
        return self.source if crash_plan is None else FaultyChannel(self.source, crash_plan)


def came_before(known: NodeState | None, inputs: Sequence[Inlet]) -> tuple[int, ...]:
    """How many items of each input came in earlier lives, beside those that it counts itself."""
    if known is None:
        return ()
    return tuple(map(sub, known.positions, [standing(each, RUN) for each in inputs]))
