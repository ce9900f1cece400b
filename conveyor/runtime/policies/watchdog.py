"""Looks whether anything can still happen in a run: bounded pipes may wait for one another in a
circle.

Knows: what each worker says that it waits for, and whether the channels bear that out.  Must never
know: how a worker waits or is woken.

Rule 1.  A circle is reported only if each node in it sleeps, and what it waits for is not there, in
         two looks between which no node of the circle woke.  Then none of them can ever go on, so
         no circle is reported by mistake.
Rule 2.  Soft limits are lifted before a circle is reported: the allowance of a lane of a balancing
         fork, and the bytes of a pipe that has room for more items.  What is left holds for the
         graph as it is written, in either world.
Rule 3.  A worker that sleeps in two successive looks although what it waits for is there, and no
         notification is under way, has lost one.  It is woken, and that is counted: a net, which
         ought never to be needed.  While any worker is stopped one may be under way: it may have
         been about to send it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Final, NamedTuple, TypeAlias

from conveyor.errors import Deadlock
from conveyor.graph.deadlock import ChannelState, Circle, Wait, WaitsFor, find_cycle, stuck_nodes
from conveyor.graph.route import Leaf, balances, leaves
from conveyor.graph.topology import Topology, channels_of
from conveyor.runtime.policies.contract import ChannelView, SleepState
from conveyor.runtime.step.contract import FOR_NOTHING, FOR_ROOM, FOR_TIME, WaitReason

__all__ = ["Watchdog"]

EVERY_S: Final = 0.25

# Some of the channels in which a node waits for room, as it says that it does.
ChannelsOf: TypeAlias = Callable[[int, tuple[int, ...], WaitReason], tuple[int, ...]]


class Found(NamedTuple):
    """The nodes whose soft limits are lifted from now on, and those that have lost a wakeup."""

    yielding: list[int]
    forgotten: list[int]


NOTHING: Final = Found([], [])


class Watchdog:
    """Watches one open pipeline; `look` is called when nothing has happened for a while.

    `workers` are those of each node, by its number; `channel` says how a channel stands now;
    `is_notified`: is there a wakeup on its way to a node?  `is_any_stopped`: is a worker?
    """

    def __init__(
        self,
        topology: Topology,
        workers: Sequence[SleepState],
        channel: Callable[[int], ChannelView],
        is_notified: Callable[[int], bool],
        is_any_stopped: Callable[[], bool],
    ) -> None:
        self.topology = topology
        self.workers = workers
        self.channel = channel
        self.is_notified = is_notified
        self.is_any_stopped = is_any_stopped
        # Nodes that seemed to be forgotten in the last look, and how often each had slept by then.
        self.suspects: dict[int, int] = {}
        self.next_look = 0.0

    def look(self, run: int, parents: Mapping[int, WaitReason]) -> Found:
        """The nodes that have to be woken.  Raises `Deadlock` if there is a circle.

        `parents` are what the source and the sink wait for.
        """
        now = monotonic()
        if now < self.next_look:
            return NOTHING
        self.next_look = now + EVERY_S
        sleeps = [worker.sleeps for worker in self.workers]
        waits = self.waits(run, parents)
        lacking = self.only(self.lacking, waits, parents)
        firm = self.only(self.firm, lacking, parents)
        told = self.describe_circle(firm, run, parents)
        stuck = stuck_nodes(self.topology, lacking) if firm != lacking and told is None else []
        is_still = sleeps == [worker.sleeps for worker in self.workers]
        if told is not None and is_still:
            raise Deadlock(told)
        yielding = [node for node in stuck if is_still and firm.get(node) != lacking[node]]
        for node in yielding:
            self.workers[node].lift_soft_limits()
        others = {
            node: wait
            for node, wait in waits.items()
            if node not in parents and node not in yielding
        }
        return Found(yielding, self.forgotten(run, others, sleeps))

    def describe_circle(
        self, waits: Mapping[int, Wait], run: int, parents: Mapping[int, WaitReason]
    ) -> str | None:
        """The shortest circle in words, if there is one and its channels bear out what its nodes
        say."""
        circle = find_cycle(self.topology, waits)
        states = self.states(circle, run, parents) if circle is not None else None
        return circle.describe(states) if circle is not None and states is not None else None

    def only(
        self, of_those: ChannelsOf, waits: Mapping[int, Wait], parents: Mapping[int, WaitReason]
    ) -> dict[int, Wait]:
        """The waits for room, each with those of its channels that `of_those` gives; a node with
        none of them does not wait."""
        left = {
            node: wait
            if wait.kind is WaitsFor.ITEMS
            else Wait(wait.kind, of_those(node, wait.channels, self.wait_reason(node, parents)))
            for node, wait in waits.items()
            if not self.is_notified(node)
        }
        return {node: wait for node, wait in left.items() if wait.channels}

    def lacking(self, node: int, channels: tuple[int, ...], reason: WaitReason) -> tuple[int, ...]:
        """Those that still have no room: a source, or a fork whose lanes are all full, goes on with
        room for a single item."""
        if reason.items or self.has_allowances(node):
            return channels
        return tuple(channel for channel in channels if not self.channel(channel).has_room_for(1))

    def firm(self, node: int, channels: tuple[int, ...], reason: WaitReason) -> tuple[int, ...]:
        """Those that cannot give way."""
        if reason.items == 0:
            return () if self.has_allowances(node) else channels
        if self.workers[node].soft_limits_lifted:
            return channels
        return tuple(
            channel for channel in channels if not self.channel(channel).has_room_for(reason.items)
        )

    def has_allowances(self, node: int) -> bool:
        """Does the node give each lane only as much as it has measured to be good?"""
        route = self.topology.nodes[node].route
        return balances(route) and not self.workers[node].soft_limits_lifted

    def forgotten(self, run: int, waits: Mapping[int, Wait], sleeps: list[int]) -> list[int]:
        """The nodes that could go on now, and could in the look before, and have not been awake
        since."""
        before = self.suspects
        self.suspects = {
            node: sleeps[node]
            for node, wait in waits.items()
            if self.could_go_on(node, wait, run) and not self.is_notified(node)
        }
        if self.suspects and self.is_any_stopped():
            self.suspects = {}
        return [
            node
            for node, slept in self.suspects.items()
            if before.get(node) == slept == self.workers[node].sleeps
        ]

    def could_go_on(self, node: int, wait: Wait, run: int) -> bool:
        """Is what it waits for there, beyond doubt?

        Room is where a channel is empty; items have come if there are some in one channel, or in
        each for a zip.
        """
        channels = [self.channel(channel) for channel in wait.channels]
        if wait.kind is WaitsFor.ROOM:
            return all(channel.is_empty() for channel in channels)
        there = [not channel.is_empty() for channel in channels]
        if any(there) and all(
            isinstance(source, Leaf) for source in self.topology.nodes[node].inputs
        ):
            return True
        return all(
            has_items or channel.ended == run
            for has_items, channel in zip(there, channels, strict=True)
        )

    def wait_reason(self, node: int, parents: Mapping[int, WaitReason]) -> WaitReason:
        """What a node waits for, as it says itself."""
        return parents[node] if node in parents else self.workers[node].wait_reason()

    def waits(self, run: int, parents: Mapping[int, WaitReason]) -> dict[int, Wait]:
        """What each node that sleeps waits for."""
        waits: dict[int, Wait] = {}
        for node, worker in enumerate(self.workers):
            reason = self.wait_reason(node, parents)
            if reason.kind in (FOR_NOTHING.kind, FOR_TIME):  # what waits for time goes on by itself
                continue
            if node not in parents and worker.done == run:
                continue
            for_room = reason.kind == FOR_ROOM
            spec = self.topology.nodes[node]
            channels = channels_of(spec.inputs)
            if for_room:
                channels = leaves(spec.route) if spec.route is not None else []
            wanted = tuple(
                channel for lane, channel in enumerate(channels) if reason.channels >> lane & 1
            )
            # None are wanted if what it waits for came while it said so: it then goes on, or has
            # been forgotten.
            waits[node] = Wait(WaitsFor.ROOM if for_room else WaitsFor.ITEMS, wanted)
        return waits

    def states(
        self, circle: Circle, run: int, parents: Mapping[int, WaitReason]
    ) -> dict[int, ChannelState] | None:
        """How the channels of a circle stand; None if one of them is not as the node says that
        waits for it."""
        states: dict[int, ChannelState] = {}
        for link in circle.links:
            channel = self.channel(link.channel)
            reason = self.wait_reason(link.node, parents)
            by_bytes = False
            if link.kind is WaitsFor.ITEMS:
                if not channel.is_empty() or channel.ended == run:
                    return None
            else:
                by_bytes = channel.has_room_for(max(reason.items, 1))
                if (by_bytes or reason.items == 0) and not channel.queued:
                    return None
            states[link.channel] = ChannelState(
                channel.queued, channel.capacity, by_bytes and reason.items > 0
            )
        return states
