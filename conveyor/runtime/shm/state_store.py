"""The states of a stateful processor, kept in the memory that outlives its worker.

This file knows where they lie, and which of two is whole.  It must never know when one is saved, or
what is in it.
"""

from __future__ import annotations

import zlib
from time import perf_counter_ns
from typing import Final, NamedTuple

from conveyor.core.channel import Note
from conveyor.core.snapshots import FEW, Saved, StateLog
from conveyor.errors import RunError
from conveyor.runtime.shm.memory import Memory
from conveyor.stages import Restorable

__all__ = ["StateStore"]

APART: Final = 1 << 37  # bytes between the two places where states lie


class Lies(NamedTuple):
    """A log, as far as it is written: in which place, of how many bytes, with which checksum."""

    place: int
    size: int
    checksum: int


class StateStore:
    """Saves and restores the state of one processor.

    There are three places, each for a log.  A new log begins in another place, and an entry of a
    log is written behind all that is known to be there: so what the note speaks of is whole
    whenever the worker dies.  `note` says what lies where: run, finished, given, decided, place,
    size, checksum, and the positions of the inputs.  Of a log that is not whole yet it does not
    speak: the next worker begins another.  What lay where at the newest barrier says `kept`: no log
    begins there until the next barrier, so the program may read it meanwhile.
    """

    def __init__(
        self,
        stage: Restorable,
        name: str,
        memory: Memory,
        note: Note,
        base: int,
        kept: Note | None = None,
    ) -> None:
        self.kept = kept
        self.log = StateLog(stage, name)
        self.name = name
        self.memory = memory
        self.note = note
        self.base = base
        self.spent = 0  # nanoseconds, for saving it the last time, however little has changed
        self.ahead = Lies(0, 0, 0)  # the next log, as far as it is there

    def newest(self) -> Saved | None:
        run, finished, given, decided, _, _, _, *positions = self.note.newest()
        return Saved(run, bool(finished), given, tuple(positions), decided) if run else None

    def save(self, saved: Saved) -> None:
        started = perf_counter_ns()
        entry, lies = self.log.entry(saved.finished), self.lies()
        if entry.begins:
            self.ahead = Lies(self.free_place(lies.place), 0, 0)
        self.ahead = self.written(self.ahead, entry.part)
        lies = self.ahead if entry.is_whole else self.written(lies, entry.changes)
        head = (saved.run, saved.finished, saved.given, saved.decided)
        self.note.store((*head, *lies, *saved.positions))
        self.spent = perf_counter_ns() - started
        if not (entry.begins and entry.is_whole):
            # A longer slice has more changes: what is saved by it is what few of them cost.
            self.spent = self.spent * FEW // max(FEW, len(entry.changes) + len(entry.part))

    def written(self, lies: Lies, data: bytes) -> Lies:
        """Writes behind what lies there."""
        place, size, checksum = lies
        self.memory.write_at(self.base + place * APART + size, data)
        return Lies(place, size + len(data), zlib.crc32(data, checksum))

    def free_place(self, place: int) -> int:
        """A place where neither the newest state is, nor that of the newest barrier."""
        used = {place}
        if self.kept is not None and (newest := self.kept.newest())[0]:
            used.add(newest[1])
        return next(each for each in range(3) if each not in used)

    def lies(self) -> Lies:
        """Where the newest state is."""
        _, _, _, _, place, size, checksum, *_ = self.note.newest()
        return Lies(place, size, checksum)

    def restore(self) -> None:
        """Gives the newest state to the processor, which is new; does nothing if none was saved."""
        run, _, _, _, place, size, checksum, *_ = self.note.newest()
        if not run:
            return
        data = self.memory.read_at(self.base + place * APART, size)
        if zlib.crc32(data) != checksum:
            raise RunError(
                f"the state of stage {self.name!r} is damaged in shared memory; "
                "nothing of it was used"
            )
        self.log.read(data)

    def cost(self) -> int:
        """Gives how many nanoseconds it takes to save the state, however short the slice is."""
        return self.spent
