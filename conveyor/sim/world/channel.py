"""A channel in memory: a list and a head.

Knows: what `channel` promises.  Must never know: processes, threads, bytes.

An item is kept as it would travel: an atom as it is, anything else pickled, so that a job that
changes its item changes a copy.  Items are never taken out of the list; so the state of a channel
is a few small values.  In a lane of an ordered join there are lists of stamps beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from conveyor.core.channel import Elsewhere, Tag
from conveyor.core.stamp_columns import next_origin
from conveyor.core.stamps import MARK, Entries, among
from conveyor.items.slices import uniform

__all__ = ["ChannelSnapshot", "MemoryChannel"]

ChannelSnapshot: TypeAlias = tuple[int, int, int, Tag | None, int]


class Carrying(list[object]):
    """A record on its way into a channel: the items that go there, and what goes elsewhere."""

    def __init__(self, blob: list[object], others: Sequence[Elsewhere[list[object]]]) -> None:
        super().__init__(blob)
        self.blob = blob
        self.others = others


class MemoryChannel:
    """Both ends in one."""

    __slots__ = (
        *("barrier", "barrier_at", "capacity", "closed", "head", "index", "items", "last"),
        *("others", "run", "stamps", "tag"),
    )

    def __init__(self, capacity: int, index: int = -1) -> None:
        self.capacity = capacity
        self.index = index  # in the topology
        self.items: list[object] = []
        self.stamps: tuple[list[int], ...] = ()
        self.clear()

    def clear(self) -> None:
        """Back to what it was when it was made."""
        self.items.clear()
        self.stamps = ()
        self.head = 0
        self.run = 0
        self.closed = 0  # the last run that has ended
        self.tag: Tag | None = None
        self.last = 0  # how many items the last record holds
        self.others: Sequence[Elsewhere[list[object]]] = ()  # what it takes along
        self.barrier = self.barrier_at = 0

    def snapshot(self) -> ChannelSnapshot:
        """What `restore` goes back to, as long as nothing but this channel's own future was added
        since."""
        return len(self.items), self.head, self.closed, self.tag, self.last

    def restore(self, state: ChannelSnapshot) -> None:
        length, self.head, self.closed, self.tag, self.last = state
        del self.items[length:]
        for each in self.stamps:
            del each[length:]

    @property
    def tail(self) -> int:
        return len(self.items)

    def start(self, run: int) -> None:
        self.run = run

    def pending(self) -> bool:
        return len(self.items) > self.head

    def ended(self) -> bool:
        return self.closed == self.run and len(self.items) == self.head

    def peek(self, n: int) -> list[object]:
        head = self.head
        if self.stamps:
            return self.entries(head, n)
        return self.items[head : head + 1] if n == 1 else uniform(self.items[head : head + n])

    def look(self, n: int) -> list[object]:
        return self.items[self.head : self.head + n]

    def entries(self, head: int, n: int) -> list[object]:
        """Gives up to `n` entries of one run, with their stamps."""
        end = min(head + n, len(self.items))
        for at in range(head + 1, end):
            if not all(next_origin(each[at - 1]) == each[at] >> 1 for each in self.stamps):
                end = at
                break
        part = self.items[head:end]
        stamps = tuple([each[head:end] for each in self.stamps])
        return Entries(among(Entries(part, (), True), uniform), stamps, MARK in part)

    def position(self, n: int) -> int:
        return self.head + n

    def commit(self, upto: int) -> None:
        self.head = upto

    def queued(self) -> int:
        return len(self.items) - self.head

    def pack(self, items: list[object]) -> list[object]:
        return items  # a slice is safe already

    def fits(self, n: int, blob: list[object]) -> bool:
        return self.capacity - len(self.items) + self.head >= n

    def publish(self, n: int, blob: list[object], tag: Tag) -> None:
        if isinstance(blob, Carrying):
            self.others = blob.others
            blob = blob.blob
        else:
            self.others = ()
        self.items += blob
        if isinstance(blob, Entries):
            self.stamps = self.stamps or tuple([[] for _ in blob.stamps])
            for each, more in zip(self.stamps, blob.stamps, strict=True):
                each += more
        self.last = n
        self.tag = tag

    def last_tag(self) -> Tag | None:
        return self.tag

    def last_blob(self) -> tuple[int, list[object]]:
        first = len(self.items) - self.last
        stamps = tuple([each[first:] for each in self.stamps])
        items = self.items[first:]
        return self.last, Entries(items, stamps, MARK in items) if stamps else items

    def carrying(
        self, blob: list[object], others: Sequence[Elsewhere[list[object]]]
    ) -> list[object]:
        return Carrying(blob, others)

    def carried(self) -> Sequence[Elsewhere[list[object]]]:
        return self.others

    def close(self, run: int) -> None:
        self.closed = run

    def set_barrier(self, number: int) -> None:
        self.barrier_at = len(self.items)
        self.barrier = number
