"""What the parts of a pipeline in memory share: the channels, what is decided, and what became of a
run.

`World` is the one that offers all this.  Its parts are written on these protocols, so that they
need not know it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, TypeAlias

from conveyor.core.failures import Failure
from conveyor.core.job_node import Node
from conveyor.core.nodes import CollectNode
from conveyor.core.requests import ChooseLane
from conveyor.report import DeadLetter
from conveyor.sim.determinism.inspection import Inspection
from conveyor.sim.prepare.prepared import PreparedPipeline
from conveyor.sim.schedule import Decision
from conveyor.sim.schedulers.scheduler import Scheduler
from conveyor.sim.world.channel import MemoryChannel
from conveyor.sim.world.clock import VirtualClock
from conveyor.sim.world.faulty_channel import CrashPlan

__all__ = ["RUN", "Blob", "Setting"]

Blob: TypeAlias = list[object]

RUN: Final = 1  # the number of the run, in channels: each begins with channels that are cleared


class Setting(Protocol):
    """What a node of a pipeline in memory finds around it, and what it asks to be decided."""

    pipeline: PreparedPipeline
    is_clocked: bool  # does time wake a job, or hold one up?
    clocks: dict[int, VirtualClock]  # of the worker of each node
    inspection: Inspection | None
    scheduler: Scheduler
    channels: list[MemoryChannel]
    source: MemoryChannel
    sink: CollectNode
    nodes: dict[int, Node]  # those that are used again in the next run
    counts: dict[str, int]  # decisions taken, by their point
    crash_plans: dict[str, CrashPlan]
    opened: dict[str, int]  # lanes of an adapting fork, if that matters
    dead_letters: list[DeadLetter]
    failures: list[Failure]

    def choose(self, choose: ChooseLane) -> int: ...
    def decide(self, point: str, options: Sequence[int], count: int = 1) -> int: ...
    def note(self, decision: Decision) -> None: ...
    def runs_out(self, worker: str, place: tuple[int | None, int]) -> bool: ...
