"""One worker of a node: the stage that it has, and the node that is made of it.

This file knows how a worker begins and ends.  It must never know how its loop is stepped, or who
decides.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

from conveyor.core.job_node import Node, Surroundings
from conveyor.core.nodes import RelayNode, node_for
from conveyor.core.snapshots import StateLog, packed_state, state_of
from conveyor.graph.topology import Kind
from conveyor.items.bytecode import is_slight
from conveyor.items.current_item import CURRENT
from conveyor.report import DeadLetter, Tally
from conveyor.sim.interruption import is_final
from conveyor.sim.prepare.bindings import PrivateBindings
from conveyor.sim.prepare.intake import ByReference
from conveyor.sim.prepare.prepared import PreparedNode
from conveyor.sim.world.durable_state import DurableState
from conveyor.sim.world.faulty_channel import CrashPlan
from conveyor.sim.world.setting import Setting
from conveyor.sim.world.stepping import Stepped
from conveyor.sim.world.timers import put_timer
from conveyor.stages import Job, Restorable, is_async

if TYPE_CHECKING:
    from conveyor.sim.code.stepped_loop import SteppedLoop
    from conveyor.sim.code.virtual_loop import VirtualLoop

__all__ = ["Place", "Worker"]

# Of an item, by its index in the slice in hand: which input it came from, and its position there.
Place = Callable[[int], tuple[int, int]]


class Worker:
    """The worker of one node; `new_node` lets another take its place.

    `place` tells where an item of the slice in hand came from; `send_dead_letter` is called with
    each item that is given up.
    """

    def __init__(
        self,
        world: Setting,
        prepared: PreparedNode,
        place: Place,
        send_dead_letter: Callable[[DeadLetter], None],
    ) -> None:
        self.world = world
        self.prepared = prepared
        self.spec = prepared.spec
        self.place = place
        self.send_dead_letter = send_dead_letter
        self.stage: Job[object, object] | None = None
        self.private: PrivateBindings | None = None  # None: its code holds nothing of its own
        self.state: Restorable | None = None  # what is saved of the stage, if anything is
        self.loop: VirtualLoop | SteppedLoop | None = None  # made when it is needed

    def enter(self) -> None:
        """Called before code of the stage runs: it sees the worker's own values."""
        if self.private is not None:
            self.private.enter()

    def leave(self) -> None:
        """Called when that is over: the program's values are back."""
        if self.private is not None:
            self.private.leave()

    def new_node(
        self, tally: Tally, durable: DurableState | None, state: bytes | None = None
    ) -> Node:
        """The node of a new worker, which counts in `tally`, with the `state` that a checkpoint has
        of its processor.

        `durable`: what the worker before left, where one may die.  A stage without a state is used
        again where none may die.  Raises what `setup` or `restore` raises.  In any case the caller
        has to `leave` the worker.
        """
        self.end_loop()
        self.stage = self.private = self.state = None
        if self.spec.kind is Kind.SINK:
            node: Node = self.world.sink
        elif self.spec.stage is None:
            node = RelayNode()
            if durable is not None:
                durable.succeed(None, tally)
        else:
            known = self.world.nodes.get(self.spec.index) if durable is None else None
            node = known or self.job_node(tally, durable, state)
        node.tally = tally
        return node

    def job_node(self, tally: Tally, durable: DurableState | None, state: bytes | None) -> Node:
        world, name = self.world, self.spec.name
        self.stage, self.private = stage, _ = self.prepared.copy()
        self.enter()
        CURRENT.outside(name)
        self.prepared.set_up(stage, self.awaits)
        self.state = state_of(stage)
        if state is not None and self.state is not None:
            StateLog(self.state, name).read(state)
        place, past = self.place, None
        if durable is not None:
            durable.succeed(self.state, tally)
            place, past = durable.journal.place, durable.past if durable.deaths else None
        seal = None if world.pipeline.copies else ByReference
        around = Surroundings(
            place=place,
            past=past,
            is_final=is_final,
            seal=seal,
            awaits=self.awaits,
            timekeeper=self.event_loop() if is_async(stage) else None,
            linger=None if durable is None else LeavesBeforeDeath(durable.crash_plan),
        )
        node = node_for(stage, name, self.send_dead_letter, around)
        if not is_slight(node.job):
            # The quick way calls a job again after an error without a look at that error, which may
            # be that of a time limit.
            node.wrap(node.job)
        if world.inspection is not None:
            world.inspection.take(self.prepared, node)
        if world.pipeline.timers and not self.spec.interleaves:
            put_timer(
                node, lambda: world.runs_out(name, place(node.index())), self.spec.dies_with_worker
            )
        if self.prepared.is_stateless and durable is None:
            world.nodes[self.spec.index] = node
        return node

    def event_loop(self) -> VirtualLoop | SteppedLoop:
        """What async code of the stage runs in; most has none, and asyncio takes a while to
        import."""
        if self.loop is None:
            if self.spec.interleaves:
                from conveyor.sim.code.stepped_loop import SteppedLoop

                self.loop = SteppedLoop()
                self.loop.begin(self.spec.name)
            else:
                from conveyor.sim.code.virtual_loop import VirtualLoop

                self.loop = VirtualLoop(self.spec.name)
            self.loop.is_told = self.world.pipeline.is_recorded
        return self.loop

    @property
    def stepped(self) -> Stepped | None:
        """Where several items in hand go on in turns."""
        loop = self.event_loop() if self.spec.interleaves else None
        return cast("SteppedLoop | None", loop)

    def awaits(self, given: Awaitable[object]) -> object:
        """What comes of async code of the stage that belongs to no item."""
        return self.event_loop().run(given)

    def end_loop(self) -> None:
        """The worker is gone: nothing of what its event loop had still to do is done."""
        loop, self.loop = self.loop, None
        if loop is not None:
            self.enter()  # what is left of its jobs is closed
            try:
                loop.abandon()
            finally:
                self.leave()

    def try_state(self) -> None:
        """Packs the state of a restorable processor, as a run does before its first item and behind
        its last; raises what that raises."""
        stage = self.stage
        if stage is not None and stage.is_restorable and isinstance(stage, Restorable):
            packed_state(stage, self.spec.name)

    def take_stage(self) -> Job[object, object] | None:
        """The stage of a worker that is gone; there is nothing left to be torn down."""
        stage, self.stage = self.stage, None
        return stage


class LeavesBeforeDeath:
    """Each output of an item leaves by itself where its worker died with some of them out."""

    def __init__(self, crash_plan: CrashPlan) -> None:
        self.crash_plan = crash_plan

    def begin(self) -> None:
        """Nothing: it does not depend on the time."""

    def is_over(self) -> bool:
        return self.crash_plan.dies_inside
