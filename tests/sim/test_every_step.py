"""The simulator decides only at joins and balances.  A search over every single step finds nothing
else, and nothing less."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import pytest

from conveyor.errors import Deadlock
from conveyor.graph.topology import Topology
from conveyor.sim.prepare.prepared import PreparedPipeline
from conveyor.sim.schedulers.exhaustive import Frame, Redundant, Step
from conveyor.sim.search.api import made
from conveyor.sim.search.simulation import Attempt, Simulator
from conveyor.sim.world.loop import NodeLoop
from conveyor.sim.world.waiting import Waiting
from tests.core.world import World, compiled
from tests.helpers import PROVE
from tests.sim.every_step import Ending, every_ending
from tests.sim.topologies import HEAVY, TOPOLOGIES, items

pytestmark = pytest.mark.slow


def simulated_endings(topology: Topology, items: Sequence[object]) -> set[Ending]:
    """All that the simulator knows of."""
    simulator = Simulator(PreparedPipeline(topology), items)
    scheduler = made("exhaustive", simulator.pipeline, seed=0)
    found: set[Ending] = set()
    while scheduler.begin():
        try:
            found.add(ending_of(simulator.attempt(scheduler)))
        except Redundant:
            continue
    return found


# Those whose every run ends well.
EARLY = ("fail", "starves", "into a zip", "drift apart", "ahead of a join")
SHUFFLED = [
    name
    for name in TOPOLOGIES
    if not any(word in name for word in EARLY) and (PROVE or name not in HEAVY)
]


def ending_of(attempt: Attempt) -> Ending:
    if attempt.error is None:
        return (*attempt.outputs, "ends")
    if isinstance(attempt.error, Deadlock):
        return (*attempt.outputs, "stuck")
    return ("fails", f"{type(attempt.error).__name__}: {attempt.error}")


@pytest.mark.parametrize("name", [name for name in TOPOLOGIES if PROVE or name not in HEAVY])
def test_the_simulator_knows_all_that_single_steps_can_lead_to_and_nothing_else(name: str) -> None:
    topology = compiled(*TOPOLOGIES[name]())

    assert simulated_endings(topology, items(name)) == every_ending(topology, items(name))


@pytest.mark.parametrize(
    "name", [name for name in SHUFFLED if name not in ("nested joins", "three tight lanes")]
)
def test_larger_slices_in_any_order_lead_to_nothing_else(name: str) -> None:
    topology = compiled(*TOPOLOGIES[name]())
    known = simulated_endings(topology, range(3))

    def shuffled(random: Random) -> list[object]:
        return World(topology, slices=lambda: random.randint(1, 3)).shuffle(range(3), random)

    for seed in range(500 if PROVE else 60):
        assert (*shuffled(Random(seed)), "ends") in known


# ---------------------------------------------------- would the reference notice a wrong reduction?


def first_ready_join(waiting: Waiting, loop: NodeLoop) -> bool:
    """As if a join could never get anything by another's reading."""
    return True


def sleeps_on(frame: Frame) -> frozenset[Step]:
    """As if no two decisions ever touched."""
    return frozenset((*frame.sleep, *frame.steps[: frame.at]))


@pytest.mark.parametrize(
    ("owner", "rule", "wrong"),
    [(Waiting, "has_all_it_can_get", first_ready_join), (Frame, "asleep_behind", sleeps_on)],
)
def test_a_search_that_is_reduced_too_far_misses_endings(
    monkeypatch: pytest.MonkeyPatch, owner: type, rule: str, wrong: Callable[..., object]
) -> None:
    name = "a fork behind a job, into two joins"
    topology = compiled(*TOPOLOGIES[name]())
    right = simulated_endings(topology, items(name))
    monkeypatch.setattr(owner, rule, wrong)

    assert simulated_endings(topology, items(name)) < right
