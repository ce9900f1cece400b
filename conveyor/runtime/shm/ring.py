"""A channel in shared memory: a ring of records between two processes.

Knows: words, bytes, and the order in which they are written.  Must never know: what waits, what is
in an item, who lives.

Rule 1.  Head and tail are 64-bit words that only ever grow; each is written by one side, in one
         store, far from the other.
Rule 2.  Publish: payload and header first, tail last.  Commit: the head in items, one store; the
         bytes behind it follow and can be worked out again.
Rule 3.  The newest record is found from the tail, by its length in its last word; so it needs no
         word of its own.
Rule 4.  Memory, large records in extents of their own included, is used again only by the
         producer.  Where nothing else can go on, smaller records lie in extents, too, so that a
         pipe holds as many items as it may.
Rule 5.  A side that sleeps says from which position of the other side on it is to be woken (1: in
         any case), fences, and looks again; the other side publishes or commits, fences, and then
         looks there.  An uncontended lock, taken and released, is the fence.
Rule 6.  Who sleeps until there is room first wakes a reader that lets items gather: there will not
         be more.
"""

from __future__ import annotations

import os
import pickle
import threading
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Final, TypeAlias

from conveyor.core.channel import Tag
from conveyor.errors import RunError
from conveyor.items.sealing import PROTOCOL, Copied, Owned, Sealed
from conveyor.runtime.shm.allocator import Allocator, Extent
from conveyor.runtime.shm.memory import Memory

__all__ = [
    "Blob",
    "Ring",
    "RingInlet",
    "RingOutlet",
    "RingState",
    "fence",
    "reserve_for",
    "ring_bytes",
]

# Words of a ring's control block; those of one side are 128 bytes from those of the other.
TAIL, CLOSED, PRODUCER_SLEEPS = 0, 1, 2
HEAD, HEAD_BYTES, CONSUMER_SLEEPS, COST = 16, 17, 18, 19
CONTROL_BYTES: Final = 256

# A record: size, form, first item, count, and the tag; behind it the checksum of all that.  Its
# last word is its length.
HEADER: Final = Struct("10Q")
PAYLOAD_AT: Final = HEADER.size + 8
OVERHEAD: Final = PAYLOAD_AT + 8
PLAIN, SEALED, SPILLED = 0, 1, 2

EXTENT: Final = Struct("2Q")

MOST_RESERVED: Final = 1 << 14

_lock = threading.Lock()


def _renew_fence() -> None:
    """In a process that was forked: a thread that it has not got may have been inside the fence."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_fence)


def fence() -> None:
    """No load or store moves across this."""
    with _lock:
        pass


def _record_bytes(payload: int) -> int:
    return payload + OVERHEAD + 7 & ~7


SPILLED_BYTES: Final = _record_bytes(EXTENT.size)


def reserve_for(capacity: int) -> int:
    """For how many records whose payloads lie elsewhere there is room whatever else a ring holds:
    as many as it may have items.

    And a quarter more, because the bytes of a record come back only when all its items are
    committed.
    """
    return min(capacity, MOST_RESERVED) * 5 // 4 + 2


def ring_bytes(capacity: int) -> int:
    """The memory of a ring, from its capacity in items: enough for small items, each in a record of
    its own, up to 1 MiB."""
    return min(max(capacity * 128, 16 << 10), 1 << 20)


class Blob:
    """A slice, encoded once for all the lanes it goes to; `kept` are the buffers of its items that
    lie outside."""

    __slots__ = ("data", "extent", "form", "kept")

    def __init__(
        self, form: int, data: bytes, kept: Sequence[Extent] = (), extent: Extent | None = None
    ) -> None:
        self.form = form
        self.data = data
        self.kept = kept
        self.extent = extent  # where `data` lies, if it is too large for the ring

    def outside(self, largest: int) -> int:
        """How many bytes of it do not lie in the ring."""
        size = len(self.data)
        return sum([extent.size for extent in self.kept], size if size > largest else 0)


class Ring:
    """The part of the memory that one channel has, seen from either side."""

    __slots__ = ("capacity", "data", "memory", "reserve", "size", "words")

    def __init__(self, memory: Memory, offset: int, capacity: int, reserve: int = 0) -> None:
        self.memory = memory
        self.capacity = capacity
        self.reserve = reserve
        self.size = ring_bytes(capacity) + reserve * SPILLED_BYTES
        self.words = memory.view[offset : offset + CONTROL_BYTES].cast("Q")
        self.data = memory.view[offset + CONTROL_BYTES : offset + CONTROL_BYTES + self.size]

    @staticmethod
    def bytes_for(capacity: int, reserve: int = 0) -> int:
        return CONTROL_BYTES + ring_bytes(capacity) + reserve * SPILLED_BYTES

    def head(self) -> int:
        """How many items were committed."""
        return self.words[HEAD]

    def has_ended(self, run: int) -> bool:
        """Has the producer's side ended this run?"""
        return self.words[CLOSED] == run

    def set_ended(self, run: int) -> None:
        """The producer's side has ended this run; done by the parent where there is no producer."""
        self.words[CLOSED] = run

    def header(self, at: int) -> tuple[int, ...]:
        """The header at a place in the ring; raises `RunError` if it is not what was written
        there."""
        end = at + HEADER.size
        if zlib.crc32(self.data[at:end]) != int.from_bytes(self.data[end : end + 8], "little"):
            raise RunError(
                f"a record in a channel is damaged, {at} bytes from its beginning; nothing of it was used"
            )
        return HEADER.unpack_from(self.data, at)

    def next_record(self, at: int, item: int) -> tuple[int, int, int, int, int, int] | None:
        """The record at a position that only grows, or at the ring's beginning if a size of 0 says
        so, if there is one.

        Place, size, form, first item, count, and the position behind it.  `item` is the first that
        has not been read: a record that begins behind it is not the one that was published there.
        """
        tail = self.words[TAIL]
        if at == tail:
            return None
        place = at % self.size
        if not int.from_bytes(self.data[place : place + 8], "little"):
            at += self.size - place
            place = 0
        size, form, first, count, *_ = self.header(place)
        at += _record_bytes(size)
        if first > item or at > tail:
            raise RunError(
                f"a record in a channel is damaged: items {item} to {first} are missing; nothing was used in their place"
            )
        return place, size, form, first, count, at

    def last_record(self) -> int:
        """The place of the newest record; raises `RunError` if its length is not what was written
        there."""
        end = self.words[TAIL] % self.size or self.size
        length = int.from_bytes(self.data[end - 8 : end], "little")
        if not OVERHEAD <= length <= end or _record_bytes(self.header(end - length)[0]) != length:
            raise RunError(
                f"the newest record in a channel is damaged: {length} bytes is not its length; nothing of it was used"
            )
        return end - length

    def payload(self, at: int, size: int, form: int) -> memoryview:
        start = at + PAYLOAD_AT
        if not form & SPILLED:
            return self.data[start : start + size]
        return self.memory.at(*self.spilled(at))

    def spilled(self, at: int) -> tuple[int, int]:
        """Offset and size of the payload of a record that is too large for the ring."""
        offset, size = EXTENT.unpack_from(self.data, at + PAYLOAD_AT)
        return offset, size


# An item in a record: itself, if it is simple; its pickle; or its pickle and of each buffer where
# it lies, or what is in it.
Where: TypeAlias = tuple[int, int]
Part: TypeAlias = (
    dict[object, object] | list[object] | bytes | tuple[bytes, *tuple[bytes | Where, ...]]
)


def _parts(payload: bytes | memoryview) -> list[Part]:
    parts: list[Part] = pickle.loads(payload)
    return parts


class RingOutlet:
    """The producer's end."""

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
        self.at_once = (
            ring.capacity
        )  # how many items, as large as the last ones, make a record that is no larger than that
        self.soft_limits_lifted = False  # does a record for whose bytes there is no room go into an extent, however small it is?
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
        return self.tail - self.words[HEAD]

    def cost(self) -> int:
        """Nanoseconds that the consumer takes for an item; 0 while that is not known."""
        return self.words[COST]

    def _find_unread(self) -> None:
        """Learns which extents are still to be read: another worker wrote them, and this one must
        not use them again."""
        at, item = self.words[HEAD_BYTES], self.words[HEAD]
        while (record := self.ring.next_record(at, item)) is not None:
            place, size, form, first, count, at = record
            item = first + count
            for extent in self._extents_of(place, size, form):
                self.allocator.reading(extent, self.words, item)

    def _extents_of(self, at: int, size: int, form: int) -> list[Extent]:
        found = [self.allocator.found(*self.ring.spilled(at))] if form & SPILLED else []
        return (
            found + self._buffers_in(self.ring.payload(at, size, form)) if form & SEALED else found
        )

    def _buffers_in(self, payload: bytes | memoryview) -> list[Extent]:
        wheres = [
            each
            for part in _parts(payload)
            if isinstance(part, tuple)
            for each in part
            if isinstance(each, tuple)
        ]
        return [self.allocator.found(*where) for where in wheres]

    def pack(self, items: list[object]) -> Blob:
        if not isinstance(items[0], Sealed):
            return Blob(PLAIN, pickle.dumps(items, PROTOCOL))
        kept: list[Extent] = []
        parts = [
            item.data if type(item) is Sealed and not item.buffers else self._part(item, kept)
            for item in items
            if isinstance(item, Sealed)
        ]
        return Blob(SEALED, pickle.dumps(parts, PROTOCOL), kept)

    def _part(self, item: Sealed, kept: list[Extent]) -> Part:
        """An item, as it is told of in a record."""
        if isinstance(item, Owned):
            return item.value
        part: list[bytes | Where] = []
        for buffer in item.buffers:
            if not (isinstance(buffer, Extent) and buffer.slot is not None):
                buffer = self.allocator.keep(
                    buffer.view
                )  # of another producer, or there was no room
            if isinstance(buffer, Extent):
                kept.append(buffer)
                part.append((buffer.offset, buffer.size))
            else:
                part.append(bytes(buffer.view))
        return item.data, *part

    def fits(self, n: int, blob: Blob) -> bool:
        words = self.words
        if self.capacity - self.tail + words[HEAD] < n:
            return False
        size = len(blob.data)
        if (blob.kept or size > self.largest) and not self.allocator.room(
            blob.outside(self.largest)
        ):
            return False
        if self._has_bytes(EXTENT.size if size > self.largest else size, n):
            return True
        return (
            self.soft_limits_lifted
            and self._has_bytes(EXTENT.size)
            and self.allocator.room(blob.outside(0))
        )

    def _has_bytes(self, size: int, n: int = 0) -> bool:
        """Is there room in the ring for a record with such a payload, and then for what is reserved
        behind its `n` items?

        With 0 items it is one of those for which there is a reserve.
        """
        need = _record_bytes(size)
        tail = self.words[TAIL]
        to_end = self.ring.size - tail % self.ring.size
        if need > to_end:
            need += to_end
        if n and (reserve := self.ring.reserve):
            need += SPILLED_BYTES * max(0, reserve - self.queued() - n)
        return self.ring.size - tail + self.words[HEAD_BYTES] >= need

    def publish(self, n: int, blob: Blob, tag: Tag) -> None:
        words, data, ring_size = self.words, self.data, self.ring.size
        form, payload = blob.form, blob.data
        self.at_once = max(1, self.largest * n // len(payload))
        extent = None
        if len(payload) > self.largest or (
            self.soft_limits_lifted and not self._has_bytes(len(payload), n)
        ):
            extent = blob.extent = blob.extent or self.allocator.put(payload)
            form |= SPILLED
            payload = EXTENT.pack(extent.offset, extent.size)
        tail = words[TAIL]
        at = tail % ring_size
        need = _record_bytes(len(payload))
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
            self.allocator.reading(extent, words, self.tail)
        for kept in blob.kept:
            self.allocator.reading(kept, words, self.tail)
        words[TAIL] = tail + need  # the one store that counts
        fence()
        if (position := words[CONSUMER_SLEEPS]) and self.tail >= position:
            self.wake()

    def last_tag(self) -> Tag | None:
        return self._tag

    def last_blob(self) -> tuple[int, Blob]:
        size, form, _, count, *_ = self.ring.header(self._last_at)
        data = bytes(self.ring.payload(self._last_at, size, form))
        return count, Blob(form & ~SPILLED, data, self._buffers_in(data) if form & SEALED else ())

    def close(self, run: int) -> None:
        self.words[CLOSED] = run
        fence()
        self.wake()

    def sleeps(self, position: int) -> None:
        """Asks to be woken when so many items are committed; 0: is awake."""
        self.words[PRODUCER_SLEEPS] = position

    def knock(self) -> None:
        """Wakes a reader that sleeps, however much it waits for."""
        fence()
        if self.words[CONSUMER_SLEEPS]:
            self.wake()


class RingInlet:
    """The consumer's end."""

    __slots__ = (
        "_at",
        "_ends",
        "_form",
        "_items",
        "_taken",
        "data",
        "head",
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
        self._ends: deque[tuple[int, int]] = (
            deque()
        )  # of each record read: position behind it, in items and in bytes
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

    def pending(self) -> bool:
        return self._taken < len(self._items) or self.words[TAIL] != self._at

    def ended(self) -> bool:
        return self.words[CLOSED] == self.run and not self.pending()

    def peek(self, n: int) -> list[object]:
        have = len(self._items) - self._taken
        while (
            have < n and (record := self.ring.next_record(self._at, self.head + have)) is not None
        ):
            at, size, form, first, count, behind = record
            if have and (form & SEALED != self._form or have + count > n):
                break  # a slice is uniform; and whole records need not be cut and copied
            items = self._read(at, size, form)
            if first < self.head:
                items = items[self.head - first :]
            self._at = behind
            self._ends.append((first + count, self._at))
            if have:
                if self._taken:
                    self._items = self._items[self._taken :]
                    self._taken = 0
                self._items += items
            else:
                self._items, self._taken, self._form = items, 0, form & SEALED
            have = len(self._items)
        taken = self._taken
        return self._items if not taken and have <= n else self._items[taken : taken + n]

    def _read(self, at: int, size: int, form: int) -> list[object]:
        payload = self.ring.payload(at, size, form)
        if form & SEALED:
            return [
                Sealed(part) if isinstance(part, bytes) else self._opened(part)
                for part in _parts(payload)
            ]
        items: list[object] = pickle.loads(payload)
        return items

    def _opened(
        self, part: dict[object, object] | list[object] | tuple[bytes, *tuple[bytes | Where, ...]]
    ) -> Sealed:
        if not isinstance(part, tuple):
            return Owned(part)
        data, *buffers = part
        at = self.ring.memory.at
        return Sealed(
            data,
            [
                Copied(each) if isinstance(each, bytes) else Extent(at(*each), each[0])
                for each in buffers
            ],
        )

    def position(self, n: int) -> int:
        return self.head + n

    def commit(self, upto: int) -> None:
        words = self.words
        self._taken += upto - self.head
        self.head = upto
        words[HEAD] = upto  # the one store that counts
        ends = self._ends
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

    def set_cost(self, nanoseconds: int) -> None:
        self.words[COST] = nanoseconds

    def sleeps(self, position: int) -> None:
        """Asks to be woken when so many items are published; 0: is awake."""
        self.words[CONSUMER_SLEEPS] = position


class RingState:
    """How a ring stands, as somebody sees it who neither reads nor writes it; true only while
    nobody else does."""

    def __init__(self, ring: Ring) -> None:
        words = ring.words
        self.capacity = ring.capacity
        self.ended: int = words[CLOSED]
        self.tail_bytes: int = words[TAIL]
        self.head_bytes: int = words[HEAD_BYTES]
        self.tail = 0
        self.tag: Tag | None = None
        if self.tail_bytes:
            _, _, first, count, *tag = ring.header(ring.last_record())
            self.tail, self.tag = first + count, Tag(*tag)
        self.queued = self.tail - words[HEAD]

    def is_empty(self) -> bool:
        return self.tail_bytes == self.head_bytes

    def has_room_for(self, items: int) -> bool:
        """Of their number; whether their bytes fit is another question."""
        return self.capacity - self.queued >= items
