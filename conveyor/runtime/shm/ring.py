"""A channel in shared memory: a ring of records between two processes.

This file knows words, bytes, and where they lie.  It must never know what waits, what is in an
item, or which process lives.

A ring has two parts: words that count, and bytes in which the records lie one behind the other.

    words   TAIL  CLOSED  PRODUCER_SLEEPS  BARRIER  BARRIER_AT    written by the producer
            HEAD  HEAD_BYTES  CONSUMER_SLEEPS  COST               and by the consumer, 128 bytes on

    bytes   0 .. HEAD_BYTES % size .. TAIL % size .. size
            | free     | records      | free        |

    record  size form first count | run ordinal input upto extra lanes | crc | payload .. | length
            the header, 8 bytes each | the tag                         |  8  | + padding   |   8

TAIL and HEAD_BYTES are positions: they count all bytes that were ever written and given back, so
they only grow, and a position lies at its remainder by the ring's size.  A record is never cut in
two.  Where one does not fit between its position and the end of the ring, a size of 0 sends the
reader on to the beginning, and the bytes between count as used.  A reader goes forward by `size`;
the newest record is found backward from TAIL by `length`.

Rule 1.  Head and tail are 64-bit words that only ever grow.  Each is written by one side, in one
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
Rule 6.  Of a barrier the position comes first, its number last, both before anything behind it.
         Only one is on its way, so nobody reads the position while it changes.
Rule 7.  A producer that sleeps until there is room first wakes a consumer that lets items gather:
         no more will come.
"""

from __future__ import annotations

import zlib
from struct import Struct
from typing import Final

from conveyor.core.channel import Tag
from conveyor.errors import RunError
from conveyor.runtime.shm.memory import Memory

__all__ = ["Ring", "RingState", "reserve_for", "ring_bytes"]

# Words of a ring's control block; those of one side are 128 bytes from those of the other.
TAIL, CLOSED, PRODUCER_SLEEPS, BARRIER, BARRIER_AT = 0, 1, 2, 3, 4
HEAD, HEAD_BYTES, CONSUMER_SLEEPS, COST = 16, 17, 18, 19
CONTROL_BYTES: Final = 256

# A record: size, form, first item, count, and the tag; behind it the checksum of all that.  Its
# last word is its length.
HEADER: Final = Struct("10Q")
PAYLOAD_AT: Final = HEADER.size + 8
OVERHEAD: Final = PAYLOAD_AT + 8

# The form of a record: atoms pickled together, or items that are pickled one by one; and, with
# either, whether the payload lies in an extent, whether stamps are in front of the items, and
# whether what goes to other lanes is behind them.
PLAIN, SEALED, SPILLED, STAMPED, CARRIES = 0, 1, 2, 4, 16

EXTENT: Final = Struct("2Q")

MOST_RESERVED: Final = 1 << 14


def record_bytes(payload: int) -> int:
    return payload + OVERHEAD + 7 & ~7


SPILLED_BYTES: Final = record_bytes(EXTENT.size)


def reserve_for(capacity: int) -> int:
    """How many records whose payloads lie elsewhere must find room, whatever else a ring holds.

    As many as it may have items, and a quarter more, because the bytes of a record come back only
    when all its items are committed.
    """
    return min(capacity, MOST_RESERVED) * 5 // 4 + 2


def ring_bytes(capacity: int) -> int:
    """How many bytes a ring of a capacity in items has: enough for small items, each in a record of
    its own, and 1 MiB at most."""
    return min(max(capacity * 128, 16 << 10), 1 << 20)


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
        """Ends this run on the producer's side; the parent calls it where there is no producer."""
        self.words[CLOSED] = run

    def header(self, at: int) -> tuple[int, ...]:
        """Gives the header at a place in the ring; raises `RunError` if its checksum is wrong."""
        end = at + HEADER.size
        if zlib.crc32(self.data[at:end]) != int.from_bytes(self.data[end : end + 8], "little"):
            raise RunError(
                f"a record in a channel is damaged, {at} bytes from its beginning; "
                "nothing of it was used"
            )
        return HEADER.unpack_from(self.data, at)

    def next_record(self, at: int, item: int) -> tuple[int, int, int, int, int, int] | None:
        """Finds the record at position `at`; None if there is none yet.

        Gives its place in the ring, the size of its payload, its form, its first item, how many
        items it has, and the position behind it.  `item` is the first item that has not been read:
        a record that begins behind it is not the one that was published here, and raises
        `RunError`.
        """
        tail = self.words[TAIL]
        if at == tail:
            return None
        place = at % self.size
        if not int.from_bytes(self.data[place : place + 8], "little"):
            # A size of 0: the record is at the beginning of the ring.
            at += self.size - place
            place = 0
        size, form, first, count, *_ = self.header(place)
        at += record_bytes(size)
        if first > item or at > tail:
            raise RunError(
                f"a record in a channel is damaged: items {item} to {first} are missing; "
                "nothing was used in their place"
            )
        return place, size, form, first, count, at

    def last_record(self) -> int:
        """Gives the place of the newest record; raises `RunError` if its length is damaged."""
        # A tail at a multiple of the size: the record ends with the ring.
        end = self.words[TAIL] % self.size or self.size
        length = int.from_bytes(self.data[end - 8 : end], "little")
        if not OVERHEAD <= length <= end or record_bytes(self.header(end - length)[0]) != length:
            raise RunError(
                f"the newest record in a channel is damaged: {length} bytes is not its length; "
                "nothing of it was used"
            )
        return end - length

    def payload(self, at: int, size: int, form: int) -> memoryview:
        """Gives the payload of the record at a place, in the ring or in an extent."""
        start = at + PAYLOAD_AT
        if not form & SPILLED:
            return self.data[start : start + size]
        return self.memory.at(*self.spilled(at))

    def spilled(self, at: int) -> tuple[int, int]:
        """Offset and size of the payload of a record that is too large for the ring."""
        offset, size = EXTENT.unpack_from(self.data, at + PAYLOAD_AT)
        return offset, size


class RingState:
    """How a ring stands, for a process that is at neither end of it.

    It is true only while neither end is used.
    """

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
        """Is there room for so many more items?  Their bytes may still not fit."""
        return self.capacity - self.queued >= items
