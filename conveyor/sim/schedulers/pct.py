"""Priorities that change a few times: finds what needs a few things in a certain order.

Knows: how many decisions the schedules before had.  Must never know: what they were about.

PCT, of Burckhardt et al., "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs",
ASPLOS 2010: a bug of depth d is found with a probability of at least 1 / (n k^(d-1)), for n options
with priorities and k decisions.
"""

from __future__ import annotations

from collections.abc import Sequence

from conveyor.sim.rng import Chance
from conveyor.sim.schedule import Decision
from conveyor.sim.schedulers.scheduler import Scheduler

__all__ = ["Priorities"]


class Priorities(Scheduler):
    """Each option of a point has a priority of its own; the highest is taken, and lowered at
    `depth` - 1 random decisions."""

    def __init__(self, depth: int, seed: int = 0) -> None:
        self.depth = depth
        self.chance = Chance(seed)
        self.decisions = 0  # the most that a schedule had
        self.priority: dict[tuple[str, int], float] = {}
        self.changes: set[int] = set()
        self.at = 0

    def begin(self) -> bool:
        self.priority = {}
        self.changes = {self.chance.below(max(self.decisions, 1)) for _ in range(self.depth - 1)}
        self.at = 0
        return True

    def pick(self, point: str, ordinal: int, options: Sequence[int]) -> int:
        chosen = max(options, key=lambda option: self.of(point, option))
        if self.at in self.changes:
            # Below all, and below those that were lowered before
            self.priority[point, chosen] = -1.0 - self.at
        self.at += 1
        return chosen

    def turn(self, points: Sequence[str], options: Sequence[Sequence[int]]) -> int:
        best = [
            max(self.of(point, lane) for lane in lanes)
            for point, lanes in zip(points, options, strict=True)
        ]
        return best.index(max(best))

    def of(self, point: str, option: int) -> float:
        if (point, option) not in self.priority:
            self.priority[point, option] = self.chance.fraction()
        return self.priority[point, option]

    def end(self, decisions: Sequence[Decision]) -> None:
        self.decisions = max(self.decisions, self.at)
