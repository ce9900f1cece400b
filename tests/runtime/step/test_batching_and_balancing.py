"""What production measures and decides, on channels in memory of their own and with a clock that
the test sets."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import pytest

from conveyor import BalancingFork, Join, Processor
from conveyor.core.channel import SingleItemInlet, Tag
from conveyor.core.requests import ChooseInput, ChooseLane
from conveyor.graph.compiler import compile_topology
from conveyor.graph.draft import Draft
from conveyor.runtime.shm.control_block import ControlBlock
from conveyor.runtime.shm.endpoints import ring_ends
from conveyor.runtime.shm.inlet import RingInlet
from conveyor.runtime.shm.layout import Layout
from conveyor.runtime.shm.memory import Memory
from conveyor.runtime.shm.outlet import RingOutlet
from conveyor.runtime.step import balancing, batching
from conveyor.runtime.step.balancing import (
    IDLE_LANE_NS,
    LANE_NS,
    LONG_NS,
    WORTH_A_LANE_NS,
    Balancer,
    RoundRobin,
)
from conveyor.runtime.step.batching import (
    OFTEN_NS,
    SLICE_NS,
    Meter,
    RecordSize,
    SliceSize,
    WakeupCoalescing,
)
from conveyor.sim.world.channel import MemoryChannel
from conveyor.stages import Stage
from tests.jobs import double

CHOOSE = ChooseLane("pool", [range(1), range(1, 2)], adaptive=True)


@dataclass
class Pool:
    """A fork of two lanes, as its owner sees it, and the far ends of its channels."""

    lanes: Balancer
    control: ControlBlock
    outlets: list[RingOutlet]
    inlets: list[RingInlet]
    now: int = 0

    def send(self, lane: int, items: int) -> None:
        outlet = self.outlets[lane]
        outlet.publish(items, outlet.pack([0] * items), Tag(1, 1, 0, 0, 0, 1))


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    rows: list[list[Stage]] = [
        [BalancingFork(max_lanes=2, name="pool")],
        [Processor(double)],
        [Join()],
    ]
    draft = Draft()
    for row in rows:
        draft = draft.add(row)
    topology = compile_topology(draft, 2)
    layout = Layout(topology)
    memory = Memory.create(layout.size, layout.regions)
    control = layout.control_block(memory)
    control.set_open_lanes("pool", 1)
    source = ring_ends(topology, layout, memory, topology.nodes[0], lambda _: lambda: None)
    workers = [
        ring_ends(topology, layout, memory, node, lambda _: lambda: None)
        for node in topology.nodes[1:3]
    ]
    assert topology.nodes[0].route is not None
    lanes = Balancer(topology.nodes[0].route, source.outlets, control, lambda: None)
    made = Pool(lanes, control, source.outlets, [ends.inlets[0] for ends in workers])
    monkeypatch.setattr(balancing, "perf_counter_ns", lambda: made.now)
    yield made
    memory.close()


def test_a_lane_whose_speed_is_not_known_has_one_item_in_hand(pool: Pool) -> None:
    assert pool.lanes.can_choose(CHOOSE)
    pool.send(0, 1)

    assert not pool.lanes.can_choose(CHOOSE)


def test_a_lane_is_given_what_keeps_it_busy_for_a_while_and_no_more(pool: Pool) -> None:
    pool.inlets[0].set_cost(LANE_NS // 10)
    assert pool.lanes.room() == 10
    pool.send(0, 10)

    assert pool.lanes.room() == 0


def test_a_lane_is_given_more_when_half_of_that_is_done_and_its_reader_knows_when_that_is(
    pool: Pool,
) -> None:
    pool.inlets[0].set_cost(LANE_NS // 10)
    pool.send(0, 10)
    ready = pool.lanes.room_from(pool.outlets[0])

    for done in range(1, 10):
        pool.inlets[0].commit(done)
        assert (pool.lanes.room() > 0) == (done >= ready)


@pytest.mark.parametrize("cost", [0, LONG_NS + 1])
def test_a_lane_that_takes_one_item_at_a_time_is_heard_of_after_each(pool: Pool, cost: int) -> None:
    pool.inlets[0].set_cost(cost)
    pool.send(0, 1)

    assert pool.lanes.room_from(pool.outlets[0]) == 1


@pytest.mark.parametrize("size", [100, 1_000, 30_000, 1_000_000])
def test_of_large_items_only_so_many_are_taken_as_make_a_record_of_a_quarter_of_the_ring(
    pool: Pool, size: int
) -> None:
    pool.inlets[0].set_cost(1)
    outlet = pool.outlets[0]
    outlet.publish(2, outlet.pack([bytes(size), bytes(size)]), Tag(1, 1, 0, 0, 0, 1))
    pool.inlets[0].commit(2)

    n = pool.lanes.room()
    assert n == 1 or n * size <= outlet.largest
    assert (n + 1) * size > 0.8 * outlet.largest


def test_results_gather_while_they_come_often_and_no_longer_than_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = OFTEN_NS
    monkeypatch.setattr(batching, "perf_counter_ns", lambda: now)
    coalescing = WakeupCoalescing(20)
    often: list[int] = []
    for _ in range(6):
        often.append(coalescing.next())
        now += OFTEN_NS // 2
    seldom: list[int] = []
    for _ in range(6):
        now += OFTEN_NS
        seldom.append(coalescing.next())

    assert often == [1, 2, 4, 8, 16, 20]
    assert seldom == [10, 5, 2, 1, 1, 1]


@pytest.mark.parametrize(("cost", "wanted"), [(WORTH_A_LANE_NS - 1, 0), (WORTH_A_LANE_NS, 2)])
def test_another_lane_is_asked_for_while_slow_work_stalls_the_open_one(
    pool: Pool, cost: int, wanted: int
) -> None:
    pool.inlets[0].set_cost(cost)
    pool.lanes.press()
    assert pool.control.wanted_lanes("pool") == 0  # there is room
    pool.send(0, LANE_NS // cost)
    pool.lanes.press()

    assert pool.control.wanted_lanes("pool") == wanted


def test_a_lane_that_idles_is_given_back(pool: Pool) -> None:
    pool.control.set_open_lanes("pool", 2)
    for inlet in pool.inlets:
        inlet.set_cost(1_000_000)
    pool.send(0, 1)
    assert pool.lanes.choose(CHOOSE) == 1
    pool.inlets[0].commit(pool.inlets[0].position(1))
    for _ in range(3):
        assert pool.lanes.choose(CHOOSE) == 0
        assert pool.control.wanted_lanes("pool") == 0
        pool.now += IDLE_LANE_NS // 2

    pool.now += 1
    assert pool.lanes.choose(CHOOSE) == 0
    assert pool.control.wanted_lanes("pool") == 1


def test_of_lanes_that_differ_the_one_where_an_item_waits_least_is_chosen(pool: Pool) -> None:
    fixed = ChooseLane("pool", CHOOSE.lanes, adaptive=False)
    pool.inlets[0].set_cost(100)
    pool.inlets[1].set_cost(10)
    assert pool.lanes.choose(fixed) == 1
    pool.send(1, 5)
    assert pool.lanes.choose(fixed) == 0
    pool.send(0, 1)

    assert pool.lanes.choose(fixed) == 1


def test_what_a_worker_that_died_had_in_hand_is_read_first() -> None:
    """Else the jobs that share a worker would be given other items in the place of those that they
    may have been given."""
    channels = [MemoryChannel(8) for _ in range(3)]
    for channel in channels:
        channel.publish(4, [1, 2, 3, 4], Tag(1, 1, 0, 4, 0, 1))
    merge = ChooseInput("join", [channels[0], SingleItemInlet(channels[1], 2), channels[2]])
    turns = RoundRobin()

    read: list[int] = []
    for _ in range(6):
        read.append(turns.next(merge))
        channels[read[-1]].commit(channels[read[-1]].head + 1)
    assert read == [1, 1, 2, 0, 1, 2]


@pytest.mark.parametrize(
    ("to_come", "given"), [(100_000, 100), (400, 50), (160, 20), (80, 10), (8, 2), (0, 1)]
)
def test_where_it_is_known_what_is_to_come_a_lane_is_given_a_share_of_that_and_at_the_end_ever_less(
    pool: Pool, to_come: int, given: int
) -> None:
    cost = balancing.GUIDED_NS // 100
    assert LANE_NS // cost == 10
    assert cost > balancing.LAST_NS
    pool.lanes.guide(lambda: to_come)
    pool.inlets[0].set_cost(cost)

    assert pool.lanes.room() == given


def test_the_reader_of_a_lane_that_was_given_a_share_is_heard_of_when_half_of_that_is_done(
    pool: Pool,
) -> None:
    cost = balancing.GUIDED_NS // 100
    pool.lanes.guide(lambda: 100_000)
    pool.inlets[0].set_cost(cost)
    pool.send(0, 100)
    ready = pool.lanes.room_from(pool.outlets[0])

    for done in range(1, 100):
        pool.inlets[0].commit(done)
        assert (pool.lanes.room() > 0) == (done >= ready)


class Measured:
    """A meter that says how long an item takes, before a queue."""

    def __init__(self, per_item: int, queued: int) -> None:
        self.per_item = float(per_item)
        self.inlets = [SimpleNamespace(queued=lambda: queued)]


def steady_slice(per_item: int, queued: int, guided: bool) -> int:
    """The size that slices come to, while a queue stays as long as it is."""
    size = SliceSize(
        cast("Meter", Measured(per_item, queued)), lambda: 1 << 20, 1 << 20, is_guided=guided
    )
    return [size.n for _ in range(30)][-1]


@pytest.mark.parametrize("queued", [0, 1, 100, 10_000])
def test_slices_take_a_millisecond_where_results_are_awaited(queued: int) -> None:
    assert steady_slice(SLICE_NS // 10, queued, guided=False) == 11


@pytest.mark.parametrize(
    ("per_item", "queued", "items"),
    [
        (SLICE_NS // 5, 0, 6),
        (SLICE_NS // 5, 20, 6),
        (SLICE_NS // 5, 100, 25),
        (SLICE_NS // 5, 100_000, 40),  # eight milliseconds
        (SLICE_NS // 10, 100_000, batching.GUIDED_ITEMS),
        (SLICE_NS // 100, 100_000, 101),  # fine work is not coarse enough for that
    ],
)
def test_slices_of_coarse_work_grow_in_a_run_with_what_is_queued_up_to_eight_milliseconds(
    per_item: int, queued: int, items: int
) -> None:
    assert steady_slice(per_item, queued, guided=True) == items


def test_how_much_is_queued_is_told_by_the_bytes_of_what_was_read(pool: Pool) -> None:
    for _ in range(5):
        pool.send(0, 7)
    inlet = pool.inlets[0]
    assert len(inlet.peek(7)) == 7
    assert inlet.queued() == 35

    inlet.commit(inlet.position(7))
    assert inlet.queued() == 28


def test_what_passes_records_on_takes_as_many_as_there_is_room_for_from_the_first_on() -> None:
    rooms = iter([100, 0, 1 << 20])
    size = RecordSize(lambda: next(rooms), 4000)
    assert [size.n for _ in range(3)] == [100, 1, 1000]
