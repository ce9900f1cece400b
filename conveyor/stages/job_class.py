"""Whether a class of jobs says what to do with an item.

Knows: the methods that a class may write.  Must never know: how they are called.
"""

from __future__ import annotations

from typing import Any

from conveyor.errors import TopologyError
from conveyor.stages.callables import check_is_called, near_misses
from conveyor.stages.job import Job, check_works, gives_of
from conveyor.stages.jobs import Processor

__all__ = ["check_is_written"]


def check_is_written(job: Job[Any, Any]) -> None:
    """Raises `TopologyError` for a class of jobs that does not say what to do with an item, or
    could not do it, and for one that is of no kind.

    It is asked when a stage is added: a class may have an `__init__` of its own that leaves out
    this one's.
    """
    gives_of(job)
    if job.stage_options.fn is not None:
        return
    cls, process = type(job), getattr(job, "process", None)
    if not callable(process) or getattr(process, "__func__", None) is Processor.process:
        meant = near_misses("process", set(dir(cls)) - set(dir(Processor)))
        hint = (
            f"; was it meant by {' or '.join(f'{name}()' for name in meant)}?"
            if meant
            else ": write process(self, item)"
        )
        raise TopologyError(f"{cls.__name__} has no process() method{hint}")
    check_works(job, f"{cls.__name__}.process", process)
    for name in ("setup", "finish", "teardown"):
        check_is_called(f"{cls.__name__}.{name}", getattr(job, name), None)
