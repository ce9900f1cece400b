"""The channel in memory keeps what a channel promises; a zip reads several as one."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.channel import Inlet, Tag, ZipInlet
from conveyor.codec import Bundle, Sealed, opened, seal
from conveyor.sim.channel import MemoryChannel
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


# ------------------------------------------------------------------------------------------------------ a channel in memory


@given(st.integers(1, 5), st.randoms(use_true_random=False))
def test_a_channel_is_a_queue_with_exact_room(capacity: int, random: Random) -> None:
    channel = MemoryChannel(capacity)
    queue: list[int] = []
    for step in range(40):
        n = random.randint(1, capacity)
        blob = channel.pack(list(range(step, step + n)))
        assert channel.fits(n, blob) == (len(queue) + n <= capacity)
        if channel.fits(n, blob):
            tag = TAG._replace(ordinal=step)
            channel.publish(n, blob, tag)
            queue += range(step, step + n)
            assert (channel.last_tag(), channel.last_blob()) == (tag, (n, blob))
        assert channel.peek(capacity) == queue
        assert channel.peek(n) == queue[:n]
        assert channel.pending() == bool(queue)
        done = random.randint(0, len(queue))
        channel.commit(channel.position(done))
        del queue[:done]
        assert channel.queued() == len(queue) == channel.tail - channel.head


def test_a_new_channel_has_no_tag() -> None:
    assert MemoryChannel(1).last_tag() is None


def test_the_end_is_read_behind_the_last_item_and_belongs_to_a_run() -> None:
    channel = filled(1)

    assert not channel.ended()
    channel.commit(1)
    assert channel.ended()
    channel.close(1)
    assert channel.ended()
    channel.start(2)
    assert not channel.ended()


def test_each_peek_gives_copies_of_what_can_change() -> None:
    item = [1]
    channel = filled(item, 2)
    item.append(9)
    (one, two), (other, _) = opened(channel.peek(2)), opened(channel.peek(2))

    assert one == other == [1]
    assert one is not other
    assert two == 2


@given(st.lists(st.integers() | st.builds(seal, st.integers()) | st.lists(st.integers(), max_size=1)))
def test_a_peek_gives_a_slice(items: list[object]) -> None:
    seen = filled(*items).peek(len(items))

    assert len({type(item) is Sealed for item in seen}) < 2
    assert list(opened(seen)) == [item.open() if isinstance(item, Sealed) else item for item in items]


# --------------------------------------------------------------------------------------------------------------------- zip

lanes_of_items = st.lists(st.lists(st.integers() | st.lists(st.integers(), max_size=1), max_size=6), min_size=1, max_size=3)


@given(lanes_of_items, st.integers(1, 4))
def test_a_zip_gives_tuples_until_a_lane_ends_and_counts_what_is_left(lanes: list[list[object]], n: int) -> None:
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
    assert not zipped.ended()  # but what is there has been taken away, so that its producer is not held up
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
    rows = [ReplicatingFork(3)], [Filter(is_even), FlatMap(repeated), Processor(double)], [Zip(3, name="zip")]
    world = World(compiled(*rows), slices=lambda: random.randint(1, 4))
    for n in (6, 0, 9):
        even, many, doubled = list(range(0, n, 2)), [x for x in range(n) for _ in range(x)], [2 * x for x in range(n)]

        assert world.shuffle(range(n), random) == list(zip(even, many, doubled, strict=False))
        shortest = min(map(len, (even, many, doubled)))
        assert world.left_over() == {"zip": len(even) + len(many) + len(doubled) - 3 * shortest}


@pytest.mark.parametrize("seed", range(10))
def test_a_zip_keeps_pairs_together_through_tight_pipes(seed: int) -> None:
    random = Random(seed)
    inner = [ReplicatingFork(2)], [ReplicatingFork(2), Pipe(1)], [Pipe(1), Processor(double), Pipe(2)], [Zip(2), Pipe(1)]
    world = World(compiled(*inner, [Zip(2)]), slices=lambda: random.randint(1, 3))

    assert world.shuffle(range(9), random) == [((x, 2 * x), x) for x in range(9)]


def test_joined_lanes_may_be_zipped() -> None:
    random = Random(0)
    rows = [ReplicatingFork(3)], [Pipe(), Filter(is_even), FlatMap(repeated)], [Pipe(), Join(2)], [Zip(2)]
    out = World(compiled(*rows)).shuffle(range(4), random)

    assert [left for left, _ in out] == [0, 1, 2, 3]
    assert len(out) == 4
