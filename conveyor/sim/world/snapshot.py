"""Back to where a schedule parts from the one before, instead of through all of it again.

This file knows all that a world of stateless nodes can still change.  It must never know why a
scheduler decides as it does.

A search for every class takes its schedules in the order of a tree, so most of them begin as the
one before did.  A worker that has moved since is replaced, as if it had died: what is left of a
worker without a state is in its channels.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

from conveyor.core.requests import ChooseInput, Request, WaitForRoom
from conveyor.report import Tally
from conveyor.sim.schedule import Decision
from conveyor.sim.world.channel import ChannelSnapshot, MemoryChannel
from conveyor.sim.world.loop import NodeLoop
from conveyor.sim.world.setting import Blob, Setting

__all__ = ["Snapshots"]

LoopSnapshot: TypeAlias = (
    "tuple[NodeLoop, int, Request[Blob] | None, int, tuple[int, ...], list[int] | None]"
)


class Changing(Setting, Protocol):
    """What changes in a world while it runs."""

    outputs: list[object]
    log: list[Decision]
    loops: list[NodeLoop]
    active: list[NodeLoop]
    turned: bool

    @property
    def machine(self) -> object | None: ...


class WorldSnapshot:
    """A world before a decision: all that the nodes that have not finished may still change, if
    they are stateless."""

    __slots__ = ("asked", "channels", "counts", "log", "loops", "outputs", "source")

    def __init__(self, world: Changing) -> None:
        self.asked = world.scheduler.at
        self.source = world.source.head
        self.outputs = len(world.outputs)
        self.log = len(world.log)
        self.counts = dict(world.counts)
        self.channels: list[tuple[MemoryChannel, ChannelSnapshot]] = []
        self.loops: list[LoopSnapshot] = []
        for loop in world.active:
            wiring = loop.wiring
            self.channels += [(channel, channel.snapshot()) for channel in wiring.own]
            notes = wiring.notes.tolist() if wiring.is_composite else None
            counts = loop.tally.counts() if loop.spec.stage is not None else ()
            self.loops.append((loop, loop.moves, loop.request, loop.reads, counts, notes))


class Snapshots:
    """The snapshots along the schedule under way."""

    def __init__(self, world: Changing) -> None:
        self.world = world
        self.taken: list[WorldSnapshot] = []
        self.deciding = [loop for loop in world.loops if loop.wiring.decides_first]

    def clear(self) -> None:
        """The next schedule begins at the beginning."""
        self.taken.clear()

    def go_back(self) -> bool:
        """Goes back to the last place that the schedule to come has in common with the one before;
        False if there is none."""
        scheduler, taken = self.world.scheduler, self.taken
        shared = scheduler.shared()
        while taken and taken[-1].asked > shared:
            taken.pop()
        if not taken:
            return False
        self.restore(taken[-1])
        scheduler.go_on(taken[-1].asked)
        return True

    def take(self, ready: list[NodeLoop]) -> None:
        """Takes a snapshot where a decision is about to be taken: before the first one, and before
        each, if the scheduler comes by again.

        No snapshot while a decided record waits for room: restoring it would ask for the same
        decision twice.
        """
        world, scheduler = self.world, self.world.scheduler
        is_forced = len(ready) == 1 and len(ready[0].options) == 1
        if is_forced and scheduler.shares:
            return
        if world.crash_plans or world.machine is not None or world.failures or world.dead_letters:
            return
        for loop in self.deciding:
            if type(loop.request) is WaitForRoom:
                return
        asked = scheduler.at if scheduler.shares else len(world.log)
        is_wanted = asked == 0 or scheduler.shares
        if is_wanted and not (self.taken and self.taken[-1].asked >= asked):
            self.taken.append(WorldSnapshot(world))

    def restore(self, snapshot: WorldSnapshot) -> None:
        """Puts the world back to where the snapshot was taken."""
        world = self.world
        world.source.head = snapshot.source
        for channel, state in snapshot.channels:
            channel.restore(state)
        del world.outputs[snapshot.outputs :]
        world.log = world.log[: snapshot.log]
        world.counts = dict(snapshot.counts)
        world.dead_letters, world.failures, world.turned = [], [], False
        world.active = []
        for loop, moves, request, reads, counts, notes in snapshot.loops:
            world.active.append(loop)
            if loop.moves == moves:
                continue
            for at, word in enumerate(notes or ()):
                loop.wiring.notes[at] = word
            loop.reads = reads
            loop.tally = Tally()
            if counts:
                loop.tally.restore(counts)
            loop.start_worker()
            if type(request) is ChooseInput:
                loop.go(None)
            loop.moves = moves
