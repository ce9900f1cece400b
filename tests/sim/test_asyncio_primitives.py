"""What a job may use of asyncio, on virtual time: its moments are those of its sleeps, exactly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from conveyor import Processor
from tests.sim.parts import built


def now() -> float:
    return asyncio.get_running_loop().time()


async def after(seconds: float, call: Callable[[], object]) -> float:
    await asyncio.sleep(seconds)
    call()
    return now()


async def by_wait_for() -> float:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), 7)
    return now()


async def by_timeout() -> float:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3):
            await asyncio.sleep(100)
    return now()


async def by_lock() -> float:
    lock = asyncio.Lock()
    await lock.acquire()
    release = asyncio.create_task(after(5, lock.release))
    async with lock:
        await release
        return now()


async def by_event() -> float:
    event = asyncio.Event()
    task = asyncio.create_task(after(2, event.set))
    await event.wait()
    await task
    return now()


async def by_condition() -> float:
    condition = asyncio.Condition()

    async def notify() -> None:
        await asyncio.sleep(4)
        async with condition:
            condition.notify_all()

    task = asyncio.create_task(notify())
    async with condition:
        await condition.wait()
    await task
    return now()


async def by_semaphore() -> float:
    """Six of a second each, two at a time."""
    slots = asyncio.Semaphore(2)

    async def one() -> None:
        async with slots:
            await asyncio.sleep(1)

    await asyncio.gather(*[one() for _ in range(6)])
    return now()


async def by_queue() -> float:
    """Room for one: the third is put when the first is taken."""
    queue = asyncio.Queue[int](1)

    async def take() -> None:
        for _ in range(3):
            await asyncio.sleep(2)
            await queue.get()

    task = asyncio.create_task(take())
    for number in range(3):
        await queue.put(number)
    put = now()
    await task
    return put


async def by_task_group() -> float:
    async with asyncio.TaskGroup() as group:
        for seconds in (1, 9, 4):
            group.create_task(asyncio.sleep(seconds))
    return now()


async def by_gather() -> float:
    await asyncio.gather(*[asyncio.sleep(seconds) for seconds in (3, 1, 2)])
    return now()


MOMENTS: dict[Callable[[], Awaitable[float]], float] = {
    by_wait_for: 7,
    by_timeout: 3,
    by_lock: 5,
    by_event: 2,
    by_condition: 4,
    by_semaphore: 3,
    by_queue: 4,
    by_task_group: 9,
    by_gather: 3,
}


class Waits(Processor[Any, float]):
    async def process(self, item: Any) -> float:
        began = now()
        return float(round(await item() - began, 6))


async def waits(item: Any) -> float:
    began = now()
    return float(round(await item() - began, 6))


@pytest.mark.parametrize("job", [Processor(waits), Waits()], ids=["function", "class"])
@pytest.mark.parametrize("primitive", MOMENTS, ids=lambda each: each.__name__)
def test_its_moments_are_exact(primitive: Any, job: Any) -> None:
    assert built([job]).simulate([primitive]) == [MOMENTS[primitive]]
