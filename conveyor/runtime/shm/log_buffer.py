"""What a worker's jobs log, on its way to the program, in memory that outlives the worker.

This file knows bytes, one entry behind another, and the order in which they are written.  It must
never know what an entry says.

Rule 1.  One side writes how much there is, the other how much it has taken; neither ever waits.
Rule 2.  An entry for which there is no room is dropped, and counted.
Rule 3.  The memory is reserved with the first entry, so jobs that log nothing take none.
"""

from __future__ import annotations

import struct
from typing import Final

from conveyor.errors import SharedMemoryFull
from conveyor.runtime.shm.fence import fence
from conveyor.runtime.shm.memory import Memory

__all__ = ["LOG_BUFFER_WORDS", "MOST_IN_ENTRY", "LogBuffer"]

WRITTEN, DROPPED, RESERVED, TAKEN = 0, 1, 2, 16  # the reader writes the last, in a line of its own
LOG_BUFFER_WORDS: Final = 32

SIZE: Final = 1 << 20  # bytes
MOST_IN_ENTRY: Final = SIZE // 8
HEAD: Final = struct.Struct("=I")


class LogBuffer:
    """The entries of one worker: it adds, the program takes.  `base` is where they lie."""

    def __init__(self, words: memoryview[int], memory: Memory, base: int) -> None:
        self.words = words
        self.memory = memory
        self.base = base
        self.bytes: memoryview | None = None

    # ---------------------------------------------------------------------------
    # in the worker

    def add(self, entry: bytes) -> bool:
        """Adds an entry; gives whether the program should be woken to take what there is."""
        words = self.words
        written, size = words[WRITTEN], HEAD.size + len(entry)
        used = written - words[TAKEN] + size
        if len(entry) > MOST_IN_ENTRY or used > SIZE or not self.is_reserved():
            self.drop()
            return True
        self.put(written, HEAD.pack(len(entry)) + entry)
        fence()
        words[WRITTEN] = written + size
        return used > SIZE // 2

    def drop(self) -> None:
        """Counts an entry that cannot be added."""
        self.words[DROPPED] += 1

    def is_reserved(self) -> bool:
        """Is there memory for entries?  It is reserved if not, and the system has it."""
        if not self.words[RESERVED]:
            try:
                self.memory.reserve(self.base, self.base + SIZE)
            except SharedMemoryFull:
                return False
            self.words[RESERVED] = 1
        return True

    def put(self, at: int, data: bytes) -> None:
        there, at = self.there(), at % SIZE
        first = min(len(data), SIZE - at)
        there[at : at + first] = data[:first]
        there[: len(data) - first] = data[first:]

    def there(self) -> memoryview:
        if self.bytes is None:
            self.bytes = self.memory.at(self.base, SIZE)
        return self.bytes

    # ---------------------------------------------------------------------------
    # in the program

    def take(self, most: int) -> list[bytes]:
        """The oldest entries that are new, so many at most."""
        words = self.words
        taken, written = words[TAKEN], words[WRITTEN]
        if taken == written:
            return []
        fence()
        entries: list[bytes] = []
        while taken < written and len(entries) < most:
            (size,) = HEAD.unpack(self.get(taken, HEAD.size))
            entries.append(self.get(taken + HEAD.size, size))
            taken += HEAD.size + size
        words[TAKEN] = taken
        return entries

    def get(self, at: int, size: int) -> bytes:
        there, at = self.there(), at % SIZE
        first = min(size, SIZE - at)
        return bytes(there[at : at + first]) + bytes(there[: size - first])

    @property
    def has_more(self) -> bool:
        """Is there anything that has not been taken?"""
        return self.words[WRITTEN] != self.words[TAKEN]

    @property
    def dropped(self) -> int:
        """How many entries were dropped since the memory was made."""
        return self.words[DROPPED]
