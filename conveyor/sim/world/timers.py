"""Time limits where time is virtual: it is decided whether an attempt takes too long.

This file knows jobs with a time limit.  It must never know a clock.

An attempt whose time runs out fails before it has done anything: seen from outside, that is what it
does in a real run.  There its worker is replaced, and the one after it knows of attempts that
took too long, but of no others.  Attempts that gave some of their outputs before are not simulated.
"""

from __future__ import annotations

from collections.abc import Callable

from conveyor.core.failures import lost_in_time
from conveyor.core.job_node import JobNode
from conveyor.core.steering import ControlFlow
from conveyor.errors import ItemTimeout
from conveyor.report import Tally

__all__ = ["StateLost", "put_timer"]


class StateLost(ControlFlow):
    """The time of an item ran out, and the state of its processor is lost with the worker: that
    ends the run."""

    def __init__(self, error: ItemTimeout) -> None:
        super().__init__()
        self.error = error


def put_timer(node: JobNode, runs_out: Callable[[], bool], dies_with_worker: bool) -> None:
    """From now on `runs_out` is asked before each attempt, if there is a limit.

    `dies_with_worker`: the state of the job would be lost with the worker that is replaced.
    """
    job, stage, limit = node.job, node.policy.stage, node.policy.timeout_s
    if limit is None:
        return
    at: tuple[Tally, int, int] | None = None  # which item the job is at: of which run, and where
    timeouts = 0  # of that item

    def timed_job(item: object) -> object:
        nonlocal at, timeouts
        here = node.tally, node.tally.items_in, node.index()
        if at is None or at[0] is not here[0] or at != here:
            at, timeouts, node.attempt = here, 0, 1
        while runs_out():
            if dies_with_worker:
                raise StateLost(lost_in_time(stage, limit))
            timeouts += 1
            node.attempt = timeouts
            if (error := node.out_of_time(node.past.timeouts + timeouts)) is not None:
                raise error
            node.attempt += 1
        return job(item)

    node.wrap(timed_job)
