"""The states of a stateful processor, kept in the memory that outlives its worker.

This file knows what is noted of them.  It must never know when one is saved, or what is in it.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns

from conveyor.core.channel import Note
from conveyor.core.log_places import Lies, LogPlaces
from conveyor.core.snapshots import FEW, Saved, StateLog
from conveyor.runtime.shm.memory import Memory
from conveyor.stages import Restorable

__all__ = ["StateStore", "places_of_state"]


class StateStore:
    """Saves and restores the state of one processor.

    `note` says what lies where: run, finished, given, decided, place, size, checksum, and the
    positions of the inputs; `kept` what lay where at the newest barrier.
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
        self.places = places_of_state(name, memory, base, self.place_at_barrier)
        self.note = note
        self.spent = 0  # nanoseconds, for saving it the last time, however little has changed

    def place_at_barrier(self) -> int | None:
        """Where the state was at the newest barrier, if there was one."""
        number, place, *_ = (0, 0) if self.kept is None else self.kept.newest()
        return place if number else None

    def newest(self) -> Saved | None:
        run, finished, given, decided, _, _, _, *positions = self.note.newest()
        return Saved(run, bool(finished), given, tuple(positions), decided) if run else None

    def save(self, saved: Saved) -> None:
        started = perf_counter_ns()
        entry = self.log.entry(saved.finished)
        lies = self.places.write(self.lies(), entry)
        head = (saved.run, saved.finished, saved.given, saved.decided)
        self.note.store((*head, *lies, *saved.positions))
        self.spent = perf_counter_ns() - started
        if not (entry.begins and entry.is_whole):
            # A longer slice has more changes: what is saved by it is what few of them cost.
            self.spent = self.spent * FEW // max(FEW, len(entry.changes) + len(entry.part))

    def lies(self) -> Lies:
        """Where the newest state is."""
        _, _, _, _, place, size, checksum, *_ = self.note.newest()
        return Lies(place, size, checksum)

    def restore(self) -> None:
        """Gives the newest state to the processor, which is new; does nothing if none was saved."""
        run, *_ = self.note.newest()
        if run:
            self.log.read(self.places.read(self.lies()))

    def cost(self) -> int:
        """Gives how many nanoseconds it takes to save the state, however short the slice is."""
        return self.spent


def places_of_state(
    name: str, memory: Memory, base: int, kept: Callable[[], int | None] = lambda: None
) -> LogPlaces:
    """The places in which the state of the stage of this name lies."""
    return LogPlaces(f"the state of stage {name!r}", memory, base, kept)
