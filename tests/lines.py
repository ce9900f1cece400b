"""One channel with both its ends, in each world: what the contract of channels is tried on.

A ring's two ends have views of their own on one memory, as two processes have.  Each end can die
before any of its stores, or in the middle of one that is longer than a word, and be opened again by
whoever comes next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol, cast

from conveyor.core.channel import Inlet, Outlet, Tag
from conveyor.runtime.shm.allocator import Allocator
from conveyor.runtime.shm.checked import CheckedRing, inlet_of, outlet_of
from conveyor.runtime.shm.memory import Memory
from conveyor.runtime.shm.ring import Ring
from conveyor.sim.world.channel import MemoryChannel

RUN = 7


class Line(Protocol):
    """A channel, seen from both sides."""

    @property
    def inlet(self) -> Inlet: ...
    @property
    def outlet(self) -> Outlet[Any]: ...
    def reopen_inlet(self) -> None:
        """The consumer is gone, and another one takes its place."""
        ...

    def reopen_outlet(self) -> None:
        """The producer is gone, and another one takes its place."""
        ...

    def close(self) -> None: ...


class MemoryLine:
    """The simulator's: both ends are the channel, and everything it knows outlives them."""

    def __init__(self, capacity: int) -> None:
        self.channel = MemoryChannel(capacity)
        self.inlet: Inlet = self.channel
        self.outlet: Outlet[Any] = self.channel

    def reopen_inlet(self) -> None: ...
    def reopen_outlet(self) -> None: ...
    def close(self) -> None: ...


class Killed(BaseException):
    """The process is gone."""


class Life:
    """Counts the places at which the processes of a line may die, and lets them die at some."""

    def __init__(self, *deaths: int) -> None:
        self.deaths = set(deaths)
        self.places = 0

    def place(self) -> None:
        self.places += 1
        if self.places - 1 in self.deaths:
            raise Killed


class Words:
    """A view of words: before each store is a place to die.  An aligned word is never torn."""

    def __init__(self, words: memoryview, life: Life) -> None:
        self.words = words
        self.life = life

    def __getitem__(self, index: int) -> int:
        return self.words[index]

    def __setitem__(self, index: int, value: int) -> None:
        self.life.place()
        self.words[index] = value


class Bytes:
    """A view of bytes: places to die are before each store, and in the middle of it."""

    def __init__(self, data: memoryview, life: Life) -> None:
        self.data = data
        self.life = life

    def __getitem__(self, index: slice) -> memoryview:
        return self.data[index]

    def __setitem__(self, index: slice, value: bytes) -> None:
        middle = len(value) // 2
        self.life.place()
        self.data[index.start : index.start + middle] = value[:middle]
        self.life.place()
        self.data[index.start + middle : index.stop] = value[middle:]


class LargeRecords:
    """The memory behind the mapped part, written piece by piece."""

    def __init__(self, memory: Memory, life: Life) -> None:
        self.memory = memory
        self.life = life

    def write(self, offset: int, data: bytes) -> None:
        middle = len(data) // 2
        self.life.place()
        self.memory.write(offset, data[:middle])
        self.life.place()
        self.memory.write(offset + middle, data[middle:])

    def reserve(self, start: int, end: int) -> None:
        self.memory.reserve(start, end)

    def at(self, offset: int, size: int) -> memoryview:
        return self.memory.at(offset, size)


class RingLine:
    """The real one, with a life that its processes share."""

    kind: ClassVar[type[Ring]] = Ring

    def __init__(
        self, capacity: int, life: Life | None = None, wake: Callable[[], None] = lambda: None
    ) -> None:
        self.capacity = capacity
        self.life = life or Life()
        self.wake = wake
        self.size = Ring.bytes_for(capacity)
        self.memory = Memory.create(self.size, regions=1)
        self.reopen_inlet()
        self.reopen_outlet()

    def ring(self) -> Ring:
        ring = self.kind(self.memory, 0, self.capacity)
        ring.words = cast("memoryview", Words(ring.words, self.life))
        return ring

    def reopen_inlet(self) -> None:
        self.inlet = inlet_of(self.ring(), self.wake)

    def reopen_outlet(self) -> None:
        allocator = Allocator(self.memory, self.memory.regions)
        allocator.memory = cast("Memory", LargeRecords(self.memory, self.life))
        self.outlet = outlet_of(self.ring(), self.wake, allocator)
        self.outlet.data = cast("memoryview", Bytes(self.outlet.data, self.life))

    def close(self) -> None:
        self.memory.close()


class CheckedLine(RingLine):
    """The same, where stores are not kept in order."""

    kind = CheckedRing


LINES: dict[str, Callable[[int], Line]] = {
    "memory": MemoryLine,
    "ring": RingLine,
    "checked ring": CheckedLine,
}


def tag(ordinal: int) -> Tag:
    """The tag of a producer's record by its number."""
    return Tag(RUN, ordinal, 0, ordinal, 0, 1)
