"""A simulated stage is set up and torn down when a real one is, however its run ends; what fails in
it is told alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conveyor import Filter, Join, Pipe, Pipeline, Processor, ReplicatingFork, Zip
from conveyor.errors import Deadlock
from conveyor.recording.reader import Recording
from conveyor.sim import Faults
from conveyor.sim.search.from_recording import accepted


class Writes(Processor[int, int]):
    """Writes down what is asked of it, and fails where it is told."""

    def __init__(self, path: Path, fails: str) -> None:
        super().__init__()
        self.path = path
        self.fails = fails

    def at(self, what: str) -> None:
        with self.path.open("a") as file:
            print(what, file=file)
        if what == self.fails:
            raise ValueError(what)

    def setup(self) -> None:
        self.at("setup")

    def process(self, item: int, /) -> int:
        self.at(f"item {item}")
        return item

    def finish(self) -> Iterator[int]:
        self.at("finish")
        yield 0

    def teardown(self) -> None:
        self.at("teardown")


def written(
    pl: Any, path: Path, call: str, items: list[int]
) -> tuple[list[str], tuple[type, str, str]]:
    """What the stage wrote in a run, and how that ended."""
    path.unlink(missing_ok=True)
    end: tuple[type, str, str] = type(None), "", ""
    try:
        getattr(pl, call)(items)
    except Exception as error:
        note = error.__notes__[0] if not isinstance(error, Deadlock) else ""
        end = type(error), "" if isinstance(error, Deadlock) else str(error), note.split(", ")[-1]
    return path.read_text().splitlines(), end


@pytest.mark.processes
@pytest.mark.parametrize("fails", ["", "setup", "item 1", "finish", "teardown"])
def test_it_is_torn_down_as_in_a_real_run(fails: str, tmp_path: Path) -> None:
    pl = Pipeline[int]().add(Writes(tmp_path / "written", fails))
    real = written(pl, tmp_path / "written", "run", [1])
    assert written(pl, tmp_path / "written", "simulate", [1]) == real
    assert real[0][-1] == "teardown"


@pytest.mark.processes
def test_it_is_torn_down_where_another_stage_fails(tmp_path: Path) -> None:
    pl = (
        Pipeline[int]()
        .add(Writes(tmp_path / "written", ""))
        .add(Pipe())
        .add(Processor(lambda item: 1 // item, name="other"))
    )
    for call in ("run", "simulate"):
        events, end = written(pl, tmp_path / "written", call, [0])
        assert (events[0], events[-1], end[0]) == ("setup", "teardown", ZeroDivisionError)


def test_it_is_torn_down_in_a_deadlock_and_in_the_search_for_its_cure(tmp_path: Path) -> None:
    lanes = (
        Pipeline[int]().add(Writes(tmp_path / "written", "")).add(Pipe()).add(ReplicatingFork(2))
    )
    pl = lanes.add(Filter(lambda item: item > 3), Pipe(1)).add(Zip(2))
    events, end = written(pl, tmp_path / "written", "simulate", [1, 2, 3, 4])
    assert end[0] is Deadlock
    assert events.count("setup") == events.count("teardown") > 1


def is_rising(run: list[int]) -> bool:
    return sorted(run) == run


@pytest.mark.parametrize(
    "options", [{}, {"strategy": "exhaustive"}, {"faults": Faults(["copied"])}]
)
def test_each_schedule_of_a_search_tears_down_what_it_has_set_up(
    options: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "written"
    pl: Any = (
        Pipeline[int]()
        .add(ReplicatingFork(2))
        .add(Processor(int, name="copied"), Pipe())
        .add(Join(2))
    )
    pl.add(Writes(path, "item 3"))
    found = pl.explore([1, 2, 3], **options)
    assert isinstance(found.failure.error, ValueError), (
        "and none is left behind that would fail the next"
    )
    events = path.read_text().splitlines()
    assert events.count("setup") == events.count("teardown") > 1


def test_a_worker_that_dies_tears_nothing_down(tmp_path: Path) -> None:
    pl = Pipeline[int]().add(Writes(tmp_path / "written", ""))
    found = pl.explore([1], faults=Faults(), strategy="exhaustive")
    assert "the worker of stage 'Writes' died" in str(found.failure)
    events = (tmp_path / "written").read_text().splitlines()
    assert events.count("setup") > events.count("teardown") > 0


def test_what_teardown_raises_is_a_failure_of_the_search(tmp_path: Path) -> None:
    failure = Pipeline[int]().add(Writes(tmp_path / "written", "teardown")).explore([1]).failure
    assert failure is not None
    assert str(failure).startswith("ValueError: teardown\n")
    assert failure.error.__notes__ == ["in stage 'Writes', simulated worker, teardown()"]


@pytest.mark.processes
def test_a_recorded_run_was_over_before_its_stages_were_torn_down(tmp_path: Path) -> None:
    pl = Pipeline[int]().add(Writes(tmp_path / "written", "teardown"))
    with pytest.raises(ValueError, match="teardown"):
        pl.run([1], record=tmp_path / "run.cvr")
    assert accepted(Recording.read((tmp_path / "run.cvr").read_bytes(), "run.cvr")) == ""
