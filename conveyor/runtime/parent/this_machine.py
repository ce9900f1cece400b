"""The engine that runs pipelines on this machine, in worker processes.

Knows: what may be chosen for it: how workers begin, and where they are.  Must never know: its
callers.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from typing import Final

from conveyor.core import engine as core
from conveyor.core.engine import Deployment
from conveyor.core.keeping import Keeping
from conveyor.errors import RunError
from conveyor.graph.pace import Paces
from conveyor.graph.topology import Topology
from conveyor.runtime.placement import Placement, usable_physical_cores
from conveyor.runtime.worker_start import WorkerStart

__all__ = ["ThisMachine", "has_one_lock", "why_not"]

SYSTEMS: Final = ("linux", "darwin")


@dataclass(frozen=True, slots=True)
class ThisMachine:
    """Worker processes on this machine, how they begin, and where they are."""

    start: WorkerStart = field(default_factory=WorkerStart)
    placement: Placement = field(default_factory=Placement)

    def lanes(self) -> int:
        return usable_physical_cores()

    def begun_by(self, start: core.WorkerStart) -> ThisMachine:
        return replace(self, start=WorkerStart(start.method, start.initializer, start.preload))

    def open(self, topology: Topology, paces: Paces) -> Deployment:
        return self.open_kept(topology, paces, None)

    def open_kept(self, topology: Topology, paces: Paces, keeping: Keeping | None) -> Deployment:
        """Opens it for a run that is kept in a checkpoint."""
        if (reason := why_not(sys.platform, has_one_lock())) is not None:
            raise RunError(f"{reason}; simulate() and all that goes with it work here")
        # Only now: a pipeline that is described, and not run, needs nothing of this.
        from conveyor.runtime.parent.deployment import ProgramDeployment
        from conveyor.runtime.parent.local_crew import LocalSite

        site = LocalSite(self.start, self.placement)
        return ProgramDeployment(topology, site, paces, keeping)


def why_not(system: str, has_one_lock: bool) -> str | None:
    """Why pipelines cannot run in worker processes on such a machine; None if they can.

    >>> why_not("win32", True)
    'pipelines run on Linux and macOS, and this is win32'
    """
    if system not in SYSTEMS:
        return f"pipelines run on Linux and macOS, and this is {system}"
    if not has_one_lock:
        # Whether a result is its job's alone is told by counts of references, which a build
        # without the lock splits between threads.
        return (
            "pipelines do not run on a free-threaded build of Python: install one with the global "
            "interpreter lock, such as python3.13 rather than python3.13t"
        )
    return None


def has_one_lock() -> bool:
    """Has this Python the global interpreter lock?"""
    is_enabled = getattr(sys, "_is_gil_enabled", None)
    return is_enabled is None or bool(is_enabled())
