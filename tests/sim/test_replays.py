"""Whatever befalls a run, its schedule gives the same run again, and a failure that a search tells
of fails again.

Random small pipelines, with deaths of any number of workers at any places, waits until others take
their places, time limits and policies; a part of them each time, all of them with CONVEYOR_PROVE.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, NamedTuple

import pytest

from conveyor.errors import ScheduleMismatch
from conveyor.sim.faults import Faults
from conveyor.sim.prepare.prepared import PreparedPipeline
from conveyor.sim.schedule import TIMER, Death, Decision, Schedule
from conveyor.sim.schedulers.random import RandomWalk
from conveyor.sim.search.simulation import Attempt, Simulation, Simulator
from conveyor.sim.world.faulty_channel import CrashPlan
from tests.helpers import PROVE
from tests.sim.random_runs import Pipelines, number_of

pytestmark = pytest.mark.slow

# That pytest-xdist can share among processes, each within the time that a test has
BLOCKS = 100 if PROVE else 10
NUMBERS = range(2000 if PROVE else 120)
SEARCHES = range(500 if PROVE else 40)


@pytest.fixture(autouse=True)
def _nothing_is_cured(monkeypatch: pytest.MonkeyPatch) -> None:
    """How much room would cure a deadlock takes many runs to find out, and says nothing here."""
    monkeypatch.setattr(Simulator, "searches_capacities", False)


class Outcome(NamedTuple):
    """What can be seen of a run; `schedule` is what it says of itself.

    The attempts that jobs see are in the outputs and dead letters: each job writes them down.
    """

    seen: tuple[object, ...]
    decisions: object
    schedule: str


def outcome(run: Callable[[], Any]) -> Outcome:
    try:
        simulation = run()
    except Exception as error:
        (note,) = [
            note for note in getattr(error, "__notes__", ()) if note.startswith("replay it: ")
        ]
        return Outcome((type(error), str(error)), (), note.split("'")[1])
    letters = [
        (each.stage, each.ordinal, repr(each.item), repr(each.exception), each.attempts)
        for each in simulation.dead_letters
    ]
    seen = list(simulation), letters, str(simulation.report)
    return Outcome(seen, in_order(simulation.decisions, simulation.schedule), simulation.schedule)


def in_order(decisions: Sequence[Decision], schedule: str) -> object:
    """The decisions, one after the other; where no worker dies, what was decided at each point: in
    which order joins read, and what they could have read, is all the same there.

    That the time of an item suffices is not asked where a schedule has none that runs out.
    """
    asked = [each for each in decisions if each.option or not each.point.endswith(TIMER)]
    return asked if "!" in schedule else sorted(each[:3] for each in asked)


def simulated(made: Pipelines, seed: int, faults: Faults | None) -> Outcome:
    return outcome(lambda: made.build().simulate(made.items, seed=seed, faults=faults))


def replayed(made: Pipelines, schedule: str) -> Outcome:
    return outcome(lambda: made.build().replay(made.items, schedule))


def told(simulator: Simulator, attempt: Attempt) -> Outcome:
    return outcome(lambda: simulator.simulation(attempt, None))


def differences(made: Pipelines, first: Outcome) -> Iterator[str]:
    """What is other in a replay, which has the schedule that it was given."""
    again = replayed(made, first.schedule)
    if again != first:
        yield f"number {made.number}, {first.schedule}: {first}, and then {again}"


# -------------------------------------------------------------------------------------- many deaths


class Survey(CrashPlan):
    """Dies nowhere, and remembers the places."""

    def __init__(self, worker: str, inputs: int) -> None:
        super().__init__(worker, inputs)
        self.places: list[Death] = []

    def due(self, here: Death) -> Death | None:
        self.places.append(here)
        return None


def simulator_of(made: Pipelines, random: Random) -> Simulator:
    return Simulator(
        PreparedPipeline(made.build().topology, timers=random.random() < 0.5), made.items
    )


def with_many_deaths(simulator: Simulator, random: Random) -> Attempt:
    """A run in which workers die at places that they come to, one after the other or the same one
    again and again."""
    surveys = [Survey(name, simulator.inputs_of(name)) for name in simulator.pipeline.workers]
    simulator.attempt(RandomWalk(random.randrange(1 << 20)), surveys)
    places = [place for survey in surveys for place in survey.places]
    deaths: list[Death] = []
    for place in random.sample(places, min(len(places), random.randint(1, 4))):
        death = place._replace(wait=random.choice((0, 0, 0, 1, 3)))
        deaths += [death] * random.choice((1, 1, 1, 1, 3, 4))
    lives = simulator.crash_plans_in(Schedule({}, tuple(deaths)))
    choices = simulator.attempt(RandomWalk(random.randrange(1 << 20)), lives).schedule().choices
    return simulator.follow(Schedule(choices, tuple(deaths)))


def seeds(number: int) -> Sequence[int]:
    return range(number, number + (3 if PROVE else 2))


@pytest.mark.parametrize("block", range(BLOCKS))
def test_the_schedule_of_a_run_gives_the_same_run_again(block: int) -> None:
    runs: Counter[str] = Counter()
    for number in NUMBERS[block::BLOCKS]:
        made = Pipelines(number)
        faults = (None, Faults(), Faults(timeouts=True))[number % 3]
        for seed in seeds(number):
            first = simulated(made, seed, faults)
            assert not list(differences(made, first))
            runs["with deaths"] += "!" in first.schedule
            runs["that fail"] += isinstance(first.seen[0], type)
            runs["all"] += 1
    assert runs["all"] > runs["with deaths"] > 0
    assert runs["all"] > runs["that fail"] > 0 or not PROVE


@pytest.mark.parametrize("block", range(BLOCKS))
def test_so_does_that_of_a_run_with_many_deaths(block: int) -> None:
    deaths = 0
    for number in NUMBERS[block::BLOCKS]:
        made, random = Pipelines(number), Random(number)
        for _ in seeds(number):
            simulator = simulator_of(made, random)
            attempt = with_many_deaths(simulator, random)
            first = told(simulator, attempt)
            assert not list(differences(made, first))
            deaths += len(attempt.deaths)
    assert deaths > len(NUMBERS[block::BLOCKS])


@pytest.mark.parametrize("block", range(BLOCKS))
def test_every_failure_that_a_search_tells_of_fails_again(block: int) -> None:
    failures = 0
    for number in SEARCHES[block::BLOCKS]:
        made = Pipelines(number)

        def check(run: Simulation[Any], made: Pipelines = made) -> bool:
            restarts = [stage.restarts for stage in run.report.stages.values()]
            return number_of(made.number, list(run), restarts) % 8 > 0

        faults = (Faults(), Faults(timeouts=True))[number % 2]
        found = (
            made.build()
            .explore(made.items, check, schedules=100, seed=number, faults=faults)
            .failure
        )
        if found is not None:
            failures += 1
            assert found.repeats, str(found)
            assert fails(made, found.schedule, check), str(found)
    assert failures or PROVE  # some blocks are small there


def fails(made: Pipelines, schedule: str, check: Any) -> bool:
    """Does the pipeline fail under this schedule?  One that is refused does not."""
    try:
        return not check(made.build().replay(made.items, schedule))
    except ScheduleMismatch:
        return False
    except Exception:  # whatever ends the run
        return True


def test_a_death_that_is_not_to_be_need_not_be_said() -> None:
    """Whatever may be left out of a schedule while it is made smaller, what is left is a run that
    can be had again."""
    for number in NUMBERS[::10]:
        made, random = Pipelines(number), Random(number)
        simulator = simulator_of(made, random)
        schedule = with_many_deaths(simulator, random).schedule()
        choices = {key: option for key, option in schedule.choices.items() if random.random() < 0.7}
        some = Schedule(choices, tuple(death for death in schedule.deaths if random.random() < 0.7))
        attempt = simulator.follow(some)
        first = told(simulator, attempt)
        assert not list(differences(made, first))
