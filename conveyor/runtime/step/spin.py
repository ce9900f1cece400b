"""Polling for a moment before going to sleep: a wake-up takes longer than most waits.

A worker that polls has not said that it sleeps, so the other side needs no system call to wake it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import perf_counter_ns
from typing import Final

__all__ = ["Spin"]

MOST_SKIPPED: Final = 128


class Spin:
    """Polls for at most `nanoseconds`.  `sched_yield` between polls releases the GIL, so other
    threads run.

    Where polling is in vain, and a core may be what the other side waits for, it is tried less and
    less often.
    """

    def __init__(self, nanoseconds: int) -> None:
        self.nanoseconds = nanoseconds
        self.skipped = self.to_skip = 0

    def __call__(self, ready: Callable[[], bool]) -> bool:
        """Polls `ready`, and gives whether it became true; if not, the caller should sleep."""
        if self.skipped < self.to_skip:
            self.skipped += 1
            return False
        self.skipped = 0
        until = perf_counter_ns() + self.nanoseconds
        while perf_counter_ns() < until:
            if ready():
                self.to_skip //= 2
                return True
            os.sched_yield()
        self.to_skip = min(2 * self.to_skip + 1, MOST_SKIPPED)
        return False
