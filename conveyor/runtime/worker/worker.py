"""A worker process: one node, stepped through run after run until the parent says stop.

This file knows the life of a worker: loading, setting up, runs, failure, end.  It must never know
schedules, or the other workers.
"""

from __future__ import annotations

import contextlib
import gc
import signal

from conveyor.core.failures import THE_WORKER, failure_of
from conveyor.core.job_node import ItemFailed
from conveyor.graph.topology import NodeSpec
from conveyor.items.main_module import install_main
from conveyor.runtime.process.bootstrap import LIFE, Descriptors
from conveyor.runtime.process.circumstances import flush, settle_in
from conveyor.runtime.process.forked_children import end_children_of_jobs
from conveyor.runtime.process.lifeline import end_with_parent
from conveyor.runtime.process.program_logging import log_by
from conveyor.runtime.process.stops import keep_note_of_stops
from conveyor.runtime.worker.link import Stopped
from conveyor.runtime.worker.no_terminal import note_on, say_that_there_is_no_terminal
from conveyor.runtime.worker.order import Order
from conveyor.runtime.worker.run import Run
from conveyor.runtime.worker.workplace import Workplace

__all__ = ["Worker", "work"]


def work(order: object, descriptors: Descriptors) -> None:
    """Lives the life of a worker process; returns when the parent has told it to stop."""
    assert isinstance(order, Order)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    keep_note_of_stops()
    end_with_parent(descriptors[order.lifeline])
    settle_in(order.circumstances, order.path, descriptors)
    say_that_there_is_no_terminal()
    install_main(order.main)
    end_children_of_jobs(LIFE)
    workplace = Workplace(order, descriptors)
    log_by(workplace.link.job_logs())
    worker = Worker(workplace)
    try:
        worker.live()
    except Stopped:
        worker.tear_down()


class Worker:
    """The life of a worker; whatever is raised in it is reported, and the parent ends the run."""

    def __init__(self, workplace: Workplace) -> None:
        self.workplace = workplace
        self.current: Run | None = None

    def live(self) -> None:
        """Sets up, and does run after run; raises `Stopped` at the end."""
        block, link = self.workplace.block, self.workplace.link
        block.is_setting_up()
        try:
            self.workplace.jobs.set_up()
            if self.workplace.spec.concurrency is not None:
                self.workplace.crew()  # what it needs is imported before there is work
        except BaseException as error:  # reported, not handled: the parent ends the run
            self.fail_at_job(error)
            link.wait_for_stop()
        block.is_ready()
        # What is there now lives as long as the worker: no need to look through it again and again.
        gc.freeze()
        number = block.done
        while True:
            number = link.next_run(number)
            try:
                self.run(number)
                flush()
            except Stopped:
                raise
            except BaseException as error:
                # An item's; or ours, or the system's, such as a full disk
                self.fail_in_run(error)
                link.wait_for_stop()
            block.done = number
            link.parent.notify()

    def run(self, number: int) -> None:
        self.current = None
        self.current = run_of(self.workplace.spec)(self.workplace, number)
        self.current.finish()

    def fail_in_run(self, error: BaseException) -> None:
        node = self.workplace.order.node
        if self.current is not None:
            self.current.journal.note_failure()
            node = self.current.part_of(error)
        self.report_failure(node, THE_WORKER, error)

    def fail_at_job(self, error: BaseException) -> None:
        jobs = self.workplace.jobs
        self.report_failure(jobs.part, jobs.step, error)

    def report_failure(self, node: int, where: str, error: BaseException) -> None:
        raised = error.error if isinstance(error, ItemFailed) else error
        if (note := note_on(raised)) is not None:
            raised.add_note(note)
        # If nothing reads the output any more, what is reported now matters more.
        with contextlib.suppress(OSError):
            flush()
        self.workplace.link.report(failure_of(node, where, error))

    def tear_down(self) -> None:
        try:
            self.workplace.end_crew()
            self.workplace.jobs.tear_down()
            self.workplace.close_loop()
        except BaseException as error:  # reported: closing the pipeline raises it
            self.fail_at_job(error)


def run_of(spec: NodeSpec) -> type[Run]:
    """What a worker of this node makes of a run."""
    if spec.concurrency is None:
        return Run
    from conveyor.runtime.worker.concurrent_run import ConcurrentRun

    return ConcurrentRun
