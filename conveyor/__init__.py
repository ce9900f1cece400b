"""Typed, testable stream processing: describe a pipeline once, and run it on all cores.

>>> from conveyor import Pipeline, Processor
>>> Pipeline[int]().add(Processor(lambda x: x * x)).run([1, 2, 3])
[1, 4, 9]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from conveyor.context import Context, context
from conveyor.pipeline import Pipeline
from conveyor.report import Report, RunResult
from conveyor.stages import BalancingFork, Filter, FlatMap, Join, Pipe, Processor, ReplicatingFork, Zip

if TYPE_CHECKING:
    from conveyor.runtime.stream import Stream
    from conveyor.sim.exploration import Exploration
    from conveyor.sim.simulation import Simulation
else:
    # What belongs to one of the two worlds, which `import conveyor` does not start.
    WORLDS = {
        "Exploration": "conveyor.sim.exploration",
        "Simulation": "conveyor.sim.simulation",
        "Stream": "conveyor.runtime.stream",
    }

    def __getattr__(name: str) -> object:
        if name in WORLDS:
            return getattr(import_module(WORLDS[name]), name)
        raise AttributeError(f"module 'conveyor' has no attribute {name!r}")


__all__ = [
    "BalancingFork",
    "Context",
    "Exploration",
    "Filter",
    "FlatMap",
    "Join",
    "Pipe",
    "Pipeline",
    "Processor",
    "ReplicatingFork",
    "Report",
    "RunResult",
    "Simulation",
    "Stream",
    "Zip",
    "context",
]
