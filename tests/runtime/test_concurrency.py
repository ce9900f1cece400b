"""Several items of a stage in hand at once, for real: in threads, and as coroutines of one event
loop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from conveyor import (
    BalancingFork,
    Filter,
    FlatMap,
    Join,
    Pipe,
    Processor,
    ReplicatingFork,
    RoutingFork,
    Zip,
    context,
)
from conveyor.core.channel import UNBOUNDED
from conveyor.core.concurrent_node import Held
from conveyor.core.crashes import FRESH
from conveyor.errors import ItemTimeout, JobExited, NotPicklable, PoisonItem, TopologyError
from conveyor.runtime.parent import runner
from conveyor.runtime.worker.hands import WorkingHands
from tests.helpers import PATIENCE_S, new_or_forked, pipeline
from tests.jobs import double

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")

ITEMS = range(200)
DOUBLED = [double(n) for n in ITEMS]


async def double_later(item: int) -> int:
    await asyncio.sleep(0.001 * (item % 3))
    return double(item)


async def words(text: str) -> list[str]:
    await asyncio.sleep(0)
    return text.split()


async def up_to(item: int) -> AsyncIterator[int]:
    for number in range(item):
        await asyncio.sleep(0)
        yield number


async def is_even(item: int) -> bool:
    await asyncio.sleep(0)
    return item % 2 == 0


def met(hands: int) -> Callable[[int], int]:
    """A job that is done only once so many are at it at the same time, in threads."""
    barrier: list[threading.Barrier] = []

    def job(item: int) -> int:
        if not barrier:
            barrier.append(threading.Barrier(hands))
        barrier[0].wait(PATIENCE_S)
        return item

    return job


def met_in_the_loop(hands: int) -> Callable[[int], Any]:
    """The same, as coroutines."""
    waiting: list[asyncio.Future[None]] = []

    async def job(item: int) -> int:
        mine = asyncio.get_running_loop().create_future()
        waiting.append(mine)
        if len(waiting) == hands:
            for each in waiting:
                each.set_result(None)
            waiting.clear()
        await mine
        return item

    return job


# ---------------------------------------------------------------------------------- what is given


@new_or_forked
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("job", [double, double_later], ids=["threads", "coroutines"])
def test_all_results_come_in_order_or_as_they_are_done(
    job: Any, ordered: bool, start_method: str
) -> None:
    pl = pipeline(start_method).add(Processor(job, concurrency=8, ordered=ordered))
    results = pl.run(ITEMS)

    assert sorted(results) == DOUBLED
    assert not ordered or results == DOUBLED


def test_a_coroutine_function_needs_no_word_and_every_kind_of_job_may_be_one() -> None:
    assert pipeline().add(Processor(double_later)).run(ITEMS) == DOUBLED
    assert pipeline().add(FlatMap(words)).run(["a b", "", "c"]) == ["a", "b", "c"]
    assert pipeline().add(FlatMap(up_to)).run(range(4)) == [0, 0, 1, 0, 1, 2]
    assert pipeline().add(Filter(is_even)).run(range(5)) == [0, 2, 4]


@pytest.mark.parametrize("hands", [1, 2, 16])
def test_so_many_items_are_in_hand_at_once_in_threads(hands: int) -> None:
    pl = pipeline().add(Processor(met(hands), concurrency=hands))
    assert pl.run(range(4 * hands)) == list(range(4 * hands))


@pytest.mark.parametrize("hands", [2, 64, 1000])
def test_so_many_items_are_in_hand_at_once_in_an_event_loop(hands: int) -> None:
    pl = pipeline().add(Processor(met_in_the_loop(hands), concurrency=hands, ordered=False))
    assert sorted(pl.run(range(4 * hands))) == list(range(4 * hands))


@pytest.mark.parametrize("is_async", [False, True], ids=["threads", "coroutines"])
def test_no_more_are_in_hand_than_was_said(is_async: bool) -> None:
    at_once: list[int] = []
    most: list[int] = []

    def counted(item: int) -> int:
        at_once.append(item)
        most.append(len(at_once))
        threading.Event().wait(0.001)
        at_once.remove(item)
        return max(most)

    async def counted_in_the_loop(item: int) -> int:
        at_once.append(item)
        most.append(len(at_once))
        await asyncio.sleep(0.001)
        at_once.remove(item)
        return max(most)

    job: Any = counted_in_the_loop if is_async else counted
    assert max(pipeline().add(Processor(job, concurrency=5)).run(range(100))) <= 5


def test_in_every_place_of_a_pipeline() -> None:
    lanes = (
        pipeline()
        .add(BalancingFork(2))
        .add(Processor(double_later), Processor(double, concurrency=3, ordered=False))
        .add(Join(2))
        .add(Processor(double_later, concurrency=4))
        .add(ReplicatingFork(2))
        .add(Pipe(), Processor(double, concurrency=2))
        .add(Zip(2))
        .add(Processor(sum, concurrency=2, ordered=False))
    )
    assert sorted(lanes.run(ITEMS)) == sorted(4 * n + 8 * n for n in ITEMS)


def test_an_open_pipeline_keeps_its_event_loop_from_run_to_run() -> None:
    loops: list[Any] = []

    async def same_loop(item: int) -> bool:
        loops.append(asyncio.get_running_loop())
        return loops[0] is loops[-1]

    with pipeline().add(Processor(same_loop)) as pl:
        assert [pl.run([1]), pl.run([1, 2])] == [[True], [True, True]]


def test_what_setup_makes_is_given_to_each() -> None:
    async def at(item: int, table: dict[int, str]) -> str:
        await asyncio.sleep(0)
        return table[item]

    pl = pipeline().add(Processor(at, setup=lambda: dict(enumerate("abc"))))
    assert pl.run([2, 0]) == ["c", "a"]


def test_the_report_says_how_many_were_in_hand() -> None:
    pl = pipeline().add(Processor(met_in_the_loop(10), concurrency=10))
    stage = pl.run(range(100)).report.stages["job"]
    assert 1 < stage.side_by_side <= 10  # a busy machine may leave one alone for long
    assert pipeline().add(Processor(double)).run([1]).report.stages["double"].side_by_side == 0


# ---------------------------------------------------------------------------------------- failures


def refuse_odd(item: int) -> int:
    if item % 2:
        raise ValueError(item)
    return item


async def refuse_odd_later(item: int) -> int:
    await asyncio.sleep(0)
    return refuse_odd(item)


each_way = pytest.mark.parametrize(
    "job", [refuse_odd, refuse_odd_later], ids=["threads", "coroutines"]
)


@each_way
@pytest.mark.parametrize("ordered", [True, False])
def test_what_fails_is_treated_as_the_stage_says(job: Any, ordered: bool) -> None:
    options: dict[str, Any] = {"concurrency": 4, "ordered": ordered, "name": "job"}
    with pytest.raises(ValueError, match=r"\d") as caught:
        pipeline().add(Processor(job, **options)).run(range(100))
    assert "in stage 'job'" in caught.value.__notes__[0]

    skipped = pipeline().add(Processor(job, on_error="skip", **options)).run(range(10))
    assert sorted(skipped) == [0, 2, 4, 6, 8]
    assert skipped.report.stages["job"].skipped == 5

    lettered = pipeline().add(Processor(job, on_error="dead_letter", retries=1, **options))
    result = lettered.run(range(10))
    assert [(each.ordinal, each.item, each.attempts) for each in result.dead_letters] == [
        (n, n, 2) for n in (1, 3, 5, 7, 9)
    ]


@pytest.mark.parametrize("is_async", [False, True], ids=["threads", "coroutines"])
def test_a_further_attempt_holds_up_its_own_item_alone(is_async: bool) -> None:
    """The first item fails until the others are through."""
    through: list[int] = []

    def job(item: int) -> int:
        if item == 0 and len(through) < 5:
            raise ValueError(context().attempt)
        through.append(item)
        return item

    async def later(item: int) -> int:
        return job(item)

    run: Any = later if is_async else job
    tried = Processor[int, int](run, concurrency=2, retries=9, ordered=False)
    assert sorted(pipeline().add(tried).run(range(6))) == list(range(6))


def test_an_item_that_takes_too_long_is_cancelled_and_its_worker_lives() -> None:
    async def sometimes_for_ever(item: int) -> tuple[int, int]:
        if item == 3:
            await asyncio.Event().wait()
        return item, os.getpid()

    pl = pipeline().add(Processor(sometimes_for_ever, timeout_s=0.05, on_error="dead_letter"))
    result = pl.run(range(6))
    assert [item for item, _ in result] == [0, 1, 2, 4, 5]
    assert len({pid for _, pid in result}) == 1
    (letter,) = result.dead_letters
    assert (letter.ordinal, type(letter.exception)) == (3, ItemTimeout)
    assert "1 of 1 attempts" in str(letter.exception)


async def blocks_or_stays(item: int) -> int:
    """Never ends for two items: one keeps the event loop, the other will not be cancelled."""
    if item == 3:
        time.sleep(3600)
    while item == 5:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue
    return item


@pytest.mark.timeout(PATIENCE_S)
def test_a_coroutine_that_cannot_be_cancelled_ends_with_its_worker() -> None:
    stage = Processor(blocks_or_stays, concurrency=2, timeout_s=0.05, on_error="dead_letter")

    found = pipeline().add(stage).run(range(8))

    assert found == [0, 1, 2, 4, 6, 7]
    assert [(each.item, type(each.exception)) for each in found.dead_letters] == [
        (3, ItemTimeout),
        (5, ItemTimeout),
    ]


def stays(item: int) -> int:
    """Never ends for one item, nor for another at its first attempt."""
    if item == 3 or (item == 5 and context().attempt == 1):
        threading.Event().wait()
    return item


@pytest.mark.timeout(PATIENCE_S)
@pytest.mark.parametrize("ordered", [True, False])
def test_an_item_that_takes_too_long_in_a_thread_is_given_up_alone(
    ordered: bool, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"concurrency": 4, "timeout_s": 1, "retries": 1}
    pl = pipeline().add(Processor(stays, ordered=ordered, on_error="dead_letter", **options))

    result = pl.run(range(12), record=tmp_path / "run.cvd")
    again = pl.replay(range(12), tmp_path / "run.cvd")

    assert sorted(result) == [n for n in range(12) if n != 3]
    assert not ordered or result == sorted(result)
    for letters in (result.dead_letters, again.dead_letters):
        (letter,) = letters
        assert (letter.ordinal, letter.item, type(letter.exception)) == (3, 3, ItemTimeout)
        assert "in 2 of 2 attempts" in str(letter.exception)
    assert again == result
    assert again.dead_letters[0].attempts == result.dead_letters[0].attempts
    told = result.report.stages["stays"]
    assert (told.items_in, told.items_out, told.dead_lettered) == (12, 11, 1)


@pytest.mark.timeout(PATIENCE_S)
def test_of_threads_that_all_take_too_long_each_costs_one_worker() -> None:
    def hang(item: int) -> Any:
        return threading.Event().wait()

    stage = Processor(hang, concurrency=4, timeout_s=0.1, ordered=False, on_error="skip")
    result = pipeline().add(stage).run(range(6))
    assert result == []
    told = result.report.stages["hang"]
    assert (told.skipped, told.restarts) == (6, 6)


@pytest.mark.timeout(PATIENCE_S)
def test_the_first_item_without_time_ends_the_run_where_the_stage_says_so() -> None:
    with pytest.raises(ItemTimeout, match=r"stage 'stays': .* in 1 of 1 attempts"):
        pipeline().add(Processor(stays, concurrency=4, timeout_s=0.2)).run([0, 1, 3])


def test_the_oldest_in_hand_is_not_blamed_for_a_death_that_is_not_its_own(tmp_path: Path) -> None:
    """It has a time limit, too, and is at its job at all three deaths."""
    deaths = tmp_path / "deaths"
    deaths.touch()

    def job(item: int) -> int:
        while item == 0 and deaths.stat().st_size < 3:
            time.sleep(0.001)
        if item == 999 and deaths.stat().st_size < 3:
            with deaths.open("ab") as file:
                file.write(b"x")
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    stage = Processor(job, concurrency=1000, ordered=False, timeout_s=3600)
    result = pipeline().add(Pipe(1000)).add(stage).run([0, 999])
    assert sorted(result) == [0, 999]
    assert result.report.stages["job"].restarts == 3


@pytest.mark.parametrize("is_async", [False, True], ids=["threads", "coroutines"])
def test_each_item_has_its_own_context(is_async: bool) -> None:
    def told(item: int) -> tuple[int, str]:
        return item, context().item_id

    async def told_later(item: int) -> tuple[int, str]:
        before = context().item_id
        await asyncio.sleep(0.001 * (item % 2))
        assert context().item_id == before
        return item, before

    job: Any = told_later if is_async else told
    results = pipeline().add(Processor(job, name="job", concurrency=8)).run(range(50))
    assert results == [(n, f"job:0:{n}") for n in range(50)]


@pytest.mark.parametrize("is_async", [False, True], ids=["threads", "coroutines"])
def test_each_item_has_its_own_context_while_a_fork_looks_at_others(
    is_async: bool, tmp_path: Path
) -> None:
    looked_at = tmp_path / "looked at"

    def lane(given: tuple[int, str]) -> int:
        looked_at.touch()
        return given[0]

    def told(item: int) -> tuple[int, str]:
        while item and not looked_at.exists():
            time.sleep(0.001)
        return item, context().item_id

    async def told_later(item: int) -> tuple[int, str]:
        while item and not looked_at.exists():
            await asyncio.sleep(0.001)
        return item, context().item_id

    job: Any = told_later if is_async else told
    pl = pipeline().add(Processor(job, name="job", concurrency=2, ordered=False))
    results = pl.add(RoutingFork(2, lane=lane)).add(Join(2)).run(range(2))
    assert sorted(results) == [(n, f"job:0:{n}") for n in range(2)]


# ------------------------------------------------------------------------------------------ deaths


def die_at(item: int, *at: int) -> None:
    if item in at and context().attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("is_async", [False, True], ids=["threads", "coroutines"])
def test_a_worker_that_dies_loses_and_repeats_nothing(is_async: bool, ordered: bool) -> None:
    def job(item: int) -> int:
        die_at(item, 5, 60, 61, 150)
        return double(item)

    async def later(item: int) -> int:
        await asyncio.sleep(0.001 * (item % 5))
        return job(item)

    run: Any = later if is_async else job
    stage = Processor[int, int](run, name="job", concurrency=16, ordered=ordered)
    result = pipeline().add(stage).run(ITEMS)
    assert sorted(result) == DOUBLED
    assert not ordered or result == DOUBLED
    told = result.report.stages["job"]
    assert told.restarts >= 3
    assert (told.items_in, told.passed) == (200, 200)


def test_dead_letters_come_once_however_often_a_worker_dies() -> None:
    def job(item: int) -> int:
        die_at(item, 20, 41, 63)
        return refuse_odd(item)

    stage = Processor(job, concurrency=8, ordered=False, on_error="dead_letter")
    result = pipeline().add(stage).run(range(80))
    assert sorted(result) == list(range(0, 80, 2))
    assert [each.ordinal for each in result.dead_letters] == list(range(1, 80, 2))


def test_an_item_that_kills_is_found_among_a_thousand() -> None:
    async def job(item: int) -> int:
        await asyncio.sleep(0.001)
        if item == 700:
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    stage = Processor(job, concurrency=1000, ordered=False, on_error="dead_letter")
    result = pipeline().add(Pipe(2000)).add(stage).run(range(1500))
    assert sorted(result) == [n for n in range(1500) if n != 700]
    (letter,) = result.dead_letters
    assert (letter.item, type(letter.exception)) == (700, PoisonItem)


# -------------------------------------------------------------------------------------- recordings


@pytest.mark.parametrize("dies", [False, True])
@pytest.mark.parametrize("is_async", [False, True], ids=["threads", "coroutines"])
def test_a_run_is_recorded_and_replayed(is_async: bool, dies: bool, tmp_path: Path) -> None:
    def job(item: int) -> int:
        if dies:
            die_at(item, 7)
        return double(item)

    async def later(item: int) -> int:
        await asyncio.sleep(0.001 * (item * 7 % 5))
        return job(item)

    run: Any = later if is_async else job
    stage = Processor[int, int](run, concurrency=6, ordered=False)
    pl = pipeline().add(stage).add(Processor(double))
    path = tmp_path / "run.cvd"
    result = pl.run(range(40), record=path)
    assert Counter(result) == Counter(4 * n for n in range(40))
    assert pl.replay(range(40), path) == result


# ---------------------------------------------------------------------------------- what is refused


class Stateful(Processor[int, int]):
    def process(self, item: int, /) -> int:
        return item


async def two(one: int, other: int) -> int:
    return one + other


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "none": (lambda: Processor(double, concurrency=0), "1 or more"),
    "a word": (lambda: Processor(double, concurrency="8"), "whole number"),  # type: ignore[call-overload]  # pyright: ignore
    "no order": (lambda: Processor(double, ordered=False), "concurrency=8"),
    "a class": (lambda: Stateful(concurrency=2), "write async def process"),
    "an async generator": (lambda: Processor(up_to), r"FlatMap\(up_to\)"),
    "two arguments": (lambda: Processor(two), "exactly one"),  # type: ignore[arg-type]  # pyright: ignore
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_meant_is_refused_at_once(what: str) -> None:
    make, words_of_it = REFUSED[what]
    with pytest.raises(TopologyError, match=words_of_it):
        make()


def test_it_is_refused_in_a_lane_of_an_ordered_join() -> None:
    pl = pipeline().add(BalancingFork(2)).add(Processor(double_later), Pipe())
    with pytest.raises(TopologyError, match="ordered join"):
        pl.add(Join(2, ordered=True)).run([1])


def test_a_coroutine_that_a_function_gives_is_told_from_what_cannot_be_pickled() -> None:
    async def fetch(number: int) -> int:
        return number

    def forgotten(number: int) -> Any:
        return fetch(number)

    pl = pipeline().add(Processor(forgotten))
    for run in (pl.run, pl.simulate):
        with pytest.raises(NotPicklable, match="give the stage the async function itself"):
            run([1])


class Shop:
    """A resource that notes in a file what is seen of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_closed = threading.Event()
        self.begun = threading.Barrier(2)

    def note(self, what: str) -> None:
        with self.path.open("a") as file:
            print(what, file=file)

    def close(self) -> None:
        self.is_closed.set()
        self.note("closed")


def fails_beside_another(item: int, shop: Shop) -> int:
    shop.begun.wait(PATIENCE_S)
    if item == 0:
        raise ZeroDivisionError(item)
    if shop.is_closed.wait(0.3):  # less than what a worker has that is told to end
        shop.note("used when it was closed")
    shop.note("done")
    return item


async def fails_beside_a_thread(item: int, shop: Shop) -> int:
    return await asyncio.to_thread(fails_beside_another, item, shop)


@pytest.mark.parametrize("job", [fails_beside_another, fails_beside_a_thread])
def test_what_is_still_at_work_never_sees_its_resource_closed(job: Any, tmp_path: Path) -> None:
    notes = tmp_path / "notes"

    with pytest.raises(ZeroDivisionError):
        pipeline().add(Processor(job, setup=lambda: Shop(notes), concurrency=2)).run([0, 1])

    told = notes.read_text().split("\n")[:-1] if notes.exists() else []
    # A busy machine may have killed the worker before it came so far
    assert told in ([], ["done"], ["done", "closed"])


def hangs_beside_another(item: int, shop: Shop) -> int:
    shop.begun.wait(PATIENCE_S)
    if item == 0:
        raise ZeroDivisionError(item)
    threading.Event().wait()
    return item


def test_what_never_comes_back_does_not_keep_a_run_from_ending(tmp_path: Path) -> None:
    notes = tmp_path / "notes"

    with pytest.raises(ZeroDivisionError):
        pipeline().add(
            Processor(hangs_beside_another, setup=lambda: Shop(notes), concurrency=2)
        ).run([0, 1])
    assert not notes.exists()


def is_tried_again(item: int, shop: Shop) -> int:
    if context().attempt == 1:
        shop.begun.wait(PATIENCE_S)
    if item == 1:
        raise LookupError(item)
    return item


def refuse(item: int) -> int:
    raise ZeroDivisionError(item)


def test_no_attempt_is_made_once_the_worker_is_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = tmp_path / "notes"
    monkeypatch.setattr(runner, "GRACE_S", 9.0)  # of a run that has failed

    with pytest.raises(ZeroDivisionError):
        pipeline().add(
            Processor(is_tried_again, setup=lambda: Shop(notes), concurrency=2, retries=10**9)
        ).add(Processor(refuse)).run([0, 1])
    assert notes.read_text() == "closed\n"


async def exits_in_a_task(item: int, shop: Shop) -> int:
    async def exits() -> None:
        raise SystemExit(3)

    if item == 1:
        await asyncio.create_task(exits())
    await asyncio.sleep(PATIENCE_S)
    return item


def test_what_is_in_hand_is_cancelled_and_torn_down_where_a_task_has_ended_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = tmp_path / "notes"
    monkeypatch.setattr(runner, "GRACE_S", 9.0)

    with pytest.raises(JobExited):
        pipeline().add(Processor(exits_in_a_task, setup=lambda: Shop(notes), concurrency=2)).run(
            [0, 1]
        )
    assert notes.read_text() == "closed\n"


class SlowToSay:
    """Works on an item at once, and says later that it is done."""

    def __init__(self) -> None:
        self.to_say: list[Callable[[], None]] = []

    def begin(self, node: Any, held: Held, done: Callable[[Held], None]) -> None:
        held.is_done = True
        self.to_say.append(lambda: done(held))


class Hurried:
    """Has the threads of a worker take turns as often as they can."""

    def __init__(self) -> None:
        sys.setswitchinterval(1e-6)


def given_back(item: int, _: Hurried) -> int:
    return item


def test_threads_may_be_done_while_it_is_looked_which_are() -> None:
    with pipeline().add(Processor(given_back, setup=Hurried, concurrency=16, ordered=False)) as pl:
        for _ in range(5):
            assert sorted(pl.run(range(4000))) == list(range(4000))


def test_an_item_that_is_out_in_part_goes_on_before_its_thread_says_that_it_is_done() -> None:
    crew: Any = SlowToSay()
    node: Any = Processor(double, concurrency=2, ordered=False)
    node.stage = node
    hands = WorkingHands(crew, node, 2, lambda in_hand: None, None, None)
    part, other = Held(0, 0, "part", FRESH), Held(1, 1, "other", FRESH)
    hands.begin(part)
    hands.begin(other)

    assert hands.is_done(part, UNBOUNDED)
    assert hands.chosen(part, 0, [part, other], UNBOUNDED) == [part]
    crew.to_say[0]()
    assert not hands.is_done(None, UNBOUNDED)
    crew.to_say[1]()
    assert not hands.is_done(None, 1)  # what is behind a barrier waits
    assert hands.chosen(None, 0, [], 1) == []
    assert hands.is_done(None, UNBOUNDED)
    assert hands.chosen(None, 0, [other], UNBOUNDED) == [other]
    assert hands.in_hand == 0
