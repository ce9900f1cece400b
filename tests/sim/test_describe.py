"""What the simulator says of a schedule: in words, and that deaths are tried by every strategy."""

from __future__ import annotations

import re
from itertools import permutations

import pytest

from conveyor import BalancingFork, Join, Pipeline, Processor, Simulation
from conveyor.errors import ScheduleMismatch, TopologyError
from conveyor.sim.faults import Faults
from conveyor.sim.schedule import Schedule
from conveyor.sim.search.describe import describe
from conveyor.sim.search.options import STRATEGIES, Strategy
from tests.sim.parts import add_one, diamond


def pool() -> Pipeline[int, int]:
    return (
        Pipeline[int]()
        .add(BalancingFork(2, name="pool"))
        .add(Processor(add_one), Processor(add_one))
        .add(Join(2))
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cv1:", "nothing"),
        ("cv1:join.3=1", "join 'join' #3 takes lane 1 (of 2), from 'add_one#2'"),
        ("cv1:pool.0=1", "fork 'pool' #0 gives to lane 1 (of 2)"),
        ("cv1:join.0=9", "'join' #0 takes 9"),
        ("cv1:add_one~cut.0=1", "worker 'add_one' takes all the items that are there (#0)"),
        ("cv1:~stop.0=1", "failure 1 of those that there are ends the run"),
        ("cv1:!add_one.4.emitted", "worker 'add_one' dies after it emitted item 4"),
        (
            "cv1:!add_one.4.emitted1+2",
            (
                "worker 'add_one' dies with 1 output of item 4 out, not all, and comes back 2"
                " decisions later"
            ),
        ),
        (
            "cv1:!add_one.4.copied1*2+never",
            (
                "worker 'add_one' dies with 1 copy of a record of item 4 out, not all, when it is"
                " there for the 2nd time, and none takes its place"
            ),
        ),
        ("cv1:!add_one.4.held", "worker 'add_one' dies before its job begins with item 4"),
        ("cv1:!add_one.4.held2", "worker 'add_one' dies at item 4, with 2 outputs of it out"),
        (
            "cv1:!add_one.4.held@4-9",
            "worker 'add_one' dies before its job begins with item 4, with items 4 to 9 in hand",
        ),
        (
            "cv1:!add_one.4.held@9:of1",
            (
                "worker 'add_one' dies before its job begins with item 4, with item 9 in hand of"
                " input 1"
            ),
        ),
        (
            "cv1:!add_one.4.held@none",
            "worker 'add_one' dies before its job begins with item 4, with nothing in hand",
        ),
        ("cv1:~in.0=1;~left.0=3", "only 1 item comes in; the run is left after 3 results"),
        (
            "cv1:!add_one.end.closed0",
            "worker 'add_one' dies after its last item, with 0 of its channels closed, not all",
        ),
        (
            "cv1:!add_one.end.taken",
            "worker 'add_one' dies before anything of what comes after the last item is out",
        ),
        (
            "cv1:pool.0=1;!add_one.0.taken",
            (
                "fork 'pool' #0 gives to lane 1 (of 2); worker 'add_one' dies before anything of"
                " item 0 is out"
            ),
        ),
    ],
)
def test_a_schedule_reads_as_words(text: str, words: str) -> None:
    assert describe(Schedule.parse(text), pool().topology) == words


def test_the_quickstart_has_every_interleaving_of_its_lanes_and_each_can_be_had_again() -> None:
    items, lanes = [2, 9, 11], ((3, 10, 12), (2, 9, 11))
    explored = diamond().explore(items, strategy="exhaustive")
    expected = {
        tuple(order)
        for order in permutations([*lanes[0], *lanes[1]])
        if all(tuple(filter(lane.__contains__, order)) == lane for lane in lanes)
    }
    assert explored.complete
    assert explored.outputs == expected
    assert len(expected) == 20
    assert (3, 10, 12, 2, 9, 11) in expected
    for order in sorted(expected):

        def differs(run: Simulation[int], order: tuple[int, ...] = order) -> bool:
            return tuple(run) != order

        never = diamond().explore(items, differs, strategy="exhaustive")
        assert never.failure is not None
        assert tuple(diamond().replay(items, never.failure.schedule)) == order


def test_an_adapting_fork_opens_lanes() -> None:
    topology = (
        Pipeline[int]().add(BalancingFork(max_lanes=3)).add(Processor(add_one)).add(Join()).topology
    )
    assert (
        describe(Schedule.parse("cv1:balancing_fork~lanes.0=2"), topology)
        == "fork 'balancing_fork' opens 2 of 3 lanes"
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_lets_workers_die(strategy: Strategy) -> None:
    explored = diamond().explore(
        [1, 2], lambda found: "!" not in found.schedule, strategy=strategy, faults=Faults()
    )
    assert explored.failure is not None
    assert "dies" in str(explored.failure)


def test_each_store_of_each_worker_is_one_before_which_it_dies() -> None:
    deaths: set[str] = set()
    diamond().explore(
        [1, 2],
        lambda found: deaths.add(found.schedule.partition("!")[2]),
        schedules=200,
        faults=Faults(),
    )
    steps = {death.partition("+")[0] for death in deaths} - {""}
    assert steps >= {
        "add_one.0.taken",
        "add_one.0.emitted",
        "add_one.1.taken",
        "add_one.1.emitted",
        "add_one.end.closed0",
    }


@pytest.mark.parametrize("text", ["cv1:nobody~cut.0=1", "cv1:nobody.0=1"])
def test_a_schedule_of_another_pipeline_is_refused(text: str) -> None:
    with pytest.raises(ScheduleMismatch, match="no such decision point"):
        diamond().replay([1, 2], text)


@pytest.mark.parametrize(
    ("call", "option", "given", "told"),
    [
        (
            "simulate",
            "scheduler",
            "random",
            "simulate(): scheduler must be of type Scheduler, and is 'random'",
        ),
        ("simulate", "faults", True, "simulate(): faults must be of type Faults, and is True"),
        (
            "replay",
            "schedule",
            None,
            "replay(): schedule must be of type str | PathLike, and is None",
        ),
        (
            "explore",
            "check",
            [2],
            "explore(): check must be a function that takes a simulation, not [2]",
        ),
        ("explore", "schedules", 0, "explore(): schedules is 0; it must be 1 or more"),
        ("explore", "seconds", -1, "explore(): seconds is -1; it must be above 0"),
        ("explore", "seconds", float("nan"), "explore(): seconds is nan; it must be above 0"),
        ("explore", "schedules", "5", "explore(): schedules must be of type int, and is '5'"),
        (
            "explore",
            "strategy",
            "luck",
            "explore(): strategy is 'luck'; it must be a Scheduler or one of portfolio",
        ),
    ],
)
def test_what_makes_no_sense_is_told_at_once(
    call: str, option: str, given: object, told: str
) -> None:
    with pytest.raises((TypeError, ValueError, TopologyError), match=re.escape(told)):
        getattr(diamond(), call)([1], **{option: given})


def test_faults_take_a_list_of_names() -> None:
    with pytest.raises(TypeError, match=re.escape("write Faults(['add_one'])")):
        Faults("add_one")
