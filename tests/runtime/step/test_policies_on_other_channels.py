"""Loops, batching and balancing on channels that are lists: nothing here is in shared memory."""

from collections.abc import Iterable

import pytest

from conveyor import BalancingFork, Join, Pipe, Processor
from conveyor.core.drive import DriveSpec, drive
from conveyor.core.endpoints import Ends
from conveyor.core.job_node import Node
from conveyor.core.nodes import CollectNode, RelayNode, node_for
from conveyor.graph.compiler import compile_topology
from conveyor.graph.draft import Draft
from conveyor.graph.route import balances
from conveyor.graph.topology import NodeSpec, Topology
from conveyor.runtime.step.balancing import Balancer
from conveyor.runtime.step.batching import Meter, SliceSize
from conveyor.runtime.step.loop import DriveLoop
from conveyor.runtime.step.source import GivenFeed
from conveyor.sim.world.channel import MemoryChannel
from conveyor.stages import Job, Stage
from tests.jobs import double

MOST_TURNS = 100_000


class PacedChannel(MemoryChannel):
    """Both ends in one, with what the policies ask of them besides."""

    __slots__ = ("at_once", "nanoseconds", "woken")

    def __init__(self, capacity: int, index: int) -> None:
        super().__init__(capacity, index)
        self.at_once = capacity
        self.nanoseconds = 0
        self.woken = 0

    def cost(self) -> int:
        return self.nanoseconds

    def set_cost(self, nanoseconds: int) -> None:
        self.nanoseconds = nanoseconds

    def sleeps(self, position: int) -> None:
        """Every loop here is stepped all the time."""

    def knock(self) -> None:
        self.woken += 1


class Figures:
    """What is measured of one node, and how many lanes of its forks are open."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.wanted: dict[str, int] = {}
        self.figures = (0, 0, 0, 0)

    def set_running(self, number: int) -> None: ...
    def times(self) -> tuple[int, int, int, int]:
        return self.figures

    def write_times(self, busy: int, waiting: int, blocked: int, batches: int) -> None:
        self.figures = (busy, waiting, blocked, batches)

    def write_moving(self, nanoseconds: int) -> None:
        """Nobody reads it here."""

    def add_sample(self, in_jobs: int, nanoseconds: int) -> None:
        """Nor this."""

    def open_lanes(self, fork: str) -> int:
        return self.lanes

    def wanted_lanes(self, fork: str) -> int:
        return self.wanted.get(fork, self.lanes)

    def want_lanes(self, fork: str, lanes: int) -> None:
        self.wanted[fork] = lanes


class World:
    """One loop a node, stepped in turn."""

    def __init__(self, topology: Topology, items: list[object], lanes: int) -> None:
        self.channels = [PacedChannel(each.capacity, each.index) for each in topology.channels]
        self.figures = Figures(lanes)
        self.results: list[object] = []
        self.feed = GivenFeed(min(each.capacity for each in self.channels))
        self.feed.push(items)
        self.feed.closed = True
        self.loops = [self.loop(spec, topology) for spec in topology.nodes]

    def loop(self, spec: NodeSpec, topology: Topology) -> DriveLoop[list[object]]:
        notes = memoryview(bytearray(8 * 64)).cast("Q")
        ends = Ends(spec, notes, self.channels.__getitem__, self.channels.__getitem__)
        capacity = min((outlet.capacity for outlet in ends.outlets), default=64)
        balancer = None
        if spec.route is not None and balances(spec.route):
            balancer = Balancer(spec.route, ends.outlets, self.figures, lambda: None)
        room = balancer.room if balancer is not None else lambda: capacity
        meter = Meter(self.node(spec, topology), self.figures, ends.inlets)
        driven = DriveSpec(
            node=meter,
            inlets=ends.inputs if spec.inputs else [self.feed],
            outlets=ends.outlets,
            route=spec.route,
            join_name=spec.join_name,
        )
        steps = drive(1, driven, SliceSize(meter, room, capacity))
        return DriveLoop(steps, ends.inlets, ends.outlets, balancer)

    def node(self, spec: NodeSpec, topology: Topology) -> Node:
        if isinstance(spec.stage, Job):
            return node_for(spec.stage, spec.name, lambda _: None)
        return CollectNode(self.results.extend) if spec is topology.nodes[-1] else RelayNode()

    def run(self) -> None:
        for _ in range(MOST_TURNS):
            for loop in self.loops:
                loop.step()
            if all(loop.finished for loop in self.loops):
                return
        pytest.fail("the loops come to no end")


def compiled(*rows: Iterable[Stage], cores: int = 2) -> Topology:
    draft = Draft()
    for row in rows:
        draft = draft.add(list(row))
    return compile_topology(draft, cores)


@pytest.mark.parametrize("items", [0, 1, 7, 1000])
def test_items_go_through_a_balancing_fork_and_a_join(items: int) -> None:
    topology = compiled([BalancingFork(2)], [Processor(double), Processor(double)], [Join(2)])
    world = World(topology, list(range(items)), lanes=2)

    world.run()

    assert sorted(world.results, key=str) == sorted([2 * each for each in range(items)], key=str)
    assert all(channel.ended() for channel in world.channels)


def test_a_loop_that_waits_for_room_wakes_the_readers_of_its_outlets() -> None:
    topology = compiled([Pipe(10)], [Processor(double)])
    world = World(topology, list(range(1000)), lanes=1)
    source = world.loops[0]
    source.step()
    assert source.blocked()
    assert not source.able()

    source.sleeps()

    assert [channel.woken for channel in source.outlets if isinstance(channel, PacedChannel)] == [1]
    assert source.wait_reason().channels == 1
