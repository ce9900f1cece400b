"""What the user writes: the stages of a pipeline.

This folder knows what the user said, and whether it can be meant.  It must never know how a stage
runs.  Start with `jobs` for what works on items, and `routers` for what stands between; whether
something can be a job at all is asked in `callables`.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from conveyor.stages.job import (
    Gives,
    Job,
    Restorable,
    gives_of,
    is_plain,
    job_of,
    only_reads,
    policy_of,
)
from conveyor.stages.jobs import Filter, FlatMap, Processor, check_is_written
from conveyor.stages.routers import (
    DEFAULT_CAPACITY,
    ROUTERS,
    AnyFork,
    AnyMerge,
    BalancingFork,
    Fork,
    Join,
    Merge,
    Pipe,
    ReplicatingFork,
    Zip,
)
from conveyor.stages.stage import OnError, Stage, StageOptions, checked_count, name_wanted

__all__ = [
    "BalancingFork",
    "Filter",
    "FlatMap",
    "Job",
    "Join",
    "OnError",
    "Pipe",
    "Processor",
    "ReplicatingFork",
    "Stage",
    "Zip",
    # within this package
    "DEFAULT_CAPACITY",
    "AnyFork",
    "AnyMerge",
    "AnyStage",
    "Fork",
    "Gives",
    "KINDS",
    "Merge",
    "Restorable",
    "StageOptions",
    "check_is_written",
    "checked_count",
    "gives_of",
    "is_plain",
    "job_of",
    "name_wanted",
    "only_reads",
    "policy_of",
]

# What a pipeline is built of: nothing else passes `add`.
AnyStage: TypeAlias = Job[Any, Any] | Pipe | AnyFork | AnyMerge
KINDS: Final = (Job, *ROUTERS)

# Pickles and messages name these classes by the path that users import them from, wherever in this
# folder they are written.
for _public in (
    BalancingFork,
    Filter,
    FlatMap,
    Fork,
    Job,
    Join,
    Merge,
    Pipe,
    Processor,
    ReplicatingFork,
    Stage,
    StageOptions,
    Zip,
):
    _public.__module__ = __name__
