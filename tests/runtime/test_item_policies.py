"""What becomes of an item that fails, takes too long or kills its worker; and what a job may ask
about its item."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from conveyor import (
    BalancingFork,
    Context,
    Filter,
    FlatMap,
    Join,
    Pipe,
    Processor,
    ReplicatingFork,
    Zip,
    context,
)
from conveyor.errors import Deadlock, ItemTimeout, LifecycleError, PoisonItem, WorkerCrashed
from conveyor.items.current_item import CURRENT
from tests.fatal_jobs import BAD, die, spin_for_ever, wait_for_ever
from tests.helpers import START_METHODS, pipeline
from tests.jobs import Refused

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")


def dies(item: int) -> bool:
    return bool(die(item + 1))


def die_in_the_middle(item: int) -> Iterator[int]:
    yield item
    yield die(item)


def waits_for_ever(item: int) -> bool:
    return wait_for_ever(item) >= 0


def wait_in_the_middle(item: int) -> Iterator[int]:
    yield item
    yield wait_for_ever(item)


def two_fold(item: int) -> list[int]:
    return [item, item]


def counts(report: Any, stage: str) -> tuple[int, ...]:
    of = report.stages[stage]
    assert (
        of.items_in
        == of.passed + of.dropped + of.skipped + of.dead_lettered + of.failed + of.in_hand
    )
    return of.items_in, of.passed, of.skipped, of.dead_lettered, of.failed


# ------------------------------------------------------------------------------------------- poison


@pytest.mark.parametrize("start_method", START_METHODS)
def test_an_item_that_kills_each_worker_is_named(start_method: str) -> None:
    with pytest.raises(PoisonItem) as failed:
        pipeline(start_method).add(Processor(die, name="careful")).run(range(200))

    assert "careful" in str(failed.value)
    assert "SIGKILL" in str(failed.value)
    assert f"item {BAD}: {BAD}" in failed.value.__notes__[0]


@pytest.mark.parametrize("on_error", ["skip", "dead_letter"])
def test_an_item_that_kills_each_worker_can_be_left_out(on_error: Any) -> None:
    result = pipeline().add(Processor(die, on_error=on_error)).run(range(200))

    assert list(result) == [item for item in range(200) if item != BAD]
    assert counts(result.report, "die") == (
        200,
        199,
        on_error == "skip",
        on_error == "dead_letter",
        0,
    )
    letters: list[Any] = [
        (letter.ordinal, letter.item, type(letter.exception)) for letter in result.dead_letters
    ]
    assert letters == [(BAD, BAD, PoisonItem)] * (on_error == "dead_letter")


def test_a_predicate_and_a_flat_map_may_be_given_poison_too() -> None:
    filtered = pipeline().add(Filter(dies, on_error="dead_letter")).run(range(20))
    assert list(filtered) == [item for item in range(20) if item + 1 != BAD]
    assert [letter.item for letter in filtered.dead_letters] == [BAD - 1]

    multiplied = pipeline().add(FlatMap(die_in_the_middle, on_error="dead_letter")).run(range(8))
    assert [item for item in multiplied if item != BAD] == [
        item for item in range(8) if item != BAD for _ in range(2)
    ]
    assert [letter.item for letter in multiplied.dead_letters] == [BAD]


def test_the_lanes_of_an_ordered_join_keep_step_around_poison() -> None:
    pl = (
        pipeline()
        .add(BalancingFork(2))
        .add(*[Processor(die, on_error="skip") for _ in range(2)])
        .add(Join(2, ordered=True))
    )

    assert pl.run(range(60)) == [item for item in range(60) if item != BAD]


def test_a_slice_that_killed_its_worker_is_taken_item_by_item() -> None:
    def die_late(item: int) -> int:
        return die(BAD if item == 3000 else -item)

    result = pipeline().add(Processor(die_late, on_error="skip", name="it")).run(range(5000))

    assert len(result) == 4999
    assert 3 <= result.report.stages["it"].restarts <= 4  # once among others, and three times alone


def test_poison_in_every_run_of_an_open_pipeline() -> None:
    with pipeline().add(Processor(die, on_error="skip")) as pl:
        for _ in range(3):
            assert pl.run(range(10)) == [item for item in range(10) if item != BAD]


class DiesInSetup(Processor[int, int]):
    def setup(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def process(self, item: int, /) -> int:
        return item


def test_a_worker_that_always_dies_in_setup_ends_the_run() -> None:
    with pytest.raises(WorkerCrashed, match=r"DiesInSetup.*SIGKILL.* 9 workers before it"):
        pipeline().add(DiesInSetup()).run([1])


# -------------------------------------------------------------------------------------- time limits


@pytest.mark.parametrize("start_method", START_METHODS)
@pytest.mark.parametrize("job", [wait_for_ever, spin_for_ever])
def test_an_item_that_takes_too_long_fails_and_the_others_arrive_in_order(
    job: Any, start_method: str
) -> None:
    result = (
        pipeline(start_method)
        .add(Processor(job, timeout_s=0.1, on_error="dead_letter", name="slow"))
        .run(range(20))
    )

    assert list(result) == [item for item in range(20) if item != BAD]
    (letter,) = result.dead_letters
    assert (letter.stage, letter.ordinal, letter.item, type(letter.exception)) == (
        "slow",
        BAD,
        BAD,
        ItemTimeout,
    )
    assert counts(result.report, "slow") == (20, 19, 0, 1, 0)


def test_an_item_that_takes_too_long_ends_the_run_if_nothing_is_said() -> None:
    with pytest.raises(ItemTimeout, match=r"slow.*timeout_s=0.1") as failed:
        pipeline().add(Processor(wait_for_ever, timeout_s=0.1, name="slow")).run(range(20))

    assert f"item {BAD}: {BAD}" in failed.value.__notes__[0]


@pytest.mark.parametrize(("kind", "job"), [(Filter, waits_for_ever), (FlatMap, wait_in_the_middle)])
def test_every_kind_of_job_may_take_too_long(kind: Any, job: Any) -> None:
    result = pipeline().add(kind(job, timeout_s=0.1, on_error="dead_letter")).run(range(8))

    assert sorted(set(result) - {BAD}) == [item for item in range(8) if item != BAD]
    assert [(letter.item, type(letter.exception)) for letter in result.dead_letters] == [
        (BAD, ItemTimeout)
    ]


def test_an_item_that_took_too_long_is_tried_as_often_as_is_said(tmp_path: Path) -> None:
    def slow_at_first(item: int) -> tuple[int, int]:
        attempt = context().attempt
        if item == BAD:
            (tmp_path / str(attempt)).touch()
        return (wait_for_ever(item) if attempt < 3 else item), attempt

    result = (
        pipeline()
        .add(Processor(slow_at_first, timeout_s=0.1, retries=2, name="slow"))
        .run(range(10))
    )

    assert [item for item, _ in result] == list(range(10))
    assert dict(result)[BAD] == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2", "3"]
    assert result.report.stages["slow"].restarts == 2


def test_time_that_a_flat_map_waits_for_room_is_not_its_own() -> None:
    def slow(item: int) -> int:
        threading.Event().wait(0.02)
        return item

    pl = (
        pipeline()
        .add(FlatMap(lambda item: [item] * 20, timeout_s=0.1))
        .add(Pipe(1))
        .add(Processor(slow))
        .add(Pipe(1))
    )

    assert list(pl.run(range(2))) == [item for item in range(2) for _ in range(20)]


def given_for_ever(item: int) -> Iterator[int]:
    yield item
    while item == BAD:
        threading.Event().wait(0.001)
        yield item


def test_an_item_of_a_flat_map_that_goes_on_giving_has_its_time_as_a_whole() -> None:
    result = pipeline().add(FlatMap(given_for_ever, timeout_s=0.3, on_error="skip")).run(range(8))

    assert [item for item in result if item != BAD] == [item for item in range(8) if item != BAD]
    assert next(iter(result.report.stages.values())).skipped == 1


class Slow(Processor[int, int]):
    def process(self, item: int, /) -> int:
        return wait_for_ever(item)


def test_a_stateful_worker_is_not_replaced_when_its_item_takes_too_long() -> None:
    with pytest.raises(ItemTimeout, match=r"its state died with it.*snapshot\(\)"):
        pipeline().add(Slow(timeout_s=0.1)).run(range(10))


def test_a_stream_keeps_time_while_it_waits() -> None:
    with (
        pipeline()
        .add(Processor(wait_for_ever, timeout_s=0.1, on_error="skip"))
        .stream(range(10)) as stream
    ):
        assert list(stream) == [item for item in range(10) if item != BAD]


# ----------------------------------------------------------------------------------- context, retry


def what_it_knows(item: object) -> tuple[object, int, str]:
    known = context()
    return item, known.attempt, known.item_id


def fails_twice(item: int) -> tuple[int, int, str]:
    known = context()
    if item % 3 == 0 and known.attempt < 3:
        raise Refused(known.item_id, known.attempt)
    return item, known.attempt, known.item_id


def test_an_item_has_an_id_of_its_own_in_each_stage() -> None:
    pl = (
        pipeline()
        .add(ReplicatingFork(2))
        .add(Pipe(), Pipe())
        .add(Join(2))
        .add(Processor(what_it_knows))
    )
    pl.add(Processor(what_it_knows))
    result = pl.run(range(500))

    ids = [known for _, _, known in result] + [item[2] for item, _, _ in result]
    assert len(set(ids)) == len(ids) == 2000
    assert {attempt for _, attempt, _ in result} == {1}


def test_ids_begin_anew_with_each_run_of_an_open_pipeline() -> None:
    with pipeline().add(Processor(what_it_knows)) as pl:
        first = pl.run(range(5))

        assert pl.run(range(5)) == first


def test_an_attempt_that_follows_another_knows_it_and_keeps_the_id() -> None:
    once = pipeline().add(Processor(what_it_knows, name="job")).run(range(12))
    result = pipeline().add(Processor(fails_twice, retries=2, name="job")).run(range(12))

    assert [(item, attempt) for item, attempt, _ in result] == [
        (item, 3 if item % 3 == 0 else 1) for item in range(12)
    ]
    assert [known for _, _, known in result] == [known for _, _, known in once]


def test_a_flat_map_and_a_filter_know_their_item_too() -> None:
    def each(item: int) -> Iterator[tuple[int, Context]]:
        for _ in range(3):
            yield item, context()

    result = pipeline().add(FlatMap(each)).run(range(300))

    assert len({known.item_id for _, known in result}) == 300
    assert pipeline().add(Filter(lambda item: context().item_id.endswith(f":{item}"))).run(
        range(50)
    ) == list(range(50))


def test_the_lanes_of_an_ordered_join_know_their_items() -> None:
    pl = (
        pipeline()
        .add(ReplicatingFork(2))
        .add(Processor(what_it_knows, name="a"), Processor(what_it_knows, name="b"))
    )
    result = pl.add(Join(2, ordered=True)).run(range(100))

    assert [known for _, _, known in result] == [
        f"{lane}:0:{item}" for item in range(100) for lane in "ab"
    ]


def test_an_item_whose_worker_died_knows_and_has_the_same_id() -> None:
    def die_once(item: int) -> tuple[int, int, str]:
        known = context()
        if item == BAD and known.attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return item, known.attempt, known.item_id

    once = pipeline().add(Processor(what_it_knows, name="job")).run(range(40))
    result = pipeline().add(Processor(die_once, name="job")).run(range(40))

    assert [(item, known) for item, _, known in result] == [
        (item, known) for item, _, known in once
    ]
    assert result[BAD][1] == 2
    assert result.report.stages["job"].restarts == 1


def test_there_is_no_item_outside_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CURRENT, "job", None)  # tests that step a node by hand leave one
    with pytest.raises(LifecycleError, match="no item"):
        context()

    class Asks(Processor[int, int]):
        def process(self, item: int, /) -> int:
            return item

        def finish(self) -> Iterator[int]:
            context()
            yield 0

    with pytest.raises(LifecycleError, match="no item"):
        pipeline().add(Asks()).run([1])


# ----------------------------------------------------------------------------------------- deadlock


def sparse(item: int) -> int | None:
    return item if item % 100 == 0 else None


def in_a_circle() -> Any:
    return pipeline().add(ReplicatingFork(2)).add(Processor(sparse), Pipe(8)).add(Zip(2))


def test_pipes_that_wait_for_one_another_are_named() -> None:
    with pytest.raises(Deadlock) as failed:
        in_a_circle().run(range(1000))

    text = str(failed.value)
    assert (
        "the source waits for room before the sink: c1 (the source -> the sink) is full: 8 of 8"
        " items" in text
    )
    assert "the sink waits for items from 'sparse'" in text
    assert "'sparse' waits for items from the source" in text


def test_so_are_they_in_a_stream_of_endless_input() -> None:
    with (
        in_a_circle().stream(count()) as stream,
        pytest.raises(Deadlock, match="is full: 8 of 8 items"),
    ):
        list(stream)


def test_bytes_are_named_where_they_are_what_fills_a_pipe() -> None:
    def large(item: int) -> bytes:
        return bytes(100_000)

    def nothing(item: bytes) -> None:
        pass

    pl = (
        pipeline()
        .add(Processor(large))
        .add(ReplicatingFork(2))
        .add(Processor(nothing), Pipe(20_000))
        .add(Zip(2))
    )
    with pytest.raises(Deadlock, match="full by bytes"):
        pl.run(range(2000))


def test_a_circle_with_room_enough_and_work_that_takes_long_are_no_deadlock() -> None:
    pl = pipeline().add(ReplicatingFork(2)).add(Processor(sparse), Pipe(1000)).add(Zip(2))
    assert len(pl.run(range(1000))) == 10

    def slow(item: int) -> int:
        threading.Event().wait(0.8)
        return item

    assert pipeline().add(ReplicatingFork(2)).add(Processor(slow), Pipe(1)).add(Zip(2)).run(
        [1]
    ) == [(1, 1)]
