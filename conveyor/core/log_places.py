"""Where a log lies that outlives whoever writes it.

Knows: which parts of it are whole, and which nobody may write over.  Must never know: what is in
it, or what memory that is.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from conveyor.core.snapshots import Entry
from conveyor.errors import RunError

__all__ = ["NOWHERE", "Addressed", "Lies", "LogPlaces"]

APART: Final = 1 << 37  # bytes between two places


class Addressed(Protocol):
    """Memory that is written and read by address."""

    def write_at(self, offset: int, data: bytes) -> None: ...
    def read_at(self, offset: int, size: int) -> bytes: ...


class Lies(NamedTuple):
    """Where the entries of a log are, one behind the other: at which place, how many bytes, and
    their checksum."""

    place: int
    size: int
    checksum: int


NOWHERE: Final = Lies(0, 0, 0)


class LogPlaces:
    """Three places for a log, from `base` on.

    A new log begins in another place, and an entry of a log is written behind all that is known to
    be there: so what a note speaks of that is stored behind the entry is whole whenever its writer
    dies.  Of a log that is not whole yet no note speaks: the next writer begins another.  `kept`
    gives the place that was in use at the newest barrier, if one was: no log begins there before
    the next, so it may be read meanwhile.  `what` it is says an error.
    """

    def __init__(
        self,
        what: str,
        memory: Addressed,
        base: int,
        kept: Callable[[], int | None] = lambda: None,
    ) -> None:
        self.what = what
        self.memory = memory
        self.base = base
        self.kept = kept
        self.ahead = NOWHERE  # the next log, as far as it is there

    def begin(self, data: bytes) -> Lies:
        """Writes a log where none is yet."""
        return self.written(NOWHERE, data)

    def write(self, lies: Lies, entry: Entry) -> Lies:
        """Writes the next entry of a log that lies there; gives where the log lies then."""
        if entry.begins:
            self.ahead = Lies(self.free(lies.place), 0, 0)
        self.ahead = self.written(self.ahead, entry.part)
        return self.ahead if entry.is_whole else self.written(lies, entry.changes)

    def written(self, lies: Lies, data: bytes) -> Lies:
        """Writes behind what lies there."""
        if not data:
            return lies
        place, size, checksum = lies
        self.memory.write_at(self.base + place * APART + size, data)
        return Lies(place, size + len(data), zlib.crc32(data, checksum))

    def free(self, place: int) -> int:
        """A place that is neither this nor that of the newest barrier."""
        used = place, self.kept()
        return next(each for each in range(3) if each not in used)

    def read(self, lies: Lies) -> bytes:
        """All entries of a log; raises `RunError` if they are damaged."""
        place, size, checksum = lies
        data = self.memory.read_at(self.base + place * APART, size)
        if zlib.crc32(data) != checksum:
            raise RunError(f"{self.what} is damaged in shared memory; nothing of it was used")
        return data
