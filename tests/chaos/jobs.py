"""What the stages of the chaos pipelines do.  Workers import this by name."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from multiprocessing import current_process
from typing import Any, Final

from conveyor import Processor
from tests.chaos.board import board

__all__ = [
    "Burst",
    "Counter",
    "Dressed",
    "Equipped",
    "Even",
    "InKey",
    "InLane",
    "Label",
    "Laden",
    "KEYS",
    "Nonce",
    "Sum",
    "Together",
    "Tools",
    "Trouble",
    "Weighed",
    "Work",
    "by_nonce",
    "by_seven",
    "is_poison",
    "is_slow",
    "times",
]

# With trouble: items that raise when a process sees them first, items that kill whoever works on
# them, and endless ones.
RAISES_EVERY, RAISES_AT = 101, 50
POISON_EVERY, POISON_AT = 20_000, 5_000
SLOW_EVERY, SLOW_AT = 40_000, 15_000
LIMIT_S: Final = 1.0
DRESSING_S: Final = 0.02
KEYS: Final = 13
LARGE: Final = 256 << 10  # bytes


def take_a_while() -> None:
    """Lasts long enough for a worker to be killed in it."""
    time.sleep(DRESSING_S)  # it does nothing but last: what is killed meanwhile is the point


def is_poison(item: int) -> bool:
    return item % POISON_EVERY == POISON_AT


def is_slow(item: int) -> bool:
    return item % SLOW_EVERY == SLOW_AT


def times(item: int) -> int:
    """How often a flat-map gives an item."""
    return item % 4


class Work:
    """Passes items on, some work each; says so on the board."""

    def __init__(self, slot: int, microseconds: int) -> None:
        self.slot = slot
        self.microseconds = microseconds

    def __call__(self, item: Any) -> Any:
        self.work()
        return item

    def work(self) -> None:
        board().beat(self.slot)
        end = time.perf_counter_ns() + 1000 * self.microseconds
        while time.perf_counter_ns() < end:
            pass


class Later:
    """Passes items on, each a little later; says so on the board."""

    def __init__(self, slot: int) -> None:
        self.slot = slot

    async def __call__(self, item: Any) -> Any:
        board().beat(self.slot)
        await asyncio.sleep(0.0005)
        return item


class InLane(Work):
    """Work in the lanes of an adapting fork, each with a slot of its own."""

    def work(self) -> None:
        self.slot = int(current_process().name.rpartition("/")[2])
        super().work()


class Nonce(Work):
    """Gives each item with a number that it never gives again: run twice, it gives something
    else."""

    def __call__(self, item: Any) -> Any:
        self.work()
        return item, int.from_bytes(os.urandom(6), "little")


def by_nonce(item: tuple[int, int]) -> int:
    """A lane of three; for some items there is none."""
    number, nonce = item
    return -1 if number % 11 == 3 else nonce % 3


def by_seven(item: tuple[int, int]) -> int:
    """A key, of which there are seven."""
    return item[0] % 7


class Label(Work):
    """Gives each item under the name of its lane."""

    def __init__(self, slot: int, microseconds: int, name: str) -> None:
        super().__init__(slot, microseconds)
        self.name = name

    def __call__(self, item: Any) -> Any:
        self.work()
        return self.name, item


class Laden(Work):
    """Gives each item with a large buffer full of its number."""

    def __call__(self, item: Any) -> Any:
        self.work()
        return item, bytearray(item.to_bytes(8, "little")) * (LARGE // 8)


class Weighed(Label):
    """Gives each item with what is in its buffer, if that is all the same."""

    def __call__(self, item: Any) -> Any:
        number, data = item
        self.work()
        first = int.from_bytes(data[:8], "little")
        is_whole = len(data) == LARGE and data[8:] == data[:-8]
        return self.name, (number, first if is_whole else -1)


class Even(Work):
    """A predicate."""

    def __call__(self, item: Any) -> bool:
        self.work()
        return bool(item % 2 == 0)


class Burst(Work):
    """A flat-map."""

    def __call__(self, item: Any) -> Iterator[Any]:
        for number in range(times(item)):
            self.work()
            yield item, number


class Trouble(Work):
    """Work on items of which some raise, some kill and some never end."""

    def __init__(self, slot: int, microseconds: int) -> None:
        super().__init__(slot, microseconds)
        self.seen: set[int] = set()

    def __call__(self, item: Any) -> Any:
        self.work()
        if is_poison(item):
            os.kill(os.getpid(), signal.SIGKILL)
        if is_slow(item):
            threading.Event().wait()
        if item % RAISES_EVERY == RAISES_AT and item not in self.seen:
            self.seen.add(item)
            raise ValueError(item)
        return item


class Tools:
    """What a job is given beside its item: it takes a while to make, and has to be put away."""

    def __init__(self) -> None:
        take_a_while()
        self.is_there = True

    def close(self) -> None:
        self.is_there = False


class Equipped:
    """Passes items on, with tools."""

    def __init__(self, slot: int, microseconds: int) -> None:
        self.work = Work(slot, microseconds)

    def __call__(self, item: Any, tools: Tools) -> Any:
        assert tools.is_there
        return self.work(item)


class Dressed(Processor[Any, Any]):
    """Passes items on, once it has been set up, which takes a while; keeps nothing."""

    def __init__(self, slot: int, microseconds: int, name: str) -> None:
        super().__init__(name=name)
        self.work = Work(slot, microseconds)

    def setup(self) -> None:
        take_a_while()

    def process(self, item: Any, /) -> Any:
        return self.work(item)

    def snapshot(self) -> None:
        return None

    def restore(self, state: None) -> None:
        take_a_while()


class InKey(Processor[Any, Any]):
    """Gives each item with its number among those of its key; at the end, how many there were."""

    def __init__(self, slot: int, microseconds: int) -> None:
        super().__init__()
        self.work = Work(slot, microseconds)
        self.last = -1
        self.count = 0

    def process(self, item: Any, /) -> Any:
        self.work(item)
        self.last = item
        self.count += 1
        return item, self.count

    def finish(self) -> Iterator[Any]:
        yield "end", self.last, self.count

    def snapshot(self) -> tuple[Any, int]:
        return self.last, self.count

    def restore(self, state: tuple[Any, int]) -> None:
        self.last, self.count = state


class Sum:
    """Adds up."""

    def __init__(self, slot: int, microseconds: int) -> None:
        self.work = Work(slot, microseconds)

    def __call__(self, total: Any, item: Any) -> Any:
        self.work(item)
        return total + item


class Together(Sum):
    """Gathers in a list, in place."""

    def __call__(self, items: Any, item: Any) -> Any:
        self.work(item)
        items.append(item)
        return items


class Counter(Processor[Any, Any]):
    """Numbers the items, and adds them up: what it gives depends on all that went before."""

    def __init__(self, slot: int, microseconds: int, name: str) -> None:
        super().__init__(name=name)
        self.work = Work(slot, microseconds)
        self.count = self.total = 0

    def process(self, item: Any, /) -> Any:
        self.work(item)
        self.count += 1
        self.total += item
        return self.count, self.total

    def finish(self) -> Iterator[Any]:
        yield -1, self.total

    def snapshot(self) -> tuple[int, int]:
        return self.count, self.total

    def restore(self, state: tuple[int, int]) -> None:
        self.count, self.total = state
