"""Uniform random walk: a lane is the more likely the more it has still to give.

Knows: how many decisions fell on each option in the schedules before.  Must never know: what they
were about.

Where options are drawn alike, schedules in which a short lane comes last are rare.  Weighted by
what remains, every interleaving is about as likely as every other (URW, of Zhao et al.,
"Selectively Uniform Concurrency Testing", ASPLOS 2025).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from conveyor.sim.rng import Chance
from conveyor.sim.schedule import Decision
from conveyor.sim.schedulers.scheduler import Scheduler

__all__ = ["UniformWalk"]


class UniformWalk(Scheduler):
    """Learns from each schedule how much there is; the first is drawn as `RandomWalk` does."""

    asks_always = True  # what is read without a choice is no longer to come, either

    def __init__(self, seed: int = 0) -> None:
        self.chance = Chance(seed)
        self.most: Counter[tuple[str, int]] = Counter()
        self.left: Counter[tuple[str, int]] = Counter()

    def begin(self) -> bool:
        self.left = Counter(self.most)
        return True

    def pick(self, point: str, ordinal: int, options: Sequence[int]) -> int:
        weights = [max(1, self.left[point, option]) for option in options]
        option = options[self.chance.weighted(weights)]
        self.left[point, option] -= 1
        return option

    def turn(self, points: Sequence[str], options: Sequence[Sequence[int]]) -> int:
        weights = [
            sum(max(1, self.left[point, lane]) for lane in lanes)
            for point, lanes in zip(points, options, strict=True)
        ]
        return self.chance.weighted(weights)

    def end(self, decisions: Sequence[Decision]) -> None:
        for key, count in Counter((point, option) for point, _, option, _ in decisions).items():
            self.most[key] = max(self.most[key], count)
