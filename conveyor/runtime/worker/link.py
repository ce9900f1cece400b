"""How a worker talks with its parent: it waits for a run or the end, reports, and logs decisions.

This file knows the control block, the worker's ledger and its log.  It must never know what is
reported.
"""

from __future__ import annotations

import pickle
import select
from collections.abc import Mapping
from time import perf_counter, sleep
from typing import Final

from conveyor.core.channel import Tag
from conveyor.core.steering import ControlFlow
from conveyor.items.sealing import seal
from conveyor.runtime.process.program_logging import LoggingLevels, keep_handler
from conveyor.runtime.shm.allocator import Allocator
from conveyor.runtime.shm.checked import outlet_of
from conveyor.runtime.shm.decision_log import DecisionLog
from conveyor.runtime.shm.fence import fence
from conveyor.runtime.shm.layout import Layout
from conveyor.runtime.shm.memory import Memory
from conveyor.runtime.shm.wakeup import Wakeup
from conveyor.runtime.worker.job_logs import JobLogs

__all__ = ["ParentLink", "Stopped"]

LONGEST_MS: Final = 3_600_000


class Stopped(ControlFlow):
    """The parent has told all workers to stop."""


class ParentLink:
    """The worker's end of all that it shares with its parent; `wakeups` are by node, and the
    parent's is the sink's."""

    def __init__(
        self, node: int, layout: Layout, memory: Memory, wakeups: Mapping[int, Wakeup]
    ) -> None:
        self.control = layout.control_block(memory)
        self.own = wakeups[node]
        self.parent = wakeups[len(layout.nodes) - 1]
        allocator = Allocator(memory, layout.ledger_base(node))
        self.ledger = outlet_of(layout.ledger(memory, node), self.call_parent, allocator)
        self.log = DecisionLog(layout.log(memory, node)) if node in layout.logs else None
        self.logged = layout.log_buffer(memory, node)
        self.memory = memory
        self.trace_log = layout.trace_log(memory, node)
        self.levels_base = layout.levels_base
        self.levels = 0  # how often they were taken from there
        self.reports = 0

    def next_run(self, last: int) -> int:
        """Sleeps until there is another run than `last`, and gives its number."""
        while self.control.run == last:
            self.sleep()
        self.take_levels()
        return self.control.run

    def take_levels(self) -> None:
        """Gives the loggers of this process the levels that the program's have, if those were
        changed."""
        keep_handler()
        told, size = self.control.levels
        if told != self.levels:
            self.levels = told
            LoggingLevels(*pickle.loads(self.memory.read_at(self.levels_base, size))).take()

    def job_logs(self) -> JobLogs:
        """The handler that sends the parent what is logged in this process."""
        return JobLogs(self.logged, self.control.has_logged, self.parent.notify)

    def sleep(self, seconds: float | None = None) -> None:
        """Sleeps until notified, or so long at most; raises `Stopped` if the worker is to end."""
        if seconds is None or self.is_notified_within(seconds):
            self.own.wait()
        self.check_stop()

    def check_stop(self) -> None:
        """Raises `Stopped` if the worker is to end."""
        if self.control.stopping:
            raise Stopped

    def is_notified_within(self, seconds: float) -> bool:
        """Waits for a notification, so long at most: was there one?"""
        poll = select.poll()
        poll.register(self.own.read_fd, select.POLLIN)
        milliseconds = int(min(seconds * 1000, LONGEST_MS))  # in whole ones, so that it is not late
        if poll.poll(milliseconds):
            return True
        if milliseconds < LONGEST_MS:
            sleep(seconds - milliseconds / 1000)
        return bool(poll.poll(0))

    def sleep_for(self, seconds: float) -> None:
        """Sleeps so long; raises `Stopped` if the worker is to end before."""
        poll = select.poll()
        poll.register(self.own.read_fd, select.POLLIN)
        until = perf_counter() + seconds
        while (left := until - perf_counter()) > 0:
            if poll.poll(left * 1000):
                # This takes a notification that was for a later wait.  No harm: a wait looks first
                # whether what it waits for is there.
                self.sleep()

    def wait_for_stop(self) -> None:
        while True:
            self.sleep()

    def call_parent(self) -> None:
        """Has the parent read what this worker reported, or which lanes it asks for."""
        self.control.request_attention()
        self.parent.notify()

    def report(self, message: object) -> None:
        """Publishes a message in the ledger, and waits for room if there is none."""
        ledger = self.ledger
        self.reports += 1
        blob = ledger.pack([seal(message)])
        while not ledger.fits(1, blob):
            ledger.sleeps(1)
            fence()
            if not ledger.fits(1, blob):
                self.call_parent()
                self.sleep()
        ledger.sleeps(0)
        tag = Tag(run=self.control.run, ordinal=self.reports, input=0, upto=0, extra=0, lanes=0)
        ledger.publish(1, blob, tag)
        self.call_parent()

    def log_decision(self, point: int, choice: int, count: int) -> None:
        """Logs a decision for the parent, before anything comes of it."""
        assert self.log is not None
        self.log.add(point, choice, count, self.call_parent, self.sleep)
