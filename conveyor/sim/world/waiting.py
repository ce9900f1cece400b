"""What each loop waits for: whether a join can still get something, and which pipes wait for one
another in a circle.

This file knows loops and how full their channels are.  It must never know what is decided, or what
is done about a circle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from conveyor.core.requests import ChooseDone, ChooseInput, WaitForRoom
from conveyor.graph.deadlock import ChannelState, Circle, Wait, WaitsFor, find_cycle
from conveyor.graph.topology import Topology, channels_of
from conveyor.sim.world.channel import MemoryChannel
from conveyor.sim.world.faulty_channel import FaultyChannel
from conveyor.sim.world.loop import NodeLoop
from conveyor.sim.world.setting import RUN, Blob

__all__ = ["Waiting"]


class Waiting:
    """Which loops of a world can go on, and what the others wait for."""

    def __init__(
        self, topology: Topology, channels: Sequence[MemoryChannel], loops: Mapping[int, NodeLoop]
    ) -> None:
        self.topology = topology
        self.channels = channels
        self.loops = loops

    def in_hand(self, loops: Sequence[NodeLoop]) -> NodeLoop | None:
        """The first of these whose items in hand wait for one another, for tasks of no item, or for
        what never comes: it is to see for what, as nothing else can go on."""
        return next((loop for loop in loops if type(loop.request) is ChooseDone), None)

    def has_all_it_can_get(self, loop: NodeLoop) -> bool:
        """Can none of the lanes that have nothing for this join get something before it reads?"""
        node = loop.spec.index
        request = loop.request
        if isinstance(request, ChooseDone):
            source, *_ = channels_of(loop.spec.inputs)
            return (
                not request.in_hand.has_room()
                or self.channels[source].closed == RUN
                or not self.can_get(source, node, ())
            )
        for source in channels_of(loop.spec.inputs):
            channel = self.channels[source]
            if not channel.pending() and channel.closed != RUN and self.can_get(source, node, ()):
                return False
        return True

    def can_get(self, channel: int, without: int, asked: tuple[int, ...]) -> bool:
        """Could a channel get an item while the node `without` does nothing?"""
        return self.can_go_on(self.topology.channels[channel].producer, without, asked)

    def can_go_on(self, node: int, without: int, asked: tuple[int, ...]) -> bool:
        if node == without or node in asked:  # a loop that waits for itself gets nothing
            return False
        loop = self.loops[node]
        if loop.dead:
            return True
        request = loop.request
        asked = (*asked, node)
        if loop.finished:
            return False
        if isinstance(request, WaitForRoom):
            consumers = [self.topology.channels[c].consumer for c in lacking_room(request)]
            return all(self.can_go_on(consumer, without, asked) for consumer in consumers)
        if isinstance(request, ChooseInput) and (request.options() or may_wake(loop)):
            return True
        if isinstance(request, ChooseDone):
            return True
        return any(
            self.can_get(channel, without, asked) for channel in channels_of(loop.spec.inputs)
        )

    def waits_of(self) -> dict[int, Wait]:
        """What each loop that has not finished waits for."""
        return {
            loop.spec.index: self.wait_of(loop) for loop in self.loops.values() if not loop.finished
        }

    def wait_of(self, loop: NodeLoop) -> Wait:
        if isinstance(loop.request, WaitForRoom):
            return Wait(WaitsFor.ROOM, tuple(lacking_room(loop.request)))
        lacking = [
            c
            for c in channels_of(loop.spec.inputs)
            if not self.channels[c].pending() and not self.channels[c].closed
        ]
        return Wait(WaitsFor.ITEMS, tuple(lacking))

    def circle(self) -> Circle | None:
        """The pipes that wait for one another, once no loop can go on."""
        return find_cycle(self.topology, self.waits_of())

    def states(self) -> dict[int, ChannelState]:
        return {
            channel.index: ChannelState(channel.queued(), channel.capacity)
            for channel in self.channels
        }


def may_wake(loop: NodeLoop) -> bool:
    """May time go by until something comes due, before the next item?"""
    timer = loop.timer
    return timer is not None and loop.lets_time_pass and timer.deadline is not None


def lacking_room(full: WaitForRoom[Blob]) -> list[int]:
    """The channels that have no room for what is to go out."""
    blob = full.blob
    ends = [end.channel if isinstance(end, FaultyChannel) else end for end in full.outlets]
    return [
        end.index
        for end in ends
        if isinstance(end, MemoryChannel) and (blob is None or not end.fits(full.items, blob))
    ]
