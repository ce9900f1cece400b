"""The log of what a worker decides, in memory that outlives it.

This file knows words, and the order in which they are written.  It must never know files, or what a
decision means.

Rule 1.  A decision is logged before anything that came of it is out, so it is never lost that one
         was taken.
Rule 2.  A worker that goes on where another died logs first how much of what was logged stands.
Rule 3.  One side writes how much there is, the other how much it has taken.  When half is full the
         parent is woken, and a worker whose log is full waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from conveyor.runtime.shm.fence import fence
from conveyor.runtime.shm.layout import LOG_WORDS

__all__ = ["DecisionLog", "LoggedDecision"]

WRITTEN, WAITS, TAKEN = 0, 1, 16  # the parent writes the last, from another cache line
FIRST: Final = 32
ENTRIES: Final = LOG_WORDS - FIRST

COUNT_BITS: Final = 40
CHOICE_BITS: Final = 16


class LoggedDecision(NamedTuple):
    """At a point of its node, an input or a lane was chosen for the next `items`."""

    point: int
    choice: int
    items: int


class DecisionLog:
    """The worker adds, the parent takes."""

    def __init__(self, words: memoryview[int]) -> None:
        self.words = words

    def add(
        self,
        point: int,
        choice: int,
        count: int,
        wake: Callable[[], None],
        sleep: Callable[[], None],
    ) -> None:
        """Called by the worker; `wake` wakes the parent, `sleep` waits for a notification."""
        words = self.words
        written = words[WRITTEN]
        queued = written - words[TAKEN]
        if queued >= ENTRIES // 2:
            wake()
            while written - words[TAKEN] >= ENTRIES:
                words[WAITS] = 1
                fence()
                if written - words[TAKEN] >= ENTRIES:
                    sleep()
            words[WAITS] = 0
        words[FIRST + written % ENTRIES] = (
            point << COUNT_BITS + CHOICE_BITS | choice << COUNT_BITS | count
        )
        words[WRITTEN] = written + 1

    def take(self, wake: Callable[[], None]) -> list[LoggedDecision]:
        """Called by the parent: what is new; `wake` wakes the worker."""
        words = self.words
        done, written = words[TAKEN], words[WRITTEN]
        if done == written:
            return []
        found = [unpacked(words[FIRST + at % ENTRIES]) for at in range(done, written)]
        words[TAKEN] = written
        fence()
        if words[WAITS]:
            wake()
        return found


def unpacked(word: int) -> LoggedDecision:
    return LoggedDecision(
        word >> COUNT_BITS + CHOICE_BITS,
        word >> COUNT_BITS & (1 << CHOICE_BITS) - 1,
        word & (1 << COUNT_BITS) - 1,
    )
