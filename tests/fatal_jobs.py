"""Jobs that end their worker, or hold it up for ever.

Workers import this file by name, again in each that takes the place of a dead one, so it stays
light: the standard library and conveyor, and no test tool.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

from conveyor import Processor, context

__all__ = [
    "BAD",
    "DiesInSetup",
    "die",
    "dies_always",
    "dies_at_first",
    "dies_until",
    "hangs",
    "kills",
    "noted",
    "raises",
    "runs_of",
    "spin_for_ever",
    "wait_for_ever",
    "with_pid",
]

BAD = 5  # the item at which `die`, `wait_for_ever` and `spin_for_ever` do so


def die(item: int) -> int:
    if item == BAD:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def wait_for_ever(item: int) -> int:
    if item == BAD:
        threading.Event().wait()
    return item


def spin_for_ever(item: int) -> int:
    while item == BAD:
        pass
    return item


def noted(file: Path, item: int) -> int:
    """A job of 4 ms that writes down that it runs."""
    with file.open("a") as lines:
        lines.write(f"{item}\n")
    time.sleep(0.004)
    return item


def runs_of(file: Path) -> Counter[int]:
    return Counter(map(int, file.read_text().split()))


def dies_at_first(file: Path, bad: int, item: int) -> int:
    noted(file, item)
    if item == bad and runs_of(file)[bad] == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def dies_always(bad: int, item: int) -> int:
    if item == bad:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def dies_until(bad: int, attempt: int, item: int) -> tuple[int, int]:
    if item == bad and context().attempt < attempt:
        os.kill(os.getpid(), signal.SIGKILL)
    return item, context().attempt


class DiesInSetup(Processor[int, int]):
    def setup(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def process(self, item: int, /) -> int:
        return item


def with_pid(item: int) -> tuple[int, int]:
    return item, os.getpid()


def raises(item: int) -> int:
    raise ZeroDivisionError(item)


def hangs(item: int) -> int:
    threading.Event().wait()
    return item


def kills(item: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return item
