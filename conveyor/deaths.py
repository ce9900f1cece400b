"""What follows from the deaths of a stage's workers: start another, when, and what of its items.

Knows: how often, how far, and with what in hand workers died.  Must never know: a clock, a process.

Rule 1.  A death counts against a stage only if its worker committed nothing; ten of those in a row end the run.
Rule 2.  From the third of them on there is a wait before the next worker: 10 ms, doubling, 200 ms at most.
Rule 3.  What a dead worker had in hand is done again item by item, so that the next death tells which item it was.
Rule 4.  An item that was in hand alone at three deaths is poison.  One that was killed for taking too long has failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

__all__ = ["FRESH", "FRUITLESS_DEATHS", "NO_STATE", "Death", "Deaths", "History", "Past"]

FRUITLESS_DEATHS: Final = 10
FIRST_WAIT_AT: Final = 3
WAIT_MS: Final = 10
LONGEST_WAIT_MS: Final = 200
POISONOUS_DEATHS: Final = 3

NO_STATE: Final = (
    "its state died with it. A processor that has snapshot() and restore(state), or is a plain function, is replaced instead"
)


class Death(NamedTuple):
    """What a worker had in hand when it died: items [first, end) of an input.

    `at` is the one it was at, if that is known; `running`: the job was at work, and what came of it was not yet being sent on;
    `stage`: whose job it was, if not that of the first of several that share the worker.
    """

    input: int
    first: int
    end: int
    at: int | None = None
    running: bool = True
    timed_out: bool = False
    how: str = "died"
    stage: str = ""

    @property
    def suspect(self) -> int | None:
        """The position of the only item that can have been the cause."""
        if not self.running:
            return None
        return self.first if self.end - self.first == 1 else self.at

    def may_have_begun(self, source: int, position: int) -> bool:
        last = self.end - 1 if self.at is None else self.at
        return self.input == source and self.first <= position <= last


class Past(NamedTuple):
    """What became of the earlier attempts at one item that ended with their worker."""

    attempts: int
    timeouts: int
    is_poison: bool
    how: str = ""  # the last of them ended
    stage: str = ""  # and whose job was at the item, if not that of the first in its worker


FRESH: Final = Past(0, 0, False)


class Deaths:
    """Of the workers of one node in one run.

    >>> deaths = Deaths()
    >>> [deaths.died(0, None) for _ in range(11)]
    [0, 0, 10, 20, 40, 80, 160, 200, 200, None, None]
    """

    def __init__(self) -> None:
        self.count = 0
        self.fruitless = 0
        self.history: list[Death] = []

    def died(self, commits: int, death: Death | None) -> int | None:
        """How many milliseconds to wait before the next worker is started; None if there is to be none.

        `commits`: how many items the worker that died had committed.
        """
        self.count += 1
        if death is not None:
            self.history.append(death)
            if death.timed_out:
                return 0  # we killed it; its item has a limit of its own
        self.fruitless = 0 if commits else self.fruitless + 1
        if self.fruitless >= FRUITLESS_DEATHS:
            return None
        doublings = self.fruitless - FIRST_WAIT_AT
        return 0 if doublings < 0 else min(WAIT_MS << doublings, LONGEST_WAIT_MS)


class History:
    """The deaths that a new worker is told of."""

    def __init__(self, deaths: Sequence[Death]) -> None:
        self.deaths = deaths

    def careful_until(self, source: int) -> int:
        """Up to this position, the items of an input are to be taken one by one."""
        return max((death.end for death in self.deaths if death.input == source), default=0)

    def past(self, source: int, position: int) -> Past:
        """
        >>> history = History([Death(0, 5, 9), Death(0, 6, 7), Death(0, 6, 7, timed_out=True)])
        >>> for source, position in [(0, 6), (0, 7), (1, 6)]:
        ...     history.past(source, position)
        Past(attempts=3, timeouts=1, is_poison=False, how='died', stage='')
        Past(attempts=1, timeouts=0, is_poison=False, how='died', stage='')
        Past(attempts=0, timeouts=0, is_poison=False, how='', stage='')
        """
        mine = [death for death in self.deaths if death.may_have_begun(source, position)]
        if not mine:
            return FRESH
        alone = [death for death in mine if death.suspect == position]
        timeouts = sum(death.timed_out for death in alone)
        return Past(len(mine), timeouts, len(alone) - timeouts >= POISONOUS_DEATHS, mine[-1].how, mine[-1].stage)
