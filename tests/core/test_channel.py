"""A peek of the channel in memory; a zip reads several channels as one."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.core.channel import Inlet, Tag, ZipInlet
from conveyor.items.sealing import Bundle, Sealed, seal
from conveyor.items.slices import opened
from conveyor.sim.world.channel import MemoryChannel
from conveyor.stages import Filter, FlatMap, Join, Pipe, Processor, ReplicatingFork, Zip
from tests.core.world import World, compiled
from tests.jobs import double, is_even, repeated

TAG = Tag(1, 1, 0, 0, 0, 1)


def filled(*items: object, run: int = 1, ended: bool = True) -> MemoryChannel:
    """A channel with these items, read in run 1."""
    channel = MemoryChannel(1 << 20)
    channel.start(1)
    if items:
        channel.publish(len(items), channel.pack(list(items)), TAG)
    if ended:
        channel.close(run)
    return channel


@given(
    st.lists(st.integers() | st.builds(seal, st.integers()) | st.lists(st.integers(), max_size=1))
)
def test_a_peek_gives_a_slice(items: list[object]) -> None:
    seen = filled(*items).peek(len(items))

    assert len({type(item) is Sealed for item in seen}) < 2
    assert list(opened(seen)) == [
        item.open() if isinstance(item, Sealed) else item for item in items
    ]


# ---------------------------------------------------------------------------------------------- zip

lanes_of_items = st.lists(
    st.lists(st.integers() | st.lists(st.integers(), max_size=1), max_size=6),
    min_size=1,
    max_size=3,
)


@given(lanes_of_items, st.integers(1, 4))
def test_a_zip_gives_tuples_until_a_lane_ends_and_counts_what_is_left(
    lanes: list[list[object]], n: int
) -> None:
    zipped = ZipInlet([filled(*lane) for lane in lanes])
    zipped.start(1)
    tuples: list[object] = []
    while zipped.pending():
        assert not zipped.ended()
        seen = zipped.peek(n)
        assert len({isinstance(item, Sealed) for item in seen}) == 1
        done = max(1, len(seen) - 1)
        tuples += list(opened(seen))[:done]
        zipped.commit(zipped.position(done))
        assert zipped.head == zipped.tuples == len(tuples)

    assert zipped.ended()
    assert tuples == list(zip(*lanes, strict=False))
    assert zipped.left_over == sum(map(len, lanes)) - len(lanes) * len(tuples)
    assert not any(inlet.pending() for inlet in zipped.inlets)


def test_a_zip_whose_parts_are_sealed_gives_bundles() -> None:
    zipped = ZipInlet([filled(1, 2), filled(seal("a"), seal("b"))])

    assert [type(item) for item in zipped.peek(5)] == [Bundle, Bundle]
    assert list(opened(zipped.peek(5))) == [(1, "a"), (2, "b")]


def test_a_zip_waits_for_the_end_of_all_lanes() -> None:
    late = filled(1, 2, ended=False)
    zipped = ZipInlet([filled(), late])

    assert not zipped.pending()
    # But what is there has been taken away, so that its producer is not held up
    assert not zipped.ended()
    assert (late.queued(), zipped.left_over) == (0, 2)
    late.publish(1, [3], TAG)
    late.close(1)
    assert zipped.ended()
    assert (late.queued(), zipped.left_over) == (0, 3)


def test_a_zip_none_of_whose_lanes_has_ended_has_not() -> None:
    assert not ZipInlet([filled(ended=False), filled(1, ended=False)]).ended()


def test_a_zip_takes_away_any_number_of_leftovers() -> None:
    zipped = ZipInlet([filled(), filled(*range(5000))])

    assert zipped.ended()
    assert zipped.left_over == 5000


def test_each_run_counts_its_own_tuples() -> None:
    zipped = ZipInlet([filled(1, 2), filled(1, 2, 3)])
    zipped.commit(zipped.position(2))
    assert zipped.ended()
    assert (zipped.tuples, zipped.left_over) == (2, 1)
    zipped.start(2)

    assert (zipped.tuples, zipped.left_over) == (0, 0)


def test_zips_of_zips() -> None:
    inner = ZipInlet([filled(1, 2, 3), filled("a", "b")])
    outer: Inlet = ZipInlet([inner, filled(seal([1]), seal([2]), seal([3]), seal([4]))])

    assert list(opened(outer.peek(9))) == [((1, "a"), [1]), ((2, "b"), [2])]
    outer.commit(outer.position(2))
    assert outer.ended()


@pytest.mark.parametrize("seed", range(20))
def test_leftovers_of_a_run(seed: int) -> None:
    random = Random(seed)
    rows = (
        [ReplicatingFork(3)],
        [Filter(is_even), FlatMap(repeated), Processor(double)],
        [Zip(3, name="zip")],
    )
    world = World(compiled(*rows), slices=lambda: random.randint(1, 4))
    for n in (6, 0, 9):
        even, many, doubled = (
            list(range(0, n, 2)),
            [x for x in range(n) for _ in range(x)],
            [2 * x for x in range(n)],
        )

        assert world.shuffle(range(n), random) == list(zip(even, many, doubled, strict=False))
        shortest = min(map(len, (even, many, doubled)))
        assert world.left_over() == {"zip": len(even) + len(many) + len(doubled) - 3 * shortest}


@pytest.mark.parametrize("seed", range(10))
def test_a_zip_keeps_pairs_together_through_tight_pipes(seed: int) -> None:
    random = Random(seed)
    inner = (
        [ReplicatingFork(2)],
        [ReplicatingFork(2), Pipe(1)],
        [Pipe(1), Processor(double), Pipe(2)],
        [Zip(2), Pipe(1)],
    )
    world = World(compiled(*inner, [Zip(2)]), slices=lambda: random.randint(1, 3))

    assert world.shuffle(range(9), random) == [((x, 2 * x), x) for x in range(9)]


def test_joined_lanes_may_be_zipped() -> None:
    random = Random(0)
    rows = (
        [ReplicatingFork(3)],
        [Pipe(), Filter(is_even), FlatMap(repeated)],
        [Pipe(), Join(2)],
        [Zip(2)],
    )
    out = World(compiled(*rows)).shuffle(range(4), random)

    assert [left for left, _ in out] == [0, 1, 2, 3]
    assert len(out) == 4
