"""What a real run was told as is what is told of its replay, too: a schedule of it, or a failure
found from it, does the same.

The deaths of real workers, with several items in hand, at items of which nothing comes, once all is
done; and streams that were left.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest

from conveyor import BalancingFork, Join, Pipe, Processor, context
from conveyor.errors import WorkerCrashed
from conveyor.recording.decision_points import points_of
from conveyor.recording.reader import Recording
from conveyor.sim.schedule import Schedule
from conveyor.sim.search.api import replayed
from tests.helpers import new_or_forked, pipeline
from tests.store_faults import Fault, planned

MANY = range(400)


def deadly(item: int, gives: Callable[[int], Any]) -> Callable[[int], Any]:
    """A job that kills its worker, but never this process, when it is given an item for the first
    time."""
    here = os.getpid()

    def job(given: int) -> Any:
        if given == item and context().attempt == 1 and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return gives(given)

    return job


def attempted(item: int) -> tuple[int, int]:
    return item, context().attempt


def in_twos(item: int) -> int | None:
    return item if item % 2 else None


@new_or_forked
def test_all_that_a_worker_had_in_hand_is_tried_again_in_its_schedule_too(
    start_method: str, tmp_path: Path
) -> None:
    path = tmp_path / "run.cvd"
    pl = pipeline(start_method).add(Processor(deadly(300, attempted), name="job"))
    result = pl.run(MANY, record=path)
    again = [item for item, attempt in result if attempt == 2]
    assert len(again) > 1

    replayed = pl.replay(MANY, path)
    assert replayed == result
    assert f"@{again[0]}-{again[-1]}" in replayed.schedule
    assert pl.replay(MANY, replayed.schedule) == result

    def once_each(run: Any) -> bool:
        attempts: int = sum(attempt for _, attempt in run)
        return attempts <= len(MANY) + 1

    found = pl.explore(MANY, once_each, start=path, schedules=1).failure
    assert not once_each(pl.replay(MANY, found.schedule))


@new_or_forked
def test_the_place_of_a_death_does_not_depend_on_what_comes_out(
    start_method: str, tmp_path: Path
) -> None:
    path = tmp_path / "run.cvd"
    pl = pipeline(start_method).add(Processor(deadly(0, in_twos), name="job")).add(Processor(str))
    result = pl.run(range(20), record=path)

    replayed = pl.replay(range(20), path)
    assert replayed == result
    assert pl.replay(range(20), replayed.schedule) == result

    def lives(run: Any) -> bool:
        restarts: int = run.report.stages["job"].restarts
        return restarts == 0

    found = pl.explore(range(20), lives, start=path, schedules=1).failure
    assert pl.replay(range(20), found.schedule).report.stages["job"].restarts == 1


def test_a_death_before_anything_of_an_item_is_out_is_one_whether_anything_comes_or_not() -> None:
    for job in (in_twos, abs):
        pl = pipeline().add(Processor(job, name="job"))
        assert pl.replay([0, 1], "cv1:!job.0.taken").report.stages["job"].restarts == 1
        assert pl.replay([0, 1], "cv1:!job.0.held").report.stages["job"].restarts == 1


@new_or_forked
def test_a_worker_may_die_once_it_has_finished(start_method: str, tmp_path: Path) -> None:
    path = tmp_path / "run.cvd"
    pl = (
        pipeline(start_method)
        .add(Processor(abs, name="quick"))
        .add(Pipe())
        .add(Processor(attempted))
    )
    with planned(Fault("quick", "closed", 1, after=True)):
        result = pl.run(range(20), record=path)
    assert result.report.stages["quick"].restarts == 1

    replayed = pl.replay(range(20), path)
    assert replayed == result
    assert replayed.schedule == "cv1:!quick.end.closed1"
    assert pl.replay(range(20), replayed.schedule) == result


class Hopeless(Processor[int, int]):
    """Kills each worker that is set up, but not the process that made it."""

    def __init__(self) -> None:
        super().__init__(name="job")
        self.maker = os.getpid()

    def setup(self) -> None:
        if os.getpid() != self.maker:
            os.kill(os.getpid(), signal.SIGKILL)

    def process(self, item: int, /) -> int:
        return item


def test_that_workers_died_until_there_were_no_more_is_said(tmp_path: Path) -> None:
    path = tmp_path / "run.cvd"
    pl = pipeline().add(Hopeless())
    with pytest.raises(WorkerCrashed):
        pl.run(range(20), record=path)
    with pytest.raises(WorkerCrashed) as replayed:
        pl.replay(range(20), path)
    (schedule,) = [
        note.split("'")[1] for note in replayed.value.__notes__ if note.startswith("replay it")
    ]
    assert schedule.endswith("+never")
    with pytest.raises(WorkerCrashed, match="died one after the other"):
        pl.replay(range(20), schedule)


def test_a_run_on_more_lanes_than_the_simulator_has_by_default_says_how_many(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.cvd"
    pl = pipeline().add(BalancingFork()).add(Processor(abs)).add(Join())
    pl.run(range(20), record=path)
    wider = pl._simulated("replay()", 3)
    recording = replace(
        Recording.read(path.read_bytes(), "run.cvd"), adaptive_lanes=3, points=points_of(wider)
    )

    schedule = replayed(wider, range(20), recording, lanes=3).schedule
    assert Schedule.parse(schedule).lanes == 3
    assert sorted(pl.replay(range(20), schedule)) == [*range(20)]


# --------------------------------------------------------------------------- streams that were left


def some(stream: Iterable[object], results: int) -> list[object]:
    return list(islice(stream, results))


def balanced() -> Any:
    lanes = (
        pipeline().add(BalancingFork(2)).add(Pipe(2), Pipe(2)).add(Processor(abs), Processor(abs))
    )
    return lanes.add(Pipe(2), Pipe(2)).add(Join(2))


@pytest.mark.parametrize("n_items", [8, 100])
def test_a_stream_that_was_left_is_looked_at_as_it_is_replayed(
    n_items: int, tmp_path: Path
) -> None:
    path = tmp_path / "left.cvd"
    with balanced().stream(range(n_items), record=path) as stream:
        taken = some(stream, 3)
    replayed = balanced().replay(range(n_items), path)
    assert replayed == taken
    assert Schedule.parse(replayed.schedule).comes_in is not None
    assert balanced().replay(range(n_items), replayed.schedule) == taken

    def another(run: Any) -> bool:
        return list(run) != taken

    found = balanced().explore(range(n_items), another, start=path, schedules=1).failure
    assert found.number == 1
    assert found.repeats
    assert balanced().replay(range(n_items), found.schedule) == taken


def test_so_is_one_of_an_input_without_end(tmp_path: Path) -> None:
    path = tmp_path / "left.cvd"
    with balanced().stream(count(), record=path) as stream:
        taken = some(stream, 5)
    replayed = balanced().replay(count(), path)
    assert replayed == taken
    assert balanced().replay(count(), replayed.schedule) == taken
