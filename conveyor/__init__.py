"""Typed, testable stream processing: describe a pipeline once, and run it on all cores.

>>> from conveyor import Pipeline, Processor
>>> Pipeline[int]().add(Processor(lambda x: x * x)).run([1, 2, 3])
[1, 4, 9]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from conveyor.items.current_item import Context, context

if TYPE_CHECKING:
    from conveyor._builder.checkpoint import Checkpoint
    from conveyor.core.engine import Engine
    from conveyor.drawing.figure import Figure
    from conveyor.graph.topology import Topology
    from conveyor.pipeline import (
        AdaptivePipeline,
        Pipeline,
        StatementPipeline,
        UncheckedPipeline,
        WidePipeline,
    )
    from conveyor.progress import Progress, StageProgress
    from conveyor.report import DeadLetter, Report, RunResult, StageReport
    from conveyor.reporting.trace import Trace
    from conveyor.runtime.parent.async_runs import AsyncStream
    from conveyor.runtime.parent.stream import Stream
    from conveyor.runtime.placement import Placement
    from conveyor.runtime.process.start import StartMethod
    from conveyor.sim.faults import Faults
    from conveyor.sim.schedule import Decision
    from conveyor.sim.schedulers.scheduler import Scheduler
    from conveyor.sim.search.findings import Exploration, Found
    from conveyor.sim.search.options import Strategy
    from conveyor.sim.search.simulation import Simulation
    from conveyor.stages import (
        BalancingFork,
        Batch,
        Filter,
        FlatMap,
        Join,
        Late,
        OnError,
        PartitioningFork,
        PerKey,
        Pipe,
        Processor,
        Reduce,
        ReplicatingFork,
        RoutingFork,
        Scan,
        Session,
        Sliding,
        SplittingFork,
        Tap,
        Throttle,
        Tumbling,
        Unbatch,
        Window,
        Windowed,
        Zip,
    )
    from conveyor.transfer.contract import Sink, Source
else:
    # Each name is imported when it is first asked for: a worker imports this package, too, and
    # needs few of them.
    HOMES = {
        name: home
        for home, names in {
            "conveyor.pipeline": (
                "AdaptivePipeline Pipeline StatementPipeline UncheckedPipeline WidePipeline"
            ),
            "conveyor.progress": "Progress StageProgress",
            "conveyor.report": "DeadLetter Report RunResult StageReport",
            "conveyor.runtime.placement": "Placement",
            "conveyor.runtime.process.start": "StartMethod",
            "conveyor.runtime.parent.async_runs": "AsyncStream",
            "conveyor.runtime.parent.stream": "Stream",
            "conveyor.sim.search.options": "Strategy",
            "conveyor.sim.search.findings": "Exploration Found",
            "conveyor.sim.faults": "Faults",
            "conveyor._builder.checkpoint": "Checkpoint",
            "conveyor.sim.schedule": "Decision",
            "conveyor.sim.schedulers.scheduler": "Scheduler",
            "conveyor.sim.search.simulation": "Simulation",
            "conveyor.stages": (
                "BalancingFork Batch Filter FlatMap Join Late OnError PartitioningFork PerKey Pipe "
                "Processor Reduce ReplicatingFork RoutingFork Scan Session Sliding SplittingFork "
                "Tap Throttle Tumbling Unbatch Window Windowed Zip"
            ),
            "conveyor.graph.topology": "Topology",
            "conveyor.core.engine": "Engine",
            "conveyor.drawing.figure": "Figure",
            "conveyor.reporting.trace": "Trace",
            "conveyor.transfer.contract": "Sink Source",
        }.items()
        for name in names.split()
    }

    def __getattr__(name: str) -> object:
        if name not in HOMES:
            raise AttributeError(f"module 'conveyor' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(HOMES[name]), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "AdaptivePipeline",
    "AsyncStream",
    "BalancingFork",
    "Batch",
    "Context",
    "DeadLetter",
    "Decision",
    "Engine",
    "Exploration",
    "Checkpoint",
    "Faults",
    "Figure",
    "Filter",
    "FlatMap",
    "Found",
    "Join",
    "Late",
    "OnError",
    "PartitioningFork",
    "PerKey",
    "Pipe",
    "Pipeline",
    "Placement",
    "Processor",
    "Progress",
    "Reduce",
    "ReplicatingFork",
    "Report",
    "RoutingFork",
    "RunResult",
    "Scan",
    "Scheduler",
    "Session",
    "Simulation",
    "Sink",
    "Sliding",
    "Source",
    "SplittingFork",
    "StageProgress",
    "StageReport",
    "StartMethod",
    "StatementPipeline",
    "Strategy",
    "Stream",
    "Tap",
    "Throttle",
    "Topology",
    "Trace",
    "Tumbling",
    "Unbatch",
    "UncheckedPipeline",
    "WidePipeline",
    "Window",
    "Windowed",
    "Zip",
    "context",
]
