"""What production measures and decides, on channels in memory of their own and with a clock that the test sets."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from conveyor import BalancingFork, Join, Processor
from conveyor.channel import Tag
from conveyor.compiling import compile_topology
from conveyor.decisions import Choose
from conveyor.draft import Draft
from conveyor.runtime import pace
from conveyor.runtime.board import Board, Layout
from conveyor.runtime.ends import ring_ends
from conveyor.runtime.memory import Memory
from conveyor.runtime.pace import IDLE_LANE_NS, LANE_NS, WORTH_A_LANE_NS, Lanes
from conveyor.runtime.ring import RingInlet, RingOutlet
from conveyor.stages import Stage
from tests.jobs import double

CHOOSE = Choose("pool", [range(1), range(1, 2)], adaptive=True)


@dataclass
class Pool:
    """A fork of two lanes, as its owner sees it, and the far ends of its channels."""

    lanes: Lanes
    board: Board
    outlets: list[RingOutlet]
    inlets: list[RingInlet]
    now: int = 0

    def send(self, lane: int, items: int) -> None:
        outlet = self.outlets[lane]
        outlet.publish(items, outlet.pack([0] * items), Tag(1, 1, 0, 0, 0, 1))


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    rows: list[list[Stage]] = [[BalancingFork(max_lanes=2, name="pool")], [Processor(double)], [Join()]]
    draft = Draft()
    for row in rows:
        draft = draft.add(row)
    topology = compile_topology(draft, 2)
    layout = Layout(topology)
    memory = Memory.create(layout.size, layout.regions)
    board = Board(memory, layout)
    board.set_open_lanes("pool", 1)
    source = ring_ends(topology, layout, memory, topology.nodes[0], lambda _: lambda: None)
    workers = [ring_ends(topology, layout, memory, node, lambda _: lambda: None) for node in topology.nodes[1:3]]
    assert topology.nodes[0].route is not None
    lanes = Lanes(topology.nodes[0].route, source.outlets, board, lambda: None)
    made = Pool(lanes, board, source.outlets, [ends.inlets[0] for ends in workers])
    monkeypatch.setattr(pace, "perf_counter_ns", lambda: made.now)
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


@pytest.mark.parametrize(("cost", "wanted"), [(WORTH_A_LANE_NS - 1, 0), (WORTH_A_LANE_NS, 2)])
def test_another_lane_is_asked_for_while_slow_work_stalls_the_open_one(pool: Pool, cost: int, wanted: int) -> None:
    pool.inlets[0].set_cost(cost)
    pool.lanes.press()
    assert pool.board.wanted_lanes("pool") == 0  # there is room
    pool.send(0, LANE_NS // cost)
    pool.lanes.press()

    assert pool.board.wanted_lanes("pool") == wanted


def test_a_lane_that_idles_is_given_back(pool: Pool) -> None:
    pool.board.set_open_lanes("pool", 2)
    for inlet in pool.inlets:
        inlet.set_cost(1_000_000)
    pool.send(0, 1)
    assert pool.lanes.choose(CHOOSE) == 1
    pool.inlets[0].commit(pool.inlets[0].position(1))
    for _ in range(3):
        assert pool.lanes.choose(CHOOSE) == 0
        assert pool.board.wanted_lanes("pool") == 0
        pool.now += IDLE_LANE_NS // 2

    pool.now += 1
    assert pool.lanes.choose(CHOOSE) == 0
    assert pool.board.wanted_lanes("pool") == 1


def test_of_lanes_that_differ_the_one_where_an_item_waits_least_is_chosen(pool: Pool) -> None:
    fixed = Choose("pool", CHOOSE.lanes, adaptive=False)
    pool.inlets[0].set_cost(100)
    pool.inlets[1].set_cost(10)
    assert pool.lanes.choose(fixed) == 1
    pool.send(1, 5)
    assert pool.lanes.choose(fixed) == 0
    pool.send(0, 1)

    assert pool.lanes.choose(fixed) == 1
