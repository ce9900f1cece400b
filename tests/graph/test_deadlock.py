"""A circle of pipes that wait for one another is found if and only if there is one, and is told in
words."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from conveyor.graph.deadlock import ChannelState, Wait, WaitsFor, find_cycle
from conveyor.graph.topology import Topology, channels_of
from conveyor.stages import FlatMap, Pipe, Processor, ReplicatingFork, Stage, Zip
from tests.core.world import compiled
from tests.jobs import double, repeated

ITEMS, ROOM = WaitsFor.ITEMS, WaitsFor.ROOM


def diamond(*behind: list[Stage]) -> Topology:
    """The source feeds 'double' (node 1) by c0 and the zip's other lane by c1; 'double' feeds the
    zip by c2."""
    return compiled([ReplicatingFork(2)], [Processor(double), Pipe(4)], [Zip(2)], *behind)


# A lane that drops: the zip waits for it, it waits for the source, and the source for room in the
# other lane.
DRIFTED = {0: Wait(ROOM, (1,)), 1: Wait(ITEMS, (0,)), 2: Wait(ITEMS, (2,))}


def test_lanes_of_a_zip_that_drift_apart_are_a_circle() -> None:
    circle = find_cycle(diamond(), DRIFTED)

    assert circle is not None
    assert circle.full == (1,)
    assert circle.empty == (0, 2)
    assert [link.by for link in circle.links] == [
        link.node for link in circle.links[1:] + circle.links[:1]
    ]


def test_the_circle_is_told_with_every_stage_and_pipe_in_it() -> None:
    circle = find_cycle(diamond(), DRIFTED)
    assert circle is not None

    text = circle.describe(
        {0: ChannelState(0, 16384), 1: ChannelState(4, 4), 2: ChannelState(0, 16384)}
    )

    assert text.splitlines() == [
        "bounded pipes wait for one another in a circle:",
        (
            "  the source waits for room before the sink: c1 (the source -> the sink) is full: 4 of"
            " 4 items"
        ),
        "  the sink waits for items from 'double': c2 ('double' -> the sink) is empty",
        "  'double' waits for items from the source: c0 (the source -> 'double') is empty",
        (
            "To cure it, give c1 (the source -> the sink) more room: Pipe(capacity); or let no lane"
            " run ahead of the others."
        ),
    ]


def test_bytes_are_named_where_they_are_what_binds() -> None:
    circle = find_cycle(diamond(), DRIFTED)
    assert circle is not None
    states = {0: ChannelState(0, 9), 1: ChannelState(2, 4, by_bytes=True), 2: ChannelState(0, 9)}

    text = circle.describe(states)

    assert "c1 (the source -> the sink) is full by bytes: it holds 2 of 4 items" in text
    assert "smaller items" in text
    assert "Pipe(capacity)" not in text


def test_a_pipe_with_some_room_but_not_enough_is_told_as_it_is() -> None:
    circle = find_cycle(diamond(), DRIFTED)
    assert circle is not None

    assert "is too full: 3 of 4 items" in circle.describe(
        dict.fromkeys(range(3), ChannelState(3, 4))
    )


def test_who_waits_for_somebody_that_works_is_not_stuck() -> None:
    for node in DRIFTED:
        assert (
            find_cycle(diamond(), {each: wait for each, wait in DRIFTED.items() if each != node})
            is None
        )


def test_who_waits_for_any_of_several_is_not_stuck_while_one_of_them_works() -> None:
    topology = compiled([ReplicatingFork(2)], [Processor(double), FlatMap(repeated)], [Zip(2)])
    waits = {0: Wait(ROOM, (1,)), 1: Wait(ITEMS, (0,)), 3: Wait(ITEMS, (2, 3))}

    assert find_cycle(topology, waits) is None
    assert find_cycle(topology, waits | {2: Wait(ROOM, (3,))}) is not None


def test_a_node_that_waits_for_a_circle_without_being_in_it_is_not_told() -> None:
    topology = diamond([Processor(str)], [Pipe(1)], [Processor(len)])
    waits = {
        0: Wait(ROOM, (1,)),
        1: Wait(ITEMS, (0,)),
        2: Wait(ITEMS, (2,)),
        3: Wait(ITEMS, (3,)),
        4: Wait(ITEMS, (4,)),
    }

    circle = find_cycle(topology, waits)

    assert circle is not None
    assert sorted(link.node for link in circle.links) == [0, 1, 2]


TOPOLOGY = compiled(
    [ReplicatingFork(3)],
    [Processor(double), FlatMap(repeated), Pipe()],
    [Zip(3)],
    [ReplicatingFork(2)],
    [Pipe(), Pipe()],
    [Zip(2)],
)
PRODUCED = {
    spec.index: [c.index for c in TOPOLOGY.channels if c.producer == spec.index]
    for spec in TOPOLOGY.nodes
}
CONSUMED = {spec.index: channels_of(spec.inputs) for spec in TOPOLOGY.nodes}


@st.composite
def some_waits(draw: st.DrawFn) -> dict[int, Wait]:
    waits: dict[int, Wait] = {}
    for node in PRODUCED:
        kind = draw(st.sampled_from([None, ITEMS, ROOM]))
        channels = CONSUMED[node] if kind is ITEMS else PRODUCED[node]
        if kind is not None and channels:
            waits[node] = Wait(
                kind, tuple(sorted(draw(st.sets(st.sampled_from(channels), min_size=1))))
            )
    return waits


def some_can_go_on_for_ever(waits: Mapping[int, Wait]) -> set[int]:
    """Written the other way round: from those who work to those whom they set free."""
    free = {spec.index for spec in TOPOLOGY.nodes} - set(waits)
    while True:
        more = set(free)
        for node, wait in waits.items():
            ends = [TOPOLOGY.channels[channel] for channel in wait.channels]
            if any((end.producer if wait.kind is ITEMS else end.consumer) in free for end in ends):
                more.add(node)
        if more == free:
            return free
        free = more


@given(some_waits())
def test_there_is_a_circle_if_and_only_if_somebody_can_never_go_on(waits: dict[int, Wait]) -> None:
    free = some_can_go_on_for_ever(waits)
    circle = find_cycle(TOPOLOGY, waits)

    assert (circle is None) == (len(free) == len(TOPOLOGY.nodes))
    if circle is not None:
        assert not {link.node for link in circle.links} & free
        assert circle.full
        assert circle.empty
        for link, following in zip(circle.links, (*circle.links[1:], circle.links[0]), strict=True):
            assert link.by == following.node
            assert link.channel in waits[link.node].channels
