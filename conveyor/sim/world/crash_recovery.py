"""What becomes of a node whose worker may die: what stands of all that it had decided and said, and
whether another worker takes its place.

This file knows what a worker leaves behind.  It must never know when a worker dies, or when the
next one begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from conveyor.core.crashes import NO_STATE
from conveyor.core.window import SlidingWindow
from conveyor.errors import WorkerCrashed
from conveyor.graph.route import Select, balancing_forks, leaves, taken
from conveyor.graph.topology import NodeSpec
from conveyor.report import DeadLetter
from conveyor.sim.world.clock import VirtualTimer
from conveyor.sim.world.durable_state import DurableState
from conveyor.sim.world.faulty_channel import CrashPlan, FaultyNote
from conveyor.sim.world.setting import Setting

__all__ = ["CrashRecovery"]


class JoinReads(Protocol):
    """How far a node has read from its join, or which of its items were done."""

    join_name: str
    decides: bool
    reads: int  # decided
    asked: bool  # was the read of the slice in hand decided, rather than decided again?
    timer: VirtualTimer | None
    timer_point: str
    events: int  # slices that were taken, and what came due


class CrashRecovery:
    """The deaths of one node's workers in one run.

    `crash_plan` says where they die, and `durable` is what outlives them.
    """

    def __init__(
        self,
        world: Setting,
        spec: NodeSpec,
        join: JoinReads,
        crash_plan: CrashPlan,
        window_words: int,
    ) -> None:
        self.world = world
        self.spec = spec
        self.join = join
        self.crash_plan = crash_plan
        side_by_side = spec.concurrency is not None
        self.durable = DurableState(crash_plan, self.void, self.taken, side_by_side)
        # Of a node with several items in hand
        self.window = SlidingWindow(FaultyNote(crash_plan, window_words))
        self.stands = 0  # reads of the join, of those that were decided
        self.events_stand = 0  # of a node with a timer

    def void(self, ordinal: int, behind: Sequence[int]) -> None:
        """Discards dead letters and decisions from the item with this ordinal on, but for those
        `behind`: the next worker processes it again, so they will come again."""
        world, spec = self.world, self.spec
        world.dead_letters = [
            each
            for each in world.dead_letters
            if each.stage != spec.name or each.ordinal < ordinal or each.ordinal in behind
        ]
        if isinstance(spec.route, Select):
            name, came = spec.route.name, self.durable.journal.tally.items_out
            world.dead_letters = [
                each for each in world.dead_letters if each.stage != name or each.ordinal < came
            ]
        self.stands = ordinal
        if self.join.decides:
            if spec.interleaves:
                saved = self.durable.newest()
                self.stands = 0 if saved is None else saved.decided
            elif spec.concurrency is not None:
                self.stands = self.window.finished + (self.window.part is not None)
            world.scheduler.void(self.join.join_name, self.join.reads, self.stands)
        if self.join.timer is not None:
            self.events_stand = ordinal + self.join.timer.dues
            world.scheduler.void(self.join.timer_point, self.join.events, self.events_stand)
        for fork in balancing_forks(spec.route):
            tails = [world.channels[channel].tail for channel in leaves(fork)]
            world.scheduler.void(fork.name, world.counts.get(fork.name, 0), taken(fork, tails))

    def taken(self) -> None:
        """Called when a slice is taken in hand.

        The slice that the worker before had in hand is not asked for again, as its tag names the
        input: then one more decision stands.
        """
        if len(self.spec.inputs) > 1 and not self.join.asked:
            self.stands += 1
            self.world.scheduler.void(self.join.join_name, self.join.reads, self.stands)
        if self.join.timer is not None and not self.join.asked:
            self.events_stand += 1
            self.world.scheduler.void(self.join.timer_point, self.join.events, self.events_stand)
        self.join.asked = False

    def send_dead_letter(self, letter: DeadLetter) -> None:
        """Sends a dead letter; the worker may die before it does."""
        self.crash_plan.tell(self.crash_plan.done)
        self.world.dead_letters.append(letter)

    def died(self, heads: Sequence[int]) -> WorkerCrashed | None:
        """Keeps what the dead worker leaves; gives the error that ends the run, if no other worker
        can take its place.

        `heads`: how far each of its inputs is committed.
        """
        self.durable.died(heads)
        name = self.spec.name
        if self.spec.dies_with_worker and self.durable.has_begun:
            return WorkerCrashed(f"the worker of stage {name!r} died in the simulation; {NO_STATE}")
        if self.crash_plan.gives_up:
            return WorkerCrashed(
                f"the workers of stage {name!r} died one after the other, as it is recorded"
            )
        return None
