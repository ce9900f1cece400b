"""What follows from the deaths of a stage's workers: start another, when, and what of its items.

Knows: how often, how far, at what moment and with what in hand workers died.  Must never know: a
clock, a process.

Rule 1.  A death counts against a stage if its worker was at work and had committed nothing; ten of
         those in a row end the run. A worker that slept, or had nothing to do, is no sign of a
         fault: when one of those dies, no death before it counts.
Rule 2.  Deaths of workers that were never ready count by themselves, until one is ready.  Ten in a
         row in the stage's own `setup`, which no worker has come through yet, end the run.
         Whatever else kills workers that start may come from outside, and pass: ten end the run
         only if they take 10 s, or 30 s where a worker was ready before.
Rule 3.  From the third death in a row on there is a wait before the next worker: 10 ms, doubling,
         200 ms at most.  A commit, or a life of a second, ends the row.
Rule 4.  What a dead worker had in hand is done again item by item, so that the next death tells
         which item it was.
Rule 5.  An item that was in hand alone at three deaths is poison.  One that was killed for taking
         too long has failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import Final, NamedTuple

__all__ = ["FRESH", "NO_STATE", "WorkerDeath", "Deaths", "History", "Moment", "Past", "remembered"]

MOST_IN_A_ROW: Final = 10
FIRST_WAIT_AT: Final = 3
WAIT_MS: Final = 10
LONGEST_WAIT_MS: Final = 200
LONG_LIFE_MS: Final = 1000
TO_START_MS: Final = 10_000
TO_START_AGAIN_MS: Final = 30_000
POISONOUS_DEATHS: Final = 3

NO_STATE: Final = (
    "its state died with it. A processor that has snapshot() and restore(state), or is a plain "
    "function, is replaced instead"
)


class Moment(Enum):
    """What a worker was about when it died."""

    STARTING = auto()  # nothing of its stage had been touched
    SETTING_UP = auto()  # its stage was being loaded, set up or restored
    IDLE = auto()  # it slept, or there was nothing to do
    AT_WORK = auto()


class WorkerDeath(NamedTuple):
    """What a worker had in hand when it died: items [first, end) of an input.

    `at` is the one it was at, if that is known; `running`: the job was at work, and what came of it
    was not yet being sent on.
    """

    input: int
    first: int
    end: int
    at: int | None = None
    running: bool = True
    timed_out: bool = False
    how: str = "died"

    @property
    def suspect(self) -> int | None:
        """The position of the only item that can have been the cause."""
        if not self.running:
            return None
        return self.first if self.end - self.first == 1 else self.at

    def may_have_begun(self, source: int, position: int, side_by_side: bool) -> bool:
        """Had it begun with this item?  `side_by_side`: it did not do one behind the other."""
        last = self.end - 1 if self.at is None or side_by_side else self.at
        return self.input == source and self.first <= position <= last


class Past(NamedTuple):
    """What became of the earlier attempts at one item that ended with their worker.

    `riddles` counts those of which it is not known which item was the cause.
    """

    attempts: int
    timeouts: int
    is_poison: bool
    how: str = ""  # the last of them ended
    riddles: int = 0


FRESH: Final = Past(0, 0, False)


class Deaths:
    """Counts the deaths of the workers of one node in one run, and says what follows.

    `was_ready` says that a worker of the node was ready once, in this run or before.

    >>> deaths = Deaths()
    >>> [deaths.died(Moment.AT_WORK) for _ in range(11)]
    [0, 0, 10, 20, 40, 80, 160, 200, 200, None, None]
    """

    def __init__(self, was_ready: bool = False) -> None:
        self.was_ready = was_ready
        self.count = 0
        self.fruitless = 0  # deaths at work that count
        self.unready = 0  # deaths of workers that were never ready
        self.in_setup = 0  # those of them that died there, in a row
        self.unready_since = 0.0
        self.in_a_row = 0

    def died(
        self,
        moment: Moment,
        commits: int = 0,
        *,
        born_ms: float = 0,
        now_ms: float = 0,
        timed_out: bool = False,
    ) -> int | None:
        """How many milliseconds to wait before the next worker is started; None if there is to be
        none.

        `commits`: how many items the worker that died had committed; `timed_out`: it was killed for
        its item, which has a limit of its own, and counts against nothing.
        """
        self.count += 1
        if timed_out:
            return 0
        lived_ms = now_ms - born_ms
        self.in_a_row = 1 if commits or lived_ms >= LONG_LIFE_MS else self.in_a_row + 1
        if moment in (Moment.STARTING, Moment.SETTING_UP):
            self.unready_since = self.unready_since if self.unready else born_ms
            self.unready += 1
            self.in_setup = self.in_setup + 1 if moment is Moment.SETTING_UP else 0
        else:
            self.was_ready, self.unready, self.in_setup = True, 0, 0
            self.fruitless = 0 if commits or moment is Moment.IDLE else self.fruitless + 1
        if self.fruitless >= MOST_IN_A_ROW or self.never_starts(now_ms):
            return None
        doublings = self.in_a_row - FIRST_WAIT_AT
        return 0 if doublings < 0 else min(WAIT_MS << doublings, LONGEST_WAIT_MS)

    def never_starts(self, now_ms: float) -> bool:
        if self.unready < MOST_IN_A_ROW:
            return False
        if self.in_setup >= MOST_IN_A_ROW and not self.was_ready:
            return True
        return now_ms - self.unready_since >= (TO_START_AGAIN_MS if self.was_ready else TO_START_MS)

    def why(self) -> str:
        """What to say of a stage that is given up."""
        if self.unready:
            return (
                f"so did the {self.unready - 1} workers before it, and none of them was ready to "
                "work"
            )
        return (
            f"so did the {self.fruitless - 1} workers before it, and none of them had finished an "
            "item"
        )


def remembered(deaths: Sequence[WorkerDeath], death: WorkerDeath) -> list[WorkerDeath]:
    """These deaths and one more, without those whose items must all be done: a worker takes an
    input in its order.

    >>> there = [WorkerDeath(0, 5, 9), WorkerDeath(1, 2, 3), WorkerDeath(0, 7, 8)]
    >>> [(death.input, death.first, death.end) for death in remembered(there, WorkerDeath(0, 8, 9))]
    [(0, 5, 9), (1, 2, 3), (0, 8, 9)]
    """
    return [each for each in deaths if each.input != death.input or each.end > death.first] + [
        death
    ]


class History:
    """The deaths that a new worker is told of; `side_by_side`: it has several items in hand at
    once, and so had those before it."""

    def __init__(self, deaths: Sequence[WorkerDeath], side_by_side: bool = False) -> None:
        self.deaths = deaths
        self.side_by_side = side_by_side

    def careful_until(self, source: int) -> int:
        """Up to this position, the items of an input are to be taken one by one."""
        return max((death.end for death in self.deaths if death.input == source), default=0)

    def past(self, source: int, position: int) -> Past:
        """
        >>> timed_out = WorkerDeath(0, 6, 7, timed_out=True)
        >>> history = History([WorkerDeath(0, 5, 9), WorkerDeath(0, 6, 7), timed_out])
        >>> for source, position in [(0, 6), (0, 7), (1, 6)]:
        ...     history.past(source, position)
        Past(attempts=3, timeouts=1, is_poison=False, how='died', riddles=1)
        Past(attempts=1, timeouts=0, is_poison=False, how='died', riddles=1)
        Past(attempts=0, timeouts=0, is_poison=False, how='', riddles=0)
        """
        mine = [
            death
            for death in self.deaths
            if death.may_have_begun(source, position, self.side_by_side)
        ]
        if not mine:
            return FRESH
        alone = [death for death in mine if death.suspect == position]
        timeouts = sum(death.timed_out for death in alone)
        is_poison = len(alone) - timeouts >= POISONOUS_DEATHS
        riddles = sum(death.suspect is None for death in mine)
        return Past(len(mine), timeouts, is_poison, mine[-1].how, riddles)
