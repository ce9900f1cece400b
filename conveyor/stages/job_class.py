"""Whether a class of jobs says what to do with an item.

Knows: the methods that a class may write.  Must never know: how they are called.
"""

from __future__ import annotations

from typing import Any

from conveyor.errors import TopologyError
from conveyor.stages.callables import (
    check_is_called,
    is_async_function,
    is_async_generator,
    near_misses,
)
from conveyor.stages.job import Job, check_works, gives_of
from conveyor.stages.jobs import Processor

__all__ = ["check_awaits_nothing", "check_is_written"]


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
        method = getattr(job, name)
        check_is_called(f"{cls.__name__}.{name}", method, None, may_await=True)
        if name != "finish" and is_async_generator(method):
            raise TopologyError(
                f"{cls.__name__}.{name} is an async generator function, and nothing would run what "
                "it yields: write async def without a yield"
            )
    for name in ("snapshot", "restore"):
        if is_async_function(getattr(job, name, None)):
            raise TopologyError(
                f"{cls.__name__}.{name} is an async function; it is called while nothing is in "
                f"hand, and has nothing to wait for: write def {name}"
            )


def check_awaits_nothing(job: Job[Any, Any], what: str) -> None:
    """Raises `TopologyError` for a class of jobs with an async method."""
    options = job.stage_options
    said = {"its function": options.fn, "its setup=": options.setup}
    methods = ("process", "setup", "finish", "teardown")
    said |= {f"{type(job).__name__}.{name}": getattr(job, name, None) for name in methods}
    for its, called in said.items():
        if is_async_function(called):
            raise TopologyError(
                f"{what}: {its} is an async function; what it makes takes its items one by one, "
                "and is not awaited: write def"
            )
