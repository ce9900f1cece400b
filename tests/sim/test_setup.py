"""In the simulator each worker of each run is given what `setup=` makes, as it was when it was
made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest

from conveyor import BalancingFork, Join, Pipe, Pipeline, Processor
from conveyor.errors import NotDeterministic, StageTypeError
from conveyor.sim import Faults

MADE: Counter[str] = Counter()
SHARED: list[int] = []


@pytest.fixture(autouse=True)
def nothing_was_made() -> None:
    MADE.clear()
    SHARED.clear()


class Shelf:
    """Plain data in a class of a module."""

    def __init__(self) -> None:
        MADE["shelf"] += 1
        self.items: list[int] = []


class Till(Shelf):
    """Must be closed."""

    def close(self) -> None:
        MADE["closed"] += 1


@contextmanager
def opened() -> Generator[Shelf]:
    MADE["opened"] += 1
    yield Shelf()
    MADE["left"] += 1


def counting() -> Callable[[], int]:
    """A function that remembers how often it was called: a copy would share that."""
    MADE["counting"] += 1
    called = [0]

    def count() -> int:
        called[0] += 1
        return called[0]

    return count


def put(item: int, shelf: Shelf) -> tuple[int, ...]:
    shelf.items.append(item)
    return tuple(shelf.items)


def count_call(item: int, count: Callable[[], int]) -> tuple[int, int]:
    return item, count()


def put_into_list(item: int, shelf: list[int]) -> tuple[int, ...]:
    shelf.append(item)
    return tuple(shelf)


def in_two_lanes(stage: Callable[[], Processor[int, Any]]) -> Any:
    lanes: Any = Pipeline[int]().add(BalancingFork(2))
    return lanes.add(stage(), stage()).add(Join(2))


def test_it_is_made_once_for_each_worker_of_a_run() -> None:
    pl = in_two_lanes(lambda: Processor(put, setup=Shelf))
    assert sorted(map(len, pl.simulate(range(4)))) == [1, 1, 2, 2]
    assert MADE["shelf"] == 2


def test_it_is_closed_at_the_end_of_a_run() -> None:
    in_two_lanes(lambda: Processor(put, setup=Till)).simulate(range(4))
    assert (MADE["shelf"], MADE["closed"]) == (2, 2)


def test_it_is_left_at_the_end_of_a_run_that_fails() -> None:
    def refuse(item: int, shelf: Shelf) -> int:
        return item // len(shelf.items)

    with pytest.raises(ZeroDivisionError):
        Pipeline[int]().add(Processor(refuse, setup=opened)).simulate([1])
    assert (MADE["opened"], MADE["left"]) == (1, 1)


@pytest.mark.parametrize("copy", [True, False])
@pytest.mark.parametrize(("job", "make"), [(put, Shelf), (put, Till), (put, opened)])
def test_no_run_sees_what_another_did_with_it(job: Any, make: Any, copy: bool) -> None:
    pl = Pipeline[int]().add(Processor(job, setup=make))
    found = pl.explore(range(3), schedules=60, copy=copy)
    assert found.failure is None
    assert found.outputs == {((0,), (0, 1), (0, 1, 2))}


def test_no_run_sees_what_another_did_with_a_function_that_was_made() -> None:
    found = Pipeline[int]().add(Processor(count_call, setup=counting)).explore([7, 8], schedules=60)
    assert found.outputs == {((7, 1), (8, 2))}
    assert MADE["counting"] > 2


def test_a_search_makes_plain_data_twice_a_worker_and_copies_it_for_all_other_runs() -> None:
    found = in_two_lanes(lambda: Processor(put, setup=Shelf)).explore(range(3), schedules=80)
    assert found.schedules == 80
    assert MADE["shelf"] == 4


def test_without_copies_it_is_made_for_every_run() -> None:
    pl = Pipeline[int]().add(Processor(put, setup=Shelf))
    found = pl.explore(range(2), schedules=30, copy=False)
    assert MADE["shelf"] >= found.schedules == 30


def test_what_must_be_closed_is_made_for_every_run() -> None:
    found = Pipeline[int]().add(Processor(put, setup=Till)).explore(range(2), schedules=30)
    assert MADE["shelf"] == MADE["closed"] >= found.schedules


def shared() -> list[int]:
    return SHARED


def test_one_thing_that_setup_gives_each_time_stays_one_thing() -> None:
    """As a cached connection is: what a module holds is one for all simulated workers."""
    pl = Pipeline[int]().add(Processor(put_into_list, setup=shared))
    pl.explore([2], lambda run: None, schedules=9)
    assert len(SHARED) >= 9


def test_a_worker_that_takes_the_place_of_a_dead_one_makes_its_own() -> None:
    """Another one is given the item again: only that of its own life is in its shelf."""
    pl = Pipeline[int]().add(Pipe(1)).add(Processor(put, setup=Shelf)).add(Pipe(1))
    run = pl.replay([1, 2], "cv1:!put.0.emitted")
    assert list(run) == [(1,), (2,)]
    assert MADE["shelf"] == 2


def test_every_death_is_made_up_for() -> None:
    def tripled(item: int, factors: list[int]) -> int:
        return item * factors[0]

    def in_order(run: list[int]) -> bool:
        return sorted(run) == [0, 3, 6, 9]

    pl = in_two_lanes(lambda: Processor(tripled, setup=lambda: [3]))
    found = pl.explore(range(4), in_order, faults=Faults())
    assert found.failure is None
    assert found.schedules > 50


def test_what_setup_raises_ends_the_run_and_says_where() -> None:
    def fails() -> Shelf:
        raise OSError("no room")

    with pytest.raises(OSError, match="no room") as failed:
        Pipeline[int]().add(Processor(put, setup=fails)).simulate([1])
    assert failed.value.__notes__[0] == "in stage 'put', simulated worker, setup()"


def test_a_job_that_is_not_deterministic_is_found_beside_what_it_is_given() -> None:
    import random

    def drawn(item: int, shelf: Shelf) -> float:
        return item + random.random()

    found = Pipeline[int]().add(Processor(drawn, setup=Shelf)).explore(range(3))
    assert found.failure is not None
    assert isinstance(found.failure.error, NotDeterministic)


def test_items_are_held_against_what_the_function_takes() -> None:
    anything: Any = Pipeline().add(Processor(put, setup=Shelf))
    with pytest.raises(StageTypeError, match=r"stage 'put' takes int, but item 0 is 'x'"):
        anything.simulate(["x"])


def test_how_many_classes_there_are_is_not_worked_out() -> None:
    """What comes of an item may depend on what was there before it."""
    pl = in_two_lanes(lambda: Processor(put, setup=Shelf))
    assert pl.count([1, 2]) is None
    assert pl.explore([1, 2], strategy="exhaustive").classes == 6
