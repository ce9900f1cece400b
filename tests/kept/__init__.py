"""Recordings that were kept when their format was new, and the jobs that they name.

The jobs must stay where they are: recordings call jobs by their module and their name.
"""

from __future__ import annotations

import os
import signal
import time

from conveyor import Processor, context


def double(number: int) -> int:
    return 2 * number


def increment(number: int) -> int:
    return number + 1


def small_only(number: int) -> int:
    if number > 7:
        raise ValueError(f"{number} is refused")
    return number


def killed_once(number: int) -> int:
    """Kills its worker at its first attempt at 3."""
    if number == 3 and context().attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def endless_at_5(number: int) -> int:
    while number == 5:
        time.sleep(0.01)
    return number


class Total(Processor[int, int]):
    """The sum of the items so far."""

    total = 0

    def process(self, item: int, /) -> int:
        self.total += item
        return self.total

    def snapshot(self) -> int:
        return self.total

    def restore(self, state: int, /) -> None:
        self.total = state
