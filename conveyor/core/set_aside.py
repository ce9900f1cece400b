"""The zip of a run that is kept: what has no partner before a barrier is set aside.

Knows: which items were taken out of their lanes before their partners had come.  Must never know:
where they are kept, what a barrier is sent for.

Lanes that drop or add items have different numbers of them before a barrier.  What has no partner
there gets one from behind the barrier, in the next life of the run, too.

Rule 1.  Where one lane has come to a barrier and has nothing left before it, what the others still
         have before it is taken out of them: so it comes through, however little they hold.
Rule 2.  It is written where it outlives the worker, then noted with where that leaves each lane,
         and only then committed.
Rule 3.  It is read before anything else of its lane.
Rule 4.  It is no more than `MOST_BYTES`: lanes that drift apart for ever end the run, as they do by
         a deadlock where no barriers are.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final, NamedTuple

from conveyor.core.barriers import GatedInlet
from conveyor.core.channel import (
    UNPAIRED_AT_ONCE,
    Inlet,
    Note,
    ZipInlet,
    bring_to,
    ends_of,
    tuples_of,
)
from conveyor.core.log_places import NOWHERE, Lies, LogPlaces
from conveyor.core.snapshots import StateLog
from conveyor.errors import RunError
from conveyor.items.sealed import PROTOCOL, Sealed
from conveyor.items.slices import uniform
from conveyor.stages import TellsChanges

__all__ = ["KeptZipInlet", "SetAside", "ZipState", "begin_zip"]

MOST_BYTES: Final = 1 << 28  # packed, with what was taken since the log began


class ZipState(NamedTuple):
    """What a zip knows at a barrier: the tuples it has given, the items that it could not pair, and
    those that are set aside, as they are kept."""

    tuples: int
    left_over: int
    aside: bytes | None


class SetAside(TellsChanges):
    """Items of each lane, the oldest first."""

    def __init__(self, lanes: int) -> None:
        self.lanes: list[deque[object]] = [deque() for _ in range(lanes)]
        self.added: list[tuple[int, list[object]]] = []  # since it was last told
        self.taken = [0] * lanes

    def __bool__(self) -> bool:
        return any(self.lanes)

    def add(self, lane: int, items: list[object]) -> None:
        """Sets aside items of a lane, which may refer to memory of the lane."""
        if any(isinstance(item, Sealed) for item in items):
            items = pickle.loads(pickle.dumps(items, PROTOCOL))
        self.lanes[lane] += items
        self.added.append((lane, items))

    def front(self, lane: int, n: int) -> list[object]:
        """Up to `n` items of a lane, as a slice."""
        return uniform(list(islice(self.lanes[lane], n)))

    def take(self, lane: int, n: int) -> None:
        for _ in range(n):
            self.lanes[lane].popleft()
        self.taken[lane] += n

    def snapshot(self) -> list[list[object]]:
        self._changes()
        return [[*lane] for lane in self.lanes]

    def restore(self, state: list[list[object]], /) -> None:
        self.lanes = [*map(deque, state)]

    def _changes(self) -> tuple[list[tuple[int, list[object]]], list[int]]:
        told = self.added, self.taken
        self.added, self.taken = [], [0] * len(self.lanes)
        return told

    def _apply(self, changes: tuple[list[tuple[int, list[object]]], list[int]], /) -> None:
        added, taken = changes
        for lane, items in added:
            self.lanes[lane] += items
        for lane, n in enumerate(taken):
            self.take(lane, n)
        self.taken = [0] * len(self.lanes)


class KeptZipInlet(ZipInlet):
    """A zip that stops at barriers, which the `gates` below it know; `places` keep what is set
    aside."""

    __slots__ = ("aside", "gates", "lies", "log", "places")

    def __init__(
        self, inlets: list[Inlet], note: Note, gates: Sequence[GatedInlet], places: LogPlaces
    ) -> None:
        super().__init__(inlets, note)
        self.gates = gates
        self.places = places
        self.begin_log()

    def known(self) -> tuple[int, ...]:
        """What it knows, as a node notes it at a barrier: its tuples, what it could not pair, and
        where that lies that is set aside."""
        return self.tuples, self.left_over, *self.lies

    def state(self) -> ZipState:
        """The same, with what is set aside."""
        aside = self.places.read(self.lies) if self.lies.size else None
        return ZipState(self.tuples, self.left_over, aside)

    def begin_log(self) -> None:
        """Nothing is set aside."""
        self.aside = SetAside(len(self.inlets))
        self.log = StateLog(self.aside, "")
        self.lies = NOWHERE

    def start(self, run: int) -> None:
        super().start(run)
        self.begin_log()
        of_run, *_ = newest = self.note.newest()
        lies = Lies(*newest[-len(NOWHERE) :])
        if of_run == run and lies.size:
            self.log.read(self.places.read(lies))
            self.lies = lies

    def pending(self) -> bool:
        for aside, inlet in zip(self.aside.lanes, self.inlets, strict=True):
            if not aside and not inlet.pending():
                return False
        return True

    def ended(self) -> bool:
        ends = ends_of(self.inlets)
        if not any(is_at_end and not self.aside.lanes[at] for at, is_at_end in enumerate(ends)):
            return False
        if not any(gate.is_at_barrier for gate in self.gates):
            if self.aside:
                self.left_over += sum(map(len, self.aside.lanes))
                self.begin_log()
                self.keep([each.head for each in self.inlets])
            return super().ended()
        for lane, inlet in enumerate(self.inlets):
            while inlet.pending():
                items = inlet.peek(UNPAIRED_AT_ONCE)
                self.aside.add(lane, items)
                positions = [each.head for each in self.inlets]
                positions[lane] = inlet.position(len(items))
                self.keep(positions)
        return all(ends_of(self.inlets))

    def peek(self, n: int) -> list[object]:
        if not self.aside:
            return super().peek(n)
        columns = [
            self.aside.front(lane, n) if self.aside.lanes[lane] else inlet.peek(n)
            for lane, inlet in enumerate(self.inlets)
        ]
        self.seen = min(map(len, columns))
        return tuples_of(columns)

    def behind(self, n: int) -> list[int]:
        positions: list[int] = []
        for lane, inlet in enumerate(self.inlets):
            if self.aside.lanes[lane]:
                self.aside.take(lane, n)
                positions.append(inlet.head)
            else:
                positions.append(inlet.position(n))
        return positions

    def drifted(self) -> RunError:
        waiting = ", ".join(f"{len(lane):,}" for lane in self.aside.lanes)
        return RunError(
            f"{self.places.what} is more than {MOST_BYTES >> 20} MiB: of its lanes, from left to "
            f"right, {waiting} items wait for partners from the others. They drift apart, and "
            "without a checkpoint that is a Deadlock: let all lanes drop or add as many items, or "
            "join them by a key"
        )

    def keep(self, positions: Sequence[int]) -> None:
        if self.aside:
            self.lies = self.places.write(self.lies, self.log.entry(False))
            if self.lies.size > MOST_BYTES:
                raise self.drifted()
        elif self.lies.size:
            self.begin_log()
        self.note.store((self.run, self.tuples, self.left_over, *positions, *self.lies))
        bring_to(self.inlets, positions)


def begin_zip(note: Note, lanes: int, places: LogPlaces, run: int, known: ZipState) -> None:
    """Before any worker starts: in this run a zip begins with what it knew at a barrier."""
    lies = NOWHERE
    if known.aside is not None:
        lies = places.begin(known.aside)
    note.store((run, known.tuples, known.left_over, *[0] * lanes, *lies))
