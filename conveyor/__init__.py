"""Typed, testable stream processing: describe a pipeline once, and run it on all cores.

>>> from conveyor import Pipeline, Processor
>>> Pipeline[int]().add(Processor(lambda x: x * x)).run([1, 2, 3])
[1, 4, 9]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from conveyor.context import Context, context  # at once: the module has the name of the function, and must not hide it

if TYPE_CHECKING:
    from conveyor.pipeline import Pipeline
    from conveyor.report import Report, RunResult
    from conveyor.runtime.stream import Stream
    from conveyor.sim.exploration import Exploration
    from conveyor.sim.simulation import Simulation
    from conveyor.stages import BalancingFork, Filter, FlatMap, Join, Pipe, Processor, ReplicatingFork, Zip
else:
    # Each name is imported when it is first asked for: a worker imports this package, too, and needs few of them.
    HOMES = {
        "Exploration": "conveyor.sim.exploration",
        "Pipeline": "conveyor.pipeline",
        "Report": "conveyor.report",
        "RunResult": "conveyor.report",
        "Simulation": "conveyor.sim.simulation",
        "Stream": "conveyor.runtime.stream",
    } | dict.fromkeys(
        ("BalancingFork", "Filter", "FlatMap", "Join", "Pipe", "Processor", "ReplicatingFork", "Zip"), "conveyor.stages"
    )

    def __getattr__(name: str) -> object:
        if name not in HOMES:
            raise AttributeError(f"module 'conveyor' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(HOMES[name]), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


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
