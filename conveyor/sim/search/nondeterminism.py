"""Hidden non-determinism: a schedule that gives something else when it is run again, and the stage
that is to blame.

This file knows how to compare two runs.  It must never know which schedules are compared.

A simulated run is its items and its decisions.  Where the same of both gives another result, a job
looks at something else: the clock, chance, a global that an earlier run left behind.  To be seen in
two runs that are moments apart, clock, chance and the order of sets are other in the second
(`inspection`); so are values checked there against what stages take.
"""

from __future__ import annotations

from conveyor.errors import ConveyorError, NotDeterministic, StageTypeError
from conveyor.reporting.trace import EventKind, Trace
from conveyor.sim.determinism.likeness import alike, plain_repr, same_error
from conveyor.sim.search.simulation import Attempt, Simulator

__all__ = ["find_nondeterminism"]


def find_nondeterminism(simulator: Simulator, attempt: Attempt) -> ConveyorError | None:
    """Runs a schedule once more, from the start, and looks; what is wrong, with the stage that is
    to blame."""
    repeated = simulator.repeat(attempt)
    if isinstance(repeated.error, StageTypeError | NotDeterministic):
        return repeated.error
    if alike(repeated.outputs, attempt.outputs) and same_error(repeated.error, attempt.error):
        return None
    _, first = simulator.traced(attempt)
    _, second = simulator.traced(attempt, perturbed=True)
    changes = simulator.changed_globals()
    told = "".join(
        f"; the job of stage {stage!r} changes the global variable {name!r}"
        for name, stage in changes.items()
    )
    return NotDeterministic(
        f"{first_difference(first, second)}{told}; the schedule is {str(attempt.schedule())!r}. "
        "Jobs must depend on nothing but their item: not on the clock, on chance, on the order of "
        "a set, or on what other calls left in a global variable"
    )


def first_difference(first: Trace, second: Trace) -> str:
    """Where two runs part for the first time, in words."""
    for one, other in zip(first, second, strict=False):
        if plain_repr(one) == plain_repr(other):
            continue
        if (
            one.worker == other.worker
            and one.what is other.what is EventKind.RUN
            and one.items == other.items
        ):
            return (
                f"the job of stage {one.worker!r} is not deterministic: for "
                f"{', '.join(one.items)} it gave {', '.join(one.outputs) or 'nothing'}, "
                f"and then {', '.join(other.outputs) or 'nothing'}"
            )
        return f"two runs of one schedule differ, first at {one.worker!r}: {one}, and then {other}"
    if len(first) != len(second):
        longer = max(first, second, key=len)[min(len(first), len(second))]
        return f"two runs of one schedule differ: only one of them comes to {longer}"
    return (
        "a job is not deterministic: a third run of one schedule gave the same as the second, and "
        "another than the first"
    )
