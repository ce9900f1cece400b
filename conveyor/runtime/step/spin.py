"""To look again and again before going to sleep: to be woken takes longer than to be given most
things.

Knows: how well that went of late.  Must never know: what is waited for.

Whoever spins has said nothing of sleeping, so nobody needs a system call to wake it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import perf_counter_ns
from typing import Final

__all__ = ["Spin"]

MOST_SKIPPED: Final = 128


class Spin:
    """Of one who waits, so long at most; between two looks others may run, also threads of this
    process, as a yield lets go of the interpreter.

    Where it is in vain, and a core may be what the other side waits for, it is tried less and less
    often.
    """

    def __init__(self, nanoseconds: int) -> None:
        self.nanoseconds = nanoseconds
        self.skipped = self.to_skip = 0

    def __call__(self, ready: Callable[[], bool]) -> bool:
        """Did what is waited for come before one should sleep?"""
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
