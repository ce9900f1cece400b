"""For how many lanes of a fork that adapts the simulator is asked, and what it says of that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count, permutations
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from conveyor import BalancingFork, Join, Processor
from conveyor.errors import ScheduleMismatch, TopologyError
from conveyor.sim.schedule import Schedule
from tests.helpers import pipeline
from tests.jobs import same


def adapting(**options: Any) -> Any:
    return pipeline().add(BalancingFork(**options)).add(Processor(same)).add(Join())


@pytest.mark.parametrize("lanes", [1, 2, 3, 4])
def test_so_many_lanes_give_so_many_orders(lanes: int) -> None:
    """Lanes of one item each can come in any order; fewer lanes keep what two items of one lane
    have."""
    found = adapting().explore(range(4), strategy="exhaustive", schedules=50_000, lanes=lanes)

    possible = {order for order in permutations(range(4)) if covered(order) <= lanes}
    assert found.complete
    assert found.outputs == possible
    assert found.lanes == {"balancing_fork": lanes}


def covered(order: tuple[int, ...]) -> int:
    """How many lanes it takes at least: as many as the longest run of items that come out
    backwards."""
    longest: list[int] = []
    for at, item in enumerate(order):
        longest.append(
            1 + max((longest[before] for before in range(at) if order[before] > item), default=0)
        )
    return max(longest)


def test_two_are_meant_where_nothing_is_said() -> None:
    by_default, two = (
        adapting().explore([1, 2], strategy="exhaustive"),
        adapting().explore([1, 2], lanes=2),
    )

    assert by_default.lanes == two.lanes == {"balancing_fork": 2}
    assert "for 2 lanes of 'balancing_fork'" in repr(by_default)
    assert adapting().count([1, 2]) == adapting().count([1, 2], lanes=2) == 6
    assert adapting().count([1, 2], lanes=3) == by_balls(3)


def by_balls(lanes: int) -> int:
    """Two items: in one lane they come out one after the other, in two in either order."""
    return lanes + 2 * lanes * (lanes - 1)


def test_a_bound_of_its_own_counts_for_more() -> None:
    assert adapting(max_lanes=3).explore([1], lanes=5).lanes == {"balancing_fork": 3}
    assert "lanes" not in adapting(max_lanes=3).simulate(range(5), lanes=5).schedule
    assert pipeline().add(Processor(same)).explore([1], lanes=5).lanes == {}


def test_a_schedule_says_how_many_and_needs_nothing_said_to_be_replayed() -> None:
    simulation = adapting().simulate(range(6), seed=3, lanes=4)

    assert simulation.schedule.startswith("cv1:~lanes.0=4;")
    assert str(Schedule.parse(simulation.schedule)) == simulation.schedule
    assert adapting().replay(range(6), simulation.schedule) == simulation
    assert adapting().replay(range(6), simulation.schedule, lanes=4) == simulation
    with pytest.raises(ScheduleMismatch, match="lanes=3, and what is to be done again had 4"):
        adapting().replay(range(6), simulation.schedule, lanes=3)


def test_what_fails_with_more_lanes_is_made_small_and_fails_again_as_it_is_printed() -> None:
    def check(run: Any) -> bool:
        return list(run) != [2, 1, 0]

    assert adapting().explore(range(3), check, strategy="exhaustive").failure is None
    found = adapting().explore(range(3), check, strategy="exhaustive", lanes=3)

    assert found.failure is not None
    assert "~lanes.0=3" in found.failure.schedule
    assert adapting().replay(range(3), found.failure.schedule) == [2, 1, 0]
    assert (
        adapting().explore(range(3), check, start=found.failure.schedule, schedules=1).failure
        is not None
    )


@pytest.mark.parametrize("lanes", [0, -1, "2", True])
def test_what_is_no_number_of_lanes_is_refused(lanes: Any) -> None:
    for call in ("simulate", "explore", "count"):
        with pytest.raises(
            TopologyError, match=r"lanes is .*; it must be a whole number, 1 or more"
        ):
            getattr(adapting(), call)([1], lanes=lanes)


@pytest.mark.processes
@pytest.mark.parametrize(("max_lanes", "told"), [(None, True), (3, False)])
def test_a_run_says_that_it_had_more_lanes_than_a_search_takes_by_default(
    max_lanes: int | None, told: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def slow(item: int) -> int:
        (tmp_path / str(os.getpid())).touch()
        sleep(0.005)
        return item

    def until_three_workers_were_at_it() -> Iterator[int]:
        for number in count():
            yield number
            if len(os.listdir(tmp_path)) == 3:
                return

    monkeypatch.setattr("conveyor.runtime.parent.this_machine.usable_physical_cores", lambda: 3)
    pl = pipeline().add(BalancingFork(max_lanes=max_lanes)).add(Processor(slow)).add(Join())
    notes = pl.run(until_three_workers_were_at_it()).report.notes
    assert any("had 3 lanes open" in note for note in notes) == told
