"""Fault plans: which worker dies, before which of its stores, and when another takes its place.

Knows: how plans are named and enumerated.  Must never know: what a death does.

Plans are enumerated in a loop around the search, never drawn from a budget that is shared inside
it: that would make choices depend on one another that do not, and lose outcomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from conveyor.errors import TopologyError

__all__ = ["Faults"]


@dataclass(frozen=True, slots=True)
class Faults:
    """One worker of a run dies, before any one of its stores, and comes back at once or later: each
    such plan.

    `workers` are the names of the stages whose workers may die; without it, all may.  With
    `timeouts`, whether the time of an item runs out is a decision, too, in every stage that has a
    `timeout_s`; else it never does.

    >>> Faults(["double"]).workers
    ('double',)
    """

    workers: tuple[str, ...] | None = None
    timeouts: bool = False

    def __init__(self, workers: Sequence[str] | None = None, *, timeouts: bool = False) -> None:
        if isinstance(workers, str):
            raise TypeError(f"Faults takes a list of names: write Faults([{workers!r}])")
        object.__setattr__(self, "timeouts", timeouts)
        object.__setattr__(self, "workers", None if workers is None else tuple(workers))

    def checked(self, workers: Sequence[str]) -> tuple[str, ...]:
        """The workers that may die, of those that there are; raises `TopologyError` for one that is
        not there."""
        for name in self.workers or ():
            if name not in workers:
                raise TopologyError(
                    f"faults: there is no worker {name!r}; "
                    f"the workers are {', '.join(workers) or 'none'}"
                )
        return tuple(workers) if self.workers is None else self.workers
