"""`setup=` makes something once in each worker, before its first item, and closes it when the
worker stops."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from conveyor import BalancingFork, Filter, FlatMap, Join, Processor
from conveyor.errors import JobExited, NotPicklable, WorkerCrashed
from conveyor.runtime.placement import Placement
from tests.helpers import pipeline, under_each_start_method

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")


class Diary:
    """What happens to what was made, by worker, in a file that all of them write."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.items = 0
        self.note("made")

    def note(self, what: str) -> None:
        with self.path.open("a") as file:
            print(os.getpid(), what, file=file, flush=True)

    def close(self) -> None:
        self.note(f"closed after {self.items}")


class Diaries:
    """Makes one for each worker."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self) -> Diary:
        return Diary(self.path)

    def entries(self) -> list[str]:
        return [line.partition(" ")[2] for line in self.path.read_text().splitlines()]

    def workers(self) -> set[str]:
        return {line.partition(" ")[0] for line in self.path.read_text().splitlines()}


@pytest.fixture
def diaries(tmp_path: Path) -> Diaries:
    return Diaries(tmp_path / "diary")


def count(item: int, diary: Diary) -> int:
    diary.items += 1
    return item


def twice(item: int, diary: Diary) -> list[int]:
    return [count(item, diary), count(item, diary)]


def is_odd(item: int, diary: Diary) -> bool:
    return count(item, diary) % 2 == 1


@under_each_start_method
def test_it_is_made_once_and_closed_when_the_worker_stops(
    diaries: Diaries, start_method: str
) -> None:
    pl = pipeline(start_method).add(Processor(count, setup=diaries))
    assert list(pl.run(range(100))) == list(range(100))
    assert diaries.entries() == ["made", "closed after 100"]
    assert diaries.workers() != {str(os.getpid())}


def test_a_flat_map_is_given_its_own(diaries: Diaries) -> None:
    assert list(pipeline().add(FlatMap(twice, setup=diaries)).run(range(3))) == [0, 0, 1, 1, 2, 2]
    assert diaries.entries() == ["made", "closed after 6"]


def test_a_filter_is_given_its_own(diaries: Diaries) -> None:
    assert list(pipeline().add(Filter(is_odd, setup=diaries)).run(range(6))) == [1, 3, 5]
    assert diaries.entries() == ["made", "closed after 6"]


def test_each_lane_has_its_own(diaries: Diaries) -> None:
    lanes = pipeline().add(BalancingFork(3)).add(*[Processor(count, setup=diaries)] * 3)
    assert sorted(lanes.add(Join(3)).run(range(50))) == list(range(50))
    assert len(diaries.workers()) == 3
    assert diaries.entries().count("made") == 3


def test_an_open_pipeline_keeps_it_from_run_to_run(diaries: Diaries) -> None:
    with pipeline() as pl:
        pl.add(Processor(count, setup=diaries))
        for _ in range(3):
            pl.run(range(4))
        assert diaries.entries() == ["made"]
    assert diaries.entries() == ["made", "closed after 12"]


@contextmanager
def opened(path: Path) -> Generator[Diary]:
    diary = Diary(path)
    try:
        yield diary
    finally:
        diary.note("left")


class Opens(Diaries):
    def __call__(self) -> Any:
        return opened(self.path)


def test_it_is_left_when_a_job_has_failed(tmp_path: Path) -> None:
    def refuse(item: int, diary: Diary) -> int:
        return item // diary.items

    opens = Opens(tmp_path / "diary")
    with pytest.raises(ZeroDivisionError):
        pipeline().add(Processor(refuse, setup=opens)).run([1])
    assert opens.entries() == ["made", "left"]


def dies_once(item: int, diary: Diary) -> int:
    if item == 7 and diary.path.read_text().count("made") == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return count(item, diary)


@under_each_start_method
def test_a_worker_that_dies_is_replaced_by_one_that_makes_its_own(
    diaries: Diaries, start_method: str
) -> None:
    """Its function keeps no state, as far as the library is concerned."""
    pl = pipeline(start_method).add(Processor(dies_once, setup=diaries))
    result = pl.run(range(20))
    assert list(result) == list(range(20))
    assert result.report.stages["dies_once"].restarts == 1
    assert diaries.entries()[:2] == ["made", "made"]
    assert len(diaries.workers()) == 2


def test_what_it_raises_is_an_error_of_setup() -> None:
    def fails() -> Diary:
        raise OSError("no room")

    with pytest.raises(OSError, match="no room") as failed:
        pipeline().add(Processor(count, setup=fails)).run([1])
    place, _, where = failed.value.__notes__[0].rpartition(", ")
    assert place.startswith("in stage 'count', worker")
    assert where == "setup()"


def test_what_ends_the_process_in_it_is_told() -> None:
    def leaves() -> Diary:
        raise SystemExit("enough")

    def dies() -> Diary:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    with pytest.raises(JobExited, match="SystemExit: enough"):
        pipeline().add(Processor(count, setup=leaves)).run([1])
    with pytest.raises(WorkerCrashed, match="count"):
        pipeline().add(Processor(count, setup=dies)).run([1])


def test_what_closing_it_raises_is_an_error_of_teardown(diaries: Diaries) -> None:
    class Stuck(Diary):
        def close(self) -> None:
            raise OSError("stuck")

    path = diaries.path
    with pytest.raises(OSError, match="stuck") as failed:
        pipeline().add(Processor(count, setup=lambda: Stuck(path))).run([1])
    assert failed.value.__notes__[0].endswith("teardown()")


def test_a_setup_that_cannot_travel_is_named() -> None:
    lock: Any = threading.local()

    with pytest.raises(NotPicklable, match=r"stage 'count' -> setup= -> "):
        pipeline().add(Processor(count, setup=lambda: lock)).run([1])


def test_what_cannot_travel_can_be_made() -> None:
    """A lock, a generator, a file: none of them could be sent to the worker."""

    def numbered(item: int, numbers: Iterator[int]) -> tuple[int, int]:
        return next(numbers), item

    numbers = (
        pipeline().add(Processor(numbered, setup=lambda: (n for n in range(9)))).run(list("ab"))
    )
    assert list(numbers) == [(0, "a"), (1, "b")]


def test_items_that_fail_are_treated_as_the_stage_says(diaries: Diaries) -> None:
    attempts: Counter[int] = Counter()

    def hesitate(item: int, diary: Diary) -> int:
        attempts[item] += 1
        if item == 2 or attempts[item] == 1:
            raise ValueError(item)
        return count(item, diary)

    stage = Processor(hesitate, setup=diaries, retries=1, on_error="skip")
    result = pipeline().add(stage).run(range(4))
    assert list(result) == [0, 1, 3]
    assert diaries.entries() == ["made", "closed after 3"]


def test_it_has_a_worker_of_its_own_where_neighbours_share_one(diaries: Diaries) -> None:
    pl = pipeline()
    for _ in range(6):
        pl.add(Processor(abs)).add(Processor(count, setup=diaries))
    pl.run(range(3), placement=Placement())
    assert len(diaries.workers()) == 6
