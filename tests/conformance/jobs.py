"""What the stages of the recorded pipelines do.  Workers import this by name."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from conveyor import FlatMap, Processor
from conveyor.items.current_item import context


def increment(item: int) -> int:
    return item + 1


async def increment_later(item: int) -> int:
    await asyncio.sleep(0.0001 * (item * 7 % 5))
    return item + 1


async def halves_later(item: int) -> list[int]:
    await asyncio.sleep(0.0001 * (item * 3 % 4))
    return halves(item)


def label(item: object) -> tuple[str, object]:
    return "b", item


def odd(item: int) -> bool:
    return item % 2 == 1


def seventh(item: int) -> tuple[str, int]:
    """A key, of which there are seven."""
    return "key", item % 7


def lane(item: int) -> int:
    """One of two or three; some items have none."""
    return -1 if item % 17 == 16 else item % 2


def odd_in_number(numbered: tuple[Any, Any]) -> bool:
    number, _ = numbered
    return number != "seen" and bool(number % 2)


def odd_one(item: int) -> int | None:
    """Drops all but a few."""
    return item if item % 7 == 0 else None


def repeated(item: int) -> Iterator[int]:
    """Gives an item up to five times."""
    for _ in range(item % 6):
        yield item


def halves(item: int) -> list[int]:
    """An item that is no atom, so that it travels on its own."""
    return [item // 2, item - item // 2]


def total(item: list[int]) -> int:
    return sum(item)


class Factors:
    """What some jobs are given beside their item."""

    def __init__(self) -> None:
        self.three: int | None = 3

    def close(self) -> None:
        self.three = None


def tripled(item: int, factors: Factors) -> int:
    assert factors.three is not None
    return item * factors.three


def repeated_by(item: int, factors: Factors) -> list[int]:
    """Gives an item up to twice."""
    assert factors.three is not None
    return [item] * (item % factors.three)


def slow(item: int) -> int:
    time.sleep(0.0002 * (item % 3))  # not equally long, so that lanes overtake one another
    return item


def failing(item: int) -> int:
    if item % 7 == 3:
        raise ValueError(f"{item} is refused")
    return item


def refusing(item: int) -> int:
    """Fails for one item in twenty."""
    if item % 20 == 19:
        raise ValueError(f"{item} is refused")
    return item


def stuck(item: int) -> int:
    """Takes far too long with one item in ten."""
    if item % 10 == 7:
        time.sleep(2)
    return item


def stuck_at_first(item: int) -> tuple[int, int]:
    """The same, at the first attempt; tells which attempt an item came through in."""
    return item if context().attempt > 1 else stuck(item), context().attempt


def deadly(item: int) -> int:
    """Kills whoever works on one item in ten."""
    if item % 10 == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def deadly_late(item: int) -> Iterator[int]:
    """The same, once two of its outputs are there."""
    yield item
    yield item
    yield deadly(item)


def attempted(item: int) -> tuple[int, int]:
    """Which attempt an item came through in: what workers that died had in hand is tried again."""
    return item, context().attempt


def identified(item: int) -> tuple[int, int, str]:
    """The same, with what the item is called."""
    return item, context().attempt, context().item_id


class Numbered(Processor[Any, Any]):
    """Numbers what it sees, and says how much that was: what comes out depends on the order."""

    def setup(self) -> None:
        self.seen = 0

    def process(self, item: Any, /) -> Any:
        self.seen += 1
        return self.seen, item

    def finish(self) -> Iterable[Any]:
        yield "seen", self.seen
        self.seen = 0


class Stuck(Numbered):
    """Takes far too long with one item in ten; and then its state is lost."""

    def process(self, item: Any, /) -> Any:
        return super().process(stuck(item))


class Remembered(Numbered):
    """The same, and it goes on where another died."""

    def snapshot(self) -> object:
        return self.seen

    def restore(self, state: object, /) -> None:
        assert isinstance(state, int)
        self.seen = state


def number_of(item: Any) -> int:
    """What it was before it was numbered."""
    while isinstance(item, tuple):
        item = item[-1]  # pyright: ignore[reportUnknownVariableType]
    return int(item)  # pyright: ignore[reportUnknownArgumentType]


async def stuck_later(item: Any) -> Any:
    """Never comes back with one item in ten, at the first attempt."""
    await asyncio.sleep(0.0001 * (number_of(item) * 7 % 5))
    if number_of(item) % 10 == 7 and context().attempt == 1:
        await asyncio.Event().wait()
    return item


class Races(Numbered):
    """Numbers what it sees, and loses count between two awaits."""

    async def process(self, item: Any, /) -> Any:
        seen = self.seen
        await asyncio.sleep(0.0001 * (number_of(item) * 7 % 4))
        self.seen = seen + 1
        await asyncio.sleep(0)
        return self.seen, item


class RememberedRaces(Races, Remembered):
    """The same, and it goes on where another died."""


class StuckRaces(Races):
    """The same; and it has something to do where it is cancelled."""

    async def process(self, item: Any, /) -> Any:
        try:
            return await super().process(await stuck_later(item))
        except asyncio.CancelledError:
            self.seen += 100
            await asyncio.sleep(0)
            raise


class RacesInParts(FlatMap[Any, Any]):
    def setup(self) -> None:
        self.seen = 0

    async def process(self, item: Any, /) -> AsyncIterator[Any]:
        for _ in range(number_of(item) % 3):
            seen = self.seen
            await asyncio.sleep(0)
            self.seen = seen + 1
            yield self.seen, item

    async def finish(self) -> AsyncIterator[Any]:
        yield self.seen
        self.seen = 0


def last_digit(item: int) -> int:
    return item % 10


def fifth(item: Any) -> int:
    return int(item) % 5


def appended(state: list[Any], item: Any) -> list[Any]:
    """Keeps the last few."""
    state.append(item)
    del state[:-3]
    return state


def last(state: list[Any]) -> Iterator[Any]:
    yield from state[-1:]


def counted(state: int, item: Any) -> int:
    return state + 1


def shaken(item: Any) -> int:
    """A time that goes back by a few."""
    return int(item) ^ 5


class Deduplicated(Processor[int, int]):
    """Drops what it has seen."""

    def setup(self) -> None:
        self.seen: set[int] = set()

    def process(self, item: int, /) -> int | None:
        if item in self.seen:
            return None
        self.seen.add(item)
        return item

    def finish(self) -> Iterable[int]:
        self.seen = set()
        return ()
