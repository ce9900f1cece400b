"""Which jobs share a worker, and that nothing comes out differently when they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor import (
    BalancingFork,
    Filter,
    FlatMap,
    Join,
    Pipe,
    Pipeline,
    Processor,
    ReplicatingFork,
)
from conveyor.core.fused_node import FusedNode, loop_through
from conveyor.core.job_node import ItemFailed, JobNode, Surroundings
from conveyor.core.nodes import node_for
from conveyor.graph.fusion import fuse, fused_names
from conveyor.graph.topology import Kind, Topology
from conveyor.items.atoms import is_atom
from conveyor.items.sealing import seal
from conveyor.items.slices import opened, uniform
from tests.helpers import pipeline


def job(item: Any) -> Any:
    return str(item)


def twice(item: Any) -> Any:
    return item * 2


def counted_down(item: Any) -> Any:
    while item > 0:
        item -= 1
    return item


class Stateful(Processor[Any, Any]):
    def process(self, item: Any, /) -> Any:
        return item


def names(*stages: Any, workers: int = 1) -> list[list[str]]:
    return fused_names(fuse(chain(*stages), workers))


def chain(*stages: Any) -> Topology:
    made = pipeline()
    for stage in stages:
        made.add(stage)
    topology: Topology = made.topology
    return topology


def named(*wanted: str) -> list[Any]:
    return [Processor(job, name=name) for name in wanted]


@pytest.mark.parametrize(
    ("workers", "together"),
    [
        (5, []),
        (4, [["a", "b"]]),
        (3, [["a", "b"], ["c", "d"]]),
        (2, [["a", "b"], ["c", "d", "e"]]),
        (1, [["a", "b", "c", "d", "e"]]),
    ],
)
def test_the_fewest_are_put_together_that_are_needed(
    workers: int, together: list[list[str]]
) -> None:
    assert names(*named("a", "b", "c", "d", "e"), workers=workers) == together


@pytest.mark.parametrize(
    "between",
    [Pipe(), Stateful(), FlatMap(list), Processor(job, retries=1), Processor(job, on_error="skip")],
)
def test_what_asks_for_a_worker_of_its_own_gets_it(between: Any) -> None:
    assert names(*named("a", "b"), between, *named("c", "d")) == [["a", "b"], ["c", "d"]]


@pytest.mark.parametrize(
    ("jobs", "workers", "together"),
    [
        ([twice, twice, twice], 3, []),
        ([twice, twice, twice, twice], 2, [["0", "1", "2", "3"]]),
        ([job, twice, job, twice, job], 3, [["0", "1"], ["2", "3"]]),
        ([job, twice, twice, job], 2, [["0", "1", "2"]]),
        ([job, job, twice, job], 3, [["1", "2"]]),
        ([job, twice], 2, []),
        ([counted_down, counted_down, counted_down], 2, [["0", "1"]]),  # nobody knows how long
        ([job, twice, twice, job], 1, [["0", "1", "2", "3"]]),
    ],
)
def test_jobs_that_only_calculate_weigh_nothing_where_workers_are_short(
    jobs: list[Any], workers: int, together: list[list[str]]
) -> None:
    assert (
        names(*(Processor(each, name=str(at)) for at, each in enumerate(jobs)), workers=workers)
        == together
    )


def test_a_stage_that_may_not_move_stays_alone() -> None:
    assert fused_names(fuse(chain(*named("a", "b", "c")), 1, lambda name: name != "a")) == [
        ["b", "c"]
    ]


def test_nothing_goes_through_a_fork_or_a_join() -> None:
    pl = pipeline().add(Processor(job, name="a")).add(ReplicatingFork(2))
    pl.add(*named("b", "c")).add(*named("d", "e")).add(Join(2)).add(Processor(job, name="f"))

    assert fused_names(fuse(pl.topology, 1)) == [["b", "d"], ["c", "e"]]


def test_the_lanes_of_an_adapting_fork_are_fused_alike() -> None:
    pl = (
        pipeline()
        .add(BalancingFork(max_lanes=3))
        .add(Processor(job, name="a"))
        .add(Processor(job, name="b"))
        .add(Join())
    )

    assert fused_names(fuse(pl.topology, 5)) == [["a/0", "b/0"], ["a/1", "b/1"], ["a/2", "b/2"]]


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["job", "pipe", "filter", "flat", "fork"]), min_size=1, max_size=8),
    st.integers(1, 9),
)
def test_each_job_is_in_one_worker_and_channels_lead_from_worker_to_worker(
    kinds: list[str], workers: int
) -> None:
    pl: Any = pipeline()
    for kind in kinds:
        if kind == "fork":
            pl.add(ReplicatingFork(2)).add(Processor(job), Processor(job)).add(
                Processor(job), Filter(job)
            ).add(Join(2))
        else:
            pl.add(
                {
                    "job": Processor(job),
                    "pipe": Pipe(),
                    "filter": Filter(job),
                    "flat": FlatMap(list),
                }[kind]
            )
    before: Topology = pl.topology
    after = fuse(before, workers)
    alone = [spec.index for spec in after.nodes if spec.kind in (Kind.JOB, Kind.RELAY)]
    members = [part for index in alone for part in after.nodes[index].parts or (index,)]

    assert sorted(members) == [
        spec.index for spec in before.nodes if spec.kind in (Kind.JOB, Kind.RELAY)
    ]
    assert len(alone) >= min(workers, len(members))
    used = {end for spec in after.nodes for end in _channels(spec)}
    assert all(
        {after.channels[c].producer, after.channels[c].consumer}
        <= {0, len(after.nodes) - 1, *alone}
        for c in used
    )
    for spec in after.nodes:
        for part in spec.parts[1:]:
            assert after.nodes[part].within == spec.index
            assert after.nodes[part].stage is before.nodes[part].stage


def _channels(spec: Any) -> list[int]:
    from conveyor.graph.route import leaves
    from conveyor.graph.topology import channels_of

    return [*channels_of(spec.inputs), *(leaves(spec.route) if spec.route is not None else [])]


def half(item: Any) -> Any:
    return item // 2 if item % 2 == 0 else None


def odd(item: Any) -> Any:
    return item if item % 2 else None


def listed(item: Any) -> Any:
    return [item]


def is_list(item: object) -> bool:
    return isinstance(item, list)


def grow(item: Any) -> Any:
    return [*item, item[0]] if is_list(item) else item + 1


def fussy(item: Any) -> Any:
    value = item[0] if is_list(item) else item
    if value == 7:
        raise ValueError(f"{value} is not wanted")
    return item


def whole(item: Any) -> Any:
    return item[0] if is_list(item) else item


def shared_out(item: Any) -> Any:
    return 12 // (item - 3)


STAGES: list[Callable[[], Any]] = [
    lambda: Processor(whole),
    lambda: Processor(listed),
    lambda: Processor(grow),
    lambda: Processor(fussy),
    lambda: Filter(whole),
    lambda: Processor(twice),
    lambda: Processor(shared_out),
    lambda: Processor(odd),
]


def node_of(stage: Any, fused: bool = True) -> JobNode:
    return node_for(stage, "stage", lambda letter: None, Surroundings(fused))


def fused_of(*stages: Any) -> FusedNode:
    first, *others = map(node_of, stages)
    return FusedNode(first, others, loop=loop_through([first, *others]))


def one_after_the_other(nodes: list[JobNode], items: list[object]) -> tuple[list[object], str]:
    """Each item by itself through all nodes, to the first that fails."""
    given: list[object] = []
    for item in items:
        slice_of_one = [item]
        for node in nodes:
            if not slice_of_one:
                break
            try:
                slice_of_one = [out for piece in node(slice_of_one, 0, 99) for out in piece[0]]
            except ItemFailed as failed:
                return given, str(failed.error)
        given += slice_of_one
    return given, ""


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(STAGES), min_size=1, max_size=4),
    st.lists(st.integers(0, 9), min_size=1, max_size=12),
)
def test_what_comes_out_of_fused_nodes_is_what_comes_out_of_each_after_the_other(
    stages: list[Callable[[], Any]], numbers: list[int]
) -> None:
    items = uniform([item if is_atom(item) else seal(item) for item in numbers])
    fused = fused_of(*(make() for make in stages))
    out: list[object] = []
    done, error = 0, ""
    try:
        for piece, finished, _ in fused(items, 0, 99):
            out += opened(piece)
            done = finished
    except ItemFailed as failed:
        error = str(failed.error)
    expected, expected_error = one_after_the_other(
        [node_of(make(), fused=False) for make in stages], items
    )

    assert out == list(opened(uniform(expected)))
    assert error == expected_error
    assert done == (0 if error else len(items))


def test_counts_are_those_of_each_stage() -> None:
    nodes = [node_of(Processor(half)), node_of(Filter(whole)), node_of(Processor(listed))]
    list(FusedNode(nodes[0], nodes[1:])([0, 1, 2, 3, 4], 0, 99))

    assert [(n.tally.items_in, n.tally.items_out, n.tally.dropped) for n in nodes] == [
        (5, 3, 2),
        (3, 2, 1),
        (2, 2, 0),
    ]


def test_jobs_that_only_calculate_run_in_one_loop_and_each_is_counted() -> None:
    nodes = [node_of(Processor(twice)), node_of(Processor(shared_out)), node_of(Processor(twice))]
    loop = loop_through(nodes)
    assert loop is not None
    ((out, finished, _),) = FusedNode(nodes[0], nodes[1:], loop=loop)([1, 2, 4], 0, 99)

    assert (out, finished) == ([-24, 24, 4], 3)
    assert [(n.tally.items_in, n.tally.items_out, n.tally.passed) for n in nodes] == [(3, 3, 3)] * 3
    assert loop_through([*nodes, node_of(Filter(twice))]) is None


def test_what_each_of_them_drops_is_counted() -> None:
    nodes = [node_of(Processor(half)), node_of(Processor(odd)), node_of(Processor(twice))]
    fused = FusedNode(nodes[0], nodes[1:], loop=loop_through(nodes))
    slices: list[list[object]] = [[2, 6], [4, 5, 10], [1, 14]]
    given = [out for items in slices for piece in fused(items, 0, 99) for out in piece[0]]

    assert given == [2, 6, 10, 14]
    assert [(n.tally.items_in, n.tally.items_out, n.tally.dropped) for n in nodes] == [
        (7, 5, 2),
        (5, 4, 1),
        (4, 4, 0),
    ]


def test_a_job_that_changes_what_it_gave_does_not_reach_into_the_next() -> None:
    shared: list[int] = []

    def same_list_again(item: int) -> list[int]:
        shared[:] = [item]
        return shared

    fused = fused_of(Processor(same_list_again), Processor(grow), Processor(len))
    ((out, _, _),) = fused([1, 2, 3], 0, 99)
    assert out == [2, 2, 2]

    fused = fused_of(Processor(same_list_again), Processor(whole))
    ((out, _, _),) = fused([1, 2, 3], 0, 99)
    assert out == [1, 2, 3]


def test_a_pipeline_is_not_changed_by_being_fused() -> None:
    topology = Pipeline[int]().add(Processor(job)).add(Processor(job)).topology
    text = str(topology)
    fuse(topology, 1)

    assert str(topology) == text
