"""Async jobs that depend on the clock, on chance, or on the order of a set: they are found in the
simulator as all others are, and those that only wait are not."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from conveyor import FlatMap, Join, Pipeline, Processor, ReplicatingFork
from conveyor.errors import NotDeterministic, StageTypeError
from conveyor.sim import Faults

LOCK = asyncio.Lock()


async def tells_the_time(item: int) -> float:
    await asyncio.sleep(1)
    return time.time()


async def draws(item: int) -> float:
    await asyncio.sleep(1)
    return random.random()


async def distinct(text: str) -> list[str]:
    await asyncio.sleep(0)
    return list(set(text.split()))


async def asks_another(item: int) -> float:
    return await draws(item)


async def twice_the_time(item: int) -> AsyncIterator[float]:
    for _ in range(2):
        await asyncio.sleep(1)
        yield time.time()


class TellsTheTime(Processor[int, float]):
    async def process(self, item: int) -> float:
        await asyncio.sleep(1)
        return time.time()


class TwiceTheTime(FlatMap[int, float]):
    async def process(self, item: int) -> AsyncIterator[float]:
        await asyncio.sleep(1)
        yield time.time()


async def asks_the_client(item: int, client: list[int]) -> float:
    return time.time()


def explored(stage: Any, items: Any = (1, 2), **options: Any) -> Any:
    pl: Any = Pipeline[Any]()
    return pl.add(stage).explore(items, schedules=20, **options)


def error_of(stage: Any, items: Any = (1, 2)) -> Any:
    return explored(stage, items).failure.error


@pytest.mark.parametrize("job", [tells_the_time, draws, distinct, asks_another])
def test_a_function_is_named_with_the_item_and_what_it_gave(job: Any) -> None:
    items = ["to be or not to be"] if job is distinct else [7]
    error = error_of(Processor(job), items)
    assert isinstance(error, NotDeterministic)
    assert re.search(f"stage '{job.__name__}' .* for item 0, .* it gave", str(error))


def test_so_is_an_async_generator() -> None:
    error = error_of(FlatMap(twice_the_time), [7])
    assert isinstance(error, NotDeterministic)
    assert "for item 0, 7, it gave [" in str(error)


@pytest.mark.parametrize(
    "stage",
    [TellsTheTime(), TwiceTheTime(), Processor(asks_the_client, setup=list[int])],
    ids=["a class", "a class that yields", "a function with a client"],
)
def test_what_keeps_something_is_named_by_two_runs(stage: Any) -> None:
    error = error_of(stage)
    assert isinstance(error, NotDeterministic)
    assert re.search("for 1 it gave .*, and then", str(error))


SEEN: list[int] = []


async def into_seen(item: int) -> int:
    await asyncio.sleep(1)
    SEEN.append(item)
    return item


async def each_into_seen(item: int) -> AsyncIterator[int]:
    await asyncio.sleep(1)
    yield item
    SEEN.append(item)


async def list_into_seen(item: int) -> list[int]:
    SEEN.append(await into_seen(item))
    return [item]


def by_and_by_into_seen(item: int) -> Iterator[int]:
    yield item
    SEEN.append(item)


async def how_many_seen(item: int) -> int:
    await asyncio.sleep(1)
    return len(SEEN)


@pytest.mark.parametrize(
    "writer",
    [
        Processor(into_seen, name="writer"),
        FlatMap(each_into_seen, name="writer"),
        FlatMap(list_into_seen, name="writer"),
        FlatMap(by_and_by_into_seen, name="writer"),
    ],
    ids=["async", "async generator", "async list", "generator"],
)
def test_a_global_that_another_lane_changes_is_found_with_the_stage_that_changes_it(
    writer: Any,
) -> None:
    """Not when the coroutine, or the generator, is made, but when it is at work."""
    lanes: Any = Pipeline[Any]().add(ReplicatingFork(2))
    pl = lanes.add(writer, Processor(how_many_seen, name="reader")).add(Join(2))
    error = pl.explore([1, 2], schedules=1).failure.error
    assert isinstance(error, NotDeterministic)
    assert "the job of stage 'reader' is not deterministic" in str(error)
    assert "the job of stage 'writer' changes the global variable 'SEEN'" in str(error)


def test_an_item_of_another_type_is_told_by_its_number() -> None:
    stage: Any = Processor(distinct)
    error = error_of(stage, ["a", 2])
    assert isinstance(error, StageTypeError)
    assert "takes str, but item 1 is 2" in str(error)


async def waits(item: int) -> int:
    await asyncio.sleep(item)
    return item


async def takes_turns(item: int) -> int:
    async with LOCK:
        await asyncio.sleep(1)
    return item


async def refuses(item: int) -> int:
    await asyncio.sleep(1)
    raise ValueError(item)


class Count(Processor[int, int]):
    count = 0

    async def process(self, item: int) -> int:
        seen = self.count
        await asyncio.sleep(1)
        self.count = seen + 1
        return self.count


@pytest.mark.parametrize(
    "stage",
    [
        Processor(waits, ordered=False),
        Processor(waits, timeout_s=2.5, on_error="skip"),
        Processor(takes_turns, concurrency=2),
        Processor(refuses, on_error="skip", retries=1),
        Count(concurrency=2, ordered=False),
    ],
    ids=["waits", "within its time", "a lock of all", "refuses", "loses count"],
)
def test_what_depends_on_its_items_and_their_order_alone_is_left_alone(stage: Any) -> None:
    assert explored(stage, [1, 2]).failure is None
    assert explored(stage, [1, 2], faults=Faults([], timeouts=True)).failure is None
