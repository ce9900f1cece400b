"""A channel in memory: a list and a head.

Knows: what `channel` promises.  Must never know: processes, threads, bytes.

An item is kept as it would travel: an atom as it is, anything else pickled, so that a job that changes its item changes a copy.
Items are never taken out of the list; so the state of a channel is a few small values.
"""

from __future__ import annotations

from conveyor.channel import Tag
from conveyor.codec import Sealed, is_atom, seal, uniform

__all__ = ["MemoryChannel"]


class MemoryChannel:
    """Both ends in one."""

    __slots__ = ("capacity", "closed", "head", "items", "last", "run", "tag")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.items: list[object] = []
        self.head = 0
        self.run = 0
        self.closed = 0  # the last run that has ended
        self.tag: Tag | None = None
        self.last = 0  # how many items the last record holds

    @property
    def tail(self) -> int:
        return len(self.items)

    def start(self, run: int) -> None:
        self.run = run

    def pending(self) -> bool:
        return len(self.items) > self.head

    def ended(self) -> bool:
        return self.closed == self.run and not self.pending()

    def peek(self, n: int) -> list[object]:
        return uniform(self.items[self.head : self.head + n])

    def position(self, n: int) -> int:
        return self.head + n

    def commit(self, upto: int) -> None:
        self.head = upto

    def queued(self) -> int:
        return len(self.items) - self.head

    def pack(self, items: list[object]) -> list[object]:
        return [item if isinstance(item, Sealed) or is_atom(item) else seal(item) for item in items]

    def fits(self, n: int, blob: list[object]) -> bool:
        return self.capacity - self.queued() >= n

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
