"""Time that runs out, where time is virtual: whether an attempt takes too long is decided.

Knows: jobs with a time limit.  Must never know: the clock, who decides.

An attempt whose time runs out fails before it has done anything, with `ItemTimeout`, as it does for whoever looks at results
in production, where its worker is replaced.  Attempts that gave some of their outputs before are not simulated.
"""

from __future__ import annotations

from collections.abc import Callable

from conveyor.errors import ItemTimeout
from conveyor.nodes import JobNode, MapNode

__all__ = ["put_timer"]


def put_timer(node: JobNode, runs_out: Callable[[], bool]) -> None:
    """From now on `runs_out` is asked before each attempt, if there is a limit, and the worker can be replaced."""
    job, policy, stage = node.job, node.policy, node.stage
    if policy.timeout_s is None or (stage.is_stateful and not stage.is_restorable):
        return

    def timed_job(item: object) -> object:
        if runs_out():
            raise ItemTimeout(f"stage {policy.stage!r}: this item took longer than timeout_s={policy.timeout_s} allows")
        return job(item)

    node.job = timed_job
    if isinstance(node, MapNode):
        node.quick = None
