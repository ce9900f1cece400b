"""Looks whether anything can still happen in a run: bounded pipes may wait for one another in a circle.

Knows: what each worker says that it waits for, and whether the channels bear that out.  Must never know: how anybody waits.

Rule 1.  A circle is told only if each node in it sleeps, and what it waits for is not there, in two looks between which nobody
         of the circle woke.  Then nobody of them can ever go on, so nobody is told of a circle by mistake.
Rule 2.  Who sleeps though what it waits for is there, and is not being rung for, in two looks, has been forgotten by whoever
         had to ring.  It is woken, and that is counted: a net, which ought never to be needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic
from typing import Final

from conveyor.deadlock import ChannelState, Circle, Wait, WaitsFor, find_cycle
from conveyor.errors import Deadlock
from conveyor.route import Leaf, leaves
from conveyor.runtime.board import FOR_NOTHING, FOR_ROOM, Lack, Layout, NodeBoard
from conveyor.runtime.memory import Memory
from conveyor.runtime.ring import RingState
from conveyor.topology import Topology, channels_of

__all__ = ["Watchdog"]

EVERY_S: Final = 0.25


class Watchdog:
    """Of one open pipeline; `look` is called when nothing has happened for a while."""

    def __init__(
        self, topology: Topology, layout: Layout, memory: Memory, boards: list[NodeBoard], is_rung: Callable[[int], bool]
    ) -> None:
        self.topology = topology
        self.layout = layout
        self.memory = memory
        self.boards = boards
        self.is_rung = is_rung
        self.suspects: dict[int, int] = {}  # who seemed to be forgotten in the last look, and how often it had slept by then
        self.next_look = 0.0

    def look(self, run: int, parents: Mapping[int, Lack]) -> list[int]:
        """Whom somebody forgot to wake; raises `Deadlock` if there is a circle.

        `parents` are what the source and the sink wait for.
        """
        now = monotonic()
        if now < self.next_look:
            return []
        self.next_look = now + EVERY_S
        sleeps = [board.sleeps for board in self.boards]
        waits = self.waits(run, parents)
        circle = find_cycle(self.topology, waits)
        states = self.states(circle, run, parents) if circle is not None else None
        if circle is not None and states is not None and sleeps == [board.sleeps for board in self.boards]:
            raise Deadlock(circle.describe(states))
        return self.forgotten(run, {node: wait for node, wait in waits.items() if node not in parents}, sleeps)

    def forgotten(self, run: int, waits: Mapping[int, Wait], sleeps: list[int]) -> list[int]:
        """The workers of which this is true now and was in the look before, and which have not been awake since."""
        before = self.suspects
        self.suspects = {
            node: sleeps[node] for node, wait in waits.items() if self.could_go_on(node, wait, run) and not self.is_rung(node)
        }
        return [node for node, slept in self.suspects.items() if before.get(node) == slept == self.boards[node].sleeps]

    def could_go_on(self, node: int, wait: Wait, run: int) -> bool:
        """Is what it waits for there, beyond doubt?

        Room is where a channel is empty; items have come if there are some in one channel, or in each for a zip.
        """
        rings = [RingState(self.layout.ring(self.memory, channel)) for channel in wait.channels]
        if wait.kind is WaitsFor.ROOM:
            return all(ring.is_empty() for ring in rings)
        there = [not ring.is_empty() for ring in rings]
        if any(there) and all(isinstance(source, Leaf) for source in self.topology.nodes[node].inputs):
            return True
        return all(full or ring.ended == run for full, ring in zip(there, rings, strict=True))

    def lack(self, node: int, parents: Mapping[int, Lack]) -> Lack:
        return parents[node] if node in parents else self.boards[node].lack()

    def waits(self, run: int, parents: Mapping[int, Lack]) -> dict[int, Wait]:
        """What each node that sleeps waits for."""
        waits: dict[int, Wait] = {}
        for node, board in enumerate(self.boards):
            lack = self.lack(node, parents)
            if lack.kind == FOR_NOTHING.kind or (node not in parents and board.done == run):
                continue
            for_room = lack.kind == FOR_ROOM
            spec = self.topology.nodes[node]
            channels = channels_of(spec.inputs)
            if for_room:
                channels = leaves(spec.route) if spec.route is not None else []
            wanted = tuple(channel for lane, channel in enumerate(channels) if lack.lanes >> lane & 1)
            if wanted:
                waits[node] = Wait(WaitsFor.ROOM if for_room else WaitsFor.ITEMS, wanted)
        return waits

    def states(self, circle: Circle, run: int, parents: Mapping[int, Lack]) -> dict[int, ChannelState] | None:
        """How the channels of a circle stand; None if one of them is not as who waits for it says."""
        states: dict[int, ChannelState] = {}
        for link in circle.links:
            ring = RingState(self.layout.ring(self.memory, link.channel))
            lack = self.lack(link.node, parents)
            by_bytes = False
            if link.kind is WaitsFor.ITEMS:
                if not ring.is_empty() or ring.ended == run:
                    return None
            else:
                by_bytes = ring.has_room_for(max(lack.items, 1))
                if (by_bytes or lack.items == 0) and not ring.queued:
                    return None
            states[link.channel] = ChannelState(ring.queued, ring.capacity, by_bytes and lack.items > 0)
        return states
