"""The items that a run is given, as the inlet of the source's drive loop.

This file knows how to pull from an iterable without running ahead of the pipeline.  It must never
know processes, or how to wait.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from time import perf_counter_ns
from typing import Final, cast

from conveyor.errors import NotPicklable
from conveyor.items.atoms import are_atoms, is_atom
from conveyor.items.forms import Row
from conveyor.items.rows import all_taken_apart
from conveyor.items.sealing import Seal, Sealed, sealer
from conveyor.items.slices import uniform
from conveyor.runtime.step.batching import LARGEST_SLICE, SLICE_NS

__all__ = ["Feed", "GivenFeed", "Puller", "PushFeed"]

# To iterate over one of these takes no time and runs no code of the program.
INSTANT: Final[frozenset[str]] = frozenset(
    (
        "range",
        "set",
        "frozenset",
        "dict",
        "dict_keys",
        "dict_values",
        "dict_items",
        "str",
        "bytes",
        "bytearray",
    )
)

LARGEST_BYTES: Final = 1 << 20  # of sealed items; then a slice is long enough
# Sealed items of a sequence in a slice: more of them at once keep the garbage collector busy, and
# in a short run whoever is to work on them waits.
MOST_SEALED: Final = 1024
SAMPLED: Final = 16  # of so many rows one is measured: that costs half of what the row did


class Puller:
    """Takes items from an iterable and makes each safe at once (`items.sealing`).

    A `sequence` is a list, a tuple or a range itself: to read it runs none of the user's code, so
    nothing can block or change an item meanwhile.  Of an iterator only the next item, or that there
    is none, says whether the end has come: where there is no room, so one item is kept in hand, as
    every worker keeps the one that waits for room.
    """

    def __init__(self, items: Iterable[object], seal: Seal | None = None) -> None:
        self.seal = seal or sealer()
        self.sequence: Sequence[object] | None = None
        if type(items) in (list, tuple) or (isinstance(items, range) and has_length(items)):
            self.sequence = cast("Sequence[object]", items)
        self.iterator: Iterator[object] = iter(items)
        self.pulled = 0
        self.is_instant = self.sequence is not None or is_instant(type(items))
        self.in_hand: list[object] = []  # one that was taken to see whether there is one
        self.taking: list[object] = []  # what a slice that is being taken has got so far
        # Between the thread that takes and another that wants what there is.
        self.lock = threading.Lock()
        self.exhausted = False
        self.error: Exception | None = None

    def pull(self, n: int) -> list[object]:
        """The next `n` items as a slice; fewer at the end, and where those are enough for one.

        Raises what the iterable raises, or `NotPicklable`.
        """
        items = self.take(n)
        self.tell(items)
        return items

    def to_come(self) -> int:
        """How many items there are that have not been pulled; 0 if that is not known."""
        return 0 if self.sequence is None else max(0, len(self.sequence) - self.pulled)

    def tell(self, items: list[object]) -> None:
        """Does nothing; a recorder overrides it to see each slice, in order, before it goes on."""

    def taken_so_far(self) -> list[object]:
        """Called by another thread while this one is inside the iterable: what the slice has got,
        which is then not in it."""
        with self.lock:
            taking = self.taking
            items = taking[: len(taking)]  # and more may be added meanwhile
            del taking[: len(items)]
        return uniform(items)

    def knows_more(self) -> bool:
        """Is it known whether there is another item?"""
        return self.exhausted or bool(self.in_hand) or self.sequence is not None

    def look_ahead(self) -> None:
        """Finds out whether there is another item, and keeps it for the next slice.  Raises as
        `pull` does."""
        if not self.knows_more():
            self.in_hand = self.take(1)

    def take(self, n: int) -> list[object]:
        """Pulls as `pull` does, without `tell`."""
        if self.error is not None:
            raise self.error
        safe, self.in_hand = self.in_hand, []
        size, enough, is_cut = 0, False, False
        before = self.pulled - len(safe)
        items: Iterable[object] = islice(self.iterator, n - len(safe))
        if self.sequence is not None:
            sliced = self.sequence[self.pulled : self.pulled + n]
            items = part = sliced if isinstance(sliced, list) else list(sliced)
            if isinstance(self.sequence, range) or are_atoms(part):
                self.pulled += len(part)
                self.exhausted = self.has_ended(len(part) < n)
                return part
            part, is_cut = part[:MOST_SEALED], len(part) > MOST_SEALED
            safe, size = rows_at_front(part)
            self.pulled += len(safe)
            enough = size > LARGEST_BYTES
            items = () if enough else part[len(safe) :]
        self.taking = safe
        try:
            for item in items:
                self.pulled += 1
                if is_atom(item):
                    safe.append(item)
                    continue
                sealed = self.sealed(item)
                if not isinstance(sealed, Row):
                    size += sealed.size
                elif len(safe) % SAMPLED == 0:
                    size += SAMPLED * sealed.size
                safe.append(sealed)
                enough = size > LARGEST_BYTES
                if enough:
                    break
        except Exception as error:  # of the source; an interrupt is raised at once
            if not safe:
                raise
            self.error = error  # what came before it goes first
        else:
            self.exhausted = self.has_ended(self.pulled - before < n and not (enough or is_cut))
        with self.lock:
            self.taking = []
        return uniform(safe)

    def has_ended(self, gave_fewer: bool) -> bool:
        """Is there nothing more?  Of a sequence that is known at once, and not only once there is
        room to ask for more."""
        return gave_fewer or (self.sequence is not None and self.pulled >= len(self.sequence))

    def sealed(self, item: object) -> Sealed:
        try:
            return self.seal(item)
        except NotPicklable as error:
            error.add_note(f"It is item {self.pulled - 1} of the run's input.")
            raise


def has_length(items: range) -> bool:
    """Can the length of a range be asked for?  It cannot if it is larger than any index."""
    return len(items[: sys.maxsize]) < sys.maxsize


def is_instant(kind: type) -> bool:
    """Is it one of Python's own collections, and no class derived from one?"""
    return kind.__module__ == "builtins" and kind.__name__ in INSTANT


class Pulled:
    """What all feeds share: items that are pulled and not yet published, as an inlet."""

    def __init__(self) -> None:
        self.head = 0
        self.buffer: list[object] = []
        self.barrier = self.barrier_at = 0

    def start(self, run: int) -> None:
        """Does nothing: every feed is of one run."""

    def peek(self, n: int) -> list[object]:
        return self.buffer if n >= len(self.buffer) else self.buffer[:n]

    def look(self, n: int) -> list[object]:
        return self.peek(n)

    def position(self, n: int) -> int:
        return self.head + n

    def commit(self, upto: int) -> None:
        done = upto - self.head
        self.head = upto
        self.buffer = self.buffer[done:] if done < len(self.buffer) else []


def rows_at_front(items: list[object]) -> tuple[list[object], int]:
    """Gives the rows of the items at the front, as far as all of them are taken apart in the same
    way, and about how many bytes they have: at a third less than one by one."""
    rows: list[object] = []
    size = 0
    for start in range(0, len(items), SAMPLED):
        group = all_taken_apart(items[start : start + SAMPLED])
        if group is None or size > LARGEST_BYTES:
            break
        rows += group
        size += SAMPLED * group[0].size
    return rows, size


class Feed(Pulled):
    """Pulls when its drive loop asks, in the same thread: a slice at a time, and no more than
    `room()`, but for one in hand.

    `n` is how much it pulls at once: it doubles while pulling is quick and halves while it is slow,
    so that a slow source holds nothing back.  `check` raises if the run is to end, which the source
    itself may have brought about.
    """

    def __init__(
        self,
        puller: Puller,
        room: Callable[[], int],
        smallest_capacity: int,
        check: Callable[[], None],
    ) -> None:
        super().__init__()
        self.puller = puller
        self.room = room
        self.check = check
        self.most = max(1, min(smallest_capacity // 4, LARGEST_SLICE))
        self.n = 1

    def pending(self) -> bool:
        if not self.buffer and not self.puller.exhausted:
            if (room := self.room()) > 0:
                self.pull(room)
            elif not self.puller.knows_more():
                self.puller.look_ahead()
                self.check()
        return bool(self.buffer)

    def pull(self, room: int) -> None:
        started = perf_counter_ns()
        self.buffer = self.puller.pull(min(room, self.n))
        self.check()
        quick = self.puller.sequence is not None or perf_counter_ns() - started < SLICE_NS
        self.n = min(2 * self.n, self.most) if quick else max(1, self.n // 2)

    def ended(self) -> bool:
        return self.puller.exhausted and not self.buffer


class GivenFeed(Pulled):
    """Is given its items between two steps of its loop; `n` bounds a record."""

    def __init__(self, smallest_capacity: int) -> None:
        super().__init__()
        self.n = max(1, min(smallest_capacity // 4, LARGEST_SLICE))
        self.closed = False

    def push(self, items: list[object]) -> None:
        """Adds a slice to those that have not been published yet."""
        mixed = (
            self.buffer
            and items
            and isinstance(self.buffer[0], Sealed) != isinstance(items[0], Sealed)
        )
        self.buffer = (
            uniform(self.buffer + items) if mixed else self.buffer + items if self.buffer else items
        )

    def pending(self) -> bool:
        return bool(self.buffer)

    def ended(self) -> bool:
        return self.closed and not self.buffer


class PushFeed(GivenFeed):
    """A `GivenFeed` for a thread that pulls one by one; it says how much has been gathered."""

    def __init__(self, smallest_capacity: int) -> None:
        super().__init__(smallest_capacity)
        self.size = 0  # in bytes, of those items that are sealed

    def is_full(self) -> bool:
        """Has enough been gathered for a record?"""
        return len(self.buffer) >= self.n or self.size > LARGEST_BYTES

    def push(self, items: list[object]) -> None:
        self.size += size_of(items)
        super().push(items)

    def commit(self, upto: int) -> None:
        super().commit(upto)
        self.size = size_of(self.buffer)


def size_of(items: list[object]) -> int:
    """About how many bytes sealed items have; a slice that does not begin with one has none."""
    if not items or not isinstance(items[0], Sealed):
        return 0
    alone = [each.size for each in items if isinstance(each, Sealed) and not isinstance(each, Row)]
    rows = [each.size for each in items[::SAMPLED] if isinstance(each, Row)]
    return sum(alone) + SAMPLED * sum(rows)
