"""Chance: the one file of the simulator that draws numbers.

Knows: a seed.  Must never know: what is drawn for.

Only `random()` is asked of Python's generator: its sequence is the same for a seed on every version
and every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

__all__ = ["Chance"]


class Chance:
    """Numbers that a seed decides.

    >>> Chance(7).below(10) == Chance(7).below(10)
    True
    """

    __slots__ = ("fraction",)

    def __init__(self, seed: int) -> None:
        self.fraction = Random(seed).random

    def below(self, n: int) -> int:
        return int(self.fraction() * n)

    def weighted(self, weights: Sequence[int]) -> int:
        """A place in `weights`, each as likely as its weight says."""
        at = self.fraction() * sum(weights)
        for place, weight in enumerate(weights):
            at -= weight
            if at < 0:
                return place
        return len(weights) - 1

    def order(self, n: int) -> list[int]:
        """The numbers below `n`, in any order."""
        numbers = list(range(n))
        for last in range(n - 1, 0, -1):
            other = self.below(last + 1)
            numbers[last], numbers[other] = numbers[other], numbers[last]
        return numbers
