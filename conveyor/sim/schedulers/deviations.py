"""Every schedule that leaves the default once, then every one that leaves it twice, and so on."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TypeAlias

from conveyor.sim.schedule import Decision
from conveyor.sim.schedulers.scheduler import Scheduler

__all__ = ["Deviations"]

# At which choice, counted over the run, and which option is taken, by its place.
Deviation: TypeAlias = tuple[int, int]


class Deviations(Scheduler):
    """Runs every schedule with at most `bound` decisions that are not the default, fewest first."""

    def __init__(self, bound: int = 2) -> None:
        self.bound = bound
        self.queue: deque[tuple[Deviation, ...]] = deque([()])
        self.taken: dict[int, int] = {}
        self.sizes: list[int] = []

    def begin(self) -> bool:
        if not self.queue:
            return False
        self.taken = dict(self.queue[0])
        self.sizes = []
        return True

    def pick(self, point: str, ordinal: int, options: Sequence[int]) -> int:
        at = len(self.sizes)
        self.sizes.append(len(options))
        place = self.taken.get(at, 0)
        return options[place if place < len(options) else 0]

    def end(self, decisions: Sequence[Decision]) -> None:
        deviations = self.queue.popleft()
        if len(deviations) == self.bound:
            return
        first = deviations[-1][0] + 1 if deviations else 0
        for at in range(first, len(self.sizes)):
            self.queue.extend((*deviations, (at, place)) for place in range(1, self.sizes[at]))
