"""Typed, testable stream processing: describe a pipeline once, and run it on all cores.

>>> from conveyor import Pipeline, Processor
>>> Pipeline[int]().add(Processor(lambda x: x * x)).run([1, 2, 3])
[1, 4, 9]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.context import Context, context
from conveyor.pipeline import Pipeline
from conveyor.report import Report, RunResult
from conveyor.stages import BalancingFork, Filter, FlatMap, Join, Pipe, Processor, ReplicatingFork, Zip

if TYPE_CHECKING:
    from conveyor.runtime.stream import Stream
else:

    def __getattr__(name: str) -> object:
        # The class of streams belongs to a world that `import conveyor` does not start.
        if name == "Stream":
            from conveyor.runtime.stream import Stream

            return Stream
        raise AttributeError(f"module 'conveyor' has no attribute {name!r}")


__all__ = [
    "BalancingFork",
    "Context",
    "Filter",
    "FlatMap",
    "Join",
    "Pipe",
    "Pipeline",
    "Processor",
    "ReplicatingFork",
    "Report",
    "RunResult",
    "Stream",
    "Zip",
    "context",
]
