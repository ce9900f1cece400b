"""Every option as likely as every other, at every decision."""

from __future__ import annotations

from collections.abc import Sequence

from conveyor.sim.rng import Chance
from conveyor.sim.schedulers.scheduler import Scheduler

__all__ = ["RandomWalk"]


class RandomWalk(Scheduler):
    """Draws each decision on its own, whatever was decided before."""

    def __init__(self, seed: int = 0) -> None:
        self.fraction = Chance(seed).fraction

    def pick(self, point: str, ordinal: int, options: Sequence[int]) -> int:
        return options[int(self.fraction() * len(options))]

    def turn(self, points: Sequence[str], options: Sequence[Sequence[int]]) -> int:
        return int(self.fraction() * len(points))
