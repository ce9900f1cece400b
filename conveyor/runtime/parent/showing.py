"""Shows a run to its monitor: what can be read of it twice a second, and what goes wrong with its
workers.

Knows: where each figure is, and the clock.  Must never know: who looks at the monitor.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Final

from conveyor.core.crashes import Moment
from conveyor.core.engine import Monitor
from conveyor.graph.fusion import home
from conveyor.graph.topology import NodeSpec
from conveyor.monitor.snapshot import Activity, Failure, Fill, How, Snapshot, WorkerSeen
from conveyor.report import Report
from conveyor.runtime.parent.engine_log import name_of
from conveyor.runtime.parent.gauge import Gauge
from conveyor.runtime.parent.supervisor import Supervisor
from conveyor.runtime.step.contract import FOR_ROOM

__all__ = ["Showing"]

EVERY_S: Final = 0.5
KEPT: Final = 12  # failures, the last ones


class Showing:
    """Of one run.  It looks, as `Looker` has it, and is a witness of what becomes of the
    workers."""

    def __init__(self, monitor: Monitor, gauge: Gauge, supervisor: Supervisor) -> None:
        self.monitor = monitor
        self.gauge = gauge
        self.supervisor = supervisor
        self.next = monotonic()
        self.failures: deque[Failure] = deque(maxlen=KEPT)
        self.letters: Counter[str] = Counter()  # that are among the failures, or were
        supervisor.witnesses.all.append(self)

    # ---------------------------------------------------------------------------
    # looks

    def is_time(self) -> bool:
        return monotonic() >= self.next and self.monitor.is_watched

    def say(self, report: Report) -> None:
        self.next = monotonic() + EVERY_S
        self.monitor.show(self.snapshot(report))

    def ends_with(self, report: Report, how: How, error: BaseException | None) -> None:
        self.supervisor.witnesses.all.remove(self)
        if error is not None and how is How.FAILED:
            self.failed(f"the run has failed: {name_of(error)}")
        self.monitor.show(self.snapshot(report, how))

    def finish(self, error: BaseException | None) -> None:
        """It has had the last word."""

    def snapshot(self, report: Report, ended: How | None = None) -> Snapshot:
        self.take_letters()
        topology = self.supervisor.topology
        specs = [spec for spec in topology.nodes if spec.stage is not None or spec.inputs]
        return Snapshot(
            progress=self.gauge.progress(report, ended is not None, ended is How.DONE),
            states={spec.name: self.state(spec) for spec in specs[:-1]},
            channels=tuple(
                Fill(self.gauge.waiting_in(channel.index), channel.capacity)
                for channel in topology.channels
            ),
            workers=tuple(self.workers()),
            failures=tuple(self.failures),
            ended=ended,
        )

    def workers(self) -> Iterable[WorkerSeen]:
        supervisor, nodes = self.supervisor, self.supervisor.topology.nodes
        for spec in supervisor.processes.plan.specs:
            yield WorkerSeen(
                stages=tuple(nodes[part].name for part in spec.parts or (spec.index,)),
                pid=supervisor.processes.pid(spec.index),
                cores=supervisor.crew.cores(spec.index),
                state=self.state_of_worker(spec),
                restarts=supervisor.restart_policy.restarts(spec.index),
                node=supervisor.crew.where(spec.index),
            )

    def state(self, spec: NodeSpec) -> Activity:
        """What a stage is about; one that shares a worker waits while another has its turn."""
        topology = self.supervisor.topology
        worker = topology.nodes[home(topology, spec.index)]
        state = self.state_of_worker(worker)
        running = self.supervisor.shared.blocks[worker.index].running
        if state is Activity.WORKING and worker.parts and running:
            return state if worker.parts[running - 1] == spec.index else Activity.WAITING
        return state

    def state_of_worker(self, spec: NodeSpec) -> Activity:
        supervisor = self.supervisor
        block, processes = supervisor.shared.blocks[spec.index], supervisor.processes
        if spec.index not in processes.open:
            return Activity.CLOSED
        if spec.index not in processes.handles:
            return Activity.RESTARTING
        if block.done == supervisor.run:
            return Activity.DONE
        match block.moment(supervisor.run, has_input=False):
            case Moment.STARTING:
                return Activity.STARTING
            case Moment.SETTING_UP:
                return Activity.SETTING_UP
            case Moment.AT_WORK:
                return Activity.WORKING
            case Moment.IDLE:
                return (
                    Activity.BLOCKED if block.wait_reason().kind == FOR_ROOM else Activity.WAITING
                )

    # ---------------------------------------------------------------------------
    # what goes wrong

    def failed(self, text: str, stage: str = "") -> None:
        self.failures.append(Failure(self.gauge.seconds(), stage, text))

    def take_letters(self) -> None:
        """Adds the dead letters that are new; of many at once, the last."""
        for stage, letters in self.supervisor.reports.letters.of_stage.items():
            new = letters[max(self.letters[stage], len(letters) - KEPT) :]
            self.letters[stage] = len(letters)
            for letter in new:
                text = f"item {letter.ordinal} is a dead letter: {name_of(letter.exception)}"
                self.failed(text, stage)

    def started(self, node: int, pid: int, cores: Sequence[int], life: int) -> None:
        """That a worker takes over is seen by its restarts."""

    def died(self, node: int, pid: int, how: str) -> None:
        self.failed(f"worker {pid} {how}", self.supervisor.topology.title(node))

    def overdue(self, node: int, pid: int) -> None:
        text = f"worker {pid} is killed: its item takes longer than timeout_s allows"
        self.failed(text, self.supervisor.topology.title(node))

    def opened_lanes(self, fork: str, before: int, lanes: int) -> None:
        """That a lane is open is seen by its workers."""

    def watchdog(self, forgotten: Sequence[int], yielding: Sequence[int]) -> None:
        """The report counts it."""
