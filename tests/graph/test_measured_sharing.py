"""Who shares a worker once earlier runs have shown what each stage does, and what it costs to hand
its items over."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor import BalancingFork, Join, Pipe, Processor
from conveyor.graph.fusion import fuse, fused_names, sharing_notes
from conveyor.graph.pace import Paces, StagePace
from conveyor.graph.topology import Topology
from tests.helpers import pipeline

PLENTY = 16  # workers
HEAVY = StagePace(work_s=1.0, busy_s=1.1, moving=0.1)


def light(busy_s: float) -> StagePace:
    """A stage that is handed over for nine times what it does."""
    return StagePace(busy_s / 5, busy_s, moving=1.0)


def job(item: Any) -> Any:
    return str(item)


def chain(*wanted: Any) -> Topology:
    made = pipeline()
    for each in wanted:
        made.add(Processor(job, name=each) if isinstance(each, str) else each)
    topology: Topology = made.topology
    return topology


def shared(paces: Paces, workers: int = PLENTY) -> list[list[str]]:
    return fused_names(fuse(chain(*paces), workers, paces=paces))


def test_a_light_stage_moves_in_with_its_neighbour_though_there_are_cores() -> None:
    assert shared({"a": HEAVY, "b": light(0.1)}) == [["a", "b"]]
    assert shared({"a": light(0.1), "b": HEAVY}) == [["a", "b"]]


def test_it_moves_in_with_the_neighbour_that_has_less_to_do() -> None:
    assert shared({"a": HEAVY, "b": light(0.05), "c": HEAVY._replace(busy_s=1.01)}) == [["b", "c"]]


def test_light_stages_gather_as_long_as_the_busiest_stage_sets_the_pace() -> None:
    paces = {"a": light(0.5), "b": light(0.5), "c": light(0.5), "d": HEAVY}

    assert shared(paces) == [["a", "b"]]  # with a third they would have more to do than d


@pytest.mark.parametrize("workers", [3, PLENTY])
def test_heavy_stages_each_keep_a_worker_while_there_are_cores(workers: int) -> None:
    assert shared({"a": HEAVY, "b": HEAVY, "c": HEAVY}, workers) == []


def test_where_workers_are_short_none_has_more_to_do_than_it_must() -> None:
    paces = {
        name: HEAVY._replace(busy_s=busy) for name, busy in zip("abcd", (9, 1, 1, 1), strict=True)
    }

    assert shared(paces, 2) == [["b", "c", "d"]]
    assert shared(dict.fromkeys("abcd", paces["b"]), 2) == [["a", "b"], ["c", "d"]]


def test_while_a_stage_is_unknown_nothing_that_was_measured_counts() -> None:
    topology = chain("a", "b", "c")

    assert fused_names(fuse(topology, PLENTY, paces={"a": light(0.1), "b": HEAVY})) == []
    assert fuse(topology, 2, paces={"a": HEAVY}) == fuse(topology, 2)


def test_what_asks_for_a_worker_of_its_own_keeps_it_however_light_it_is() -> None:
    paces = {"a": light(0.1), "b": light(0.1), "c": HEAVY}

    assert fused_names(fuse(chain("a", Pipe(), "b", Pipe(), "c"), PLENTY, paces=paces)) == []
    alone = fuse(chain("a", "b", "c"), PLENTY, lambda name: name != "b", paces)
    assert fused_names(alone) == []


def test_the_lanes_of_an_adapting_fork_share_alike() -> None:
    topology = chain(BalancingFork(max_lanes=2), "a", "b", Join())

    assert fused_names(fuse(topology, PLENTY, paces={"a": HEAVY, "b": light(0.1)})) == [
        ["a/0", "b/0"],
        ["a/1", "b/1"],
    ]


def test_a_stage_that_has_moved_in_stays_there() -> None:
    paces = {"a": HEAVY, "b": light(0.1)}
    again = {"a": HEAVY, "b": paces["b"]._replace(work_s=0.03, busy_s=0.04)}

    assert shared(paces) == shared(again) == [["a", "b"]]


def test_a_report_says_who_shares_and_why() -> None:
    paces = {"a": HEAVY, "b": light(0.1)}
    topology = chain("a", "b")

    assert sharing_notes(fuse(topology, PLENTY, paces=paces), paces) == (
        "one worker for a + b: a run has shown that handing over costs 9.0 times the work of b",
    )
    assert sharing_notes(fuse(topology, 1)) == (
        "one worker for a + b: there are more stages than cores",
    )


measured = st.builds(
    StagePace, st.floats(0.01, 0.4), st.floats(0.4, 1.0), st.none() | st.floats(0.0, 3.0)
)


@settings(deadline=None)
@given(st.lists(measured, min_size=1, max_size=8))
def test_no_worker_has_more_to_do_than_the_busiest_stage_while_there_are_cores(
    stages: list[StagePace],
) -> None:
    paces = {f"stage{at}": pace for at, pace in enumerate(stages)}
    groups = shared(paces)

    busiest = max(pace.busy_s + pace.moving_s for pace in stages)
    for group in groups:
        assert sum(paces[name].busy_s for name in group) <= busiest * (1 + 1e-9)
        numbers = [int(name.removeprefix("stage")) for name in group]
        assert all(behind == before + 1 for before, behind in pairwise(numbers))


@settings(deadline=None)
@given(st.lists(measured, min_size=1, max_size=8), st.integers(1, 8))
def test_as_few_workers_as_there_are_cores_are_made(stages: list[StagePace], cores: int) -> None:
    paces = {f"stage{at}": pace for at, pace in enumerate(stages)}
    groups = shared(paces, cores)

    assert len(stages) - sum(len(group) - 1 for group in groups) <= cores
