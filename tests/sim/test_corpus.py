"""Every bug of the corpus is found soon and becomes as small as can be; and nothing is found in its
twin."""

from __future__ import annotations

from statistics import mean

import pytest

from conveyor.errors import Deadlock, NotDeterministic
from conveyor.sim.schedule import Schedule
from conveyor.sim.schedulers.deviations import Deviations
from tests.helpers import PROVE
from tests.sim.corpus import CORPUS, Bug

pytestmark = pytest.mark.slow

SEEDS = range(100 if PROVE else 15)
SOON = 100  # schedules, on average

every_bug = pytest.mark.parametrize("bug", CORPUS.values(), ids=CORPUS)


@every_bug
def test_nothing_is_found_in_the_twin(bug: Bug) -> None:
    found = bug.mended().explore(
        bug.items, bug.check, strategy="exhaustive", schedules=100_000, faults=bug.faults
    )

    assert found.failure is None
    assert found.complete


@every_bug
def test_the_portfolio_finds_the_bug_soon_and_makes_it_small(bug: Bug) -> None:
    needed: list[int] = []
    with bug.broken():
        for seed in SEEDS:
            found = bug.pipeline().explore(
                bug.items, bug.check, schedules=20 * SOON, seed=seed, faults=bug.faults
            )
            assert found.failure is not None
            assert len(Schedule.parse(found.failure.schedule)) <= bug.least + 1
            assert found.failure.runs <= 200
            needed.append(found.failure.number)

    assert mean(needed) <= SOON


@pytest.mark.parametrize("name", [name for name, bug in CORPUS.items() if bug.faults is None])
def test_with_fewer_decisions_the_bug_does_not_show(name: str) -> None:
    bug = CORPUS[name]
    found = bug.pipeline().explore(
        bug.items, bug.check, strategy=Deviations(bug.least), schedules=100_000
    )

    assert found.failure is not None
    assert len(Schedule.parse(found.failure.schedule)) == found.failure.decisions == bug.least
    if bug.least:
        fewer = bug.pipeline().explore(
            bug.items, bug.check, strategy=Deviations(bug.least - 1), schedules=100_000
        )
        assert fewer.failure is None


@pytest.mark.parametrize("name", [name for name, bug in CORPUS.items() if bug.faults is not None])
def test_unless_somebody_dies_the_broken_protocol_does_not_show(name: str) -> None:
    bug = CORPUS[name]
    with bug.broken():
        assert bug.pipeline().explore(bug.items, bug.check, strategy="exhaustive").failure is None


@every_bug
def test_what_was_found_is_found_again_by_its_schedule(bug: Bug) -> None:
    with bug.broken():
        found = bug.pipeline().explore(bug.items, bug.check, faults=bug.faults).failure
        assert found is not None
        if isinstance(found.error, Deadlock):
            with pytest.raises(Deadlock):
                bug.pipeline().replay(bug.items, found.schedule)
        elif not isinstance(found.error, NotDeterministic):
            assert not bug.check(bug.pipeline().replay(bug.items, found.schedule))


def test_each_way_to_fail_is_in_the_corpus() -> None:
    errors = {
        name: bug.pipeline().explore(bug.items, bug.check).failure
        for name, bug in CORPUS.items()
        if bug.faults is None
    }
    kinds = {type(found.error).__name__ for found in errors.values() if found is not None}

    assert kinds == {"Failed", "Deadlock", "NotDeterministic"}
