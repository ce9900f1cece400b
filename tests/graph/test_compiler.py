"""How stages become nodes and channels: drawn as text, one node a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from conveyor.errors import TopologyError
from conveyor.graph.route import Leaf, adaptive_forks, leaves
from conveyor.graph.topology import Kind, NodeSpec, Topology, channels_of, zips_of
from conveyor.stages import BalancingFork, Join, Pipe, Processor, ReplicatingFork, Stage, Zip
from tests.core.world import compiled


def job(name: str) -> Processor[Any, Any]:
    return Processor(str, name=name)


def jobs(names: str) -> list[Any]:
    return [job(name) for name in names]


DRAWN: dict[str, tuple[list[list[Any]], str]] = {
    "linear": (
        [[job("a")], [Pipe()], [Pipe(2)], [job("b")]],
        """
        source [source] -> c0
        c0 -> a [job] -> c1
        c1 -> b [job] -> c2
        c2 -> sink [sink]
        """,
    ),
    "no worker at all": (
        [[ReplicatingFork(2)], [Pipe(), Pipe()], [Join(2)]],
        """
        source [source] -> (c0 + c1)
        c0 | c1 -> sink [sink]
        """,
    ),
    "forks belong to the producer, joins to the consumer": (
        [
            [job("a")],
            [ReplicatingFork(2)],
            [Pipe(), BalancingFork(2)],
            [*jobs("bcd")],
            [Join(2), Pipe()],
            [Join(2)],
            [job("e")],
        ],
        """
        source [source] -> c0
        c0 -> a [job] -> (c1 + (c2 / c3))
        c1 -> b [job] -> c4
        c2 -> c [job] -> c5
        c3 -> d [job] -> c6
        c4 | c5 | c6 -> e [job] -> c7
        c7 -> sink [sink]
        """,
    ),
    "a relay between a join and a fork": (
        [[ReplicatingFork(2)], [Join(2)], [Pipe()], [BalancingFork(2)], [Join(2)]],
        """
        source [source] -> (c0 + c1)
        c0 | c1 -> join-balancing_fork [relay] -> (c2 / c3)
        c2 | c3 -> sink [sink]
        """,
    ),
    "a relay between a join and a zip": (
        [[ReplicatingFork(3)], [Join(2), Pipe()], [Zip(2)]],
        """
        source [source] -> (c0 + c1 + c2)
        zip(c3 | c2) -> sink [sink]
        c0 | c1 -> join-zip [relay] -> c3
        """,
    ),
    "none between an ordered join and a zip": (
        [
            [ReplicatingFork(2)],
            [ReplicatingFork(2), Pipe()],
            [Join(2, ordered=True), Pipe()],
            [Zip(2)],
        ],
        """
        source [source] -> (c0 + c1)
        c0 -> replicating_fork-replicating_fork#2 [relay] -> (c2 + c3)
        zip(ordered(c2 | c3) | c1) -> sink [sink]
        """,
    ),
    "a relay between a fork and one whose order is given back": (
        [
            [ReplicatingFork(2)],
            [BalancingFork(2), Pipe()],
            [Join(2, ordered=True), Pipe()],
            [Join(2)],
        ],
        """
        source [source] -> (c0 + c1)
        c0 -> replicating_fork-balancing_fork [relay] -> (c2 / c3)
        ordered(c2 | c3) | c1 -> sink [sink]
        """,
    ),
    "a pipe behind a join is no channel": (
        [[ReplicatingFork(2)], [Join(2)], [Pipe(3)], [Pipe(4)], [job("a")]],
        """
        source [source] -> (c0 + c1)
        c0 | c1 -> a [job] -> c2
        c2 -> sink [sink]
        """,
    ),
    "zips of zips": (
        [[ReplicatingFork(3)], [Zip(2), Pipe()], [Zip(2)]],
        """
        source [source] -> (c0 + c1 + c2)
        zip(zip(c0 | c1) | c2) -> sink [sink]
        """,
    ),
    "lanes that are written once": (
        [[BalancingFork(max_lanes=3)], [job("a")], [Join()]],
        """
        source [source] -> (c0 / c1 / c2)
        c0 -> a/0 [job] -> c3
        c1 -> a/1 [job] -> c4
        c2 -> a/2 [job] -> c5
        c3 | c4 | c5 -> sink [sink]
        """,
    ),
    "lanes with nothing in them": (
        [[BalancingFork()], [Join()]],
        """
        source [source] -> (c0 / c1)
        c0 | c1 -> sink [sink]
        """,
    ),
    "lanes that are written once, inside such lanes": (
        [
            [BalancingFork()],
            [job("a")],
            [BalancingFork(max_lanes=1)],
            [Pipe(7)],
            [Join()],
            [job("b")],
            [Join()],
        ],
        """
        source [source] -> (c0 / c1)
        c0 -> a/0 [job] -> (c2)
        c1 -> a/1 [job] -> (c3)
        c2 -> b/0 [job] -> c4
        c3 -> b/1 [job] -> c5
        c4 | c5 -> sink [sink]
        """,
    ),
}


def drawn(name: str) -> tuple[Topology, set[str]]:
    rows, text = DRAWN[name]
    return compiled(*rows), {line.strip() for line in text.strip().splitlines()}


def nodes(*rows: Sequence[Any]) -> dict[str, NodeSpec]:
    return {node.name: node for node in compiled(*rows).nodes}


@pytest.mark.parametrize("name", DRAWN)
def test_a_pipeline_becomes_this_graph(name: str) -> None:
    topology, lines = drawn(name)

    assert set(str(topology).splitlines()) == lines


@pytest.mark.parametrize("name", DRAWN)
def test_every_channel_has_the_producer_and_the_consumer_that_it_says(name: str) -> None:
    topology, _ = drawn(name)

    assert [channel.index for channel in topology.channels] == list(range(len(topology.channels)))
    assert [node.index for node in topology.nodes] == list(range(len(topology.nodes)))
    assert (topology.nodes[0].kind, topology.nodes[-1].kind) == (Kind.SOURCE, Kind.SINK)
    for node in topology.nodes:
        read = [channel.index for channel in topology.channels if channel.consumer == node.index]
        assert sorted(channels_of(node.inputs)) == read


def test_pipes_in_a_row_are_one_with_their_capacities_added() -> None:
    topology = compiled(
        [job("a")],
        [Pipe(3)],
        [Pipe(4)],
        [ReplicatingFork(2)],
        [Pipe(2), Pipe(5)],
        [Pipe(1), job("b")],
        [Join(2)],
    )

    # a pipe before a fork is no channel: the fork belongs to what produces
    assert [channel.capacity for channel in topology.channels] == [16384, 3, 5, 16384]


def test_stages_are_listed_as_they_were_added_once_for_each_lane() -> None:
    topology = compiled(
        [BalancingFork()], [job("a")], [Join()], [ReplicatingFork(2)], [Pipe(), job("b")], [Join(2)]
    )

    assert [
        (stage.name, stage.kind, None if stage.node is None else topology.nodes[stage.node].name)
        for stage in topology.stages
    ] == [
        ("balancing_fork", "BalancingFork", None),
        ("a/0", "Processor", "a/0"),
        ("a/1", "Processor", "a/1"),
        ("join", "Join", None),
        ("replicating_fork", "ReplicatingFork", None),
        ("pipe", "Pipe", None),
        ("b", "Processor", "b"),
        ("join#2", "Join", None),
        ("join-replicating_fork", "Relay", "join-replicating_fork"),
    ]


def test_a_merge_has_the_name_of_its_join() -> None:
    found = nodes(
        [ReplicatingFork(2)],
        [Join(2, name="first")],
        [job("a")],
        [ReplicatingFork(1)],
        [Join(1, name="last")],
    )

    assert {name: node.join_name for name, node in found.items()} == {
        "source": "",
        "a": "first",
        "sink": "last",
    }


def test_depth_counts_the_ordered_joins_around_a_node_and_stamps_say_where_they_begin() -> None:
    found = nodes(
        [job("a")],
        [BalancingFork(2)],
        [job("b"), job("c")],
        [Pipe(), ReplicatingFork(2)],
        [Pipe(), job("d"), job("e")],
        [Pipe(), Join(2, ordered=True)],
        [Join(2, ordered=True)],
        [ReplicatingFork(2)],
        [job("f"), job("g")],
        [Join(2)],
    )

    assert {name: (node.depth, node.stamps) for name, node in found.items()} == {
        "source": (0, False),
        "a": (0, True),
        "b": (1, False),
        "c": (1, True),
        "d": (2, False),
        "e": (2, False),
        "join#2-replicating_fork#2": (0, False),
        "f": (0, False),
        "g": (0, False),
        "sink": (0, False),
    }


def test_a_source_may_stamp() -> None:
    assert nodes([Pipe()], [BalancingFork(2)], [Join(2, ordered=True)])["source"].stamps


def test_a_node_knows_the_adapting_lanes_around_it() -> None:
    rows: list[list[Any]] = [
        [BalancingFork(name="x")],
        [job("a")],
        [BalancingFork(name="y")],
        [job("b")],
        [Join()],
        [Join()],
        [job("c")],
    ]
    found = nodes(*rows)

    assert found["b/1/0"].lanes == (("x", 1), ("y/1", 0))
    assert found["a/1"].lanes == (("x", 1),)
    assert found["c"].lanes == found["source"].lanes == found["sink"].lanes == ()


def test_zips_are_found_by_name_with_their_width() -> None:
    rows: list[list[Any]] = [
        [ReplicatingFork(5)],
        [Zip(2, name="x"), Pipe(), Pipe(), Pipe()],
        [Zip(3, name="y"), Pipe()],
        [Join(2)],
    ]
    sink = nodes(*rows)["sink"]

    assert zips_of(sink.inputs) == [("y", 3), ("x", 2)]
    ordered = nodes([BalancingFork(2)], [Join(2, ordered=True)])["sink"]
    assert zips_of(ordered.inputs) == []


def test_adapting_forks_are_found_in_a_route() -> None:
    fork: list[list[Any]] = [
        [ReplicatingFork(2)],
        [BalancingFork(name="x"), BalancingFork(2)],
        [Pipe(), Pipe(), Pipe()],
        [Join(), Join(2)],
        [Join(2)],
    ]

    assert [found.name for found in adaptive_forks(nodes(*fork)["source"].route)] == ["x"]
    assert adaptive_forks(None) == adaptive_forks(Leaf(0)) == []


def wide(lanes: int, *before: Stage) -> Topology:
    rows: list[list[Stage]] = [[stage] for stage in before]
    return compiled(*rows, [BalancingFork(lanes)], [Pipe()] * lanes, [Join(lanes)], [job("z")])


def test_64_channels_are_on_one_side_of_a_worker() -> None:
    _, a, z, _ = wide(64, job("a")).nodes
    assert a.route is not None
    assert (len(leaves(a.route)), len(z.inputs)) == (64, 64)


@pytest.mark.parametrize("before", [[], [job("a")]])
def test_and_no_more(before: list[Stage]) -> None:
    with pytest.raises(TopologyError, match="open 65 lanes in all; one worker can serve 64"):
        wide(65, *before)


def test_nor_are_they_where_several_joins_meet() -> None:
    """Two forks of 40 lanes have a worker each, and all their lanes one."""
    two: list[list[Stage]] = [
        [ReplicatingFork(2)],
        jobs("ab"),
        [BalancingFork(40), BalancingFork(40)],
    ]
    rows: list[list[Stage]] = [*two, [Pipe()] * 80, [Join(80)]]
    assert len(compiled(*rows).nodes[-1].inputs) == 80  # the parent reads any number
    with pytest.raises(TopologyError, match="take 80 lanes in all; one worker can read 64"):
        compiled(*rows, [job("z")])


def test_a_fork_that_adapts_to_a_larger_machine_opens_64_lanes() -> None:
    assert len(compiled([BalancingFork()], [job("a")], [Join()], lanes=200).nodes) == 66
