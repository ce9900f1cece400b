"""A failing schedule made as small as can be.

Knows: what may be left out of a schedule.  Must never know: how it is run, what fails in it.

Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002) over the decisions that are
not the default, and the deaths: what is left out falls back to the default.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias

from conveyor.sim.schedule import Death, Key, Schedule

__all__ = ["Shrunk", "shrunk"]

Part: TypeAlias = tuple[Key, int] | Death
# Runs a schedule as far as it fits: the schedule as it really ran, and what failed in it, if anything did.
Rerun: TypeAlias = Callable[[Schedule], tuple[Schedule, BaseException | None]]

MOST_RUNS: Final = 200


class Shrunk(NamedTuple):
    """The smallest schedule that was found, what fails in it, and how many runs it took."""

    schedule: Schedule
    error: BaseException | None
    runs: int


class Shrinker:
    """One failure being made smaller."""

    def __init__(self, schedule: Schedule, rerun: Rerun) -> None:
        self.rerun = rerun
        self.best = schedule
        self.error: BaseException | None = None
        self.runs = 0

    def try_without(self, parts: Sequence[Part]) -> bool:
        """Does the schedule of these parts alone fail?  Then it is the best so far, as it really ran."""
        if self.runs == MOST_RUNS:
            return False
        self.runs += 1
        schedule = of_parts(parts)
        ran, error = self.rerun(schedule)
        if error is None:
            return False
        self.best, self.error = (ran, error) if len(ran) <= len(schedule) else (schedule, error)
        return True

    def reduce(self) -> None:
        """Leaves out halves, quarters, and so on, and at last each single part."""
        size = max(1, len(parts_of(self.best)) // 2)
        while self.runs < MOST_RUNS:
            parts = parts_of(self.best)
            smaller = any(self.try_without(parts[:at] + parts[at + size :]) for at in reversed(range(0, len(parts), size)))
            if smaller:
                continue
            if size == 1:
                break
            size = max(1, size // 2)
        self.shorten_waits()

    def shorten_waits(self) -> None:
        """Brings workers back as early as will do."""
        for death in self.best.deaths:
            for wait in range(death.wait):
                sooner = [death._replace(wait=wait) if part == death else part for part in parts_of(self.best)]
                if self.try_without(sooner):
                    break


def shrunk(schedule: Schedule, rerun: Rerun) -> Shrunk:
    """The smallest schedule that still fails when it is run by `rerun`; no error if nothing could be left out."""
    shrinker = Shrinker(schedule, rerun)
    shrinker.reduce()
    return Shrunk(shrinker.best, shrinker.error, shrinker.runs)


def parts_of(schedule: Schedule) -> list[Part]:
    return [*schedule.choices.items(), *schedule.deaths]


def of_parts(parts: Sequence[Part]) -> Schedule:
    choices = dict(part for part in parts if not isinstance(part, Death))
    return Schedule(choices, tuple(part for part in parts if isinstance(part, Death)))
