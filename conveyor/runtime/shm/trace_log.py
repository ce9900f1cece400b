"""What a worker does and when, for a parent that traces the run, in memory that outlives it.

This file knows words, and the order in which they are written.  It must never know what is made of
them.

Rule 1.  One side writes how much there is, the other how much it has taken; neither ever waits.
Rule 2.  What there is no room for is not written, and counted.
"""

from __future__ import annotations

from array import array
from enum import IntEnum
from typing import Final, NamedTuple

from conveyor.runtime.shm.fence import fence
from conveyor.runtime.shm.memory import Memory

__all__ = [
    "ENTRY_WORDS",
    "ITEMS",
    "KIND_AT",
    "LANE_AT",
    "TRACE_WORDS",
    "WORTH_TAKING",
    "SpanKind",
    "SpanOf",
    "TraceLog",
    "TraceWriter",
    "decision",
    "span_of",
]

WRITTEN, LOST, TAKEN = 0, 1, 16  # the parent writes the last, in a line of its own
TRACE_WORDS: Final = 32

ENTRY_WORDS: Final = 3  # what, since when, how long
ENTRIES: Final = 1 << 13
WORDS: Final = ENTRIES * ENTRY_WORDS
TRACE_BYTES: Final = 8 * WORDS

KIND_AT, POINT_AT, LANE_AT = 56, 48, 32
ITEMS: Final = (1 << 32) - 1
WORTH_TAKING: Final = WORDS // 4  # words; fewer stay where they are until the run is over


class SpanKind(IntEnum):
    """What a worker does for a while, or decides in a moment."""

    SLICE = 0  # of so many items
    FINISH = 1  # what comes after the last item
    WAIT = 2  # for input
    BLOCK = 3  # for room behind it
    DECIDE = 4  # which input it takes, or which lane


DECIDED: Final = int(SpanKind.DECIDE) << KIND_AT


class SpanOf(NamedTuple):
    """What a span is one of."""

    kind: SpanKind
    point: int
    lane: int


class TraceLog:
    """The worker adds, the parent takes."""

    def __init__(self, words: memoryview[int], memory: Memory, base: int) -> None:
        self.words = words
        self.memory = memory
        self.base = base

    def there(self) -> memoryview[int]:
        """Where the entries lie; the parent must have reserved that."""
        return self.memory.at(self.base, TRACE_BYTES).cast("Q")

    def writer(self) -> TraceWriter:
        """What a worker adds by."""
        return TraceWriter(self.words, self.there())

    def reserve(self) -> None:
        """Reserves the memory; raises `SharedMemoryFull`."""
        self.memory.reserve(self.base, self.base + TRACE_BYTES)

    def skip(self) -> None:
        """Leaves what is there untaken."""
        self.words[TAKEN] = self.words[WRITTEN]

    @property
    def waiting(self) -> int:
        """How many words are new."""
        return self.words[WRITTEN] - self.words[TAKEN]

    def take(self) -> array[int]:
        """The words of all that is new."""
        words, found = self.words, array("Q")
        taken, written = words[TAKEN], words[WRITTEN]
        if taken != written:
            fence()
            there = self.there()
            first, last = taken % WORDS, written % WORDS
            if first < last:
                found.frombytes(there[first:last].cast("B"))
            else:
                found.frombytes(there[first:].cast("B"))
                found.frombytes(there[:last].cast("B"))
            words[TAKEN] = written
        return found

    @property
    def lost(self) -> int:
        """How much was not written since the memory was made."""
        return self.words[LOST]


class TraceWriter:
    """The worker's side."""

    def __init__(self, words: memoryview[int], there: memoryview[int]) -> None:
        self.words = words
        self.there = there

    def add(self, kind: int, start: int, duration: int, items: int = 0) -> None:
        """Notes what was done since `start`."""
        self.put(kind << KIND_AT | items, start, duration)

    def put(self, what: int, start: int, duration: int) -> None:
        words, there = self.words, self.there
        written = words[WRITTEN]
        if written - words[TAKEN] >= WORDS:
            words[LOST] += 1
            return
        at = written % WORDS
        there[at], there[at + 1], there[at + 2] = what, start, duration
        words[WRITTEN] = written + ENTRY_WORDS


def decision(point: int, lane: int, items: int) -> int:
    """A decision as a word."""
    return DECIDED | point << POINT_AT | lane << LANE_AT | items


def span_of(what: int) -> SpanOf:
    """What the first word of an entry says, but for its items."""
    return SpanOf(SpanKind(what >> KIND_AT), what >> POINT_AT & 0xFF, what >> LANE_AT & 0xFFFF)
