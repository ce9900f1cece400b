"""The memory of large things: records too large for a ring, and buffers of items (arrays).  Each
lies in one piece, an extent.

This file knows the addresses of one producer's region, and which consumers have still to read which
extent.  It must never know what is in an extent, or how a consumer is told of it.

Rule 1.  Memory is used again only by its producer: when nothing in its process holds an extent, and
         all consumers have committed what refers to it.
Rule 2.  What is published and not committed is bounded, but for one record, which may have any
         size.  There is as much room again for what is not published yet: so the results of a job
         find their place at once, and are copied only once.
Rule 3.  Low addresses first: memory that was used before is used again, since new pages cost more
         than the copy.
"""

from __future__ import annotations

import threading
import weakref
from typing import Final

from conveyor.errors import SharedMemoryFull
from conveyor.items.sealing import Copied, Kept
from conveyor.runtime.shm.memory import PAGE, WINDOW, Memory
from conveyor.runtime.shm.ring import HEAD

__all__ = ["BOUND", "Extent", "Allocator"]

BOUND: Final = WINDOW // 2


class Slot:
    """The memory of an extent: the consumers that have still to read it, and the object that holds
    it in this process."""

    __slots__ = ("end", "holder", "offset", "readers")

    def __init__(self, offset: int, end: int) -> None:
        self.offset = offset
        self.end = end
        self.readers: list[tuple[memoryview, int]] = []
        self.holder: weakref.ref[Extent] | None = None

    def unread(self) -> bool:
        return any(words[HEAD] < behind for words, behind in self.readers)

    def free(self) -> bool:
        return (self.holder is None or self.holder() is None) and not self.unread()


class Extent:
    """Some bytes outside of the rings; as long as a producer has this object, it does not use the
    memory again."""

    __slots__ = ("__weakref__", "offset", "size", "slot", "view")

    def __init__(self, view: memoryview, offset: int, slot: Slot | None = None) -> None:
        self.view = view.toreadonly()
        self.offset = offset
        self.size = len(view)
        self.slot = slot  # None: another producer's
        if slot is not None:
            slot.holder = weakref.ref(self)


class Allocator:
    """Allocates the extents of one producer.  In the parent, two threads may use it."""

    def __init__(self, memory: Memory, base: int) -> None:
        self.memory = memory
        self.base = base
        self.live: list[Slot] = []  # by offset
        self.behind = 0  # index in `live` behind the newest
        self.reserved = base
        self.published = 0  # bytes, at least those that are not committed yet
        self.lock = threading.Lock()

    def has_room(self, size: int) -> bool:
        """May a record with `size` bytes in extents be published now?"""
        if self.published + size <= BOUND:
            return True
        with self.lock:
            self.live = [slot for slot in self.live if not slot.free()]
            self.behind = len(self.live)
            self.published = sum(slot.end - slot.offset for slot in self.live if slot.unread())
        return self.published == 0 or self.published + size <= BOUND

    def keep(self, raw: memoryview) -> Kept:
        """Copies a buffer into an extent; where there is no room, the item carries a copy along."""
        try:
            return self.put(raw, WINDOW)
        except SharedMemoryFull:  # it may still fit into a ring; and if not, its record says so
            return Copied(raw)

    def put(self, data: bytes | memoryview, within: int | None = None) -> Extent:
        """Copies `data` into an extent of its own, at most `within` bytes from the base if given.

        Raises `SharedMemoryFull`.
        """
        with self.lock:
            slot = self.allocate(len(data), within)
            if slot is None:
                raise SharedMemoryFull(
                    f"{len(data)} bytes do not fit beside what is waiting to be read"
                )
            extent = Extent(self.memory.at(slot.offset, len(data)), slot.offset, slot)
        self.memory.write(slot.offset, data)
        return extent

    def add_reader(self, extent: Extent, words: memoryview, behind: int) -> None:
        """Says that the consumer of a ring has read an extent once it has committed `behind`
        items."""
        slot = extent.slot
        assert slot is not None
        with self.lock:
            if not slot.readers:
                self.published += slot.end - slot.offset
            slot.readers.append((words, behind))

    def find(self, offset: int, size: int) -> Extent:
        """Gives an extent that this producer has published, or another process in its place."""
        with self.lock:
            slot = next((slot for slot in self.live if slot.offset == offset), None)
            if slot is None:
                slot = self.insert(sum(slot.offset < offset for slot in self.live), offset, size)
            held = slot.holder() if slot.holder is not None else None
            return held or Extent(self.memory.at(offset, size), offset, slot)

    def allocate(self, size: int, within: int | None) -> Slot | None:
        """Finds memory at the beginning, or behind the newest extent, or anywhere.

        Beyond the window, which is mapped once and for all, only if there is no other and `within`
        does not forbid it.
        """
        slot = self.fit(0, size) or self.fit(self.behind, size)
        if slot is not None:
            return slot
        self.live = [slot for slot in self.live if not slot.free()]
        for index in range(1, len(self.live) + 1):
            if (slot := self.fit(index, size)) is not None:
                return slot
        if within is not None:
            return None
        return self.insert(
            len(self.live), max(self.base + WINDOW, self.live[-1].end if self.live else 0), size
        )

    def fit(self, index: int, size: int) -> Slot | None:
        """Takes memory at this place among the others, and that of free ones behind it."""
        live = self.live
        at = live[index - 1].end if index else self.base
        while index < len(live) and live[index].offset - at < size and live[index].free():
            if live[index].readers:
                self.published -= live[index].end - live[index].offset
            del live[index]
            self.behind -= index < self.behind
        limit = live[index].offset if index < len(live) else self.base + WINDOW
        return self.insert(index, at, size) if limit - at >= size else None

    def insert(self, index: int, offset: int, size: int) -> Slot:
        end = offset + -(-size // PAGE) * PAGE
        if offset >= self.base + WINDOW:
            self.memory.reserve(offset, end)
        elif end > self.reserved:
            self.memory.reserve(self.reserved, end)
            self.reserved = end
        slot = Slot(offset, end)
        self.live.insert(index, slot)
        self.behind = index + 1
        return slot
