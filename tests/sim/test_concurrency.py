"""Several items in hand at once, in the simulator: how many orders there are, that schedules say
them, and that async jobs run on a time of their own."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from itertools import compress, product
from math import factorial
from typing import Any

import pytest

from conveyor import Batch, Filter, FlatMap, Join, Pipe, Pipeline, Processor, ReplicatingFork
from conveyor.errors import NotSimulated
from conveyor.sim import Faults
from conveyor.sim.code.virtual_loop import new_loop
from tests.jobs import same


def is_sorted(outputs: list[int]) -> bool:
    return outputs == sorted(outputs)


def side_by_side(hands: int) -> Any:
    return Pipeline[int]().add(Processor(same, concurrency=hands, ordered=False))


@pytest.mark.parametrize("items", range(6))
def test_with_a_hand_for_each_item_there_is_every_order(items: int) -> None:
    found = side_by_side(7).explore(range(items), strategy="exhaustive")

    assert found.complete
    assert found.classes == len(found.outputs) == factorial(items)
    assert side_by_side(7).count(range(items)) == factorial(items)


@pytest.mark.parametrize("items", range(1, 8))
def test_with_two_hands_there_are_two_to_the_power_of_one_less(items: int) -> None:
    found = side_by_side(2).explore(range(items), strategy="exhaustive")

    assert found.complete
    assert found.classes == len(found.outputs) == 2 ** (items - 1)
    assert side_by_side(2).count(range(items)) == 2 ** (items - 1)


@pytest.mark.parametrize("seed", range(10))
def test_items_are_done_out_of_turn_where_others_look_at_the_time(seed: int) -> None:
    pl = side_by_side(3).add(Batch(4, within_s=1.0))
    run = pl.simulate(range(9), seed=seed)

    assert sorted(item for batch in run for item in batch) == list(range(9))
    assert pl.replay(range(9), run.schedule) == run


@pytest.mark.parametrize("hands", [1, 2, 9])
def test_in_order_nothing_is_decided(hands: int) -> None:
    pl = Pipeline[int]().add(Processor(same, concurrency=hands))
    found = pl.explore(range(5), strategy="exhaustive")

    assert (found.complete, found.classes, found.outputs) == (True, 1, {tuple(range(5))})


def test_two_such_stages_multiply() -> None:
    pl = side_by_side(2).add(Pipe(100)).add(Processor(same, concurrency=3, ordered=False))
    found = pl.explore(range(4), strategy="exhaustive")

    assert found.complete
    assert found.classes == pl.count(range(4)) == 2**3 * 3 * 3 * 2
    assert len(found.outputs) == factorial(4)


def test_behind_a_join_there_are_as_many_as_there_are_ways_to_join_and_to_be_done() -> None:
    pl = (
        Pipeline[int]()
        .add(ReplicatingFork(2))
        .add(Pipe(), Pipe())
        .add(Join(2))
        .add(Processor(same, concurrency=2, ordered=False))
    )
    found = pl.explore(range(2), strategy="exhaustive")
    assert found.complete
    assert found.classes == pl.count(range(2)) == 6 * 2**3


def test_a_schedule_says_what_is_done_next() -> None:
    simulation = side_by_side(3).replay(range(4), "cv1:same~done.0=2;same~done.2=1")

    assert simulation == [2, 0, 3, 1]
    assert simulation.schedule == "cv1:same~done.0=2;same~done.2=1"
    for seed in range(10):
        once = side_by_side(3).simulate(range(6), seed=seed)
        assert side_by_side(3).replay(range(6), once.schedule) == once


def test_a_bug_of_order_is_found_and_shrunk_to_the_one_decision() -> None:
    found = side_by_side(4).explore(range(8), is_sorted)
    assert found.failure is not None
    assert len(found.failure.schedule.split(";")) == 1
    assert "in hand" in str(found.failure)


def test_workers_that_die_lose_and_repeat_nothing() -> None:
    pl = Pipeline[int]().add(FlatMap(lambda n: [n] * n, concurrency=2, ordered=False))
    found = pl.explore(
        range(3), lambda run: sorted(run) == [1, 2, 2], strategy="exhaustive", faults=Faults()
    )
    assert found.complete
    assert found.classes > 30


async def same_later(item: int) -> int:
    return item


def limited(job: Any, retries: int, **options: Any) -> Any:
    given_up: dict[str, Any] = {"timeout_s": 5, "retries": retries, "on_error": "dead_letter"}
    return Pipeline[int]().add(Processor(job, **given_up, **options))


@pytest.mark.parametrize("job", [same, same_later], ids=["threads", "coroutines"])
@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize("items", [1, 2, 3])
def test_the_time_of_every_attempt_may_run_out_whatever_is_done_next(
    items: int, retries: int, job: Any
) -> None:
    """Each of m items comes through in any of r + 1 attempts, or in none."""
    times, faults = (retries + 2) ** items, Faults([], timeouts=True)

    in_turn = limited(job, retries, concurrency=2)
    as_done = limited(job, retries, concurrency=items, ordered=False)
    by_two = limited(job, retries, concurrency=2, ordered=False)
    found = [
        pl.explore(range(items), strategy="exhaustive", faults=faults)
        for pl in (in_turn, as_done, by_two)
    ]

    assert all(each.complete for each in found)
    assert [each.classes for each in found] == [
        times,
        times * factorial(items),
        times * 2 ** (items - 1),
    ]
    through = {tuple(sorted(run)) for each in found for run in each.outputs}
    subsets = [compress(range(items), which) for which in product([0, 1], repeat=items)]
    assert through == {tuple(each) for each in subsets}


def test_what_has_no_more_time_and_workers_that_die_lose_nothing_else() -> None:
    pl = limited(same, 0, concurrency=2, ordered=False)

    def all_are_somewhere(run: Any) -> bool:
        return sorted([*run, *(each.item for each in run.dead_letters)]) == [0, 1, 2]

    found = pl.explore(
        range(3), all_are_somewhere, strategy="exhaustive", faults=Faults(timeouts=True)
    )
    assert (found.failure, found.complete) == (None, True)
    assert {tuple(sorted(run)) for run in found.outputs} >= {(), (0, 1, 2), (1,)}


# -------------------------------------------------------------------------------------- async jobs


async def later(item: int) -> int:
    await asyncio.sleep(1_000_000 - item)
    return 2 * item


async def in_parts(item: int) -> AsyncIterator[int]:
    for number in range(item):
        await asyncio.sleep(3600)
        yield number


async def is_even(item: int) -> bool:
    async with asyncio.timeout(5):
        await asyncio.sleep(4)
    return item % 2 == 0


async def with_tasks(item: int) -> list[int]:
    queue = asyncio.Queue[int]()

    async def put(number: int) -> None:
        await asyncio.sleep(10 - number)
        await queue.put(number)

    async with asyncio.TaskGroup() as group:
        for number in range(item):
            group.create_task(put(number))
    return [queue.get_nowait() for _ in range(item)]


async def too_slow(item: int) -> str:
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 60)
    except TimeoutError:
        return f"{item} took too long"
    return ""


def test_time_is_virtual() -> None:
    assert Pipeline[int]().add(Processor(later)).simulate(range(4)) == [0, 2, 4, 6]
    assert Pipeline[int]().add(FlatMap(in_parts)).simulate(range(4)) == [0, 0, 1, 0, 1, 2]
    assert Pipeline[int]().add(Filter(is_even)).simulate(range(5)) == [0, 2, 4]
    assert Pipeline[int]().add(FlatMap(with_tasks)).simulate([3]) == [2, 1, 0]
    assert Pipeline[int]().add(Processor(too_slow)).simulate([1]) == ["1 took too long"]


def test_orders_of_coroutines_are_those_of_threads() -> None:
    pl = Pipeline[int]().add(Processor(later, concurrency=3, ordered=False))
    found = pl.explore(range(4), strategy="exhaustive")
    assert (found.complete, found.classes) == (True, 3 * 3 * 2)
    assert pl.count(range(4)) == 3 * 3 * 2


def test_a_simulation_runs_inside_of_an_event_loop_too() -> None:
    async def simulated() -> list[int]:
        await asyncio.sleep(0)
        return list(Pipeline[int]().add(Processor(later)).simulate(range(3)))

    assert asyncio.run(simulated()) == [0, 2, 4]


async def connects(item: int) -> None:
    await asyncio.open_connection("localhost", 80)


async def leaves_the_loop(item: int) -> None:
    await asyncio.to_thread(same, item)


async def waits_for_ever(item: int) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (connects, r"create_connection\(\).*hand it another one"),
        (leaves_the_loop, r"run_in_executor\(\)"),
        (waits_for_ever, "awaits what never comes"),
    ],
)
def test_what_reaches_outside_is_an_error_that_no_policy_swallows(job: Any, words: str) -> None:
    pl = Pipeline[int]().add(Processor(job, on_error="skip"))
    with pytest.raises(NotSimulated, match=words):
        pl.simulate([1])


def test_the_event_loop_of_simulated_jobs_closes_itself_when_nothing_refers_to_it() -> None:
    loop = new_loop("job")
    loop.run_until_complete(asyncio.sleep(1))
    del loop
    gc.collect()  # a loop that is not closed warns, and a warning fails the test
