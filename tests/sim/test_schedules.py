"""What a run says of its schedule gives the same run again, and survives an edit elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conveyor.core.crashes import WorkerDeath
from conveyor.reporting.trace import EventKind
from conveyor.sim.faults import Faults
from conveyor.sim.in_hand import NOTHING
from conveyor.sim.schedule import NEVER, Death, Key, Schedule
from conveyor.sim.schedulers.replay import FollowSchedule
from tests.chains import chains, values
from tests.helpers import PROVE, pipeline
from tests.jobs import same
from tests.model import Buffer, Chain, Map, assert_as_promised, build, sources
from tests.sim.parts import built
from tests.sim.topologies import HEAVY, TOPOLOGIES, items

pytestmark = pytest.mark.slow

seeds = st.integers(0, 1 << 30)
examples = settings(
    deadline=None,
    max_examples=400 if PROVE else 25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def assert_same_run(again: Any, run: Any) -> None:
    assert list(again) == list(run)
    assert again.schedule == run.schedule
    assert again.decisions == run.decisions
    assert again.trace == run.trace
    assert str(again.report) == str(run.report)


@examples
@given(chains(), values, seeds)
def test_a_run_is_as_promised_and_its_schedule_gives_it_again(
    chain: Chain, values: list[Any], seed: int
) -> None:
    run = build(chain, pipeline()).simulate(sources(values), seed=seed)

    assert_as_promised(chain, values, run)
    assert_same_run(build(chain, pipeline()).replay(sources(values), run.schedule), run)


@examples
@given(chains(), values, seeds)
def test_so_does_that_of_a_run_in_which_a_worker_dies(
    chain: Chain, values: list[Any], seed: int
) -> None:
    run = build(chain, pipeline()).simulate(sources(values), seed=seed, faults=Faults())
    again = build(chain, pipeline()).replay(sources(values), run.schedule)

    assert_as_promised(chain, values, run)
    assert (list(again), again.schedule) == (list(run), run.schedule)
    # Else who was to die never came so far, and where its slices end was decided for nothing
    if "!" in run.schedule:
        assert_same_run(again, run)


LATE = [
    "diamond",
    "tight balance",
    "a fork behind a job, into two joins",
    "one diamond behind another",
]


@pytest.mark.parametrize("name", LATE)
def test_a_worker_that_comes_back_later_comes_back_as_late(name: str) -> None:
    runs = [
        built(*TOPOLOGIES[name]()).simulate(range(3), seed=seed, faults=Faults())
        for seed in range(60)
    ]

    assert any("+" in run.schedule for run in runs)
    for run in runs:
        assert_same_run(built(*TOPOLOGIES[name]()).replay(range(3), run.schedule), run)
        assert sum(event.what is EventKind.DEATH for event in run.trace) == run.schedule.count("!")


@examples
@given(chains(), values, seeds, st.data())
def test_a_stage_that_is_put_in_elsewhere_changes_no_schedule(
    chain: Chain, values: list[Any], seed: int, data: st.DataObject
) -> None:
    run = build(chain, pipeline()).simulate(sources(values), seed=seed)
    place = data.draw(st.integers(0, len(chain)))
    put_in = data.draw(st.just(Buffer(3)) | st.just(Map(same)))
    longer = build((*chain[:place], put_in, *chain[place:]), pipeline())

    assert list(longer.replay(sources(values), run.schedule)) == list(run)


@examples
@given(chains(), values, seeds, st.data())
def test_a_schedule_from_which_keys_are_taken_still_runs(
    chain: Chain, values: list[Any], seed: int, data: st.DataObject
) -> None:
    schedule = Schedule.parse(
        build(chain, pipeline()).simulate(sources(values), seed=seed).schedule
    )
    left = {key: option for key, option in schedule.choices.items() if data.draw(st.booleans())}
    run = build(chain, pipeline()).simulate(
        sources(values), scheduler=FollowSchedule(Schedule(left))
    )

    assert_as_promised(chain, values, run)
    assert all(
        option == default or left[Key(point, ordinal)] == option
        for point, ordinal, option, default in run.decisions
    )


ENDING = [
    name
    for name in TOPOLOGIES
    if "fail" not in name and "starves" not in name and "into a zip" not in name
]


@pytest.mark.parametrize(
    "name",
    [name for name in ENDING if "ahead of a join" not in name and (PROVE or name not in HEAVY)],
)
def test_every_class_has_a_schedule_of_its_own_that_gives_it_again(name: str) -> None:
    pl = built(*TOPOLOGIES[name]())
    runs: dict[str, list[Any]] = {}

    def note(run: Any) -> None:
        runs[run.schedule] = list(run)

    found = pl.explore(items(name), note, strategy="exhaustive", schedules=10_000)

    assert found.complete
    assert len(runs) == found.classes
    for schedule, outputs in runs.items():
        assert list(pl.replay(items(name), schedule)) == outputs


names = st.text(min_size=1, max_size=8)
keys = st.builds(Key, names, st.integers(0, 99))
hands = st.builds(
    WorkerDeath,
    input=st.integers(0, 3),
    first=st.integers(0, 9),
    end=st.integers(10, 99),
    at=st.none() | st.integers(0, 99),
    running=st.booleans(),
    timed_out=st.booleans(),
    how=names,
)
deaths = st.builds(
    Death,
    names,
    st.none() | st.integers(0, 9),
    st.sampled_from(["taken", "emitted", "copied1"]),
    st.integers(NEVER, 3),
    st.integers(1, 3),
    st.none() | st.just(NOTHING) | hands,
)


@settings(deadline=None)
@given(
    st.builds(
        Schedule, st.dictionaries(keys, st.integers(0, 9)), st.lists(deaths, max_size=2).map(tuple)
    )
)
def test_a_schedule_is_read_as_it_was_written(schedule: Schedule) -> None:
    assert Schedule.parse(str(schedule)) == schedule
