"""The consumer's end of a ring.

This file knows how records are read and given back.  It must never know what is in an item, or what
the consumer does while it waits.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable
from typing import Final

from conveyor.core.stamp_columns import follows
from conveyor.core.stamps import Entries, cut, gather, marked
from conveyor.items.sealed import Copied, Pickled, Sealed, Take
from conveyor.runtime.shm.allocator import Extent
from conveyor.runtime.shm.fence import fence
from conveyor.runtime.shm.payload import Where, items_from, opened_from, wheres_in
from conveyor.runtime.shm.record import Unread, items_in, stamps_in, unread, without_carried
from conveyor.runtime.shm.ring import (
    BARRIER,
    BARRIER_AT,
    CARRIES,
    CLOSED,
    CONSUMER_SLEEPS,
    COST,
    HEAD,
    HEAD_BYTES,
    PLAIN,
    PRODUCER_SLEEPS,
    SEALED,
    STAMPED,
    TAIL,
    Ring,
)

__all__ = ["RingInlet"]

WORTH_A_RECORD: Final = 64  # items, which cost less to decode than a record to handle


class RingInlet:
    """The consumer's end of a ring; a worker that takes over where another died reads from the
    first item that is not committed.

    Items that were read stay in `_items` until they are committed, so that they are decoded once.
    Where `opens` is set, sealed items are given opened, but in the lanes of an ordered join: that
    is for a consumer that takes each item once.  Where `passes_on` is set, whole records are given
    unread, for a consumer that passes them on as they are.  Both are set where nothing has been
    read yet.
    """

    __slots__ = (
        "_at",
        "_record_ends",
        "_form",
        "_front",
        "_items",
        "_item_bytes",
        "_taken",
        "data",
        "head",
        "opens",
        "passes_on",
        "ring",
        "run",
        "wake",
        "words",
    )

    def __init__(self, ring: Ring, wake: Callable[[], None]) -> None:
        self.ring = ring
        self.words = ring.words
        self.data = ring.data
        self.wake = wake
        self.run = 0
        self.head = self.words[HEAD]
        self._at = self.words[HEAD_BYTES]  # the next byte to read
        self._items: list[object] = []  # of the records read, from the first that is not committed
        self._taken = 0  # how many of them are committed
        self._form = PLAIN
        self._item_bytes = 1.0  # of the ring, that an item of the last record took
        # Of each record that was read: the position behind it, in items and in bytes.
        self._record_ends: deque[tuple[int, int]] = deque()
        self.opens: Take | None = None
        self.passes_on = False
        self._front = -1, 0  # the stamp of an item that has not been read, and that item
        self._settle()

    def _settle(self) -> None:
        """Gives back the bytes of records whose items are all committed.

        A worker that died between the two stores of its commit left them; without this, `pending()`
        would promise an item that `peek` cannot give.
        """
        while (record := self.ring.next_record(self._at, self.head)) is not None:
            _, _, _, first, count, behind = record
            if first + count > self.head:
                break
            self._at = behind
            self.words[HEAD_BYTES] = self._at

    def start(self, run: int) -> None:
        self.run = run

    @property
    def barrier(self) -> int:
        return self.words[BARRIER]

    @property
    def barrier_at(self) -> int:
        return self.words[BARRIER_AT]

    def pending(self) -> bool:
        return self._taken < len(self._items) or self.words[TAIL] != self._at

    def ended(self) -> bool:
        return self.words[CLOSED] == self.run and not self.pending()

    def peek(self, n: int) -> list[object]:
        """Gives up to `n` items that are not committed; raises `RunError` for a damaged record."""
        if self.passes_on and (whole := self._whole_record(n)) is not None:
            return whole
        have = len(self._items) - self._taken
        while (
            have < n and (record := self.ring.next_record(self._at, self.head + have)) is not None
        ):
            at, size, form, first, count, behind = record
            if have and (form & SEALED != self._form or have + count > n):
                break  # a slice is uniform; and whole records need not be cut and copied
            payload = self.ring.payload(at, size, form)
            if form & CARRIES:
                payload = without_carried(payload)
            if form & STAMPED:
                marks, stamps = stamps_in(payload)
                there = self._items
                if have and isinstance(there, Entries) and not follows(there.stamps, stamps):
                    break
                items = self.read_items(items_in(payload, form), form)
                if isinstance(marks, list):
                    items = marked(items, marks)
                items = Entries(items, stamps, bool(marks))
            else:
                items = self.read_items(payload, form)
            self._item_bytes = (behind - self._at) / count
            if first < self.head:
                items = cut(items, self.head - first, count)
            self._at = behind
            self._record_ends.append((first + count, self._at))
            if have:
                if self._taken:
                    self._items = cut(self._items, self._taken, len(self._items))
                    self._taken = 0
                gather(self._items, items)
            else:
                self._items, self._taken, self._form = items, 0, form & SEALED
            have = len(self._items)
        taken = self._taken
        return self._items if not taken and have <= n else cut(self._items, taken, taken + n)

    def front(self) -> int:
        """Gives the stamp that the first entry has of the innermost join; it is asked where there
        is one, in a lane of an ordered join."""
        there = self._items
        if isinstance(there, Entries):
            return there.stamps[-1][self._taken]
        if self._front[0] != self.head:
            record = self.ring.next_record(self._at, self.head)
            assert record is not None, "asked where nothing is pending"
            at, size, form, first, _, _ = record
            _, stamps = stamps_in(self.ring.payload(at, size, form))
            self._front = self.head, stamps[-1][self.head - first]
        return self._front[1]

    def _whole_record(self, n: int) -> Unread | None:
        """The record at the front, unread; None if it is to be cut, if several are rather to be
        read as one slice, or if it refers to memory that another producer uses again."""
        record = None
        if not self._items:
            record = self.ring.next_record(self._at, self.head)
        if record is None:
            return None
        at, size, form, first, count, behind = record
        is_last = behind == self.words[TAIL]
        if first < self.head or count > n or (count < WORTH_A_RECORD and not is_last):
            return None
        self._item_bytes = (behind - self._at) / count
        payload = self.ring.payload(at, size, form)
        if form & CARRIES:
            payload = without_carried(payload)
        if form & SEALED and wheres_in(items_in(payload, form)):
            return None
        return unread(payload, count, form & (SEALED | STAMPED))

    def look(self, n: int) -> list[object]:
        """Gives the first `n` items that are not committed, of whatever kinds; raises as `peek`
        does."""
        if self._taken:
            self._items, self._taken = self._items[self._taken :], 0
        while (
            len(self._items) < n
            and (record := self.ring.next_record(self._at, self.head + len(self._items)))
            is not None
        ):
            at, size, form, first, count, self._at = record
            items = self.read_items(self.ring.payload(at, size, form), form)
            self._items = self._items + (items[self.head - first :] if first < self.head else items)
            self._record_ends.append((first + count, self._at))
        return self._items[:n]

    def read_items(self, payload: bytes | memoryview, form: int) -> list[object]:
        if form & SEALED:
            if self.opens is not None and not form & STAMPED:
                return opened_from(payload, self._with_buffers, self.opens)
            return items_from(payload, self._with_buffers)
        items: list[object] = pickle.loads(payload)
        return items

    def _with_buffers(self, part: tuple[bytes, *tuple[bytes | Where, ...]]) -> Sealed:
        data, *buffers = part
        at = self.ring.memory.at
        return Pickled(
            data,
            [
                Copied(each) if isinstance(each, bytes) else Extent(at(*each), each[0])
                for each in buffers
            ],
        )

    def position(self, n: int) -> int:
        return self.head + n

    def commit(self, upto: int) -> None:
        """Gives up the items before this position, and their room in the ring."""
        words = self.words
        self._taken += upto - self.head
        self.head = upto
        words[HEAD] = upto  # the one store that counts
        ends = self._record_ends
        while ends and ends[0][0] <= upto:
            words[HEAD_BYTES] = ends.popleft()[1]
        if self._taken >= len(self._items):
            unread = self._taken > len(self._items)
            self._items, self._taken = [], 0
            if unread:  # recovery commits what another worker had read
                self._settle()
        fence()
        if (position := words[PRODUCER_SLEEPS]) and upto >= position:
            self.wake()

    def queued(self) -> int:
        """About how many items are published and not committed: as many as fill the ring so far, if
        all are as large as the last that were read."""
        return int((self.words[TAIL] - self.words[HEAD_BYTES]) / self._item_bytes)

    def set_cost(self, nanoseconds: int) -> None:
        self.words[COST] = nanoseconds

    def sleeps(self, position: int) -> None:
        """Asks to be woken when so many items are published; 0 takes that back."""
        self.words[CONSUMER_SLEEPS] = position
