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
from typing import Final

from conveyor.runtime.shm.fence import fence
from conveyor.runtime.shm.layout import LOG_WORDS

__all__ = ["COUNT", "DecisionLog", "choice_of", "decision_word", "point_of"]

WRITTEN, WAITS, TAKEN = 0, 1, 16  # the parent writes the last, from another cache line
FIRST: Final = 32
ENTRIES: Final = LOG_WORDS - FIRST

CHOICE_AT: Final = 40
POINT_AT: Final = 56
COUNT: Final = (1 << CHOICE_AT) - 1
CHOICE: Final = (1 << POINT_AT - CHOICE_AT) - 1


def decision_word(point: int, choice: int, count: int) -> int:
    """At a point of its node, an input or a lane was chosen for the next `count` items; it is
    `word & COUNT` that gives those."""
    return point << POINT_AT | choice << CHOICE_AT | count


def point_of(word: int) -> int:
    return word >> POINT_AT


def choice_of(word: int) -> int:
    return word >> CHOICE_AT & CHOICE


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
        words[FIRST + written % ENTRIES] = decision_word(point, choice, count)
        words[WRITTEN] = written + 1

    def take(self, wake: Callable[[], None]) -> list[int]:
        """Called by the parent: the words of what is new; `wake` wakes the worker."""
        words = self.words
        done, written = words[TAKEN], words[WRITTEN]
        if done == written:
            return []
        first, behind = done % ENTRIES, written % ENTRIES
        entries = words[FIRST : FIRST + ENTRIES]
        if first < behind:
            found = entries[first:behind].tolist()
        else:
            found = entries[first:].tolist() + entries[:behind].tolist()
        words[TAKEN] = written
        fence()
        if words[WAITS]:
            wake()
        return found
