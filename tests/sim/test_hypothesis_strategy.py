"""Hypothesis draws items and schedules: what it finds is as small as can be in both."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

import conveyor.sim
from conveyor import BalancingFork, Join, Pipe, Pipeline, Processor
from conveyor.sim import Simulation, schedules
from conveyor.sim.schedule import Schedule
from tests.helpers import HANGS_S
from tests.sim.parts import add_one, diamond

pytestmark = pytest.mark.slow

ITEMS = st.lists(st.integers(0, 9), max_size=6)
QUIET = settings(max_examples=300, database=None, deadline=None, derandomize=True)
LONG = settings(QUIET, max_examples=1000)


def pool(capacity: int = 4) -> Pipeline[int, int]:
    return Pipeline[int]().add(BalancingFork(2)).add(Pipe(capacity), Pipe(capacity)).add(Join(2))


class Unique(Processor[int, int]):
    """Passes what it has not seen yet: behind a balancing fork, each lane sees a part."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[int] = set()

    def process(self, item: int, /) -> int | None:
        if item in self._seen:
            return None
        self._seen.add(item)
        return item


def deviations(found: Simulation[int]) -> int:
    return len(Schedule.parse(found.schedule))


@QUIET
@given(schedules(diamond(), ITEMS))
def test_every_item_comes_out_of_both_lanes_whatever_is_drawn(found: Simulation[int]) -> None:
    items = [int(str(item)) for item in found.items]
    assert Counter(found) == Counter(items) + Counter(map(add_one, items))


@QUIET
@given(schedules(diamond(), ITEMS))
def test_what_was_drawn_can_be_replayed(found: Simulation[int]) -> None:
    assert diamond().replay([int(str(item)) for item in found.items], found.schedule) == found


@pytest.mark.parametrize("seed", range(4))
def test_order_that_a_balancing_fork_breaks_shrinks_to_two_items_and_one_deviation(
    seed: int,
) -> None:
    least = find(
        schedules(pool(), ITEMS),
        lambda found: list(found) != found.items,
        settings=QUIET,
        random=Random(seed),
    )
    assert least.items == [0, 1]
    assert list(least) == [1, 0]
    assert deviations(least) == 1


def test_a_dedup_behind_a_balancing_fork_shrinks_to_one_item_twice() -> None:
    pl = Pipeline[int]().add(BalancingFork(2)).add(Unique(), Unique()).add(Join(2))
    least = find(schedules(pl, ITEMS), lambda found: len(set(found)) < len(found), settings=QUIET)
    assert least.items == [0, 0]
    assert deviations(least) == 1


def test_a_deviation_that_comes_late_is_found_and_the_only_one_left() -> None:
    many = st.lists(st.integers(0, 9), min_size=14, max_size=20)
    late = find(
        schedules(pool(), many),
        lambda found: found[:10] == found.items[:10] and list(found) != found.items,
        settings=LONG,
    )
    assert deviations(late) == 1


def test_a_failure_prints_the_line_that_replays_it() -> None:
    @settings(
        QUIET, phases=[Phase.generate, Phase.shrink], print_blob=False, report_multiple_bugs=False
    )
    @given(schedules(diamond(), ITEMS))
    def never_one_first(found: Simulation[int]) -> None:
        assert found[:1] != [0]

    with pytest.raises(AssertionError) as caught:
        never_one_first()
    (replay,) = (note for note in caught.value.__notes__ if note.startswith("replay: "))
    assert replay == "replay: pl.replay([0], 'cv1:join.0=1')"


def test_what_a_job_raises_fails_the_test() -> None:
    @QUIET
    @given(schedules(Pipeline[int]().add(Processor(lambda n: 1 // n)), ITEMS))
    def it(found: Simulation[int]) -> None:
        del found

    with pytest.raises(ZeroDivisionError):
        it()


@pytest.mark.processes
def test_hypothesis_need_not_be_there_for_the_rest() -> None:
    lines = [
        "import sys; sys.modules['hypothesis'] = None",
        "from conveyor.sim import Faults, Simulation",
    ]
    script = "\n".join([*lines, "import conveyor.sim.search.repeated_tests"])
    subprocess.run([sys.executable, "-c", script], check=True, timeout=HANGS_S)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'conveyor\.sim' has no attribute 'luck'"):
        getattr(conveyor.sim, "luck")  # noqa: B009  # which the type checkers would refuse


def test_items_that_are_no_strategy_are_refused_at_once() -> None:
    items: Any = [1, 2]
    with pytest.raises(TypeError, match=r"a strategy of items, not \[1, 2\]; st\.just"):
        schedules(diamond(), items)
