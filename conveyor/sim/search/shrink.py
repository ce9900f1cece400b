"""A failing schedule made smaller.

Knows: what may be left out of a schedule.  Must never know: how it is run, what fails in it.

Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002)
over the decisions that are not the default, and the deaths: what is left out falls back to the
default.  Where nothing more can be left out, the same is decided earlier, as long as it still
fails: of two failures that are as small the earlier one may have more to leave out.  It ends after
`MOST_RUNS`, with the smallest so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple, TypeAlias

from conveyor.sim.schedule import Death, Key, Schedule

__all__ = ["Shrunk", "shrunk"]

Part: TypeAlias = tuple[Key, int] | Death
# Runs a schedule as far as it fits: the schedule as it really ran, and what failed in it, if
# anything did.
Rerun: TypeAlias = Callable[[Schedule], tuple[Schedule, BaseException | None]]

MOST_RUNS: Final = 200


class Shrunk(NamedTuple):
    """The smallest schedule that was found, what fails in it, and how many runs it took.

    `larger`: those that failed on the way, the smallest first.
    """

    schedule: Schedule
    error: BaseException | None
    runs: int
    larger: tuple[Schedule, ...] = ()


class Shrinker:
    """One failure being made smaller."""

    def __init__(self, schedule: Schedule, rerun: Rerun, expired: Callable[[], bool]) -> None:
        self.rerun = rerun
        self.expired = expired
        self.best = schedule
        self.error: BaseException | None = None
        self.runs = 0
        self.larger: list[Schedule] = []

    def fails_with(self, parts: Sequence[Part]) -> bool:
        """Does the schedule of these parts fail?  Then it is the best so far, as it really ran."""
        if self.runs == MOST_RUNS or self.expired():
            return False
        self.runs += 1
        schedule = replace(of_parts(parts), lanes=self.best.lanes)
        ran, error = self.rerun(schedule)
        if error is None:
            return False
        self.larger.append(self.best)
        self.best, self.error = (ran, error) if len(ran) <= len(schedule) else (schedule, error)
        return True

    def reduce(self) -> None:
        while True:
            self.leave_out()
            if not self.try_each_alone() and not self.decide_earlier():
                break
        self.shorten_waits()

    def leave_out(self) -> None:
        """Leaves out halves, quarters, and so on, and at last each single part."""
        size = max(1, len(parts_of(self.best)) // 2)
        while self.runs < MOST_RUNS:
            parts = parts_of(self.best)
            smaller = any(
                self.fails_with(parts[:at] + parts[at + size :])
                for at in reversed(range(0, len(parts), size))
            )
            if smaller:
                continue
            if size == 1:
                break
            size = max(1, size // 2)

    def try_each_alone(self) -> bool:
        parts = parts_of(self.best)
        return len(parts) > 2 and any(self.fails_with([part]) for part in parts)

    def decide_earlier(self) -> bool:
        return any(self.fails_with(parts) for parts in earlier(self.best))

    def shorten_waits(self) -> None:
        """Brings workers back as early as will do."""
        for death in self.best.deaths:
            for wait in range(death.wait):
                sooner = [
                    death._replace(wait=wait) if part == death else part
                    for part in parts_of(self.best)
                ]
                if self.fails_with(sooner):
                    break


def shrunk(schedule: Schedule, rerun: Rerun, expired: Callable[[], bool] = lambda: False) -> Shrunk:
    """The smallest schedule that still fails when it is run by `rerun`; no error if nothing could
    be left out.

    Once `expired` the smallest so far is good enough.
    """
    shrinker = Shrinker(schedule, rerun, expired)
    shrinker.reduce()
    return Shrunk(shrinker.best, shrinker.error, shrinker.runs, tuple(reversed(shrinker.larger)))


def earlier(schedule: Schedule) -> Iterator[list[Part]]:
    """The schedule with all decisions of one point, or a single one, some ordinals earlier."""
    for point in {key.point: None for key in schedule.choices}:
        first = min(key.ordinal for key in schedule.choices if key.point == point)
        for by in sorted({first, min(first, 1)} - {0}, reverse=True):
            yield moved(schedule, {key: by for key in schedule.choices if key.point == point})
    for key in schedule.choices:
        if key.ordinal and key._replace(ordinal=key.ordinal - 1) not in schedule.choices:
            yield moved(schedule, {key: 1})


def moved(schedule: Schedule, by: Mapping[Key, int]) -> list[Part]:
    return [
        *(
            (key._replace(ordinal=key.ordinal - by.get(key, 0)), option)
            for key, option in schedule.choices.items()
        ),
        *schedule.deaths,
    ]


def parts_of(schedule: Schedule) -> list[Part]:
    return [*schedule.choices.items(), *schedule.deaths]


def of_parts(parts: Sequence[Part]) -> Schedule:
    choices = dict(part for part in parts if not isinstance(part, Death))
    return Schedule(choices, tuple(part for part in parts if isinstance(part, Death)))
