"""Coroutines of one stateful processor go on in turns at their awaits: every way of that is a
schedule, and no other is.

The expected numbers are closed forms: n calls of k awaits each have k + 1 steps each, and these can
be interleaved in (n (k + 1))! / (k + 1)!^n ways.
"""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Callable
from math import comb, factorial
from typing import Any

import pytest

from conveyor import (
    Filter,
    FlatMap,
    Join,
    PartitioningFork,
    Pipe,
    Pipeline,
    Processor,
    ReplicatingFork,
    context,
)
from conveyor.errors import NotSimulated, ScheduleMismatch
from conveyor.sim import Faults
from tests.sim.parts import built

EXHAUSTIVE: Any = {"strategy": "exhaustive", "schedules": 100_000}


class Total(Processor[object, int]):
    """Counts its items, and loses an update where two of them read before one writes."""

    def __init__(self, awaits: int = 1, seconds: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.awaits = awaits
        self.seconds = seconds
        self.total = 0

    async def process(self, item: object) -> int:
        seen = self.total
        for _ in range(self.awaits):
            await asyncio.sleep(self.seconds)
        self.total = seen + 1
        return self.total


class LockedTotal(Total):
    async def setup(self) -> None:
        self.lock = asyncio.Lock()

    async def process(self, item: object) -> int:
        async with self.lock:
            return await super().process(item)


class KeptTotal(Total):
    def snapshot(self) -> int:
        return self.total

    def restore(self, state: int) -> None:
        self.total = state


class Pool(Processor[object, int]):
    """Hands out one connection; looks whether one is free, and takes it an await later."""

    def setup(self) -> None:
        self.free = 1
        self.most = 0
        self.used = 0

    async def acquire(self) -> None:
        while self.free == 0:
            await asyncio.sleep(0.1)
        await asyncio.sleep(0)  # it is opened
        self.free -= 1

    async def process(self, item: object) -> int:
        await self.acquire()
        self.used += 1
        self.most = max(self.most, self.used)
        await asyncio.sleep(1)
        self.used -= 1
        self.free += 1
        return self.most


class SafePool(Pool):
    def setup(self) -> None:
        super().setup()
        self.slots = asyncio.Semaphore(1)

    async def process(self, item: object) -> int:
        async with self.slots:
            return await super().process(item)


class Cache(Processor[str, int]):
    """Gives how often the value of a key was fetched."""

    def setup(self) -> None:
        self.known: dict[str, int] = {}
        self.fetched = 0

    async def fetch(self, key: str) -> int:
        self.fetched += 1
        await asyncio.sleep(0.2)
        return len(key)

    async def process(self, key: str) -> int:
        if key not in self.known:
            self.known[key] = await self.fetch(key)
        return self.fetched


class FilledOnce(Cache):
    def setup(self) -> None:
        super().setup()
        self.fetching: dict[str, asyncio.Future[int]] = {}

    async def process(self, key: str) -> int:
        if key not in self.fetching:
            self.fetching[key] = asyncio.ensure_future(self.fetch(key))
        await self.fetching[key]
        return self.fetched


class Sleeps(Processor[int, int]):
    async def process(self, item: int) -> int:
        await asyncio.sleep(item)
        return item


def of(stage: Any) -> Any:
    return built([stage])


def counts_all(run: list[int]) -> bool:
    return max(run) == len(run)


def once(run: list[int]) -> bool:
    return max(run) == 1


# ----------------------------------------------------------------------------- closed forms


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("awaits", range(4))
def test_two_calls_are_interleaved_in_binomially_many_ways(awaits: int, ordered: bool) -> None:
    pl = of(Total(awaits, concurrency=2, ordered=ordered))
    found = pl.explore(range(2), **EXHAUSTIVE)

    assert found.complete
    assert found.classes == comb(2 * awaits + 2, awaits + 1)
    totals = {tuple(sorted(run)) for run in found.outputs}
    assert totals == ({(1, 2)} if awaits == 0 else {(1, 2), (1, 1)})


@pytest.mark.parametrize(("calls", "awaits"), [(1, 5), (3, 1), (4, 0), (3, 2)])
def test_more_calls_in_multinomially_many(calls: int, awaits: int) -> None:
    found = of(Total(awaits, concurrency=calls)).explore(range(calls), **EXHAUSTIVE)

    assert found.complete
    steps = awaits + 1
    assert found.classes == factorial(calls * steps) // factorial(steps) ** calls


@pytest.mark.parametrize("seconds", [0, 0.001, 3600])
def test_how_long_an_await_takes_is_decided_whatever_it_says(seconds: float) -> None:
    found = of(Total(2, seconds, concurrency=2)).explore(range(2), **EXHAUSTIVE)
    assert (found.complete, found.classes) == (True, comb(6, 3))


def test_with_one_in_hand_nothing_is_decided() -> None:
    found = of(Total(3, concurrency=1)).explore(range(4), **EXHAUSTIVE)
    assert (found.complete, found.classes, found.outputs) == (True, 1, {(1, 2, 3, 4)})


def test_two_such_stages_multiply() -> None:
    pl = of(Total(1, concurrency=2)).add(Pipe(9)).add(Total(0, concurrency=2))
    found = pl.explore(range(2), **EXHAUSTIVE)
    assert (found.complete, found.classes) == (True, comb(4, 2) * 2)


# ----------------------------------------------------------------------------- what is found

BUGS: dict[str, tuple[Any, Any, Callable[[Any], bool]]] = {
    "a lost update": (Total, LockedTotal, counts_all),
    "a double acquire": (Pool, SafePool, once),
    "a cache filled twice": (Cache, FilledOnce, once),
}


@pytest.mark.parametrize("bug", BUGS)
@pytest.mark.parametrize("seed", range(5))
def test_it_is_found_within_50_schedules_and_shrunk(bug: str, seed: int) -> None:
    wrong, _, check = BUGS[bug]
    pl = of(wrong(concurrency=4))
    found = pl.explore("aaaa", check, schedules=50, seed=seed)

    assert found.failure is not None
    assert len(found.failure.schedule.split(";")) <= 2
    assert not check(pl.replay("aaaa", found.failure.schedule))


@pytest.mark.parametrize("bug", BUGS)
def test_the_corrected_twin_passes_exhaustively(bug: str) -> None:
    wrong, right, check = BUGS[bug]
    fails = of(wrong(concurrency=2)).explore("aa", check)
    passes = of(right(concurrency=2)).explore("aa", check, **EXHAUSTIVE)

    assert fails.failure is not None
    assert passes.failure is None
    assert passes.complete


@pytest.mark.parametrize("seed", range(5))
def test_a_schedule_says_who_goes_on(seed: int) -> None:
    pl = of(Total(2, concurrency=3, ordered=False))
    simulation = pl.simulate(range(6), seed=seed)
    assert pl.replay(range(6), simulation.schedule) == simulation


def test_a_failure_says_it_in_words() -> None:
    found = of(Pool(concurrency=2)).explore("aa", once)
    assert found.failure is not None
    words = "of the items that 'Pool' has in hand, number 1 goes on to its next await, or its end"
    assert words in str(found.failure)


def test_by_default_the_first_in_time_goes_on() -> None:
    assert of(Sleeps(concurrency=3, ordered=False)).replay([3, 1, 2], "cv1:") == [1, 2, 3]
    assert of(Sleeps(concurrency=2, ordered=False)).replay([3, 1, 1, 5, 1], "cv1:") == [
        1,
        1,
        3,
        1,
        5,
    ]


# ------------------------------------------------------------------- deaths, other kinds, no end


class FailsFirst(Processor[int, int]):
    async def process(self, item: int) -> int:
        raise ZeroDivisionError(item)


def test_a_run_that_fails_leaves_no_coroutine_to_be_awaited() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert of(FailsFirst(concurrency=3)).explore(range(3), schedules=3).failure is not None
        gc.collect()
    assert [str(each.message) for each in told] == []


def test_what_is_restorable_dies_anywhere_and_gives_each_output_once() -> None:
    pl = of(KeptTotal(1, concurrency=2))

    def are_two(run: list[int]) -> bool:
        return len(run) == 2 and 1 <= max(run) <= 2

    found = pl.explore(range(2), are_two, faults=Faults(), **EXHAUSTIVE)
    assert found.failure is None
    assert found.complete
    assert found.classes > comb(4, 2)


def test_its_state_and_what_it_gave_are_saved_as_one() -> None:
    """With one in hand nothing is lost between two awaits, so whatever dies the outputs are
    those of a plain count."""
    pl = (
        of(KeptTotal(1, concurrency=1))
        .add(PartitioningFork(2, key=lambda n: n))
        .add(Pipe(1), Pipe(1))
    )

    def are_a_count(run: list[int]) -> bool:
        return sorted(run) == [1, 2, 3]

    found = pl.add(Join(2)).explore(range(3), are_a_count, faults=Faults(), schedules=300)
    assert found.failure is None


def test_a_schedule_says_where_a_state_is_saved_though_others_are_there() -> None:
    """So only those meet that are in hand between two of these places."""
    kept, items = of(KeptTotal(1, concurrency=4)), range(5)
    assert kept.replay(items, "cv1:") == [1, 1, 1, 1, 2]
    assert kept.replay(items, "cv1:KeptTotal~saves.2=1") == [1, 1, 2, 2, 2]
    said = kept.replay(items, "cv1:KeptTotal~saves.2=1;KeptTotal~saves.3=1")
    assert said == [1, 1, 2, 3, 3]
    assert kept.replay(items, said.schedule) == said


def test_it_is_told_in_words_and_is_gone_where_it_has_no_part_in_a_failure() -> None:
    def none_counts_on(totals: list[int]) -> bool:
        return max(totals) < 2

    pl, items, start = of(KeptTotal(1, concurrency=4)), range(4), "cv1:KeptTotal~saves.2=1"
    failure = pl.explore(items, none_counts_on, start=start, schedules=1).failure
    assert failure is not None
    assert failure.schedule == "cv1:KeptTotal~saves.1=1"  # as small as it gets
    assert "'KeptTotal' saves its state behind 1 item, and gives what it has" in str(failure)

    def is_empty(totals: list[int]) -> bool:
        return not totals

    failure = pl.explore(items, is_empty, start=start, schedules=1).failure
    assert failure is not None
    assert failure.schedule == "cv1:"


def test_what_saves_no_state_has_no_such_place() -> None:
    with pytest.raises(ScheduleMismatch, match="the run has no such decision point"):
        of(Total(1, concurrency=4)).replay(range(4), "cv1:Total~saves.2=1")
    with pytest.raises(ScheduleMismatch, match="came to 1 decisions there"):
        of(KeptTotal(1, concurrency=4)).replay(
            range(4), "cv1:KeptTotal~saves.2=1;KeptTotal~saves.9=1"
        )


def test_the_death_of_what_is_not_ends_the_run() -> None:
    found = of(Total(1, concurrency=2)).explore(range(2), faults=Faults(), schedules=200)
    assert found.failure is not None
    assert "WorkerCrashed" in str(found.failure)


class Pairs(FlatMap[int, int]):
    async def process(self, item: int) -> AsyncIterator[int]:
        for number in range(item):
            await asyncio.sleep(number)
            yield item


class New(Filter[int, int]):
    def setup(self) -> None:
        self.seen: set[int] = set()

    async def process(self, item: int) -> bool:
        await asyncio.sleep(1)
        is_new = item not in self.seen
        self.seen.add(item)
        return is_new

    async def finish(self) -> AsyncIterator[int]:
        for item in sorted(self.seen):
            await asyncio.sleep(60)
            yield -item


def test_the_other_kinds_of_jobs_are_classes_too() -> None:
    assert of(Pairs()).simulate([3, 0, 2]) == [3, 3, 3, 2, 2]
    assert of(New()).simulate([4, 4, 5]) == [4, 5, -4, -5]


class Meets(Processor[int, int]):
    """An item that is even waits for one that is odd."""

    def setup(self) -> None:
        self.odd = asyncio.Event()

    async def process(self, item: int) -> int:
        if item % 2:
            self.odd.set()
        else:
            await self.odd.wait()
        return item


@pytest.mark.parametrize("items", [[0, 1], [1, 0], [0, 2, 4, 1]])
def test_an_item_may_wait_for_another(items: list[int]) -> None:
    def are_all(run: list[int]) -> bool:
        return run == items

    found = of(Meets(concurrency=4)).explore(items, are_all)
    assert found.failure is None


@pytest.mark.parametrize(("hands", "items"), [(4, [0, 2]), (2, [0, 2, 1])])
def test_one_that_waits_for_ever_is_an_error(hands: int, items: list[int]) -> None:
    pl = of(Meets(concurrency=hands, on_error="skip"))
    with pytest.raises(NotSimulated, match="awaits what never comes"):
        pl.simulate(items)


class ByATask(Processor[int, int]):
    """Has its work done by a task that `setup` begins, which also looks at the time now and
    then."""

    async def setup(self) -> None:
        self.todo = asyncio.Queue[tuple[int, asyncio.Future[int]]]()
        self.worker = asyncio.create_task(self.work())
        self.clock = asyncio.create_task(self.look())

    async def work(self) -> None:
        while True:
            item, done = await self.todo.get()
            await asyncio.sleep(5)
            done.set_result(2 * item)

    async def look(self) -> None:
        while True:
            await asyncio.sleep(60)

    async def process(self, item: int) -> int:
        done = asyncio.get_running_loop().create_future()
        await self.todo.put((item, done))
        return int(await done)

    async def teardown(self) -> None:
        self.worker.cancel()
        self.clock.cancel()


def are_doubled(run: list[int]) -> bool:
    return run == [0, 2]


def test_tasks_of_no_item_go_on_by_themselves() -> None:
    found = of(ByATask(concurrency=2)).explore(range(2), are_doubled, **EXHAUSTIVE)
    assert found.failure is None
    assert found.complete


def test_in_the_lanes_of_a_fork_each_has_a_state_of_its_own() -> None:
    pl = (
        Pipeline[int]()
        .add(ReplicatingFork(2))
        .add(Total(0, concurrency=2, name="a"), Total(0, concurrency=2, name="b"))
        .add(Join(2))
    )
    assert sorted(pl.simulate(range(3))) == [1, 1, 2, 2, 3, 3]


class TooSlow(Processor[int, int]):
    """Holds a lock for a minute."""

    def setup(self) -> None:
        self.lock = asyncio.Lock()

    async def process(self, item: int) -> int:
        async with self.lock:
            await asyncio.sleep(60)
        return item


def test_a_time_limit_passes_by_the_time_of_its_item() -> None:
    pl = of(TooSlow(timeout_s=5, on_error="dead_letter", concurrency=2))
    run = pl.simulate([1, 2])
    assert (list(run), len(run.dead_letters)) == ([], 2)
    assert of(TooSlow(timeout_s=61, concurrency=1)).simulate([1, 2]) == [1, 2]


def test_whether_it_is_over_at_an_await_is_a_decision_where_times_run_out() -> None:
    pl = of(TooSlow(timeout_s=61, on_error="skip", concurrency=1))
    found = pl.explore([7], faults=Faults([], timeouts=True), **EXHAUSTIVE)
    assert found.complete
    assert found.outputs == {(7,), ()}


class Told(Processor[int, str]):
    """Gives the number that each item has in its run."""

    async def process(self, item: int) -> str:
        await asyncio.sleep(0)
        return context().item_id

    def snapshot(self) -> None: ...
    def restore(self, state: None) -> None: ...


def test_an_item_has_its_number_also_behind_a_death() -> None:
    told = Pipeline[int]().add(Told(name="told", concurrency=2))
    faults = Faults(["told"])
    found = told.explore(range(10), schedules=20, faults=faults)
    assert found.outputs == {tuple(f"told:0:{n}" for n in range(10))}
