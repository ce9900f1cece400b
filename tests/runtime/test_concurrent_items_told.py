"""What is logged and traced of several items in hand at once: each record has the stage, the worker
and the item of the job that made it, whatever ran between."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from conveyor import Filter, FlatMap, Pipeline, Processor, context
from tests.helpers import pipeline
from tests.logs import LOG, Kept, kept, where
from tests.trace_format import TraceFile

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")

HANDS = 8
ITEMS = range(100, 100 + 3 * HANDS)  # no item is its own ordinal
BARRIER = threading.Barrier(HANDS)  # of each worker


async def tells(item: int) -> int:
    """Logs, with others in hand between."""
    LOG.info("%d", item)
    await asyncio.sleep(0.001 * (item % 3))
    LOG.info("%d", item)
    await asyncio.gather(asyncio.create_task(beside(item)), asyncio.to_thread(LOG.info, "%d", item))
    LOG.info("%d", item)
    return item


async def beside(item: int) -> None:
    await asyncio.sleep(0)
    LOG.info("%d", item)


async def tells_each(item: int) -> AsyncIterator[int]:
    yield await tells(item)


async def is_told(item: int) -> bool:
    return await tells(item) >= 0


class Tells(Processor[int, int]):
    async def process(self, item: int) -> int:
        return await tells(item)


def met(item: int) -> int:
    """Goes on once as many items wait for one another as there are hands."""
    LOG.info("%d", item)
    BARRIER.wait(60)
    LOG.info("%d", item)
    return item


STAGES: dict[str, tuple[Any, ...]] = {
    "coroutines": (Processor, tells),
    "a class": (Tells,),
    "an async generator": (FlatMap, tells_each),
    "an async predicate": (Filter, is_told),
    "threads": (Processor, met),
}
each_stage = pytest.mark.parametrize("kind", STAGES)


def stage_of(kind: str, **options: Any) -> Any:
    make, *job = STAGES[kind]
    return make(*job, name="told", concurrency=HANDS, **options)


def check_places(log: Kept, workers: set[int], each: int) -> None:
    told = [(record.getMessage(), where(record)) for record in log.of()]
    assert sorted(told) == sorted(
        (str(item), ("told", ordinal)) for ordinal, item in enumerate(ITEMS) for _ in range(each)
    )
    assert {record.__dict__["worker"] for record in log.of()} == workers


@each_stage
@pytest.mark.parametrize("ordered", [True, False])
def test_each_record_has_the_place_of_its_own_item(kind: str, ordered: bool) -> None:
    with kept() as log:
        result = pipeline().add(stage_of(kind, ordered=ordered)).run(ITEMS)

    assert sorted(result) == list(ITEMS)
    pid = result.report.stages["told"].pid
    assert pid is not None
    check_places(log, {pid}, 2 if kind == "threads" else 5)


async def tells_once(item: int) -> int:
    LOG.info("%d", item)
    await asyncio.sleep(0.001 * (item % 3))
    LOG.info("%d", item)
    await beside(item)
    return item


class TellsOnce(Processor[int, int]):
    async def process(self, item: int) -> int:
        return await tells_once(item)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("stage", [Processor(tells_once, name="told"), TellsOnce(name="told")])
def test_so_it_has_where_the_items_go_on_in_simulated_turns(stage: Any, seed: int) -> None:
    with kept() as log:
        pipeline().add(stage).simulate(ITEMS, seed=seed)

    told = [(record.getMessage(), where(record)) for record in log.of()]
    assert sorted(told) == sorted(
        (str(item), ("told", ordinal)) for ordinal, item in enumerate(ITEMS) for _ in range(3)
    )


@pytest.mark.parametrize("is_async", [False, True], ids=["threads", "coroutines"])
def test_a_further_attempt_and_what_it_fails_with_are_told_of_the_same_item(is_async: bool) -> None:
    def fails(item: int) -> int:
        LOG.info("%d", item)
        if context().attempt == 1 and item % 2:
            raise ValueError(item)
        return item

    async def fails_later(item: int) -> int:
        await asyncio.sleep(0)
        return fails(item)

    job = fails_later if is_async else fails
    with kept() as log:
        result = (
            pipeline().add(Processor(job, name="told", concurrency=HANDS, retries=1)).run(ITEMS)
        )

    assert list(result) == list(ITEMS)
    told = sorted((record.getMessage(), where(record)) for record in log.of())
    assert told == sorted(
        (str(item), ("told", ordinal))
        for ordinal, item in enumerate(ITEMS)
        for _ in range(1 + item % 2)
    )


@each_stage
@pytest.mark.parametrize("ordered", [True, False])
def test_the_trace_has_all_of_them_on_the_track_of_their_worker(
    kind: str, ordered: bool, tmp_path: Path
) -> None:
    path = tmp_path / "run.json"
    result = pipeline().add(stage_of(kind, ordered=ordered)).run(ITEMS, trace=path)

    assert sorted(result) == list(ITEMS)
    trace = TraceFile.read(path)  # in which no slice overlaps another
    pid = result.report.stages["told"].pid
    assert [*trace.tracks.values()] == [
        "source, in the program",
        f"told, worker {pid}",
        "sink, in the program",
    ]
    assert trace.items("told") == len(ITEMS)


def test_a_simulated_trace_has_each_of_their_steps() -> None:
    simulation = Pipeline[int]().add(TellsOnce(name="told")).simulate(range(3), seed=1)

    trace = TraceFile(simulation.trace.to_json())
    assert "told" in trace.tracks.values()
    shown = [item for event in trace.named("told") for item in event["args"].get("outputs", [])]
    assert sorted(shown) == ["0", "1", "2"]
