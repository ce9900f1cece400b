"""A copy of a pipeline has the same stages, and nothing of what the original has open."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from conveyor import Join, Pipe, Pipeline, Processor, ReplicatingFork
from conveyor.errors import NotPicklable
from tests.helpers import new_or_forked, pipeline
from tests.jobs import double, increment

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda pl: pickle.loads(pickle.dumps(pl)),
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_of_an_open_pipeline_is_a_pipeline_that_is_not_open(how: str) -> None:
    with pipeline().add(Processor(double)) as pl:
        assert pl.run([1]) == [2]
        other = COPIES[how](pl)
        assert other.run([2]) == [4]  # it has workers of its own, and ends them
        assert pl.run([3]) == [6]
    assert other.run([4]) == [8]


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_may_be_added_to_and_the_original_does_not_change(how: str) -> None:
    pl = pipeline().add(Processor(double))
    pl.run([1])

    assert COPIES[how](pl).add(Processor(increment)).run([1]) == [3]
    assert pl.run([1]) == [2]


class App:
    """Holds its pipeline, whose job is one of its methods."""

    def __init__(self, start_method: Any) -> None:
        self.factor = 3
        self.pl = Pipeline[int](start_method=start_method).add(Processor(self.work))

    def work(self, item: int) -> int:
        return item * self.factor


@new_or_forked
def test_an_object_that_holds_its_pipeline_gives_it_a_method_at_any_time(start_method: str) -> None:
    app = App(start_method)

    assert app.pl.run([1]) == [3]
    assert list(app.pl.stream([1, 2])) == [3, 6]
    assert app.pl.run([1]) == [3]
    with app.pl:
        assert app.pl.run([2]) == [6]
        assert list(app.pl.stream([3])) == [9]


def test_a_stream_cannot_be_copied_and_says_why() -> None:
    with pipeline().add(Processor(double)).stream(count()) as stream:
        for how in COPIES.values():
            with pytest.raises(TypeError, match="a run of this process"):
                how(stream)


def test_an_object_that_holds_a_stream_cannot_be_sent_and_the_reason_arrives() -> None:
    class Reader:
        def __init__(self, stream: Any) -> None:
            self.stream = stream

        def work(self, item: int) -> int:
            return item

    with pipeline().add(Processor(double)).stream(count()) as stream:
        with pytest.raises(NotPicklable, match="a run of this process"):
            pipeline("forkserver").add(Processor(Reader(stream).work)).run([1])
        assert next(stream) == 0


def two_lanes() -> Pipeline[int, int]:
    return Pipeline[int]().add(ReplicatingFork(2)).add(Pipe(), Pipe()).add(Join(2))


def test_a_deep_copy_of_a_simulation_is_the_same_simulation() -> None:
    simulation = two_lanes().simulate([1, 2], seed=3)
    other = copy.deepcopy(simulation)
    assert other == simulation
    assert other.schedule == simulation.schedule
    assert str(other.trace) == str(simulation.trace)
    other.clear()
    assert len(simulation) == 4


def test_that_a_simulation_cannot_be_pickled_says_what_can() -> None:
    with pytest.raises(TypeError, match=r"pickle list\(simulation\) and simulation\.schedule"):
        pickle.dumps(two_lanes().simulate([1, 2]))


def test_an_exploration_is_pickled_with_the_number_of_its_classes() -> None:
    explored = two_lanes().explore([1, 2], schedules=3)
    other = pickle.loads(pickle.dumps(explored))
    assert repr(other) == repr(explored)
    assert other.total == 6  # how often two lanes of two items can be interleaved: 4! / (2! 2!)
    assert other.outputs == explored.outputs
