"""Looks after the workers of one open pipeline: starts them, waits beside them, replaces those that
die, ends them.

Knows: when a run begins and ends, and which of its parts below has to act.  Must never know: what
is done with the results.

Rule 1.  The parent sleeps on the wakeups of source and sink and on every worker's end at once, so
         it knows of each death.
Rule 2.  Whatever ends a run but its last item ends the workers, too: stop, a moment of grace,
         terminate, kill.
"""

from __future__ import annotations

import math
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

from conveyor.core.crashes import WorkerDeath
from conveyor.core.engine import StopToken
from conveyor.core.failures import raised_by
from conveyor.core.keeping import Keeping
from conveyor.errors import RunError
from conveyor.graph.topology import Topology
from conveyor.runtime.descriptors import fill_standard
from conveyor.runtime.parent.adaptive_lanes import AdaptiveLanes
from conveyor.runtime.parent.crew import Site, WorkerProcess
from conveyor.runtime.parent.engine_log import EngineLog
from conveyor.runtime.parent.job_records import JobRecords
from conveyor.runtime.parent.noted import begin_from
from conveyor.runtime.parent.pins import Pins
from conveyor.runtime.parent.shared import Inputs
from conveyor.runtime.parent.witness import Witnesses
from conveyor.runtime.parent.worker_processes import WorkerProcesses
from conveyor.runtime.parent.worker_reports import WorkerReports
from conveyor.runtime.placement import usable_cores
from conveyor.runtime.policies.exit_status import way_to_go
from conveyor.runtime.policies.restart_policy import RestartPolicy
from conveyor.runtime.process.deferral import Deferral, deliver, interruptible

__all__ = ["GRACE_S", "PATIENCE_S", "RunObserver", "Supervisor"]

GRACE_S: Final = 0.5
PATIENCE_S: Final = 10.0  # for teardown, when nothing has gone wrong
KILL_AFTER_S: Final = 0.3
GLANCE_S: Final = 0.01
WATCH_MS: Final = 250.0  # how often the watchdog has a look at the latest


class RunObserver(Protocol):
    """Is told what becomes of a run that is recorded."""

    def drain(self) -> None: ...
    def died(self, node: int, hands: Sequence[WorkerDeath | None]) -> None: ...
    def failed(self, node: int) -> None: ...


class Supervisor:
    """The workers of a topology, kept from run to run."""

    def __init__(
        self,
        topology: Topology,
        site: Site,
        notes: tuple[str, ...] = (),
        keeping: Keeping | None = None,
    ) -> None:
        fill_standard()
        self.topology = topology
        self.run = 0
        self.observer: RunObserver | None = None
        self.stop: StopToken | None = None  # of the run under way
        # Called again and again while a run is under way, in the thread that looks after it.
        self.watches: list[Callable[[], object]] = []
        self.ended = False
        self.waking = threading.RLock()  # a signal handler may come between
        self.next_glance = 0.0
        self.owner = os.getpid()
        plan = site.plan(topology)
        self.notes = plan.notes + notes  # of each run, for the report
        self.shared = shared = site.share(topology)
        if keeping is not None:
            begin_from(keeping.manifest.nodes if keeping.manifest is not None else {}, shared)
        handles: dict[int, WorkerProcess] = {}
        self.restart_policy = RestartPolicy(
            topology, shared.blocks, Inputs(topology, shared.rings), handles.get
        )
        self.wakeup_of = {
            shared.wakeups[end].read_fd: shared.wakeups[end] for end in shared.ends_of_program
        }
        self.poll = select.poll()
        for fd in self.wakeup_of:
            self.poll.register(fd, select.POLLIN)
        try:
            self.crew = site.crew(plan, shared)
        except BaseException:
            shared.close()
            raise
        self.engine_log = EngineLog(topology, plan.start_method, self.crew.where)
        self.witnesses = Witnesses(self.engine_log)
        self.processes = WorkerProcesses(
            plan, self.crew, self.restart_policy, self.poll, handles, self.witnesses
        )
        self.records = JobRecords(
            shared, {spec.index: spec.name for spec in plan.specs}, self.processes.pid
        )
        self.reports = WorkerReports(shared, plan.specs)
        self.pins = Pins(plan.kept, usable_cores(), topology.title)
        self.lanes = AdaptiveLanes(shared, self.processes)
        self.start_all()

    def start_all(self) -> None:
        """Starts the workers that there are from the beginning; all or none."""
        try:
            for spec in self.lanes.nodes_to_start():
                self.processes.start(spec)
                deliver()
        except KeyboardInterrupt as interrupt:
            self.end(GRACE_S)
            # How far it had come with starting is of no interest.
            raise interrupt.with_traceback(None) from None
        except BaseException:
            self.end(GRACE_S)
            raise

    def begin_run(self, observer: RunObserver | None = None, guided: bool = False) -> int:
        """Lets the workers begin; gives the number of the run.

        `guided` says that nobody sees a result before the run ends, so slices may be larger.
        """
        control = self.shared.control
        control.guide(guided)
        self.observer = observer
        control.record(observer is not None)
        self.reports.begin_run()
        self.records.begin_run()
        self.run += 1
        self.restart_policy.begin_run(self.run)
        self.lanes.begin_run(self.run)
        self.engine_log.begins(self.run, len(self.processes.open))
        control.run = self.run
        self.shared.notify_all()
        return self.run

    def not_begun(self) -> list[int]:
        """The workers that have not begun with the run, since they are being started; or they were
        never told."""
        blocks = self.shared.blocks
        return [n for n in self.processes.open if not blocks[n].has_begun_with(self.run)]

    def is_done(self) -> bool:
        """Have all workers finished the run?"""
        return all(self.shared.blocks[node].done == self.run for node in self.processes.open)

    def watch_source(self, watch: bool) -> None:
        """Is `sleep` to end when the source is notified, or does another thread wait for that?"""
        if watch:
            self.poll.register(self.shared.wakeups[0].read_fd, select.POLLIN)
        else:
            self.poll.unregister(self.shared.wakeups[0].read_fd)

    def sleep(self, timeout_ms: float | None = None) -> bool:
        """Waits for a notification or the end of a worker, or as long as it may; did anything
        happen?

        Raises what a worker reported, or that one died and there is not to be another.
        """
        waits = [
            wait
            for wait in (timeout_ms, self.restart_policy.patience_ms(), WATCH_MS)
            if wait is not None
        ]
        ready = self.poll.poll(math.ceil(min(waits)))
        for fd, _ in ready:
            if fd in self.wakeup_of:
                self.wakeup_of[fd].clear()
        self.look_around()
        nodes = self.processes.nodes
        self.look_after([nodes[fd] for fd, _ in ready if fd in nodes])
        return bool(ready)

    def glance(self) -> None:
        """Looks after the workers now and then, while the parent has no reason to sleep."""
        now = time.monotonic()
        if now >= self.next_glance:
            self.next_glance = now + GLANCE_S
            self.sleep(0)

    def look_after(self, dead: list[int]) -> None:
        """Replaces workers that died, and kills those whose item takes too long."""
        for node in dead:
            self.reap(node)
        for node in self.restart_policy.now_due():
            self.processes.start(self.topology.nodes[node])
        for node in self.restart_policy.overdue():
            self.witnesses.overdue(node, self.processes.handles[node].pid)
            self.processes.kill(node)

    def reap(self, node: int) -> None:
        """Sees to what follows from the death of a worker.  Raises what ends the run."""
        pid, exit_code = self.processes.reaped(node)
        self.records.take_all_of(node)
        self.witnesses.died(node, pid, way_to_go(exit_code))
        self.look_around()  # it may have told of a failure before it died
        try:
            self.restart_policy.died(node, pid, exit_code)
        except RunError:
            if self.observer is not None:
                self.observer.failed(node)
            raise
        finally:
            if self.observer is not None:
                self.observer.died(node, self.restart_policy.newest)
        self.shared.notify_all()  # it may have died between a store and the notification of it

    def look_around(self) -> None:
        """Sees to all that may have happened meanwhile.

        Raises the first failure, or that the run is to end.
        """
        if self.stop is not None:
            self.stop.check()
        self.crew.check()
        self.records.look()
        self.pins.look(self.processes.living)
        for watch in self.watches:
            watch()
        if self.observer is not None:
            self.observer.drain()
        self.read_reports()

    def read_reports(self) -> None:
        """Reads what the workers have reported, and opens or shuts lanes as they ask.

        Raises the first failure.
        """
        if not self.shared.control.take_attention_request():
            return
        failure = self.reports.read()
        if failure is not None:
            if self.observer is not None:
                self.observer.failed(failure.node)
            worker = f"worker {self.processes.pid(failure.node)}"
            raise raised_by(failure, self.topology.nodes[failure.node].name, worker)
        self.lanes.follow(self.run)

    def is_ours(self) -> bool:
        """Does this process have the workers, and not the one that it was forked from?"""
        return os.getpid() == self.owner

    def wake(self) -> None:
        """Ends the sleep of the thread that runs, from any other."""
        with self.waking:  # a descriptor must not be closed while it is written to
            if not self.ended:
                self.shared.consumer_wakeup.notify()

    def end(self, grace: float) -> None:
        """Ends all workers, the quick way if they do not stop by themselves in `grace` seconds, and
        gives back what they shared.

        Raises what a job's `teardown` raised, if nothing had gone wrong before.
        """
        if self.ended:
            return
        processes = self.processes
        if not self.is_ours():  # a process that was forked has copies, and no say
            self.ended = True
            processes.close_copies()
            self.shared.close()
            return
        with Deferral():
            with self.waking:
                self.ended = True
            try:
                if processes.handles:
                    self.shared.control.stop()
                    self.shared.notify_all()
                interruptible(partial(processes.join, grace))
                # All went well so far, and what has befallen the workers' place since is no matter;
                # a teardown may have raised.
                if grace >= PATIENCE_S:
                    self.read_reports()
            finally:
                processes.send(signal.SIGTERM)
                processes.join(KILL_AFTER_S)
                processes.send(signal.SIGKILL)
                processes.join(PATIENCE_S)
                try:
                    self.records.take_all()
                finally:
                    processes.close()
                    self.shared.close()
