"""The words that the outer process, the inner one and the jobs share: a mapped file, found by an
environment variable."""

from __future__ import annotations

import mmap
import os
import time
from pathlib import Path
from typing import Final

__all__ = ["FILE", "SLOTS", "Board", "board"]

FILE: Final = "CONVEYOR_CHAOS_BOARD"

KILLS, PULLED = 0, 1
FIRST_SLOT, SLOTS = 8, 16
WORDS: Final = FIRST_SLOT + 3 * SLOTS


class Board:
    """How many workers have been killed, how many items were pulled, and who worked last in each
    slot, and when."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self.words = memoryview(mmap.mmap(file.fileno(), WORDS * 8)).cast("Q")

    @classmethod
    def create(cls, path: Path) -> Board:
        path.write_bytes(bytes(WORDS * 8))
        return cls(path)

    @property
    def kills(self) -> int:
        return self.words[KILLS]

    @kills.setter
    def kills(self, kills: int) -> None:
        self.words[KILLS] = kills

    @property
    def pulled(self) -> int:
        return self.words[PULLED]

    @pulled.setter
    def pulled(self, pulled: int) -> None:
        self.words[PULLED] = pulled

    def beat(self, slot: int) -> None:
        """A job is at work."""
        at = FIRST_SLOT + 3 * slot
        if self.words[at] != os.getpid():
            self.words[at + 2] = 0
            self.words[at + 1] = time.monotonic_ns()
            self.words[at] = os.getpid()
        self.words[at + 2] += 1

    def last(self, slot: int) -> tuple[int, int, int]:
        """Which process worked here last, since when, and how often its job was run."""
        at = FIRST_SLOT + 3 * slot
        return self.words[at], self.words[at + 1], self.words[at + 2]


_boards: dict[str, Board] = {}


def board() -> Board:
    """The board of this run."""
    path = os.environ[FILE]
    if path not in _boards:
        _boards[path] = Board(Path(path))
    return _boards[path]
