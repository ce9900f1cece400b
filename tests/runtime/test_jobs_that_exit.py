"""A job that raises what is no `Exception`, whichever world it is in: its item has failed, which by
default ends the run."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from conveyor import Filter, FlatMap, Pipeline, Processor, context
from conveyor.errors import JobExited, NotPicklable
from tests.helpers import pipeline

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")

BAD = 2
Run: TypeAlias = Callable[[Pipeline[Any, Any]], Any]
RUNS: dict[str, Run] = {
    "for real": lambda pl: pl.run(range(5)),
    "simulated": lambda pl: pl.simulate(range(5)),
}


@pytest.fixture(params=RUNS)
def run(request: pytest.FixtureRequest) -> Run:
    return RUNS[request.param]


def exits(item: int) -> int:
    if item == BAD:
        raise SystemExit(3)
    return item


def is_interrupted(item: int) -> bool:
    if item == BAD:
        raise KeyboardInterrupt("in the job")
    return True


async def exits_later(item: int) -> int:
    await asyncio.sleep(0)
    return exits(item)


async def awaits_what_is_cancelled(item: int) -> int:
    inner = asyncio.create_task(asyncio.sleep(0 if item != BAD else 10, item))
    await asyncio.sleep(0)
    if item == BAD:
        inner.cancel()
    return await inner


async def cancels_itself(item: int) -> int:
    task = asyncio.current_task()
    if item == BAD and task is not None:
        task.cancel()
    await asyncio.sleep(0)
    return item


def cancelled_in_a_loop_of_its_own(item: int) -> int:
    return asyncio.run(awaits_what_is_cancelled(item))


CASES: dict[str, tuple[Any, dict[str, Any], type[BaseException]]] = {
    "exits": (exits, {}, SystemExit),
    "exits in a coroutine": (exits_later, {}, SystemExit),
    "exits in a thread": (exits, {"concurrency": 2}, SystemExit),
    "is interrupted": (is_interrupted, {}, KeyboardInterrupt),
    "awaits what is cancelled": (awaits_what_is_cancelled, {}, asyncio.CancelledError),
    "cancels itself": (cancels_itself, {}, asyncio.CancelledError),
    "is done as they come": (cancels_itself, {"ordered": False}, asyncio.CancelledError),
}
each_case = pytest.mark.parametrize("case", CASES)


def stage_of(case: str, **options: Any) -> Any:
    job, own, _ = CASES[case]
    kind: Any = Filter if job is is_interrupted else Processor
    return kind(job, name="job", **own, **options)


@each_case
def test_by_default_it_ends_the_run_and_says_of_which_item_it_is(run: Run, case: str) -> None:
    kind = CASES[case][2]

    with pytest.raises(JobExited, match=kind.__name__) as caught:
        run(pipeline().add(stage_of(case)))

    assert type(caught.value.__cause__) is kind
    assert "in stage 'job'" in caught.value.__notes__[0]
    assert f"item {BAD}: {BAD}" in caught.value.__notes__[0]


class ExitsWhereItIsLoaded:
    def __reduce__(self) -> tuple[Any, ...]:
        return sys.exit, (3,)


def test_an_item_that_exits_where_it_is_unpickled_is_named(run: Run) -> None:
    made = Processor(lambda item: ExitsWhereItIsLoaded() if item == BAD else item)

    with pytest.raises(NotPicklable, match="SystemExit: 3") as caught:
        run(pipeline().add(made).add(Processor(str, name="job")))

    assert "in stage 'job'" in caught.value.__notes__[0]
    assert f"item {BAD}: <an item that cannot be unpickled>" in caught.value.__notes__[0]


def leaves_what_it_gives(item: int) -> Iterator[int]:
    yield item
    if item == BAD:
        raise GeneratorExit


class LeavesAtItsEnd(Processor[int, int]):
    def process(self, item: int) -> int:
        return item

    def finish(self) -> Iterator[int]:
        return leaves_what_it_gives(BAD)


@pytest.mark.parametrize(
    ("stage", "where"),
    [
        (FlatMap(leaves_what_it_gives, name="job"), f"item {BAD}: {BAD}"),
        (LeavesAtItsEnd(name="job"), "finish()"),
    ],
    ids=["of an item", "at the end"],
)
def test_a_generator_that_raises_what_closes_one_has_failed(
    run: Run, stage: Any, where: str
) -> None:
    with pytest.raises(JobExited, match="GeneratorExit") as caught:
        run(pipeline().add(stage))

    assert "in stage 'job'" in caught.value.__notes__[0]
    assert where in caught.value.__notes__[0]


async def exits_in_a_task(item: int) -> int:
    return await asyncio.create_task(exits_later(item))


class ExitsInATask(Processor[int, int]):
    async def process(self, item: int) -> int:
        return await exits_in_a_task(item)


class ExitsBeside(Processor[int, int]):
    async def setup(self) -> None:
        self.task = asyncio.create_task(exits_later(BAD))

    async def process(self, item: int) -> int:
        await asyncio.sleep(10)
        return item


@pytest.mark.parametrize("job", [exits_in_a_task, ExitsInATask, ExitsBeside])
def test_one_that_exits_in_a_task_of_its_own_ends_it_too(run: Run, job: Any) -> None:
    stage = job() if isinstance(job, type) else Processor(job)

    with pytest.raises(JobExited, match="SystemExit: 3") as caught:
        run(pipeline().add(stage))

    assert type(caught.value.__cause__) is SystemExit
    # Here, and not wherever memory is short next, asyncio logs that nobody took it from the task
    del caught
    gc.collect()


@each_case
def test_its_item_is_skipped_where_the_stage_says_so(run: Run, case: str) -> None:
    result = run(pipeline().add(stage_of(case, on_error="skip")))

    assert sorted(result) == [0, 1, 3, 4]
    assert result.report.stages["job"].skipped == 1


@each_case
def test_its_item_is_tried_again_and_put_aside(run: Run, case: str) -> None:
    kind = CASES[case][2]
    result = run(pipeline().add(stage_of(case, on_error="dead_letter", retries=1)))

    assert sorted(result) == [0, 1, 3, 4]
    (letter,) = result.dead_letters
    assert (letter.item, letter.ordinal, letter.attempts) == (BAD, BAD, 2)
    assert isinstance(letter.exception, JobExited)
    assert type(letter.exception.__cause__) is kind


def test_a_second_attempt_may_do_better(run: Run) -> None:
    async def at_first(item: int) -> int:
        return await cancels_itself(item) if context().attempt == 1 else item

    assert list(run(pipeline().add(Processor(at_first, retries=1)))) == [0, 1, 2, 3, 4]


def test_a_job_that_is_cancelled_and_fails_is_tried_again(run: Run) -> None:
    async def at_first(item: int) -> int:
        task = asyncio.current_task()
        if context().attempt == 1 and item == BAD and task is not None:
            task.cancel()
            raise ValueError(item)
        return item

    # The pause before the second attempt is what is cancelled.
    assert list(run(pipeline().add(Processor(at_first, retries=2)))) == [0, 1, 2, 3, 4]


def test_a_sync_job_may_have_a_loop_of_its_own() -> None:
    job = Processor(cancelled_in_a_loop_of_its_own, on_error="skip")
    assert list(pipeline().add(job).run(range(5))) == [0, 1, 3, 4]


def test_for_a_program_that_awaits_the_run_it_is_no_cancellation() -> None:
    async def main() -> None:
        with pytest.raises(JobExited, match="cancelled, and not by its run"):
            await pipeline().add(Processor(cancels_itself)).arun(range(5))
        task = asyncio.current_task()
        assert task is not None
        assert not task.cancelling()

    asyncio.run(main())


def test_what_the_end_of_a_run_cancels_is_not_tried_again(tmp_path: Path) -> None:
    begun = tmp_path / "begun"

    async def job(item: int) -> int:
        with begun.open("a") as file:
            file.write(f"{item}\n")
        await asyncio.sleep(600)
        return item

    with pipeline().add(Processor(job, retries=5)).stream([1]):
        while not (begun.exists() and begun.read_text()):
            time.sleep(0.001)
    assert begun.read_text() == "1\n"
