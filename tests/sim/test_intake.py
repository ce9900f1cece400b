"""What a source gives is taken as it is at that moment, in the simulator as in a real run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count, cycle, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conveyor import BalancingFork, FlatMap, Join, Pipe, Processor, ReplicatingFork
from conveyor.errors import NotPicklable
from conveyor.sim.prepare import intake
from tests.helpers import pipeline


def rows(n: int = 3) -> Iterator[dict[str, int]]:
    """One dict, changed."""
    row = {"n": 0}
    for row["n"] in range(n):
        yield row


def frames(n: int = 3) -> Iterator[Any]:
    """One array, filled anew."""
    frame = np.zeros(10_000)
    for number in range(n):
        frame[:] = number
        yield frame


def first_of(frame: Any) -> float:
    return float(frame[0])


def number_of(row: dict[str, int]) -> int:
    return row["n"]


def as_often(row: dict[str, int]) -> list[int]:
    return [row["n"]] * row["n"]


def two_views() -> Any:
    return (
        pipeline()
        .add(ReplicatingFork(2))
        .add(Processor(number_of), Pipe())
        .add(Join(2, ordered=True))
    )


def first_come() -> Any:
    return pipeline().add(ReplicatingFork(2)).add(Processor(number_of), Pipe()).add(Join(2))


EXPECTED = [0, {"n": 0}, 1, {"n": 1}, 2, {"n": 2}]


@pytest.mark.processes
@pytest.mark.parametrize(
    "run",
    [
        lambda: two_views().run(rows()),
        lambda: list(two_views().stream(rows())),
        lambda: two_views().simulate(rows()),
        lambda: two_views().replay(rows(), "cv1:"),
        lambda: two_views().simulate(list(map(dict, rows()))),
    ],
    ids=["run", "stream", "simulate", "replay", "simulate a list"],
)
def test_one_object_given_again_and_again_is_another_item_each_time(run: Callable[[], Any]) -> None:
    assert run() == EXPECTED


def test_exploring_it_finds_what_exploring_a_list_of_copies_finds() -> None:
    found = first_come().explore(rows(), strategy="exhaustive")
    expected = first_come().explore(list(map(dict, rows())), strategy="exhaustive")

    assert found.complete
    assert (found.outputs, found.classes) == (expected.outputs, expected.classes)


def test_counting_it_gives_what_counting_a_list_of_copies_gives() -> None:
    flat = pipeline().add(BalancingFork(2)).add(FlatMap(as_often), FlatMap(as_often)).add(Join(2))

    assert flat.count(rows()) == flat.count(list(map(dict, rows()))) == 16


@pytest.mark.processes
@pytest.mark.parametrize("by", ["run", "simulate"])
def test_so_is_an_array_that_is_filled_again_and_again(by: str) -> None:
    assert getattr(pipeline().add(Processor(first_of)), by)(frames()) == [0.0, 1.0, 2.0]


@pytest.mark.processes
def test_a_recording_of_it_is_replayed(tmp_path: Path) -> None:
    result = first_come().run(rows(), record=tmp_path / "run.cvd")

    assert first_come().replay(rows(), tmp_path / "run.cvd") == result
    assert first_come().explore(rows(), start=tmp_path / "run.cvd", schedules=5).failure is None


def test_a_simulation_and_its_trace_tell_of_the_items_as_they_were() -> None:
    simulation = first_come().simulate(rows())

    assert simulation.items == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert [event.items for event in simulation.trace if event.worker == "number_of"] == [
        ("{'n': 0}",),
        ("{'n': 1}",),
        ("{'n': 2}",),
    ]
    assert "{'n': 1}" in simulation.picture().replace("&#x27;", "'").replace("&#39;", "'")


def test_a_check_sees_them_so_too() -> None:
    seen: list[Any] = []

    def look(run: Any) -> None:
        seen.append(run.items)

    two_views().explore(rows(), look, schedules=1)

    assert seen == [[{"n": 0}, {"n": 1}, {"n": 2}]]


def test_items_that_are_lent_for_speed_are_the_very_objects() -> None:
    assert two_views().simulate(rows(), copy=False) == [2, {"n": 2}] * 3


def test_an_item_that_cannot_be_pickled_is_named_by_its_place() -> None:
    with pytest.raises(NotPicklable) as caught:
        pipeline().add(Processor(number_of)).simulate(iter([{"n": 1}, {"n": 2, "lock": pytest}]))

    assert "It is item 1 of the run's input." in caught.value.__notes__


@pytest.mark.parametrize("call", ["simulate", "explore", "count"])
@pytest.mark.parametrize(
    "endless", [count, lambda: cycle([1, 2]), lambda: repeat(1)], ids=["count", "cycle", "repeat"]
)
def test_an_input_without_end_is_refused(
    call: str, endless: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MOST_PULLED", 1000)
    with pytest.raises(ValueError, match=r"more than 1,000 items .* itertools\.islice"):
        getattr(pipeline().add(Processor(abs)), call)(endless())


def test_an_input_that_says_how_long_it_is_is_taken_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MOST_PULLED", 10)

    assert pipeline().add(Processor(abs)).simulate(range(20)) == list(range(20))
