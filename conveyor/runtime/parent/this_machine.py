"""The engine that runs pipelines on this machine, in worker processes.

Knows: what may be chosen for it: a start method and a placement.  Must never know: its callers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from conveyor.core.engine import Deployment
from conveyor.graph.topology import Topology
from conveyor.runtime.placement import Placement, usable_physical_cores

__all__ = ["ThisMachine"]


@dataclass(frozen=True, slots=True)
class ThisMachine:
    """Worker processes on this machine; `start_method` None: what CONVEYOR_START_METHOD says, or
    "forkserver"."""

    start_method: str | None = None
    placement: Placement = field(default_factory=Placement)

    def lanes(self) -> int:
        return usable_physical_cores()

    def open(self, topology: Topology) -> Deployment:
        # Only now: a pipeline that is described, and not run, needs nothing of this.
        from conveyor.runtime.parent.deployment import LocalDeployment

        return LocalDeployment(topology, self.start_method, self.placement)
