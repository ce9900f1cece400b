"""What workers run in the benchmarks of kept runs, of fine and of coarse work.

They import this file when they start; so it imports none of the peers, which take longer.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from time import sleep

from conveyor import Processor

STEPS = 7000  # about 0.35 ms
KEYS, BYTES = 1_000, 100_000
STATE_ITEM_S = 0.001


def add_one(number: int) -> int:
    return number + 1


def work(item: int) -> int:
    total = item
    for step in range(STEPS):
        total += step & 3
    return total


def upper(line: str) -> str:
    return line.upper()


class Stopped(Exception):
    """A run ends here, as if it had been killed."""


def until_kept(folder: Path) -> Callable[[str], str]:
    """A job that ends the run once it is kept."""

    def job(line: str) -> str:
        sleep(0.001)
        if [*folder.glob("*.json")]:
            raise Stopped
        return line

    return job


class Data(Processor[int, int]):
    """Holds much for most keys, and little for those that come again and again."""

    data = b""

    def process(self, item: int) -> int:
        if key_of(item) < KEYS:
            self.data = os.urandom(BYTES)
        if item >= KEYS:
            sleep(STATE_ITEM_S)
        return item

    def snapshot(self) -> bytes:
        return self.data

    def restore(self, state: bytes) -> None:
        self.data = state


def key_of(item: int) -> int:
    """All keys that hold much; then one of them every eighth time, so that in a thousand of these
    as much has changed as there is, and the state is written anew."""
    if item < KEYS:
        return item
    return item // 8 % KEYS if item % 8 == 0 else KEYS + item % 5
