"""Retries, time limits and `context()` in a simulated run: they do what they do in a real one, and
take no time."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest

from conveyor import FlatMap, Join, Pipe, Pipeline, Processor, ReplicatingFork, context
from conveyor.errors import ItemTimeout, LifecycleError, ScheduleMismatch
from conveyor.sim.faults import Faults
from tests.jobs import double, repeated

ONLY_TIMEOUTS = Faults([], timeouts=True)


def third_time_lucky(item: int) -> tuple[int, int]:
    if context().attempt < 3:
        raise ValueError(item)
    return item, context().attempt


def tells_its_id(item: int) -> str:
    return context().item_id


def one(stage: Any) -> Any:
    pl: Any = Pipeline[int]()
    return pl.add(stage)


def limited(retries: int = 0, on_error: Any = "dead_letter") -> Any:
    return one(Processor(double, timeout_s=5, retries=retries, on_error=on_error))


def test_retries_are_made_at_once_and_know_their_number() -> None:
    pl = one(Processor(third_time_lucky, retries=40))
    assert pl.simulate(range(3)) == [(0, 3), (1, 3), (2, 3)]


def test_what_is_given_up_is_a_dead_letter_with_its_attempts() -> None:
    simulation = one(Processor(third_time_lucky, retries=1, on_error="dead_letter")).simulate([7])
    assert (simulation, [(letter.item, letter.attempts) for letter in simulation.dead_letters]) == (
        [],
        [(7, 2)],
    )


@pytest.mark.processes
def test_an_item_has_the_same_id_as_in_a_real_run() -> None:
    pl: Any = (
        Pipeline[int]()
        .add(ReplicatingFork(2))
        .add(Processor(tells_its_id, name="a"), Processor(tells_its_id, name="b"))
    )
    pl.add(Join(2))
    assert sorted(pl.simulate(range(4), seed=5)) == sorted(pl.run(range(4)))


def test_behind_a_join_no_two_items_have_the_same_id() -> None:
    pl: Any = (
        Pipeline[int]()
        .add(ReplicatingFork(2))
        .add(Pipe(), Pipe())
        .add(Join(2))
        .add(Processor(tells_its_id))
    )
    for seed in range(10):
        assert len(set(pl.simulate(range(4), seed=seed))) == 8


def test_time_never_runs_out_unless_that_is_asked_for() -> None:
    found = limited().explore(range(4), strategy="exhaustive")
    assert (found.classes, found.outputs, found.complete) == (1, {(0, 2, 4, 6)}, True)


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_every_attempt_may_run_out_of_time(retries: int) -> None:
    """Of m items each comes through in any of r + 1 attempts, or in none."""
    found = limited(retries).explore(range(3), strategy="exhaustive", faults=ONLY_TIMEOUTS)
    through = product([True, False], repeat=3)
    assert found.outputs == {
        tuple(2 * item for item in range(3) if there[item]) for there in through
    }
    assert (found.classes, found.complete) == ((retries + 2) ** 3, True)


def test_what_is_lost_by_time_is_found_said_in_words_and_replayed() -> None:
    def complete(simulation: Any) -> bool:
        return len(simulation) == 3

    pl = limited(retries=1)
    failure = pl.explore(range(3), complete, faults=ONLY_TIMEOUTS).failure
    assert failure.schedule.count("=1") == 2
    assert re.search(r"the time of attempt #\d of 'double' runs out", str(failure))
    lost = pl.replay(range(3), failure.schedule)
    (letter,) = lost.dead_letters
    assert (len(lost), letter.attempts) == (2, 2)
    assert isinstance(letter.exception, ItemTimeout)


def test_a_limit_that_is_passed_ends_the_run_where_the_stage_says_so() -> None:
    pl = one(FlatMap(repeated, timeout_s=1))
    with pytest.raises(
        ItemTimeout, match=r"stage 'repeated': this item took longer than timeout_s=1.0 allows"
    ):
        pl.replay([1, 2], "cv1:repeated~timer.1=1")


def test_a_schedule_cannot_run_out_of_a_time_that_has_no_limit() -> None:
    with pytest.raises(ScheduleMismatch, match="no such decision point"):
        one(Processor(double)).replay([1, 2], "cv1:double~timer.1=1")


def refused(item: int) -> int:
    raise ValueError(item)


def test_behind_a_simulated_run_that_failed_nobody_is_at_an_item() -> None:
    with pytest.raises(ValueError, match="1"):
        one(Processor(refused)).simulate([1])
    with pytest.raises(LifecycleError, match="no item"):
        context()
