"""One run of a worker, from its first item to the end, or from where another worker left it.

This file knows how the drive loop, the nodes and the policies are put together, and how a worker
waits.  It must never know what a job does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter_ns

from conveyor.core.barriers import Barriers
from conveyor.core.channel import Inlet, SingleItemInlet
from conveyor.core.drive import Cut, Drive, DriveSpec, drive
from conveyor.core.endpoints import standing
from conveyor.core.job_node import ForkFailed, ItemFailed, Node
from conveyor.core.journal import Journal
from conveyor.core.ordered import stamped
from conveyor.core.snapshots import RestoredNode
from conveyor.graph.route import Route, Select, balances
from conveyor.runtime.process.circumstances import flush
from conveyor.runtime.shm.fence import fence
from conveyor.runtime.shm.layout import FIRST_RUN, KEPT
from conveyor.runtime.shm.record import Blob
from conveyor.runtime.shm.trace_log import SpanKind
from conveyor.runtime.step.balancing import Balancer
from conveyor.runtime.step.batching import Meter, RecordSize, SliceSize
from conveyor.runtime.step.contract import WorkFigures
from conveyor.runtime.step.logged import (
    JOIN,
    STANDS,
    TIMER,
    Log,
    LoggedBalancer,
    LoggedReads,
    LoggedTimer,
    forks_taken,
    log_to,
)
from conveyor.runtime.step.loop import DriveLoop
from conveyor.runtime.step.timer import ClockTimer
from conveyor.runtime.worker.nodes import RunNodes
from conveyor.runtime.worker.order import RolledBack
from conveyor.runtime.worker.traced import TracedMeter, note_decision
from conveyor.runtime.worker.workplace import Workplace
from conveyor.stages.timed import timed

__all__ = ["Run"]


class Run:
    """Everything that a worker makes for one run."""

    def __init__(self, workplace: Workplace, number: int) -> None:
        self.workplace = workplace
        self.number = number
        ends, spec, block = workplace.ends, workplace.spec, workplace.block
        if not block.has_begun_with(number):
            for source, inlet in enumerate(ends.inputs):
                before = 0
                if number == FIRST_RUN:  # it may begin where a run was kept
                    before = workplace.kept[0].newest()[KEPT + source]
                workplace.begins(source, standing(inlet, number) - before)
            if workplace.link.control.keeping and number == FIRST_RUN:
                workplace.sets_clock(workplace.kept[0].newest()[KEPT - 1])
        resumed, *_ = [each.begin(number) for each in workplace.blocks]
        self.trace = workplace.link.trace_log.writer() if workplace.link.control.tracing else None
        self.log = self.decision_log()
        self.nodes = nodes = RunNodes(workplace, number)
        self.journal = nodes.journal = Journal(
            nodes.first.tally,
            block.counts,
            self.hold(),
            self.resume if resumed else None,
            [
                Journal(part.tally, each.counts)
                for part, each in zip(nodes.parts, workplace.blocks[1:], strict=True)
            ],
            self.reads(),
        )
        states = workplace.jobs.states
        self.restored = RestoredNode(states, states.log.stage) if states is not None else None
        self.timer = self.make_timer()
        self.selecting = nodes.selecting()
        node = stamped(spec, nodes.node, ends.outlets, self.restored, self.timer, self.selecting)
        self.meter = self.make_meter(node)
        self.balancer = (
            self.make_balancer(spec.route)
            if spec.route is not None and balances(spec.route)
            else None
        )
        self.lift_soft_limits()
        self.loop: DriveLoop[Blob] = DriveLoop(
            self.drive(), ends.inlets, ends.outlets, self.balancer, self.timer
        )

    def drive(self) -> Drive[Blob]:
        """The drive loop, not begun yet."""
        ends, spec = self.workplace.ends, self.workplace.spec
        driven = DriveSpec(
            node=self.meter,
            inlets=self.inputs(),
            outlets=ends.outlets,
            route=spec.route,
            join_name=spec.join_name,
            journal=self.journal,
            restored=self.restored,
            timer=self.timer,
            selected=self.selecting,
            barriers=self.barriers(),
        )
        return drive(self.number, driven, self.cut())

    def cut(self) -> Cut:
        """How many items the loop takes at a time."""
        workplace, states = self.workplace, self.workplace.jobs.states
        smallest = min(outlet.capacity for outlet in workplace.ends.outlets)
        if workplace.spec.passes_on:
            return RecordSize(self.room, smallest)
        saving = states.cost if states is not None else None
        return SliceSize(self.meter, self.room, smallest, saving, workplace.link.control.guided)

    def barriers(self) -> Barriers | None:
        """The barriers of the node, if the run has a checkpoint."""
        workplace = self.workplace
        if not workplace.link.control.keeping:
            return None
        return Barriers(workplace.ends.gates, workplace.ends.outlets, self.keep)

    def keep(self, number: int) -> None:
        """Notes what each job knows at a barrier."""
        workplace, inputs = self.workplace, self.workplace.ends.inputs
        states = workplace.jobs.states
        lies = (0, 0, 0) if states is None else states.lies()
        heads = [workplace.since_start(source, inlet.head) for source, inlet in enumerate(inputs)]
        clock = workplace.clock_ns()
        tally, zips = self.nodes.first.tally, workplace.ends.known_by_zips()
        workplace.kept[0].store((number, *lies, *tally.counts(), clock, *heads, *zips))
        for kept, part in zip(workplace.kept[1:], self.nodes.parts, strict=True):
            # As if it read an input of its own, which it may do in the next life
            came = heads[0] if self.nodes.is_tracked else part.tally.items_in
            kept.store((number, 0, 0, 0, *part.tally.counts(), clock, came))

    def room(self) -> int:
        """How many items to take at once at most, for the sake of the consumers."""
        room = self.balancer.room if self.balancer is not None else self.nodes.room
        return self.nodes.inputs_for(room())

    def finish(self) -> None:
        """Steps the loop to the end of the run; raises `ItemFailed`, or what the loop raises."""
        loop = self.loop
        loop.is_awake()  # the worker before this one may have died asleep
        loop.step()
        while not loop.finished:
            self.wait()
            loop.step()
        self.meter.record()

    def inputs(self) -> list[Inlet]:
        """What the node reads: one by one, what another worker had in hand when it died."""
        inputs = self.workplace.ends.inputs
        if not self.workplace.is_successor(self.number):
            return inputs
        until = [self.workplace.histories[0].careful_until(source) for source in range(len(inputs))]
        return [
            SingleItemInlet(each, end) if end else each
            for each, end in zip(inputs, until, strict=True)
        ]

    def decision_log(self) -> Log | None:
        """What is told of each decision: of a run that is recorded, or traced."""
        control = self.workplace.link.control
        logs = [self.workplace.link.log_decision] if control.recording else []
        logs += [partial(note_decision, self.trace)] if self.trace is not None else []
        return log_to(logs)

    def make_meter(self, node: Node) -> Meter:
        """What measures the node; it notes what it measures if the run is traced."""
        inlets, parts = self.workplace.ends.inlets, self.nodes.parts
        figures, sampler = self.figures(), self.nodes.sampler()
        if self.trace is None:
            return Meter(node, figures, inlets, parts, sampler)
        traced = TracedMeter(node, figures, inlets, parts, sampler)
        traced.trace = self.trace
        return traced

    def figures(self) -> WorkFigures:
        """Where is noted what is measured, and when a job is at work."""
        return self.workplace.block

    def make_balancer(self, route: Route) -> Balancer:
        """What chooses the lanes of the worker's forks, and logs them if that is asked for."""
        link, outlets = self.workplace.link, self.workplace.ends.outlets
        if self.log is not None:
            return LoggedBalancer(route, outlets, link.control, link.call_parent, self.log)
        return Balancer(route, outlets, link.control, link.call_parent)

    def make_timer(self) -> ClockTimer | None:
        """What tells the job of the time, and logs what comes due if that is asked for."""
        stages = self.workplace.jobs.stages
        stage = timed(stages[0]) if stages else None
        if stage is None:
            return None
        if self.log is not None and self.workplace.spec.is_woken:
            return LoggedTimer(stage, self.workplace.clock_ahead_ns / 1e9, self.log)
        return ClockTimer(stage, self.workplace.clock_ahead_ns / 1e9)

    def reads(self) -> Callable[[int, int], None] | None:
        """What logs the slices that are taken in hand, if a join or a timer decided that, and it is
        asked for."""
        inputs, is_woken = len(self.workplace.ends.inputs), self.workplace.spec.is_woken
        if self.log is None or not (inputs > 1 or is_woken):
            return None
        return LoggedReads(inputs, self.log, is_woken)

    def hold(self) -> Callable[[int, int, int], None]:
        """What is told of each slice that is taken in hand."""
        workplace = self.workplace
        return self.hold_of_all if len(workplace.blocks) > 1 else workplace.block.hold

    def hold_of_all(self, source: int, first: int, end: int) -> None:
        for block in self.workplace.blocks[1:]:
            block.hold_nothing()  # as long as their jobs have not begun with what comes of it
        self.workplace.block.hold(source, first, end)

    def resume(self, ordinal: int, behind: Sequence[int] = ()) -> None:
        """Tells the parent that what came of the item with this ordinal, and of those behind it, is
        void: it is processed again.  Those in `behind` stand."""
        link, spec = self.workplace.link, self.workplace.spec
        link.report(RolledBack(spec.name, ordinal, tuple(behind)))
        if isinstance(spec.route, Select):
            link.report(RolledBack(spec.route.name, self.nodes.owner.items_out))
        if link.control.recording and link.log is not None:
            self.log_standing(ordinal)
            if self.workplace.spec.is_woken and self.timer is not None:
                link.log_decision(STANDS | TIMER, 0, ordinal + self.timer.dues)
            assert spec.route is not None
            tails = [outlet.tail for outlet in self.workplace.ends.outlets]
            for fork, taken in forks_taken(spec.route, tails):
                link.log_decision(STANDS | fork, 0, taken)

    def log_standing(self, ordinal: int) -> None:
        """Logs how many of the reads of its join stand."""
        if len(self.workplace.ends.inputs) > 1:
            self.workplace.link.log_decision(STANDS | JOIN, 0, ordinal)

    def wait(self) -> None:
        """Waits until the loop can go on, and counts the time."""
        started = perf_counter_ns()
        if not self.workplace.spin(self.loop.able):
            self.sleep_until_able()
        self.waited(started, self.loop.blocked())

    def waited(self, started: int, is_blocked: bool) -> None:
        """Counts the time since `started`, for which the worker waited for room or for input."""
        spent = perf_counter_ns() - started
        if is_blocked:
            self.meter.blocked += spent
        else:
            self.meter.waiting += spent
        if self.trace is not None:
            self.trace.add(SpanKind.BLOCK if is_blocked else SpanKind.WAIT, started, spent)

    def sleep_until_able(self) -> None:
        loop, block = self.loop, self.workplace.block
        while True:
            # The other side publishes, fences, and then looks whether this side sleeps.  This side
            # says that it sleeps, fences, and then looks again: one of the two sees the other.
            loop.sleeps()
            fence()
            # Asked before: what time alone opens after this look has a moment at which to wake.
            within = loop.wakes_in()
            if loop.able():
                break
            flush()
            block.set_wait_reason(loop.wait_reason())
            self.sleep(within)
            block.is_awake()
            self.lift_soft_limits()
            if loop.able():
                break
        loop.is_awake()

    def sleep(self, within: float | None) -> None:
        """Sleeps until notified, or for so many seconds, after which time wakes the loop."""
        self.workplace.link.sleep(within)

    def lift_soft_limits(self) -> None:
        """Goes beyond what is measured, if the parent has found that nothing can go on before."""
        if self.workplace.block.soft_limits_lifted:
            if self.balancer is not None:
                self.balancer.lift_soft_limits()
            for outlet in self.workplace.ends.outlets:
                outlet.soft_limits_lifted = True

    def part_of(self, error: BaseException) -> int:
        """The node whose job ended the run."""
        fused, parts = self.nodes.fused, self.workplace.parts
        if isinstance(error, ForkFailed):
            return parts[-1]
        if fused is not None and isinstance(error, ItemFailed):
            return parts[fused.failed]
        return self.workplace.order.node
