"""A run in which pipes wait for one another says which, and how much room cures it: as much as a
small model says, no less."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conveyor import Filter, Join, Pipe, Processor, ReplicatingFork, Zip
from conveyor.errors import Deadlock
from conveyor.graph.route import Balance, Replicate
from conveyor.graph.topology import Topology
from conveyor.sim.prepare.prepared import PreparedPipeline
from conveyor.sim.search.api import made
from conveyor.sim.search.simulation import Simulator
from tests.jobs import same
from tests.sim.corpus import Gathered
from tests.sim.parts import built, labelled

CURE = re.compile(
    r"c\d+ \((?:the )?'?(.*?)'? -> (?:the )?'?(.*?)'?\) has room for (\d+): with Pipe\((\d+)\) this"
    r" run ends, (.*)"
)


def cures_in(report: str) -> dict[tuple[str, str], tuple[int, int]]:
    """Of each pipe, by its two ends, what it has and what it needs, as the report says."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for producer, consumer, had, needs, rest in CURE.findall(report):
        assert rest == f"with Pipe({int(needs) - 1}) it does not."
        found[producer, consumer] = int(had), int(needs)
    return found


def report_of(pl: Any, items: Sequence[object]) -> str:
    with pytest.raises(Deadlock) as caught:
        pl.simulate(items)
    return str(caught.value)


def keeps(kept: frozenset[int]) -> Filter[int]:
    def is_kept(item: int) -> bool:
        return item in kept

    return Filter(is_kept, name="slow")


def room_needed(given_after: Sequence[int]) -> int:
    """How much room a lane needs beside one that has given so many outputs after each item, which
    goes to both or to none."""
    before = [0, *given_after[:-1]]
    return max(number - min(number, given) + 1 for number, given in enumerate(before))


# Of each item of the source, whether one lane keeps it.
patterns = st.lists(st.booleans(), min_size=2, max_size=10)


@settings(deadline=None, max_examples=40)
@given(patterns, st.integers(1, 9))
@example([False, False, True, True], 1)
@example([False] * 8, 3)
def test_the_room_that_a_lane_needs_beside_one_that_drops(pattern: list[bool], room: int) -> None:
    kept = frozenset(number for number, keep in enumerate(pattern) if keep)
    needs = room_needed(list(accumulate(pattern)))

    def pl(capacity: int) -> Any:
        return built([ReplicatingFork(2)], [keeps(kept), Pipe(capacity)], [Zip(2)])

    pairs = list(zip(sorted(kept), range(len(pattern)), strict=False))
    items = range(len(pattern))
    assert list(pl(needs).simulate(items)) == pairs
    if room < needs:
        report = report_of(pl(room), items)
        assert cures_in(report) == {("source", "sink"): (room, needs)}
        assert f"is full: {room} of {room} items" in report
        assert "the sink waits for items from 'slow'" in report
    if needs > 1:
        report_of(pl(needs - 1), items)


@pytest.mark.parametrize(("m", "room"), [(2, 1), (6, 1), (6, 2), (7, 3)])
def test_the_room_that_a_lane_needs_beside_one_that_gathers(m: int, room: int) -> None:
    def pl(capacity: int) -> Any:
        return built([ReplicatingFork(2)], [Gathered(forgets=False), Pipe(capacity)], [Zip(2)])

    needs = room_needed([number // 2 for number in range(1, m + 1)])
    assert cures_in(report_of(pl(room), range(m))) == {("source", "sink"): (room, needs)}
    assert len(pl(needs).simulate(range(m))) == (m + 1) // 2
    report_of(pl(needs - 1), range(m))


@settings(deadline=None, max_examples=25)
@given(patterns, st.integers(1, 3), st.integers(1, 3))
def test_each_pipe_of_a_lane_can_be_the_one_that_is_made_larger(
    pattern: list[bool], before: int, behind: int
) -> None:
    kept = frozenset(number for number, keep in enumerate(pattern) if keep)
    needs = room_needed(list(accumulate(pattern)))
    items = range(len(pattern))

    def pl(before: int, behind: int) -> Any:
        return built(
            [ReplicatingFork(2)],
            [Pipe(), Pipe(before)],
            [keeps(kept), labelled("b")],
            [Pipe(), Pipe(behind)],
            [Zip(2)],
        )

    if before + behind >= needs:
        pl(before, behind).simulate(items)
        return
    cures = cures_in(report_of(pl(before, behind), items))
    assert cures == {
        ("source", "b"): (before, needs - behind),
        ("b", "sink"): (behind, needs - before),
    }
    pl(needs - behind, behind).simulate(items)
    pl(before, needs - before).simulate(items)
    report_of(pl(needs - behind - 1, behind), items)
    report_of(pl(before, needs - before - 1), items)


def balanced(topology: Topology) -> Topology:
    """The same with a balancing fork in the place of the replicating one, which no row may be
    closed with by a zip: only in stages between the two could the lanes become equally long."""
    source, *others = topology.nodes
    assert isinstance(source.route, Replicate)
    route = Balance(source.route.name, source.route.lanes)
    return replace(topology, nodes=(replace(source, route=route), *others))


@pytest.mark.parametrize(("m", "room"), [(2, 1), (4, 1), (5, 2)])
def test_a_balance_into_a_zip_is_cured_for_what_it_chose(m: int, room: int) -> None:
    simulator = Simulator(
        PreparedPipeline(
            balanced(built([ReplicatingFork(2)], [Pipe(room)] * 2, [Zip(2)]).topology)
        ),
        range(m),
    )
    scheduler = made("exhaustive", simulator.pipeline, seed=0)
    seen = 0
    while scheduler.begin():
        attempt = simulator.attempt(scheduler)
        chosen = {ordinal: option for (_, ordinal), option in attempt.schedule().choices.items()}
        steps = [-1 if chosen.get(number) else 1 for number in range(m)]
        ahead = [0, *accumulate(steps)]
        if -room <= min(ahead) and max(ahead) <= room:
            assert attempt.error is None
            continue
        seen += 1
        assert isinstance(attempt.error, Deadlock)
        # Until it is stuck, a run shows only what was chosen so far: the rest is chosen by default,
        # for the first lane.
        needed = {needs for _, needs in cures_in(str(attempt.error)).values()}
        if min(ahead) >= -room:
            assert needed == {max(ahead)}
        elif max(ahead) <= room:
            assert needed == {-min(ahead)}
        else:
            assert not needed
    assert seen


STUCK: dict[str, tuple[Callable[[], Any], str, str]] = {
    "three lanes": (
        lambda: built([ReplicatingFork(3)], [Pipe(2), keeps(frozenset([5])), Pipe(3)], [Zip(3)]),
        "the source waits for room before the sink",
        "the sink waits for items from 'slow'",
    ),
    "a join in a lane": (
        lambda: built(
            [ReplicatingFork(2)],
            [ReplicatingFork(2), Pipe(2)],
            [keeps(frozenset([5])), keeps(frozenset([5])), Pipe(1)],
            [Join(2), Pipe(1)],
            [Processor(same), Pipe(1)],
            [Zip(2)],
        ),
        "the source waits for room before the sink",
        "the sink waits for items from 'same'",
    ),
    "a diamond in a diamond": (
        lambda: built(
            [ReplicatingFork(2)],
            [Processor(same), Pipe()],
            [ReplicatingFork(2), Pipe()],
            [keeps(frozenset([5])), Pipe(2), Pipe()],
            [Zip(2), Pipe()],
            [Join(2)],
        ),
        "'same' waits for room before",
        "waits for items from 'slow'",
    ),
}


@pytest.mark.parametrize("name", STUCK)
def test_the_report_names_the_whole_circle(name: str) -> None:
    make, waits_for_room, waits_for_items = STUCK[name]
    report = report_of(make(), range(6))
    links = [line for line in report.splitlines() if " waits for " in line]

    assert waits_for_room in report
    assert waits_for_items in report
    who = [re.sub(r" waits for .*", "", line).strip() for line in links]
    whom = [re.sub(r".* (?:from|before) (.*?): .*", r"\1", line) for line in links]
    assert whom == [*who[1:], who[0]]


def test_what_is_left_over_in_a_zip_gives_back_room_while_another_lane_of_a_zip_waits() -> None:
    lanes = built().add(ReplicatingFork(3)).add(*[Pipe(3)] * 3)
    lanes = lanes.add(keeps(frozenset()), Processor(same), keeps(frozenset()))
    lanes = lanes.add(Pipe(), ReplicatingFork(2), Pipe()).add(*[Pipe(1)] * 4)

    assert lanes.add(Pipe(), Pipe(), Zip(2)).add(Zip(3)).simulate(range(3)) == []
