"""What a job may ask about the item that it was given.

Knows: which node runs a job now, in this process.  Must never know: how many times anything is
tried, or where ids come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from conveyor.errors import LifecycleError

__all__ = ["CURRENT", "Context", "context"]


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


class RunsJobs(Protocol):
    def context(self) -> Context: ...


class Current:
    """The node that runs a job, or ran the last one; set for each slice, so that it costs nothing
    per item."""

    __slots__ = ("job",)

    def __init__(self) -> None:
        self.job: RunsJobs | None = None


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
    if CURRENT.job is None:
        raise LifecycleError(
            "context(): there is no item here; it is for a job to call, while it works on one"
        )
    return CURRENT.job.context()
