"""What the user writes: the stages of a pipeline.

This folder knows what the user said, and whether it can be meant.  It must never know how a stage
runs.  Start with `jobs` for what works on items, and `routers` for what stands between; whether
something can be a job at all is asked in `callables`.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from conveyor.stages import (
    batches,
    folds,
    forks,
    job,
    job_class,
    jobs,
    partitioning_fork,
    per_key,
    resources,
    routers,
    routing_fork,
    selecting_fork,
    spans,
    splitting_fork,
    stage,
    state_job,
    tap,
    throttle,
    windows,
)

# Each file says by its `__all__` what belongs here, so that a new kind is named in its own alone.
from conveyor.stages.batches import *  # noqa: F403
from conveyor.stages.folds import *  # noqa: F403
from conveyor.stages.forks import *  # noqa: F403
from conveyor.stages.job import *  # noqa: F403
from conveyor.stages.job_class import *  # noqa: F403
from conveyor.stages.jobs import *  # noqa: F403
from conveyor.stages.partitioning_fork import *  # noqa: F403
from conveyor.stages.per_key import *  # noqa: F403
from conveyor.stages.resources import *  # noqa: F403
from conveyor.stages.routers import *  # noqa: F403
from conveyor.stages.routing_fork import *  # noqa: F403
from conveyor.stages.selecting_fork import *  # noqa: F403
from conveyor.stages.spans import *  # noqa: F403
from conveyor.stages.splitting_fork import *  # noqa: F403
from conveyor.stages.stage import *  # noqa: F403
from conveyor.stages.state_job import *  # noqa: F403
from conveyor.stages.tap import *  # noqa: F403
from conveyor.stages.throttle import *  # noqa: F403
from conveyor.stages.windows import *  # noqa: F403

__all__ = ["KINDS", "AnyStage"]
__all__ += batches.__all__
__all__ += folds.__all__
__all__ += forks.__all__
__all__ += job.__all__
__all__ += job_class.__all__
__all__ += jobs.__all__
__all__ += per_key.__all__
__all__ += resources.__all__
__all__ += routers.__all__
__all__ += partitioning_fork.__all__
__all__ += routing_fork.__all__
__all__ += selecting_fork.__all__
__all__ += splitting_fork.__all__
__all__ += spans.__all__
__all__ += stage.__all__
__all__ += state_job.__all__
__all__ += tap.__all__
__all__ += throttle.__all__
__all__ += windows.__all__

# What a pipeline is built of: nothing else passes `add`.
AnyStage: TypeAlias = job.Job[Any, Any] | routers.Pipe | routers.AnyFork | routers.AnyFanIn
KINDS: Final = (job.Job, *routers.ROUTERS)

# Pickles and messages name these classes by the path that users import them from, in whichever file
# of this folder they are written.
for _name in __all__:
    if isinstance(_class := globals()[_name], type):
        _class.__module__ = __name__
