"""Work that waits: how much of it one worker has in hand at once, beside a bare event loop and a
pool of threads."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.harness import Comparison, Goal, Section
from conveyor import Pipeline, Processor

ITEMS = 10_000
WAIT_S = 0.02
COROUTINES, THREADS = 256, 64


async def later(number: int) -> int:
    await asyncio.sleep(WAIT_S)
    return number


def after_a_while(number: int) -> int:
    time.sleep(WAIT_S)
    return number


async def with_a_semaphore() -> list[int]:
    free = asyncio.Semaphore(COROUTINES)

    async def one(number: int) -> int:
        async with free:
            return await later(number)

    return await asyncio.gather(*map(one, range(ITEMS)))


def measure(rounds: int) -> Section:
    coroutines, threads = Comparison("items/s", rounds), Comparison("items/s", rounds)

    def checked(results: list[int]) -> None:
        assert sorted(results) == list(range(ITEMS))

    def pipeline(job: Any) -> Pipeline[int, int]:  # to pyright, async ones are of another type
        start: Any = Pipeline[int](start_method="fork")
        made: Pipeline[int, int] = start.add(job)
        return made

    ordered = pipeline(Processor(later, concurrency=COROUTINES))
    as_done = pipeline(Processor(later, concurrency=COROUTINES, ordered=False))
    threaded = pipeline(Processor(after_a_while, concurrency=THREADS))
    threaded_as_done = pipeline(Processor(after_a_while, concurrency=THREADS, ordered=False))
    bare, pooled = "a bare event loop, a semaphore", "`ThreadPoolExecutor.map`"
    with ThreadPoolExecutor(THREADS) as pool, ordered, as_done, threaded, threaded_as_done:
        coroutines.add_rate(bare, ITEMS, lambda: checked(asyncio.run(with_a_semaphore())))
        coroutines.add_rate("Conveyor, in order", ITEMS, lambda: checked(ordered.run(range(ITEMS))))
        coroutines.add_rate(
            "Conveyor, as they are done", ITEMS, lambda: checked(as_done.run(range(ITEMS)))
        )
        coroutines.measure()
        threads.add_rate(
            pooled, ITEMS, lambda: checked(list(pool.map(after_a_while, range(ITEMS))))
        )
        threads.add_rate("Conveyor, in order", ITEMS, lambda: checked(threaded.run(range(ITEMS))))
        threads.add_rate(
            "Conveyor, as they are done",
            ITEMS,
            lambda: checked(threaded_as_done.run(range(ITEMS))),
        )
        threads.measure()
    goals = [
        Goal("P11", f"waiting: {what}, {how}, times {peer}", comparison.ratio(own, peer), 0.85)
        for what, comparison, peer in (
            (f"{COROUTINES} coroutines", coroutines, bare),
            (f"{THREADS} threads", threads, pooled),
        )
        for how, own in (
            ("in order", "Conveyor, in order"),
            ("as they are done", "Conveyor, as they are done"),
        )
    ]
    text = (
        f"{ITEMS:,} items that wait {1000 * WAIT_S:g} ms each, in one worker: first {COROUTINES} "
        f"coroutines in hand, then {THREADS} threads."
    )
    return Section("Waiting", text, [coroutines.markdown(), threads.markdown()], goals)
