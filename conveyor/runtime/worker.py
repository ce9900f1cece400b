"""A worker process: one node, stepped through run after run until the parent says stop.

Knows: its node's part of the topology, how to wait, how to report.  Must never know: schedules, the other workers.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import traceback
from dataclasses import dataclass
from time import perf_counter_ns

from conveyor.channel import Tag
from conveyor.codec import seal, short_repr
from conveyor.drive import drive
from conveyor.errors import NotPicklable
from conveyor.failures import LOADING, Failure, failure_of
from conveyor.nodes import RelayNode, node_for
from conveyor.report import DeadLetter
from conveyor.route import balances
from conveyor.runtime.bell import Bell
from conveyor.runtime.board import Board, Layout, NodeBoard
from conveyor.runtime.ends import ring_ends
from conveyor.runtime.loop import Loop
from conveyor.runtime.memory import Memory
from conveyor.runtime.pace import Lanes, Meter, WorkerCut
from conveyor.runtime.processes import Descriptors, end_with_parent
from conveyor.runtime.ring import Extents, RingOutlet, fence
from conveyor.runtime.shipping import Definitions, install_main
from conveyor.shipping import unpack_stage
from conveyor.stages import Job
from conveyor.topology import Topology

__all__ = ["STANDARD_OUTPUT", "Order", "work"]

STANDARD_OUTPUT = (1, 2)
THREADS_OF_NUMERIC_LIBRARIES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@dataclass(slots=True)
class Order:
    """All that a worker is told when it starts."""

    topology: Topology
    node: int
    stage: bytes | None
    size: int
    descriptors: Descriptors
    memory: int  # these and the ends of the bells are the parent's numbers
    lifeline: int
    bells: dict[int, tuple[int, int]]
    cores: tuple[int, ...]
    environment: dict[str, str]
    path: list[str]
    directory: str | None
    main: Definitions | None


class Stopped(BaseException):
    """The parent has told everybody to stop."""


def work(order: object) -> None:
    """The life of a worker process."""
    assert isinstance(order, Order)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent(order.descriptors[order.lifeline])
    settle_in(order)
    worker = Worker(order)
    try:
        worker.live()
    except Stopped:
        worker.tear_down()


def settle_in(order: Order) -> None:
    """Makes the process like its parent: output, directory, import path, environment; and puts it on its cores."""
    for standard in STANDARD_OUTPUT:
        if order.descriptors[standard] != standard:
            os.dup2(order.descriptors[standard], standard)
    for name in [name for name in os.environ if name not in order.environment]:
        del os.environ[name]
    os.environ.update(order.environment)
    for name in THREADS_OF_NUMERIC_LIBRARIES:
        os.environ.setdefault(name, "1")
    sys.path[:] = order.path
    if order.directory is not None:
        os.chdir(order.directory)
    if order.cores:
        os.sched_setaffinity(0, order.cores)
    if order.main is not None:
        install_main(order.main)
    if sys.stdout is not None:
        # Several workers may print to one file: whole lines, then, never parts of them.
        encoding, errors = sys.stdout.encoding, sys.stdout.errors
        sys.stdout = open(STANDARD_OUTPUT[0], "w", buffering=1, encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115  # for life


def flush() -> None:
    """Sends on what the jobs have printed."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


class Worker:
    """One node with its channels, and the means to wait and to report."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.spec = order.topology.nodes[order.node]
        layout = Layout(order.topology)
        own = order.descriptors
        memory = Memory(own[order.memory], order.size)
        self.board = Board(memory, layout)
        self.node_board = NodeBoard(memory, layout, order.node)
        self.bells = {node: Bell(own[read], own[write]) for node, (read, write) in order.bells.items()}
        self.bell = self.bells[order.node]
        self.parent = self.bells[len(order.topology.nodes) - 1]
        self.ends = ring_ends(order.topology, layout, memory, self.spec, lambda node: self.bells[node].ring)
        self.ledger = RingOutlet(
            layout.ledger(memory, order.node), self.tell_parent, Extents(memory, layout.spill_base(order.node) + (1 << 39))
        )
        self.stage: Job[object, object] | None = None
        self.reports = 0

    def live(self) -> None:
        try:
            if self.order.stage is not None:
                self.stage = unpack_stage(self.order.stage)
                self.stage.setup()
        except BaseException as error:  # reported, not handled: the parent ends the run
            self.fail("setup()" if self.stage is not None else LOADING, error)
            self.wait_for_stop()
        gc.freeze()  # what is there now lives as long as the worker: no need to look through it again and again
        run = self.node_board.done
        while True:
            run = self.next_run(run)
            try:
                self.run(run)
                flush()
            except Stopped:
                raise
            except BaseException as error:  # an item's; else ours, or the system's: a full disk, output that nobody reads
                self.fail("the worker itself", error)
                self.wait_for_stop()
            self.node_board.done = run
            self.parent.ring()

    def next_run(self, last: int) -> int:
        while self.board.run == last:
            self.sleep()
        return self.board.run

    def sleep(self) -> None:
        self.bell.wait()
        if self.board.stopping:
            raise Stopped

    def wait_for_stop(self) -> None:
        while True:
            self.sleep()

    def run(self, run: int) -> None:
        """One run, from the first item to the end."""
        self.node_board.clear()
        spec, ends = self.spec, self.ends
        node = node_for(self.stage, spec.name, self.bury) if self.stage is not None else RelayNode()
        meter = Meter(ends.stamped(spec, node), self.node_board, ends.inlets)
        lanes = None
        if spec.route is not None and balances(spec.route):
            lanes = Lanes(spec.route, ends.outlets, self.board, self.tell_parent)
        cut = WorkerCut(meter, lanes, min(outlet.capacity for outlet in ends.outlets))
        loop = Loop(
            drive(run, meter, ends.inputs, ends.outlets, spec.route, cut, spec.merge_name), ends.inlets, ends.outlets, lanes
        )
        loop.step()
        while not loop.finished:
            self.wait(loop, meter)
            loop.step()
        meter.record()
        self.board.write_zips(ends.zips)

    def wait(self, loop: Loop, meter: Meter) -> None:
        """Sleeps until the loop can go on."""
        started = perf_counter_ns()
        while True:
            loop.sleeps(1)
            fence()
            if loop.able():
                break
            flush()
            self.sleep()
        loop.sleeps(0)
        spent = perf_counter_ns() - started
        if loop.blocked():
            meter.blocked += spent
        else:
            meter.waiting += spent

    def tell_parent(self) -> None:
        self.board.alert()
        self.parent.ring()

    def report(self, message: Failure | DeadLetter) -> None:
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
        self.ledger.publish(1, blob, Tag(self.board.run, self.reports, 0, 0, 0, 0))
        self.tell_parent()

    def bury(self, letter: DeadLetter) -> None:
        """Sends a dead letter; one that would not survive the way travels as text."""
        try:
            seal(letter).open()
        except NotPicklable:  # then as text
            cause = RuntimeError("".join(traceback.format_exception_only(letter.exception)).strip())
            letter = DeadLetter(letter.stage, letter.ordinal, short_repr(letter.item), cause, letter.attempts)
        self.report(letter)

    def fail(self, where: str, error: BaseException) -> None:
        with contextlib.suppress(OSError):  # nobody reads the output any more; what is reported now matters more
            flush()
        self.report(failure_of(self.order.node, where, error))

    def tear_down(self) -> None:
        try:
            if self.stage is not None:
                self.stage.teardown()
            flush()
        except BaseException as error:  # reported: closing the pipeline raises it
            self.fail("teardown()", error)
