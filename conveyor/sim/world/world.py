"""A pipeline in memory, stepped in one thread: a scheduler decides whatever could happen in more
than one way.

This file knows which node is stepped next.  It must never know processes, threads or a clock; where
schedulers come from; or what is done with the results.

Rule 1.  Only joins, balances, and what a fault plan adds are decided.  Everything else goes on as
         far as it can, in a fixed order: it can change nothing of what comes out (Kahn networks).
Rule 2.  A join reads only when nothing else can go on, so every lane that can have an item has
         one.  Where several joins could read, one whose other lanes can get nothing without it goes
         first; if there is none, their turn is a choice, too.
Rule 3.  A balancing fork chooses first and waits for room then.
Rule 4.  A worker that fails stops; the others go on to where they must stop, and then one of the
         failures is the run's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from conveyor.core.channel import UNBOUNDED, Tag
from conveyor.core.failures import Failure
from conveyor.core.job_node import Node
from conveyor.core.nodes import CollectNode
from conveyor.core.requests import ALL_ENDED, ChooseDone, ChooseInput, ChooseLane, TimedChoice
from conveyor.graph.route import leaves
from conveyor.graph.topology import Channel, is_shut
from conveyor.report import DeadLetter
from conveyor.sim.determinism.inspection import Inspection
from conveyor.sim.prepare.prepared import PreparedPipeline
from conveyor.sim.schedule import IN, LANES, MACHINE, NEXT, RESTART, STOP, TIMER, Decision
from conveyor.sim.schedulers.scheduler import Scheduler
from conveyor.sim.world.channel import MemoryChannel
from conveyor.sim.world.clock import ClockedChannel, VirtualClock
from conveyor.sim.world.faulty_channel import CrashPlan, Killed
from conveyor.sim.world.loop import NodeLoop, Observer
from conveyor.sim.world.machine import Machine, machine_of
from conveyor.sim.world.setting import RUN
from conveyor.sim.world.snapshot import Snapshots
from conveyor.sim.world.timing import Timing
from conveyor.sim.world.waiting import Waiting
from conveyor.stages.timed import timed

__all__ = ["World"]

new: Callable[[type[Decision], tuple[str, int, int, int]], Decision] = tuple.__new__  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # of a generic class


class World:
    """One pipeline in memory, which can be run any number of times, each with a scheduler that
    decides."""

    def __init__(
        self,
        pipeline: PreparedPipeline,
        items: Sequence[object],
        observer: Observer | None = None,
        inspection: Inspection | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.observer = observer
        self.inspection = inspection
        self.nodes: dict[int, Node] = {}
        self.source = MemoryChannel(UNBOUNDED)
        self.items = list(items)  # as they are in a slice (`intake`)
        self.is_clocked = any(timed(node.spec.stage) is not None for node in pipeline.nodes)
        self.clocks = {node.spec.index: VirtualClock() for node in pipeline.nodes}
        self.channels = [self.new_channel(channel) for channel in pipeline.topology.channels]
        self.outputs: list[object] = []
        self.times: list[float] = []  # of the outputs, if any clock is looked at
        self.sink = CollectNode(self.take if self.is_clocked else self.outputs.extend)
        self.dead_letters: list[DeadLetter] = []
        self.failures: list[Failure] = []
        self.dead: list[NodeLoop] = []
        self.log: list[Decision] = []
        self.counts: dict[str, int] = {}
        self.scheduler = Scheduler()
        self.crash_plans: dict[str, CrashPlan] = {}
        self.machine: Machine[NodeLoop] | None = None  # of a run that has a checkpoint
        # How many lanes of an adapting fork are open, where that can be seen.
        self.opened: dict[str, int] = {}
        self.loops = [NodeLoop(self, node) for node in pipeline.nodes]
        self.composite = any(loop.wiring.is_composite for loop in self.loops)
        self.active: list[NodeLoop] = self.loops
        self.goes_back = (
            pipeline.is_stateless
            and observer is None
            and inspection is None
            and not pipeline.timers
            and all(node.spec.concurrency is None for node in pipeline.nodes)
        )
        self.waiting = Waiting(
            pipeline.topology, self.channels, {loop.spec.index: loop for loop in self.loops}
        )
        self.snapshots = Snapshots(self)
        self.timing = Timing(self)

    def new_channel(self, channel: Channel) -> MemoryChannel:
        if not self.is_clocked:
            return MemoryChannel(channel.capacity, channel.index)
        writer, reader = self.clocks[channel.producer], self.clocks[channel.consumer]
        return ClockedChannel(channel.capacity, channel.index, writer, reader)

    def take(self, outputs: list[object]) -> None:
        """The sink takes outputs, as they come, and notes when."""
        self.outputs += outputs
        sink = self.clocks[len(self.pipeline.topology.nodes) - 1]
        self.times += [sink.now] * len(outputs)

    def run(self, scheduler: Scheduler, crash_plans: dict[str, CrashPlan] | None = None) -> None:
        """Runs from before the first item to where no node can go on.

        Then every stage is torn down, as in a real run: after whatever ended the run.  An error of
        a teardown is the run's if there is no other.
        """
        is_told = False
        try:
            self.begin(scheduler, crash_plans)
            if self.machine is None:
                self.finish()
            else:
                self.machine.live()
            is_told = not self.failures and not self.active
        finally:
            for loop in self.loops:
                loop.end(is_told and not self.failures)

    def begin(self, scheduler: Scheduler, crash_plans: dict[str, CrashPlan] | None = None) -> None:
        """Puts everything to how it is before the first item, or to where this schedule parts from
        the one before."""
        self.scheduler = scheduler
        self.crash_plans = dict(crash_plans or ())
        blackout = self.crash_plans.pop(MACHINE, None)
        self.machine = None
        self.waits = scheduler.waits
        self.asks_always = scheduler.asks_always
        # Is the scheduler asked for a read that has only one lane, too?
        self.asks_of_one = scheduler.asks_always or scheduler.waits
        if self.inspection is not None:
            self.inspection.begin()
        if crash_plans or scheduler.comes_in is not None:
            self.snapshots.clear()
        elif self.snapshots.go_back():
            return
        items = self.items if scheduler.comes_in is None else self.items[: scheduler.comes_in]
        self.put_in(items)
        self.outputs.clear()
        self.times.clear()
        self.dead_letters = []
        self.failures = []
        self.dead = []
        self.log = []
        self.counts = {}
        if scheduler.comes_in is not None:
            self.note(Decision(IN, 0, scheduler.comes_in, -1))
        self.turned = False  # did a join read before one that would have been first?
        if blackout is not None:
            self.machine = machine_of(blackout, self, len(items))
        self.open_lanes()
        for loop in self.loops:
            loop.begin()
        self.active = [loop for loop in self.loops if not loop.finished]

    def put_in(self, items: list[object]) -> None:
        """All channels are as they were made, and these items are before the first node."""
        for channel in self.channels:
            channel.clear()
        self.source.clear()
        self.source.publish(len(items), items, Tag(RUN, 0, 0, 0, 0, 0))
        self.source.close(RUN)

    def open_lanes(self) -> None:
        """Decides how many lanes of an adapting fork are opened, where that can be seen: where a
        stage in a lane gives something at the end."""
        self.opened = {
            fork: self.decide(fork + LANES, range(lanes, 0, -1))
            for fork, lanes in self.pipeline.telling_forks
        }
        self.shut_lanes()

    def shut_lanes(self) -> None:
        """Says in place of workers that there are not that they have ended."""
        for loop in self.loops:
            if is_shut(loop.spec, self.opened):
                for channel in leaves(loop.spec.route) if loop.spec.route is not None else ():
                    self.channels[channel].close(RUN)

    def finish(self) -> None:
        """Runs to where no node can go on."""
        while True:
            ready = self.settle()
            if self.dead and self.comes_back(bool(ready)):
                self.restart(self.dead.pop(0))
            elif self.is_clocked and (loop := self.woken_by_time(ready)) is not None:
                loop.go(self.timing.passes(loop))
            elif ready:
                if self.goes_back and (not self.log or self.scheduler.shares):
                    self.snapshots.take(ready)
                self.read(ready[0] if len(ready) == 1 else self.next_of(ready))
            elif (loop := self.waiting.in_hand(self.active)) is not None:
                loop.go(0)
                self.active = [each for each in self.active if not each.finished and not each.dead]
            else:
                return

    def woken_by_time(self, ready: list[NodeLoop]) -> NodeLoop | None:
        """A node in which something comes due before any of the joins that can read does."""
        others_can = bool(ready)
        if others_can and self.first_of(ready) is not None:
            return None
        return self.timing.wakes(self.active, others_can)

    def comes_back(self, can_wait: bool) -> bool:
        """Does a successor take the place of the worker that died first, now?

        If no other node can go on it must.  That counts as a decision, too: each death has exactly
        one that says "now", so a schedule can count the decisions before it.
        """
        point = RESTART + self.dead[0].spec.name
        if can_wait:
            return not self.decide(point, (0, 1))
        self.counts[point] = self.counts.get(point, 0) + 1
        return True

    def restart(self, loop: NodeLoop) -> None:
        if self.observer is not None:
            self.observer.restarted(loop.spec.name)
        loop.start_worker()
        self.active = [each for each in self.loops if not each.finished and not each.dead]

    def settle(self) -> list[NodeLoop]:
        """Steps every node as far as it goes without a read of a join; gives the joins that can
        read then."""
        looked_twice = not self.composite
        while True:
            moved = False
            ready: list[NodeLoop] = []
            for loop in self.active:
                request = loop.request
                try:
                    if type(request) is ChooseInput:
                        loop.options = request.options()
                        if loop.options:
                            ready.append(loop)
                            continue
                        if not request.ready():
                            continue
                        loop.go(ALL_ENDED)
                    elif type(request) is TimedChoice:
                        answer = self.timing.answer(loop, request)
                        if answer is None:
                            if loop.options:
                                ready.append(loop)
                            continue
                        loop.go(answer)
                    elif type(request) is ChooseDone:
                        loop.options = request.options()
                        if loop.options:
                            ready.append(loop)
                            continue
                        if not request.ready():
                            continue
                        loop.go(request.plain)
                    elif request is None or (type(request) is not ChooseLane and request.ready()):
                        loop.go(None)
                    else:
                        continue
                except Killed:  # a look takes away marks and what a zip has left: that is a store
                    loop.die()
                moved = True
            if moved:
                looked_twice = not self.composite
                self.active = [loop for loop in self.active if not loop.finished and not loop.dead]
            elif looked_twice:
                return ready
            else:  # to look at an ordered join or a zip takes its marks away, and that makes room
                looked_twice = True

    def read(self, loop: NodeLoop) -> None:
        """Decides one read of a join, and steps it."""
        options, point, ordinal = loop.options, loop.join_name, loop.reads
        lane = options[0]
        if len(options) > 1 or self.asks_of_one:
            lane = self.scheduler.pick(point, ordinal, options)
        loop.reads, loop.lane, loop.asked = ordinal + 1, lane, True
        if loop.timer is not None:
            self.timing.takes(loop)
        # At half the cost of Decision(...)
        decision = new(Decision, (point, ordinal, lane, options[0]))
        self.log.append(decision)
        if self.observer is not None:
            self.observer.decided(decision)
        loop.go(lane)
        if loop.finished or loop.dead:
            self.active = [each for each in self.active if each is not loop]

    def next_of(self, ready: list[NodeLoop]) -> NodeLoop:
        """Which of several joins reads next."""
        if self.crash_plans:
            return self.next_among_the_mortal(ready)
        able = ready
        if self.waits:
            able = self.able_of(ready)
            if (self.first_of(ready) or ready[0]) not in able:
                self.turned = True
            if len(able) == 1:
                return able[0]
        return self.first_of(able) or self.turn_of(able)

    def able_of(self, ready: list[NodeLoop]) -> list[NodeLoop]:
        """Those that need not wait for what they are to read."""
        return [loop for loop in ready if self.has_what_it_wants(loop)] or ready[:1]

    def next_among_the_mortal(self, ready: list[NodeLoop]) -> NodeLoop:
        """Which of several joins reads next, where workers die.

        When a successor comes is counted in decisions of all joins together, so their order
        matters, and is decided even where it would change nothing otherwise.
        """
        ordinal = self.counts.get(NEXT, 0)
        self.counts[NEXT] = ordinal + 1
        default = self.first_of(ready) or ready[0]
        said = self.scheduler.next(ordinal, len(ready))
        if said is not None:
            loop = ready[said]
        elif self.waits:
            able = self.able_of(ready)
            loop = default if default in able else self.first_of(able) or able[0]
        else:
            loop = self.first_of(ready) or self.turn_of(ready)
        self.turned = self.turned or loop is not default
        self.note(Decision(NEXT, ordinal, ready.index(loop), ready.index(default)))
        return loop

    def first_of(self, ready: list[NodeLoop]) -> NodeLoop | None:
        """The first that has all it can get, and loses nothing by reading now."""
        return next((loop for loop in ready if self.waiting.has_all_it_can_get(loop)), None)

    def turn_of(self, ready: list[NodeLoop]) -> NodeLoop:
        turn = self.scheduler.turn(
            [loop.join_name for loop in ready], [loop.options for loop in ready]
        )
        self.turned = self.turned or turn > 0
        return ready[turn]

    def has_what_it_wants(self, loop: NodeLoop) -> bool:
        wanted = self.scheduler.wants(loop.join_name, loop.reads)
        return wanted is None or wanted in loop.options

    def choose(self, choose: ChooseLane) -> int:
        """The lane that a balancing fork gives its next record."""
        lanes = range(len(choose.lanes))
        if choose.adaptive:
            lanes = range(self.opened.get(choose.name, len(lanes)))
        return self.decide(choose.name, lanes, choose.items)

    def decide(self, point: str, options: Sequence[int], count: int = 1) -> int:
        """A decision about the next `count` of what its point counts."""
        ordinal = self.counts.get(point, 0)
        self.counts[point] = ordinal + count
        option = options[0]
        if len(options) > 1 or self.asks_always:
            option = self.scheduler.pick(point, ordinal, options)
        self.note(Decision(point, ordinal, option, options[0]))
        return option

    def runs_out(self, worker: str, place: tuple[int | None, int]) -> bool:
        """Does the item at this place of a worker's inputs take too long, or at this step?"""
        point = worker + TIMER
        said = self.scheduler.timer(worker, place)
        if said is None:
            return bool(self.decide(point, (0, 1)))
        ordinal = self.counts.get(point, 0)
        self.counts[point] = ordinal + 1
        self.note(Decision(point, ordinal, said, 0))
        return bool(said)

    def note(self, decision: Decision) -> None:
        self.log.append(decision)
        if self.observer is not None:
            self.observer.decided(decision)

    def failure(self) -> Failure | None:
        """Which failure is the run's."""
        if not self.failures:
            return None
        failures = sorted(self.failures, key=lambda failure: failure.node)  # in a fixed order
        said = self.scheduler.stop(
            [self.pipeline.topology.nodes[failure.node].name for failure in failures]
        )
        if said is None:
            return failures[self.decide(STOP, range(len(failures)))]
        self.note(Decision(STOP, 0, said, 0))
        return failures[said]

    def decided(self) -> dict[str, int]:
        """How much was decided at each join and each fork."""
        reads = {loop.join_name: loop.reads for loop in self.loops if loop.decides}
        timers = {loop.timer_point: loop.events for loop in self.loops if loop.timer is not None}
        return self.counts | reads | timers
