"""A worker process: one node, stepped through run after run until the parent says stop.

Knows: its node's part of the topology, how to wait, how to report.  Must never know: schedules, the
other workers.
"""

from __future__ import annotations

import contextlib
import gc
import select
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter, perf_counter_ns
from typing import Final, NamedTuple

from conveyor.core.channel import Inlet, Note, SingleItemInlet, Tag
from conveyor.core.crashes import History, Past, WorkerDeath
from conveyor.core.drive import DriveSpec, drive
from conveyor.core.endpoints import standing
from conveyor.core.failures import LOADING, Failure, SentLetter, failure_of, letter_sent
from conveyor.core.fused_node import FusedNode, loop_through
from conveyor.core.job_node import ItemFailed, JobNode, Node, Surroundings
from conveyor.core.journal import Journal
from conveyor.core.nodes import RelayNode, node_for
from conveyor.core.ordered import stamped
from conveyor.core.snapshots import RestoredNode
from conveyor.graph.route import Route, balances
from conveyor.graph.topology import Topology
from conveyor.items.codec import seal
from conveyor.items.main_module import Definitions, install_main
from conveyor.items.stage_pickling import unpack_stage
from conveyor.items.unpickling import complete
from conveyor.report import DeadLetter
from conveyor.runtime.process.birth import LIFE, Descriptors
from conveyor.runtime.process.importing import loading
from conveyor.runtime.process.lifeline import end_with_parent
from conveyor.runtime.process.offspring import end_children_of_jobs
from conveyor.runtime.process.settling import Circumstances, flush, settle_in
from conveyor.runtime.process.stops import keep_note_of_stops
from conveyor.runtime.shm.allocator import Allocator
from conveyor.runtime.shm.checked import outlet_of
from conveyor.runtime.shm.control_block import ControlBlock, LayoutFactory, NodeBlock
from conveyor.runtime.shm.endpoints import ring_ends
from conveyor.runtime.shm.memory import Memory
from conveyor.runtime.shm.ring import fence
from conveyor.runtime.shm.state_store import StateStore
from conveyor.runtime.shm.wakeup import Wakeup
from conveyor.runtime.step.batching import Balancer, Meter, Part, SliceSize, room_in
from conveyor.runtime.step.decision_log import (
    JOIN,
    STANDS,
    DecisionLog,
    LoggedBalancer,
    LoggedReads,
    forks_taken,
)
from conveyor.runtime.step.loop import Loop
from conveyor.runtime.step.spin import Spin
from conveyor.stages import Job, Restorable

__all__ = ["SentDeadLetter", "Order", "RolledBack", "work"]

FIRST_PAUSE_S: Final = 0.01
LONGEST_PAUSE_S: Final = 1.0
SPIN_NS: Final = 150_000


@dataclass(slots=True)
class Order:
    """All that a worker is told when it starts."""

    topology: Topology
    node: int
    stages: tuple[bytes, ...]
    size: int
    memory: int  # these and the ends of the wakeups are the parent's numbers
    lifeline: int
    wakeups: dict[int, tuple[int, int]]
    circumstances: Circumstances
    path: list[str]
    main: Definitions | None
    run: int  # in which others died before it, and how
    deaths: tuple[tuple[WorkerDeath, ...], ...]  # of each stage's
    layout: LayoutFactory


class SentDeadLetter(NamedTuple):
    """A dead letter on its way to the parent."""

    node: int
    letter: SentLetter


class RolledBack(NamedTuple):
    """A worker took over where another died: dead letters from this ordinal on are void."""

    node: int
    ordinal: int


class Stopped(BaseException):
    """The parent has told everybody to stop."""


def work(order: object, descriptors: Descriptors) -> None:
    """The life of a worker process."""
    assert isinstance(order, Order)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    keep_note_of_stops()
    end_with_parent(descriptors[order.lifeline])
    settle_in(order.circumstances, order.path, descriptors)
    install_main(order.main)
    end_children_of_jobs(LIFE)
    worker = Worker(order, descriptors)
    try:
        worker.live()
    except Stopped:
        worker.tear_down()


class Worker:
    """One node with its channels, and the means to wait and to report."""

    def __init__(self, order: Order, descriptors: Descriptors) -> None:
        self.order = order
        self.spec = order.topology.nodes[order.node]
        layout = order.layout(order.topology)
        own = descriptors
        memory = Memory(own[order.memory], order.size)
        self.control = ControlBlock(memory, layout)
        self.parts = self.spec.parts or (order.node,)
        self.blocks = [NodeBlock(layout.node(memory, part)) for part in self.parts]
        self.node_block = self.blocks[0]
        self.wakeups = {
            node: Wakeup(own[read], own[write]) for node, (read, write) in order.wakeups.items()
        }
        self.wakeup = self.wakeups[order.node]
        self.parent = self.wakeups[len(order.topology.nodes) - 1]
        self.ends = ring_ends(
            order.topology, layout, memory, self.spec, lambda node: self.wakeups[node].notify
        )
        allocator = Allocator(memory, layout.ledger_base(order.node))
        self.ledger = outlet_of(layout.ledger(memory, order.node), self.tell_parent, allocator)
        self.log = (
            DecisionLog(layout.log(memory, order.node)) if order.node in layout.logs else None
        )
        self.has_zips = bool(layout.zips)
        self.starts = layout.start(memory, order.node)
        self.state_note = Note(layout.state(memory, order.node))
        self.state_place = memory, self.state_note, layout.state_base(order.node)
        self.histories = [History(deaths) for deaths in order.deaths]
        self.stages: list[Job[object, object]] = []
        self.at = order.node  # whose failure it would be
        self.states: StateStore | None = None
        self.journal: Journal | None = None
        self.fused: FusedNode | None = None
        self.balancer: Balancer | None = None
        self.reports = 0
        self.spin = Spin(SPIN_NS)

    def live(self) -> None:
        where = LOADING
        self.node_block.is_setting_up()
        try:
            for part, data in zip(self.parts, self.order.stages, strict=False):
                self.at, where = part, LOADING
                with loading():
                    self.stages.append(unpack_stage(data))
            with loading():
                complete()  # only now: what the jobs themselves bring is theirs
            for part, stage in zip(self.parts, self.stages, strict=False):
                self.at, where = part, "setup()"
                stage.setup()
                if stage.is_restorable and isinstance(stage, Restorable):
                    where = "restore()"
                    self.states = StateStore(stage, self.spec.name, *self.state_place)
                    self.states.restore()
        except BaseException as error:  # reported, not handled: the parent ends the run
            self.fail(where, error)
            self.wait_for_stop()
        self.node_block.is_ready()
        gc.freeze()  # what is there now lives as long as the worker: no need to look through it again and again
        run = self.node_block.done
        while True:
            run = self.next_run(run)
            try:
                self.run(run)
                flush()
            except Stopped:
                raise
            except BaseException as error:  # an item's; else ours, or the system's: a full disk, output that nobody reads
                if self.journal is not None:
                    self.journal.note_failure()
                self.at = self.part_of(error)
                self.fail("the worker itself", error)
                self.wait_for_stop()
            self.node_block.done = run
            self.parent.notify()

    def part_of(self, error: BaseException) -> int:
        """The node whose job ended the run."""
        return (
            self.parts[self.fused.failed]
            if self.fused is not None and isinstance(error, ItemFailed)
            else self.order.node
        )

    def next_run(self, last: int) -> int:
        while self.control.run == last:
            self.sleep()
        return self.control.run

    def sleep(self) -> None:
        self.wakeup.wait()
        if self.control.stopping:
            raise Stopped

    def wait_for_stop(self) -> None:
        while True:
            self.sleep()

    def run(self, run: int) -> None:
        """One run, from the first item to the end, or from where another worker left it."""
        if not self.node_block.has_begun_with(run):
            for source, inlet in enumerate(self.ends.inputs):
                self.starts[source] = standing(inlet)
        resumed, *_ = [block.begin(run) for block in self.blocks]
        spec, ends = self.spec, self.ends
        node, others = self.nodes(run)
        parts = [Part(other, block) for other, block in zip(others, self.blocks[1:], strict=True)]
        journals = [Journal(part.tally, part.block.counts) for part in parts]
        hold, resume = self.hold(), self.resume if resumed else None
        journal = self.journal = Journal(node.tally, self.node_block.counts, hold, resume, journals)
        restored = RestoredNode(self.states) if self.states is not None else None
        self.fused = self.together(node, parts) if isinstance(node, JobNode) and parts else None
        meter = Meter(
            stamped(spec, self.fused or node, ends.outlets, restored),
            self.node_block,
            ends.inlets,
            parts,
        )
        self.balancer = balancer = (
            self.make_balancer(spec.route)
            if spec.route is not None and balances(spec.route)
            else None
        )
        self.lift_soft_limits()
        saving = self.states.cost if self.states is not None else None
        cut = SliceSize(
            meter,
            balancer.room if balancer is not None else self.room,
            min(outlet.capacity for outlet in ends.outlets),
            saving,
        )
        driven = DriveSpec(
            meter, self.inputs(run), ends.outlets, spec.route, spec.join_name, journal, restored
        )
        loop = Loop(drive(run, driven, cut), ends.inlets, ends.outlets, balancer)
        loop.is_awake()  # whoever was here before may have died asleep
        loop.step()
        while not loop.finished:
            self.wait(loop, meter)
            loop.step()
        meter.record()

    def nodes(self, run: int) -> tuple[Node, list[JobNode]]:
        """What does the work, more careful where workers died at it; and the nodes that share the
        worker."""
        if not self.stages:
            return RelayNode(), []
        clock = self if self.stages[0].stage_options.timeout_s is not None else None
        keep = self.ends.outlets[0].allocator.keep
        past = self.past(run, 0, self.place)
        around = Surroundings(
            len(self.stages) > 1, self.place_in_run, self.pause, past, clock, keep, self.room
        )
        first = node_for(self.stages[0], self.spec.name, self.send_dead_letter, around)
        return first, [self.inner_node(run, number) for number in range(1, len(self.stages))]

    def together(self, first: JobNode, parts: Sequence[Part]) -> FusedNode:
        """All jobs of the worker as one node."""
        loop = loop_through([first, *[part.node for part in parts]])

        def begins(number: int, items: int) -> None:
            if number:
                node = parts[number - 1].node
                self.blocks[number].hold_more(self.place_behind(node.tally.items_in), items)
            self.node_block.set_running(number + 1)

        return FusedNode(first, parts, begins, loop)

    def place_behind(self, came: int) -> int:
        """The position of an item before a job behind another in this worker; before that job so
        many `came`.

        In a lane of an ordered join a mark goes on in the place of what a job drops, so it is the
        same for all of them.
        """
        if not self.is_tracked:
            return came
        assert self.fused is not None
        return self.place(self.fused.offset)[1]

    @property
    def is_tracked(self) -> bool:
        return self.spec.depth > 0 and len(self.ends.inputs) == 1

    def inner_node(self, run: int, number: int) -> JobNode:
        """The node of a job behind another in this worker."""
        node: JobNode
        name = self.order.topology.nodes[self.parts[number]].name

        def place(index: int) -> tuple[int, int]:
            return 0, self.place_behind(node.tally.items_in - node.size + index)

        def place_in_run(index: int) -> tuple[int, int]:
            return 0, place(index)[1] - (self.starts[0] if self.is_tracked else 0)

        around = Surroundings(True, place_in_run, self.pause, self.past(run, number, place))
        node = node_for(self.stages[number], name, self.send_dead_letter, around)
        return node

    def inputs(self, run: int) -> list[Inlet]:
        """What the node reads: one by one, what another worker had in hand when it died."""
        if run != self.order.run:
            return self.ends.inputs
        until = [self.histories[0].careful_until(source) for source in range(len(self.ends.inputs))]
        return [
            SingleItemInlet(each, end) if end else each
            for each, end in zip(self.ends.inputs, until, strict=True)
        ]

    def room(self) -> int:
        """How many items are taken at once at most, for the sake of who reads them.

        Only where there is a zip lanes may be full for good as long as others are empty: there a
        record must not ask for more room than there is.  Elsewhere it is as large as it may be, and
        waits.
        """
        return (
            room_in(self.ends.outlets)
            if self.has_zips
            else min([outlet.at_once for outlet in self.ends.outlets])
        )

    def place(self, index: int) -> tuple[int, int]:
        assert self.journal is not None
        return self.journal.place(index)

    def place_in_run(self, index: int) -> tuple[int, int]:
        """The same, counted from the run's start."""
        source, position = self.place(index)
        return source, position - self.starts[source]

    def past(
        self, run: int, number: int, place: Callable[[int], tuple[int, int]]
    ) -> Callable[[int], Past] | None:
        """What tells how earlier workers fared with an item of one of the stages, if some died in
        this run."""
        history = self.histories[number]
        return (
            (lambda index: history.past(*place(index)))
            if history.deaths and run == self.order.run
            else None
        )

    def make_balancer(self, route: Route) -> Balancer:
        """Who chooses the lanes of its forks; notes them if the run is recorded."""
        if self.control.recording:
            return LoggedBalancer(
                route, self.ends.outlets, self.control, self.tell_parent, self.note
            )
        return Balancer(route, self.ends.outlets, self.control, self.tell_parent)

    def hold(self) -> Callable[[int, int, int], None]:
        """Who is told of what is taken in hand; notes what a join decided if the run is
        recorded."""
        hold = self.hold_of_all if len(self.blocks) > 1 else self.node_block.hold
        joins = self.control.recording and len(self.ends.inputs) > 1
        return LoggedReads(self.ends.inputs, self.note, hold) if joins else hold

    def hold_of_all(self, source: int, first: int, end: int) -> None:
        for block in self.blocks[1:]:
            block.hold_nothing()  # as long as their jobs have not begun with what comes of it
        self.node_block.hold(source, first, end)

    def note(self, point: int, lane: int, count: int) -> None:
        """Notes a decision for the parent, before anything comes of it."""
        assert self.log is not None
        self.log.add(point, lane, count, self.tell_parent, self.sleep)

    def resume(self, ordinal: int) -> None:
        """What came of the item with this ordinal, and of those behind it, is void: it is done
        again."""
        self.report(RolledBack(self.order.node, ordinal))
        if self.control.recording and self.log is not None:
            if len(self.ends.inputs) > 1:
                self.note(STANDS | JOIN, 0, ordinal)
            assert self.spec.route is not None
            for fork, taken in forks_taken(
                self.spec.route, [outlet.tail for outlet in self.ends.outlets]
            ):
                self.note(STANDS | fork, 0, taken)

    def start(self, index: int) -> None:
        """A job that has a time limit begins with an item."""
        self.node_block.set_item(self.place(index)[1], perf_counter_ns())

    def stop(self) -> None:
        """It has ended."""
        self.node_block.set_item(0, 0)

    def pause(self, attempt: int) -> None:
        """Waits before an attempt: 10 ms before the second, then twice as long each time, a second
        at most."""
        flush()
        poll = select.poll()
        poll.register(self.wakeup.read_fd, select.POLLIN)
        until = perf_counter() + min(FIRST_PAUSE_S * 2 ** (attempt - 2), LONGEST_PAUSE_S)
        running = self.node_block.running
        self.node_block.set_running(0)  # who is killed meanwhile is not killed by the item
        while (left := until - perf_counter()) > 0:
            if poll.poll(left * 1000):
                self.sleep()  # the ring may be for whoever waits next; before that, each looks for itself
        self.node_block.set_running(running)

    def wait(self, loop: Loop, meter: Meter) -> None:
        """Until the loop can go on."""
        started = perf_counter_ns()
        if not self.spin(loop.able):
            self.sleep_until_able(loop)
        spent = perf_counter_ns() - started
        if loop.blocked():
            meter.blocked += spent
        else:
            meter.waiting += spent

    def sleep_until_able(self, loop: Loop) -> None:
        while True:
            loop.sleeps()
            fence()
            if loop.able():
                break
            flush()
            self.node_block.set_wait_reason(loop.wait_reason())
            self.sleep()
            self.node_block.is_awake()
            self.lift_soft_limits()
            if loop.able():
                break
        loop.is_awake()

    def lift_soft_limits(self) -> None:
        """Goes beyond what is measured, if the parent has found that nobody can go on before."""
        if self.node_block.soft_limits_lifted:
            if self.balancer is not None:
                self.balancer.lift_soft_limits()
            for outlet in self.ends.outlets:
                outlet.soft_limits_lifted = True

    def tell_parent(self) -> None:
        self.control.request_attention()
        self.parent.notify()

    def report(self, message: Failure | SentDeadLetter | RolledBack) -> None:
        """Publishes a message in the ledger."""
        self.reports += 1
        blob = self.ledger.pack([seal(message)])
        while not self.ledger.fits(1, blob):
            self.ledger.sleeps(1)
            fence()
            if not self.ledger.fits(1, blob):
                self.tell_parent()
                self.sleep()
        self.ledger.sleeps(0)
        self.ledger.publish(1, blob, Tag(self.control.run, self.reports, 0, 0, 0, 0))
        self.tell_parent()

    def send_dead_letter(self, letter: DeadLetter) -> None:
        """Sends a dead letter."""
        self.report(SentDeadLetter(self.order.node, letter_sent(letter)))

    def fail(self, where: str, error: BaseException) -> None:
        with contextlib.suppress(
            OSError
        ):  # nobody reads the output any more; what is reported now matters more
            flush()
        self.report(failure_of(self.at, where, error))

    def tear_down(self) -> None:
        try:
            for part, stage in zip(self.parts, self.stages, strict=False):
                self.at = part
                stage.teardown()
            flush()
        except BaseException as error:  # reported: closing the pipeline raises it
            self.fail("teardown()", error)
