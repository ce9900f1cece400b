"""A channel in memory: a list and a head.

Knows: what `channel` promises.  Must never know: processes, threads, bytes.

An item is kept as it would travel: an atom as it is, anything else pickled, so that a job that
changes its item changes a copy.  Items are never taken out of the list; so the state of a channel
is a few small values.
"""

from __future__ import annotations

from typing import TypeAlias

from conveyor.core.channel import Tag
from conveyor.items.slices import uniform

__all__ = ["ChannelSnapshot", "MemoryChannel"]

ChannelSnapshot: TypeAlias = tuple[int, int, int, Tag | None, int]


class MemoryChannel:
    """Both ends in one."""

    __slots__ = ("capacity", "closed", "head", "index", "items", "last", "run", "tag")

    def __init__(self, capacity: int, index: int = -1) -> None:
        self.capacity = capacity
        self.index = index  # in the topology
        self.items: list[object] = []
        self.clear()

    def clear(self) -> None:
        """Back to what it was when it was made."""
        self.items.clear()
        self.head = 0
        self.run = 0
        self.closed = 0  # the last run that has ended
        self.tag: Tag | None = None
        self.last = 0  # how many items the last record holds

    def snapshot(self) -> ChannelSnapshot:
        """What `restore` goes back to, as long as nothing but this channel's own future was added
        since."""
        return len(self.items), self.head, self.closed, self.tag, self.last

    def restore(self, state: ChannelSnapshot) -> None:
        length, self.head, self.closed, self.tag, self.last = state
        del self.items[length:]

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
        return self.items[head : head + 1] if n == 1 else uniform(self.items[head : head + n])

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
        self.items += blob
        self.last = n
        self.tag = tag

    def last_tag(self) -> Tag | None:
        return self.tag

    def last_blob(self) -> tuple[int, list[object]]:
        return self.last, self.items[len(self.items) - self.last :]

    def close(self, run: int) -> None:
        self.closed = run
