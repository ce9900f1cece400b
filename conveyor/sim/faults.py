"""Fault plans: which worker dies, before which of its stores, and when another takes its place.

Knows: how plans are named and enumerated.  Must never know: what a death does.

Plans are enumerated in a loop around the search, never drawn from a budget that is shared inside
it: that would make choices depend on one another that do not, and lose outcomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from conveyor.errors import TopologyError
from conveyor.sim.schedule import MACHINE

__all__ = ["Faults"]


@dataclass(frozen=True, slots=True)
class Faults:
    """One worker of a run dies, before any one of its stores, and comes back at once or later: each
    such plan.

    `workers` are the names of the stages whose workers may die; without it, all may.  With
    `machine`, everything may die: the program, its workers, and all that they had not saved.  The
    run has a checkpoint then, with a barrier behind each item, and goes on from there: its outputs
    are those that a sink holds at the end which keeps each of them once.  With `timeouts`, whether
    the time of an item runs out is a decision, too, in every stage that has a `timeout_s`; else it
    never does.

    >>> Faults(["double"]).workers
    ('double',)
    >>> Faults([], machine=True).machine  # only everything at once
    True
    """

    workers: tuple[str, ...] | None = None
    timeouts: bool = False
    machine: bool = False

    def __init__(
        self,
        workers: Sequence[str] | None = None,
        *,
        timeouts: bool = False,
        machine: bool = False,
    ) -> None:
        if isinstance(workers, str):
            raise TypeError(f"Faults takes a list of names: write Faults([{workers!r}])")
        object.__setattr__(self, "timeouts", timeouts)
        object.__setattr__(self, "machine", machine)
        object.__setattr__(self, "workers", None if workers is None else tuple(workers))

    def checked(self, workers: Sequence[str]) -> tuple[str, ...]:
        """The workers that may die, of those that there are, behind them `MACHINE` if everything
        may; raises `TopologyError` for one that is not there."""
        for name in self.workers or ():
            if name not in workers:
                raise TopologyError(
                    f"faults: there is no worker {name!r}; "
                    f"the workers are {', '.join(workers) or 'none'}"
                )
        dying = tuple(workers) if self.workers is None else self.workers
        return (*dying, MACHINE) if self.machine else dying
