"""The states of a stateful processor, kept in the memory that outlives its worker.

This file knows where they lie, and which of two is whole.  It must never know when one is saved, or
what is in it.
"""

from __future__ import annotations

import zlib
from time import perf_counter_ns
from typing import Final

from conveyor.core.channel import Note
from conveyor.core.snapshots import Saved, StateLog
from conveyor.errors import RunError
from conveyor.runtime.shm.memory import Memory
from conveyor.stages import Restorable

__all__ = ["StateStore"]

APART: Final = 1 << 37  # bytes between the two places where states lie


class StateStore:
    """Saves and restores the state of one processor.

    There are three places, each for a log.  A new log begins in another place, and an entry of a
    log is written behind all that is known to be there: so what the note speaks of is whole
    whenever the worker dies.  `note` says what lies where: run, finished, given, decided, place,
    size, checksum, and the positions of the inputs.  What lay where at the newest barrier says
    `kept`: no log begins there until the next barrier, so the program may read it meanwhile.
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
        self.spent = 0  # nanoseconds, for saving it the last time

    def newest(self) -> Saved | None:
        run, finished, given, decided, _, _, _, *positions = self.note.newest()
        return Saved(run, bool(finished), given, tuple(positions), decided) if run else None

    def save(self, saved: Saved) -> None:
        started = perf_counter_ns()
        is_whole, data = self.log.entry(saved.finished)
        _, _, _, _, place, size, checksum, *_ = self.note.newest()
        if is_whole:
            place, size, checksum = self.free_place(place), 0, 0
        self.memory.write_at(self.base + place * APART + size, data)
        head = (saved.run, saved.finished, saved.given, saved.decided)
        lies = (place, size + len(data), zlib.crc32(data, checksum))
        self.note.store((*head, *lies, *saved.positions))
        self.spent = perf_counter_ns() - started

    def free_place(self, place: int) -> int:
        """A place where neither the newest state is, nor that of the newest barrier."""
        used = {place}
        if self.kept is not None and (newest := self.kept.newest())[0]:
            used.add(newest[1])
        return next(each for each in range(3) if each not in used)

    def lies(self) -> tuple[int, int, int]:
        """Place, size and checksum of the newest state."""
        _, _, _, _, place, size, checksum, *_ = self.note.newest()
        return place, size, checksum

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
        """Gives how many nanoseconds it took to save the state the last time."""
        return self.spent
