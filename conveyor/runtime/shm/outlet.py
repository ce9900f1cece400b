"""The producer's end of a ring.

This file knows when there is room, and the order in which a record is written.  It must never know
what is in an item, or what the producer does while it waits.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Callable, Sequence

from conveyor.core.channel import Elsewhere, Tag
from conveyor.core.stamps import Entries, first_of, items_of
from conveyor.items.sealed import PROTOCOL, Sealed
from conveyor.runtime.shm.allocator import Allocator, Extent
from conveyor.runtime.shm.fence import fence
from conveyor.runtime.shm.payload import StoredPickle, Where, payload_of, wheres_in
from conveyor.runtime.shm.record import (
    Blob,
    Unread,
    carried_in,
    items_in,
    marks_in,
    with_carried,
    with_stamps,
    without_carried,
)
from conveyor.runtime.shm.ring import (
    BARRIER,
    BARRIER_AT,
    CARRIES,
    CLOSED,
    CONSUMER_SLEEPS,
    COST,
    EXTENT,
    HEAD,
    HEAD_BYTES,
    HEADER,
    PAYLOAD_AT,
    PLAIN,
    PRODUCER_SLEEPS,
    SEALED,
    SPILLED,
    SPILLED_BYTES,
    TAIL,
    Ring,
    record_bytes,
    ring_bytes,
)

__all__ = ["RingOutlet"]


class RingOutlet:
    """The producer's end of a ring; a worker that takes over where another died finds the newest
    record and goes on behind it.

    `at_once` says how many items, as large as the last ones, make a record of `largest` bytes.
    """

    __slots__ = (
        "_last_at",
        "_tag",
        "at_once",
        "capacity",
        "data",
        "allocator",
        "soft_limits_lifted",
        "largest",
        "ring",
        "tail",
        "wake",
        "words",
    )

    def __init__(self, ring: Ring, wake: Callable[[], None], allocator: Allocator) -> None:
        self.ring = ring
        self.words = ring.words
        self.data = ring.data
        self.capacity = ring.capacity
        self.wake = wake
        self.allocator = allocator
        self.largest = ring_bytes(ring.capacity) // 4
        self.at_once = ring.capacity
        # Does a record for whose bytes the ring has no room go into an extent, however small it is?
        self.soft_limits_lifted = False
        self.tail = 0
        self._tag: Tag | None = None
        self._last_at = -1
        if self.words[TAIL]:  # another worker was here before
            self._last_at = ring.last_record()
            _, _, first, count, *tag = ring.header(self._last_at)
            self.tail = first + count
            self._tag = Tag(*tag)
            self._find_unread()

    def queued(self) -> int:
        """How many items are published and not committed."""
        return self.tail - self.words[HEAD]

    def cost(self) -> int:
        """Nanoseconds that the consumer takes for an item; 0 while that is not known."""
        return self.words[COST]

    def _find_unread(self) -> None:
        """Finds the extents that are still to be read: another worker wrote them, and this one must
        not use their memory again."""
        at, item = self.words[HEAD_BYTES], self.words[HEAD]
        while (record := self.ring.next_record(at, item)) is not None:
            place, size, form, first, count, at = record
            item = first + count
            for extent in self._extents_of(place, size, form):
                self.allocator.add_reader(extent, self.words, item)

    def _extents_of(self, at: int, size: int, form: int) -> list[Extent]:
        found = [self.allocator.find(*self.ring.spilled(at))] if form & SPILLED else []
        return (
            found + self._buffers_in(self.ring.payload(at, size, form), form)
            if form & SEALED
            else found
        )

    def _buffers_in(self, payload: bytes | memoryview, form: int) -> list[Extent]:
        return [self.allocator.find(*where) for where in wheres_in(items_in(payload, form))]

    def pack(self, items: list[object]) -> Blob:
        """Encodes a slice once for all lanes; large buffers of its items go into extents."""
        if isinstance(items, Unread):
            return items.packed()
        if isinstance(items, Entries):
            is_sealed = isinstance(first_of(items), Sealed)
            there = items_of(items)[:] if is_sealed else items.same or items[:]
            marks = marks_in(items, is_sealed)
            return with_stamps(self.pack_items(there), marks, items.stamps)
        return self.pack_items(items)

    def pack_items(self, items: list[object]) -> Blob:
        if not isinstance(items[0], Sealed):
            return Blob(PLAIN, pickle.dumps(items, PROTOCOL))
        kept: list[Extent] = []
        return Blob(SEALED, payload_of(items, lambda item: self._stored(item, kept)), kept)

    def _stored(self, item: Sealed, kept: list[Extent]) -> StoredPickle:
        """Gives what stands for an item in a record, and adds its extents to `kept`."""
        part: list[bytes | Where] = []
        for buffer in item.buffers:
            if not (isinstance(buffer, Extent) and buffer.slot is not None):
                # It is another producer's, or there was no room for it in an extent.
                buffer = self.allocator.keep(buffer.view)
            if isinstance(buffer, Extent):
                kept.append(buffer)
                part.append((buffer.offset, buffer.size))
            else:
                part.append(bytes(buffer.view))
        return item.data, *part

    def fits(self, n: int, blob: Blob) -> bool:
        """Is there room for a record of `n` items: for their number, its bytes, and its extents?"""
        words = self.words
        if self.capacity - self.tail + words[HEAD] < n:
            return False
        size = len(blob.data)
        if (blob.kept or size > self.largest) and not self.allocator.has_room(
            blob.outside(self.largest)
        ):
            return False
        if self._has_bytes(EXTENT.size if size > self.largest else size, n):
            return True
        return (
            self.soft_limits_lifted
            and self._has_bytes(EXTENT.size)
            and self.allocator.has_room(blob.outside(0))
        )

    def _has_bytes(self, size: int, n: int = 0) -> bool:
        """Is there room in the ring for a record with a payload of `size` bytes?

        Behind its `n` items there must still be room for what is reserved.  A record that takes
        from the reserve has `n` 0 here.
        """
        need = record_bytes(size)
        tail = self.words[TAIL]
        to_end = self.ring.size - tail % self.ring.size
        if need > to_end:  # it goes to the beginning, and the bytes up to the end are lost to it
            need += to_end
        if n and (reserve := self.ring.reserve):
            need += SPILLED_BYTES * max(0, reserve - self.queued() - n)
        return self.ring.size - tail + self.words[HEAD_BYTES] >= need

    def publish(self, n: int, blob: Blob, tag: Tag) -> None:
        """Makes a record visible, all at once; there must be room for it."""
        words, data, ring_size = self.words, self.data, self.ring.size
        form, payload = blob.form, blob.data
        self.at_once = max(1, self.largest * (n + blob.carries) // len(payload))
        extent = None
        if len(payload) > self.largest or (
            self.soft_limits_lifted and not self._has_bytes(len(payload), n)
        ):
            extent = blob.extent = blob.extent or self.allocator.put(payload)
            form |= SPILLED
            payload = EXTENT.pack(extent.offset, extent.size)
        tail = words[TAIL]
        at = tail % ring_size
        need = record_bytes(len(payload))
        if at + need > ring_size:  # a size of 0 sends the reader back to the beginning
            data[at : at + 8] = bytes(8)
            tail += ring_size - at
            at = 0
        start = at + PAYLOAD_AT
        header = HEADER.pack(len(payload), form, self.tail, n, *tag)
        data[at:start] = header + zlib.crc32(header).to_bytes(8, "little")
        data[start : start + len(payload)] = payload
        data[at + need - 8 : at + need] = need.to_bytes(8, "little")
        self.tail += n
        self._last_at = at
        self._tag = tag
        if extent is not None:
            self.allocator.add_reader(extent, words, self.tail)
        for kept in blob.kept:
            self.allocator.add_reader(kept, words, self.tail)
        words[TAIL] = tail + need  # the one store that counts
        fence()
        if (position := words[CONSUMER_SLEEPS]) and self.tail >= position:
            self.wake()

    def last_tag(self) -> Tag | None:
        return self._tag

    def last_blob(self) -> tuple[int, Blob]:
        """Gives how many items the newest record has, and the record, to be published elsewhere."""
        count, form, data = self._last_record()
        if form & CARRIES:
            data = without_carried(data)
        return count, self._blob(form & ~CARRIES, data)

    def _last_record(self) -> tuple[int, int, bytes]:
        """Gives how many items the newest record has, its form, and its payload."""
        size, form, _, count, *_ = self.ring.header(self._last_at)
        return count, form & ~SPILLED, bytes(self.ring.payload(self._last_at, size, form))

    def _blob(self, form: int, data: bytes) -> Blob:
        return Blob(form, data, self._buffers_in(data, form) if form & SEALED else ())

    def carrying(self, blob: Blob, others: Sequence[Elsewhere[Blob]]) -> Blob:
        """Gives the same slice with what goes to other lanes behind it."""
        parts = [(lanes, n, other.form, other.data) for lanes, n, other in others]
        whole = Blob(blob.form | CARRIES, with_carried(blob.data, parts), blob.kept)
        whole.carries = sum([n for _, n, _ in others])
        return whole

    def carried(self) -> Sequence[Elsewhere[Blob]]:
        """Gives what the newest record has of other lanes, each part to be published there."""
        _, form, data = self._last_record()
        if not form & CARRIES:
            return ()
        return [
            Elsewhere(lanes, n, self._blob(form, part)) for lanes, n, form, part in carried_in(data)
        ]

    def close(self, run: int) -> None:
        """Ends a run, behind all that was published, and wakes the consumer."""
        self.words[CLOSED] = run
        fence()
        self.wake()

    @property
    def barrier(self) -> int:
        return self.words[BARRIER]

    def set_barrier(self, number: int) -> None:
        """Puts a barrier behind all that was published, and wakes the consumer."""
        self.words[BARRIER_AT] = self.tail
        self.words[BARRIER] = number
        fence()
        self.wake()

    def sleeps(self, position: int) -> None:
        """Asks to be woken when so many items are committed; 0 takes that back."""
        self.words[PRODUCER_SLEEPS] = position

    def knock(self) -> None:
        """Wakes a consumer that sleeps, however many items it waits for."""
        fence()
        if self.words[CONSUMER_SLEEPS]:
            self.wake()
