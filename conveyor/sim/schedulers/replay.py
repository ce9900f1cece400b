"""What a schedule says, and the default elsewhere.

Knows: one schedule.  Must never know: where it came from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from conveyor.errors import ScheduleMismatch
from conveyor.sim.schedule import LEFT, NEXT, RESTART, Death, Decision, Key, Schedule
from conveyor.sim.schedulers.scheduler import Once, possible

__all__ = ["Follow", "Replay"]


class Follow(Once):
    """Takes what the schedule says where that is possible: for shrinking, where it need not be any
    more."""

    waits = True

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self.schedule = schedule
        self.wanted: dict[tuple[str, int], int] = dict(schedule.choices.items())
        asked: dict[str, int] = {}
        for death in schedule.deaths:
            point = RESTART + death.worker
            first = asked.get(point, 0)
            wait = max(0, death.wait)
            self.wanted |= {(point, ordinal): 1 for ordinal in range(first, first + wait)}
            asked[point] = first + wait + 1
        self.comes_in = schedule.comes_in
        self.results = self.wanted.get((LEFT, 0))

    def pick(self, point: str, ordinal: int, options: Sequence[int]) -> int:
        wanted = self.wanted.get((point, ordinal))
        return wanted if wanted is not None and wanted in options else options[0]

    def next(self, ordinal: int, joins: int) -> int | None:
        wanted = self.wanted.get((NEXT, ordinal))
        return wanted if wanted is not None and wanted < joins else None

    def wants(self, point: str, ordinal: int) -> int | None:
        return self.wanted.get((point, ordinal))


class Replay(Follow):
    """Takes exactly what the schedule says; anything else is a `ScheduleMismatch`."""

    def pick(self, point: str, ordinal: int, options: Sequence[int]) -> int:
        wanted = self.wanted.get((point, ordinal))
        return (
            options[0]
            if wanted is None
            else possible(point, ordinal, options, wanted, "the schedule wants")
        )

    def next(self, ordinal: int, joins: int) -> int | None:
        wanted = self.wanted.get((NEXT, ordinal))
        return (
            None
            if wanted is None
            else possible(NEXT, ordinal, range(joins), wanted, "the schedule wants")
        )

    def end(self, decisions: Sequence[Decision]) -> None:
        reached = {Key(point, ordinal) for point, ordinal, _, _ in decisions}
        for key, wanted in self.schedule.choices.items():
            if key not in reached:
                there = sum(point == key.point for point, _ in reached)
                had = (
                    f"the run came to {there} decisions there"
                    if there
                    else "the run has no such decision point"
                )
                raise ScheduleMismatch(
                    f"{key.point!r} #{key.ordinal}: the schedule wants {wanted}, and {had}"
                )

    def check_deaths(self, died: Sequence[Death]) -> None:
        """Called behind the run with who died in it; each that the schedule names must have."""
        left = Counter(death.place for death in died)
        for death in self.schedule.deaths:
            left[death.place] -= 1
            if left[death.place] < 0:
                raise ScheduleMismatch(
                    f"{death}: the worker {death.worker!r} never came to where the schedule has it die"
                )
