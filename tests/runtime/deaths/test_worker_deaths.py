"""Workers that die, one by one and together, once and always, and what comes out is as if nobody
had.  More: `make chaos`."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conveyor import Join, Pipe, Processor, ReplicatingFork
from conveyor.errors import PoisonItem, WorkerCrashed
from conveyor.runtime.parent import local_crew
from conveyor.runtime.process.start import start_process
from conveyor.stages import OnError
from tests.chaos.watch import workers
from tests.fatal_jobs import DiesInSetup, dies_always, dies_at_first, runs_of
from tests.helpers import (
    eventually,
    new_or_forked,
    pipeline,
    under_each_start_method,
)
from tests.jobs import increment
from tests.store_faults import Fault, planned

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")


# --------------------------------------------------------------------------------- workers that die


@under_each_start_method
def test_a_job_that_kills_its_worker_once_runs_twice_and_no_other_does(
    start_method: str, tmp_path: Path
) -> None:
    file = tmp_path / "runs"
    result = (
        pipeline(start_method)
        .add(Processor(partial(dies_at_first, file, 50), name="job"))
        .run(range(200))
    )

    assert result == list(range(200))
    assert runs_of(file) == Counter(range(200)) + Counter([50])
    assert result.report.stages["job"].restarts == 1


@under_each_start_method
def test_an_item_that_kills_every_worker_is_an_error_that_names_it(start_method: str) -> None:
    with pytest.raises(PoisonItem, match=r"'job'.*50") as caught:
        pipeline(start_method).add(Processor(partial(dies_always, 50), name="job")).run(range(200))

    assert "'job'" in "\n".join(caught.value.__notes__)


@pytest.mark.parametrize("bad", range(4))
def test_it_names_the_job_that_was_running_where_several_share_a_worker(
    bad: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_crew, "usable_cores", lambda: [0])
    pl = pipeline()
    for number in range(4):
        pl.add(Processor(partial(dies_always, 50 if number == bad else -1), name=f"job-{number}"))
    with pytest.raises(PoisonItem, match=f"'job-{bad}'") as caught:
        pl.run(range(200))

    assert f"in stage 'job-{bad}'" in "\n".join(caught.value.__notes__)
    assert "item 50: 50" in "\n".join(caught.value.__notes__)


@pytest.mark.parametrize("on_error", ["skip", "dead_letter"])
def test_or_all_others_arrive_without_it(on_error: OnError) -> None:
    result = (
        pipeline()
        .add(Processor(partial(dies_always, 50), name="job", on_error=on_error))
        .run(range(200))
    )

    assert result == [item for item in range(200) if item != 50]
    letters = [(letter.ordinal, letter.item) for letter in result.dead_letters]
    assert letters == ([(50, 50)] if on_error == "dead_letter" else [])
    stage = result.report.stages["job"]
    assert (stage.items_in, stage.passed, stage.skipped + stage.dead_lettered) == (200, 199, 1)


def test_a_worker_killed_between_publishing_and_ringing_leaves_nobody_asleep() -> None:
    results: list[int] = []

    def arrived(number: int) -> bool:
        return len(results) == number

    def source() -> Iterator[int]:
        for number in range(5):
            eventually(
                partial(arrived, number)
            )  # nothing else is under way that could wake anybody
            yield number

    with planned(Fault("first", "tail", 3, after=True)):
        pl = (
            pipeline()
            .add(Processor(increment, name="first"))
            .add(Processor(increment, name="second"))
        )
        with pl.stream(source()) as stream:
            for result in stream:
                results.append(result)

    assert results == [2, 3, 4, 5, 6]
    assert stream.report.stages["first"].restarts == 1


def kill(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("start_method", "how_many"),
    [("fork", 1), ("fork", 2), ("fork", 4), ("forkserver", 2), ("spawn", 4)],
)
def test_several_workers_killed_at_once_leave_no_trace_in_the_results(
    start_method: str, how_many: int
) -> None:
    pl = pipeline(start_method).add(Pipe(8))
    for _ in range(4):
        pl.add(Processor(increment)).add(Pipe(8))
    results: list[int] = []
    with pl.stream(range(300)) as stream:
        for result in stream:
            results.append(result)
            if result in (50, 250):
                kill(list(workers(os.getpid()))[:how_many])

    assert results == list(range(4, 304))
    assert sum(stage.restarts for stage in stream.report.stages.values()) >= how_many


def waits_for(file: Path, lane: str, item: int) -> tuple[str, int]:
    """Lane "a" dies at its item 1 until the other lane has done all of its items."""
    if lane == "a" and item == 1 and not file.exists():
        time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    if lane == "b" and item == 1999:
        file.touch()
    return lane, item


def test_a_lane_whose_worker_dies_does_not_hold_up_the_other(tmp_path: Path) -> None:
    a, b = (
        Processor(partial(waits_for, tmp_path / "done", lane), name=lane, on_error="skip")
        for lane in "ab"
    )
    outputs = pipeline().add(ReplicatingFork(2)).add(a, b).add(Join(2)).run(range(2000))

    assert [item for lane, item in outputs if lane == "b"] == list(range(2000))
    assert [item for lane, item in outputs if lane == "a" and item != 1] == [
        item for item in range(2000) if item != 1
    ]


@pytest.mark.parametrize("births", [{1}, {2, 3}, {1, 3, 4}])
def test_a_worker_that_is_killed_before_it_has_read_what_it_is_to_do_is_replaced(
    births: set[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    born = 0

    def start(*arguments: Any) -> Any:
        nonlocal born
        born += 1
        if born in births:
            raise BrokenPipeError
        return start_process(*arguments)

    monkeypatch.setattr(local_crew, "start_process", start)
    pl = (
        pipeline()
        .add(Processor(partial(dies_at_first, tmp_path / "runs", 50)))
        .add(Processor(increment))
    )

    assert pl.run(range(100)) == list(range(1, 101))
    assert born == 3 + len(births)


def test_one_that_always_is_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*arguments: Any) -> Any:
        raise BrokenPipeError

    monkeypatch.setattr(local_crew, "start_process", start)
    monkeypatch.setattr("conveyor.core.crashes.TO_START_MS", 1000)
    with pytest.raises(WorkerCrashed, match=r"'increment'.* is gone.* none of them was ready"):
        pipeline().add(Processor(increment)).run(range(100))


@new_or_forked
def test_a_worker_that_dies_in_setup_ends_the_run(start_method: str) -> None:
    with pytest.raises(WorkerCrashed, match="DiesInSetup"):
        pipeline(start_method).add(DiesInSetup()).run(range(10))


class Sum(Processor[int, int]):
    """Adds up; dies once, at item 50."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        self.total = 0

    def process(self, item: int, /) -> int:
        if item == 50 and not self.file.exists():
            self.file.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        self.total += item
        return self.total


class Restorable(Sum):
    def snapshot(self) -> int:
        return self.total

    def restore(self, state: int) -> None:
        self.total = state


def test_a_stateful_worker_with_snapshots_goes_on_with_its_state(tmp_path: Path) -> None:
    assert pipeline().add(Restorable(tmp_path / "died")).run(range(200)) == [
        n * (n + 1) // 2 for n in range(200)
    ]


def test_without_snapshots_the_run_fails_and_says_why(tmp_path: Path) -> None:
    with pytest.raises(WorkerCrashed, match=r"'Sum'.*snapshot"):
        pipeline().add(Sum(tmp_path / "died")).run(range(200))


def test_a_worker_that_is_stopped_and_goes_on_again_loses_nothing() -> None:
    pl = (
        pipeline()
        .add(Pipe(4))
        .add(Processor(increment))
        .add(Pipe(4))
        .add(Processor(increment))
        .add(Pipe(4))
    )
    results: list[int] = []
    with pl.stream(range(200)) as stream:
        for result in stream:
            results.append(result)
            if result == 50:
                stopped = next(workers(os.getpid()))
                os.kill(stopped, signal.SIGSTOP)
                threading.Timer(0.3, os.kill, (stopped, signal.SIGCONT)).start()

    assert results == list(range(2, 202))


def test_a_consumer_that_is_slow_looks_after_the_workers_between_results() -> None:
    """There are results enough for minutes: it would not wait for one, and see the death only
    then."""
    with pipeline().add(Processor(increment, name="job")).stream(iter(range(10**6))) as stream:
        taken = [next(stream) for _ in range(20)]
        (worker,) = workers(os.getpid())
        os.kill(worker, signal.SIGKILL)
        while not stream.report.stages["job"].restarts:
            assert len(taken) < 200, "the death is not seen while there are results"
            time.sleep(0.005)
            taken.append(next(stream))

    assert taken == list(range(1, len(taken) + 1))


def test_nor_does_an_item_take_longer_because_the_consumer_is_slow(tmp_path: Path) -> None:
    hangs = partial(hangs_at, tmp_path / "killed", 3000)
    started = time.monotonic()
    with (
        pipeline()
        .add(Processor(hangs, name="job", timeout_s=0.1, on_error="skip"))
        .stream(iter(range(10**6))) as stream
    ):
        taken = 0
        while not stream.report.stages["job"].restarts:
            assert taken < 1000, "the limit is not looked at while there are results"
            time.sleep(0.005)
            next(stream)
            taken += 1

    assert time.monotonic() - started < 10


def hangs_at(file: Path, bad: int, item: int) -> int:
    if item == bad:
        file.touch()
        threading.Event().wait()
    return item
