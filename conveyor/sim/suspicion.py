"""Hidden non-determinism: a schedule that gives something else when it is run again, and the stage that is to blame.

Knows: how to compare two runs.  Must never know: which schedules are compared.

A simulated run is its items and its decisions.  Where the same of both gives another result, a job looks at something else: the
clock, chance, a global that an earlier run left behind.
"""

from __future__ import annotations

from conveyor.errors import NotDeterministic
from conveyor.sim.simulation import Attempt, Simulator
from conveyor.trace import Happening, Trace

__all__ = ["suspicion"]


def suspicion(simulator: Simulator, attempt: Attempt) -> NotDeterministic | None:
    """Runs a schedule once more, from the start; if anything differs, twice more, for an error that says where."""
    if told(simulator.repeat(attempt)) == told(attempt):
        return None
    _, first = simulator.again(attempt)
    _, second = simulator.again(attempt)
    return NotDeterministic(
        f"{blame(first, second)}; the schedule is {str(attempt.schedule())!r}. Jobs must depend on nothing but their item: "
        "not on the clock, on chance, on the order of a set, or on what other calls left in a global variable"
    )


def told(attempt: Attempt) -> tuple[str, str]:
    """What a caller sees of a run, as text, since items need not be comparable."""
    return repr(attempt.outputs), "" if attempt.error is None else f"{type(attempt.error).__name__}: {attempt.error}"


def blame(first: Trace, second: Trace) -> str:
    """Where two runs part for the first time, in words."""
    for one, other in zip(first, second, strict=False):
        if one == other:
            continue
        if one.worker == other.worker and one.what is other.what is Happening.RUN and one.items == other.items:
            return (
                f"the job of stage {one.worker!r} is not deterministic: for {', '.join(one.items)} it gave "
                f"{', '.join(one.outputs) or 'nothing'}, and then {', '.join(other.outputs) or 'nothing'}"
            )
        return f"two runs of one schedule differ, first at {one.worker!r}: {one}, and then {other}"
    if len(first) != len(second):
        longer = max(first, second, key=len)[min(len(first), len(second))]
        return f"two runs of one schedule differ: only one of them comes to {longer}"
    return "a job is not deterministic: a third run of one schedule gave the same as the second, and another than the first"
