"""A channel between two machines, which is in the memory of both.

This file knows which side of a ring writes what, and in which order.  It must never know what is in
a record.

Rule 1.  The producer's machine copies records, then the tail, then the end of the run.  It looks
         at them the other way round, so the tail covers all that was published before the end.
         What goes with the words beside the channels is told whole: they may speak of it.  A
         barrier is looked at last and copied first, its position before its number: nothing that
         stands behind it is there before it is.  The consumer is woken for all that is before it.
Rule 2.  The consumer's machine copies the head in items, then the bytes behind it.  It looks at
         the bytes first: they never lead to a record of which nothing was committed.
Rule 3.  Where an end is on another machine, the mirror sleeps in its place: it is woken by every
         record and every commit.
Rule 4.  A producer that waits for room is told of, so that a consumer that lets items gather is
         woken there as it would be here; once for each place, or else it would never be still.
"""

from __future__ import annotations

from pickle import PickleBuffer
from typing import Final

from conveyor.errors import RunError
from conveyor.runtime.mirror.news import Bytes, News, Store, Summary
from conveyor.runtime.shm.fence import fence
from conveyor.runtime.shm.memory import Memory
from conveyor.runtime.shm.payload import wheres_in
from conveyor.runtime.shm.record import items_in, without_carried
from conveyor.runtime.shm.ring import (
    BARRIER,
    BARRIER_AT,
    CARRIES,
    CLOSED,
    CONSUMER_SLEEPS,
    CONTROL_BYTES,
    COST,
    EXTENT,
    HEAD,
    HEAD_BYTES,
    HEADER,
    OVERHEAD,
    PAYLOAD_AT,
    PRODUCER_SLEEPS,
    SEALED,
    SPILLED,
    TAIL,
    Ring,
    record_bytes,
)

__all__ = ["Commits", "Extents", "RingPlace", "Records", "Standing"]

WORD: Final = 8  # bytes
RUN_AND_ORDINAL: Final = slice(4, 6)  # in a header
AT_ONCE: Final = 4 << 20  # bytes of one channel, so that others have their turn


class RingPlace:
    """A ring of one machine's memory: which channel it is, and where it lies."""

    def __init__(self, number: int, ring: Ring, offset: int) -> None:
        self.number = number
        self.ring = ring
        self.words = ring.words
        self.offset = offset

    def word(self, name: int) -> int:
        """Where one of its words lies."""
        return self.offset + name * WORD

    def bytes(self, begin: int, end: int) -> list[Bytes]:
        """What lies between two positions."""
        ring, data_at = self.ring, self.offset + CONTROL_BYTES
        place, size = begin % ring.size, end - begin
        first = min(size, ring.size - place)
        found: list[Bytes] = [(data_at + place, bytes(ring.data[place : place + first]))]
        if size > first:
            found.append((data_at, bytes(ring.data[: size - first])))
        return found

    def lies(self, at: int, size: int, form: int) -> list[tuple[int, int]]:
        """Where, and in how many bytes, lies what the record at a place has outside of the ring."""
        ring = self.ring
        lie = [ring.spilled(at)] if form & SPILLED else []
        if form & SEALED:
            payload = bytes(ring.payload(at, size, form))
            if form & CARRIES:
                payload = without_carried(payload)
            lie += wheres_in(items_in(payload, form))
        return lie


class Extents:
    """What one machine has been told of extents, by where they lie: once for all lanes of a record
    that go there.

    The lanes of a record have its tag; where a lane that has it is there, no consumer of an older
    one can be, so what lies there is of that tag.
    """

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.told: dict[int, tuple[int, int, int, int]] = {}

    def of(self, place: RingPlace, at: int, size: int, form: int) -> list[Bytes]:
        """What the record at a place of a channel has in extents, and was not told for another
        lane of it."""
        found: list[Bytes] = []
        for offset, length in place.lies(at, size, form):
            run, ordinal = place.ring.header(at)[RUN_AND_ORDINAL]
            *before, told_for = self.told.get(offset, (0, 0, 0, 0))
            if before == [length, run, ordinal] and told_for != place.number:
                continue
            self.told[offset] = length, run, ordinal, place.number
            found.append((offset, PickleBuffer(self.memory.at(offset, length))))
        return found


class Records:
    """The producer's side, on its machine: what has been published since the last look."""

    def __init__(self, extents: Extents, place: RingPlace) -> None:
        self.extents = extents
        self.place = place
        self.tail = place.words[TAIL]
        self.items = 0
        self.closed = 0
        self.barrier = 0
        self.is_barred = False  # not all that is before the barrier is told yet
        self.pressed = (0, 0)  # where the channel stood when the producer last waited for room
        place.words[CONSUMER_SLEEPS] = 1

    def look(self, news: News, is_knocked: bool, whole: bool) -> None:
        """Adds what is new, all of it if it is to be `whole`; `is_knocked`: has the producer called
        the consumer since?"""
        words = self.place.words
        presses = words[PRODUCER_SLEEPS] != 0
        closed = words[CLOSED]
        fence()
        tail = words[TAIL]
        fence()
        ends = closed != self.closed
        stands = (tail, words[HEAD])
        presses = presses and is_knocked and stands != self.pressed
        bars = self.look_for_barrier(news)
        bars = bars or self.is_barred
        if tail == self.tail and not (ends or presses or bars):
            return
        if presses:
            self.pressed = stands
        upto, extents = self.records(tail, whole)
        if upto != self.tail:
            news.stores += [*extents, *self.place.bytes(self.tail, upto)]
            news.stores.append((self.place.word(TAIL), upto))
            self.tail = upto
        ends = ends and upto == tail
        if ends:
            news.stores.append((self.place.word(CLOSED), closed))
            self.closed = closed
        self.is_barred = bars and self.items < words[BARRIER_AT]
        news.published.append((self.place.number, self.items, presses or ends or bars))

    def look_for_barrier(self, news: News) -> bool:
        """Adds the newest barrier, if there is another."""
        place, number = self.place, self.place.words[BARRIER]
        if number == self.barrier:
            return False
        fence()
        self.barrier = number
        news.stores += [
            (place.word(BARRIER_AT), place.words[BARRIER_AT]),
            (place.word(BARRIER), number),
        ]
        return True

    def records(self, tail: int, whole: bool) -> tuple[int, list[Bytes]]:
        """Goes on to the end, or unless `whole` until it is enough for once: how far, and what lies
        outside."""
        at, extents, size_of_all = self.tail, list[Bytes](), 0
        while at < tail and (whole or size_of_all < AT_ONCE):
            record = self.place.ring.next_record(at, self.items)
            if record is None:
                raise RunError("a channel has a tail and no record before it")
            place, size, form, first, count, behind = record
            new = self.extents.of(self.place, place, size, form)
            size_of_all += behind - at + sum([len(memoryview(data)) for _, data in new])
            extents += new
            at, self.items = behind, first + count
        return at, extents


class Commits:
    """The consumer's side, on its machine: what has been given up since the last look."""

    def __init__(self, place: RingPlace) -> None:
        self.place = place
        self.last = (0, 0, 0)
        place.words[PRODUCER_SLEEPS] = 1

    def look(self, news: News) -> None:
        """Adds what is new."""
        words, place = self.place.words, self.place
        cost, head_bytes = words[COST], words[HEAD_BYTES]
        fence()
        now = head, head_bytes, cost = words[HEAD], head_bytes, cost
        if now == self.last:
            return
        self.last = now
        news.stores += [
            (place.word(HEAD), head),
            (place.word(HEAD_BYTES), head_bytes),
            (place.word(COST), cost),
        ]
        news.committed.append((place.number, head))


class Standing:
    """How a channel stands, for the program, if it has neither end of it.

    The newest record is told of without its items, unless these say what goes elsewhere.
    """

    def __init__(self, memory: Memory, place: RingPlace, produces: bool, consumes: bool) -> None:
        self.memory = memory
        self.place = place
        self.produces = produces
        self.consumes = consumes
        self.tail = self.closed = 0
        self.heads = (0, 0)

    def look(self, news: News) -> None:
        """Adds what is new."""
        place, words = self.place, self.place.words
        head_bytes = words[HEAD_BYTES]
        fence()
        heads, closed = (words[HEAD], head_bytes), words[CLOSED]
        fence()
        tail = words[TAIL]
        if tail != self.tail:
            stores = self.newest(tail)
            if stores is None:
                return  # nor what the others say, which may be of records behind the last one told
            self.tail = tail
            news.summaries.append(Summary(place.word(TAIL), tail, stores))
        last: list[Store] = []
        if self.consumes and heads != self.heads:
            self.heads = heads
            last += [(place.word(HEAD), heads[0]), (place.word(HEAD_BYTES), heads[1])]
        if self.produces and closed != self.closed:
            self.closed = closed
            last.append((place.word(CLOSED), closed))
        news.last += last

    def newest(self, tail: int) -> tuple[Bytes, ...] | None:
        """The header of the record before the tail, and its length; all of it, if it says what goes
        to other lanes.  None if it may have been written over meanwhile."""
        ring, data_at = self.place.ring, self.place.offset + CONTROL_BYTES
        end = tail % ring.size or ring.size
        length = int.from_bytes(ring.data[end - WORD : end], "little")
        if not OVERHEAD <= length <= end:
            return None
        at = end - length
        head = bytes(ring.data[at : at + PAYLOAD_AT])
        form = HEADER.unpack_from(head)[1]
        record = bytes(ring.data[at:end]) if form & CARRIES else b""
        fence()
        # The next record is written before the tail says so, behind a gap as large as itself.
        ahead = ring.words[TAIL] - tail + 2 * record_bytes(ring.size // 4)
        if ahead + length > ring.size:
            return None
        if not record:
            return (data_at + at, head), (data_at + end - WORD, length.to_bytes(WORD, "little"))
        found: list[Bytes] = []
        if form & SPILLED:
            lies, size = EXTENT.unpack_from(record, PAYLOAD_AT)
            found.append((lies, bytes(self.memory.at(lies, size))))
        return (*found, (data_at + at, record))
