"""What a job may ask about the item that it was given.

Knows: which node runs a job now, in this process.  Must never know: how many times anything is
tried, or where ids come from.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from conveyor.errors import LifecycleError

__all__ = ["BESIDE", "CURRENT", "Context", "Whereabouts", "context"]


@dataclass(frozen=True, slots=True)
class Context:
    """What a job may know about the item that it was given.

    `attempt` counts from 1: it is more if the job raised or took too long and is tried again, or if
    its worker died while it had the item in hand.  Then the job may have been run before, in part
    or as a whole.  `item_id` is the same in each attempt, whichever worker makes it, and no other
    item of the run has the same in this stage.
    """

    attempt: int
    item_id: str


class Whereabouts(NamedTuple):
    """Where code of the user's is called from: the name of its stage, and the ordinal of the item
    that is at its job, None outside of one (in `setup`, `finish`, `teardown`)."""

    stage: str | None
    item: int | None


NOWHERE: Final = Whereabouts(None, None)


class RunsJobs(Protocol):
    def context(self) -> Context: ...

    def whereabouts(self, in_job_thread: bool) -> Whereabouts:
        """Which item is at its job; `in_job_thread`: does the thread ask that calls the jobs?"""
        ...


# The node for whose job alone a thread or a task works: other code of the worker, such as the
# function of a fork, may run at the same time.
BESIDE: Final[ContextVar[RunsJobs | None]] = ContextVar("BESIDE", default=None)


class Current:
    """The node that runs a job, or ran the last one; set for each slice, so that it costs nothing
    per item.  `stage`: whose code runs while no job does, if any."""

    __slots__ = ("job", "stage")

    def __init__(self) -> None:
        self.job: RunsJobs | None = None
        self.stage: str | None = None

    def outside(self, stage: str | None = None) -> None:
        """From now on no job runs, but perhaps other code of a stage."""
        self.job, self.stage = None, stage

    def whereabouts(self, in_job_thread: bool = True) -> Whereabouts:
        """Where the caller is called from."""
        job = BESIDE.get() or self.job
        if job is not None:
            return job.whereabouts(in_job_thread)
        return Whereabouts(self.stage, None) if self.stage is not None else NOWHERE


CURRENT: Final = Current()


def context() -> Context:
    """The attempt, and a stable id of the item, of the job that calls it: what makes an effect
    idempotent.

    Raises `LifecycleError` outside a job.

    >>> from conveyor import Pipeline, Processor
    >>> def send(item): return item, context().attempt
    >>> Pipeline[str]().add(Processor(send)).run(["a", "b"])
    [('a', 1), ('b', 1)]
    """
    job = BESIDE.get() or CURRENT.job
    if job is None:
        raise LifecycleError(
            "context(): there is no item here; it is for a job to call, while it works on one"
        )
    return job.context()
