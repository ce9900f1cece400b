"""Whether anything is on its way between machines.

This file knows counts: of what each machine has sent to each other, and taken from it.  It must
never know what was sent.

Rule 1.  In two rounds, one after the other, every machine first tells all that is new and then its
         counts.  If both rounds gave the same counts, and as much was taken as was sent, then
         nothing was on its way between the two, and all that is known is true together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

__all__ = ["Counts", "Stillness"]


class Counts(NamedTuple):
    """How many news one machine has sent to each other one, and taken from it."""

    sent: Mapping[int, int]
    taken: Mapping[int, int]


MyCounts: TypeAlias = Callable[[], Counts]


class Stillness:
    """The rounds of one deployment; machine 0 asks, and has counts of its own.

    >>> rounds = Stillness([1])
    >>> for number in (1, 2):
    ...     _ = rounds.begin()
    ...     rounds.told(number, 1, Counts({0: 3}, {0: 5}), lambda: Counts({1: 5}, {1: 3}))
    >>> rounds.is_still(Counts({1: 5}, {1: 3}))
    True
    >>> rounds.is_still(Counts({1: 6}, {1: 3}))
    False
    """

    def __init__(self, others: list[int]) -> None:
        self.others = others
        self.number = 0
        self.told_now: dict[int, Counts] = {}
        self.last: dict[int, Counts] | None = None  # of the round that is over
        self.still: dict[int, Counts] | None = None  # what two rounds agreed on

    @property
    def is_under_way(self) -> bool:
        """Has a round begun that is not over?"""
        return self.number > 0 and bool(self.missing())

    def missing(self) -> list[int]:
        """The machines that have not told yet."""
        return [each for each in self.others if each not in self.told_now]

    def begin(self) -> int:
        """Another round; gives its number."""
        self.number += 1
        self.told_now = {}
        return self.number

    def told(self, number: int, machine: int, counts: Counts, mine: MyCounts) -> None:
        """What one machine has told in a round; `mine` gives the counts of machine 0."""
        if number != self.number:
            return
        self.told_now[machine] = counts
        if self.missing():
            return
        whole = {0: mine(), **self.told_now}
        agreed = whole == self.last and all(
            of.sent.get(to, 0) == whole[to].taken.get(machine, 0)
            for machine, of in whole.items()
            for to in whole
        )
        self.last, self.still = whole, whole if agreed else None

    def is_still(self, mine: Counts) -> bool:
        """Is it so now?  `mine` are the counts of machine 0 as they are."""
        return self.still is not None and self.still[0] == mine
