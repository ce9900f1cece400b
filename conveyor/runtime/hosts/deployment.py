"""A pipeline that is open on several machines, and goes on without one that is lost.

Knows: when a run begins again, on which machines, and from where.  Must never know: how a run goes,
how anything is kept.

Rule 1.  A run goes back to the newest barrier that has come through, with all workers anew on the
         machines that are left, and from there on it is as one that begins.
Rule 2.  It ends with the machine, as `HostLost`, where that cannot be: no machine is left that has
         what the stages need; a stage has what cannot be brought back; the run is recorded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextvars import copy_context
from dataclasses import replace
from time import perf_counter
from typing import Final

from conveyor.core.engine import (
    Give,
    Keeping,
    RunOptions,
    StopToken,
    Windows,
)
from conveyor.errors import HostLost, RunError, TopologyError
from conveyor.graph.keeping import check_can_be_kept
from conveyor.graph.pace import Paces
from conveyor.graph.topology import Topology
from conveyor.report import DeadLetter, Report, RunResult
from conveyor.runtime.hosts.lasting import Lasting
from conveyor.runtime.hosts.site import Hosts, HostsSite, with_fixed_lanes
from conveyor.runtime.parent.deployment import ProgramDeployment
from conveyor.runtime.parent.streaming import Streaming
from conveyor.runtime.process.deferral import Deferral
from conveyor.runtime.worker_start import WorkerStart

__all__ = ["HostsDeployment"]

SENT_S: Final = 0.05  # a barrier goes out so often, if the one before has come through
THROUGH_S: Final = 0.5  # what is on its way of a stream takes about as long


class HostsDeployment:
    """The workers of one pipeline on several machines; `keeping`: for one run, which is kept in a
    checkpoint."""

    def __init__(
        self,
        topology: Topology,
        start: WorkerStart,
        hosts: Hosts,
        paces: Paces,
        keeping: Keeping | None = None,
    ) -> None:
        self.topology = with_fixed_lanes(topology)
        self.start = start
        self.hosts = hosts
        self.first_paces = paces
        self.room = hosts.room()
        self.runs = 0
        self.lasts = keeping is None and can_go_on(topology)
        if self.lasts:
            keeping = self.lasting((), list[object]().extend, shown=False)
        self.open = self.opened(keeping)

    def opened(self, keeping: Keeping | None) -> ProgramDeployment:
        """Workers that begin with what is known; they share out stages as the first did."""
        site = HostsSite(self.start, self.hosts, keeping, self.room)
        return ProgramDeployment(self.topology, site, self.first_paces, keeping)

    def lasting(self, items: Iterable[object], give: Give, shown: bool) -> Lasting:
        """A run that goes on without a machine; `shown`: its results are seen before its end."""
        room = sum(channel.capacity for channel in self.topology.channels)
        least = 1 if shown else room
        windows = Windows(least, least, room, THROUGH_S, SENT_S)
        return Lasting(items, windows, give, self.outlives)

    def run(
        self, items: Iterable[object], stop: StopToken, options: RunOptions
    ) -> RunResult[object]:
        self.runs += 1
        if not self.lasts or options.record is not None:
            return self.open.run(items, stop, options)
        results: list[object] = []
        give = options.take or results.extend
        lives = Lives(self, self.lasting(items, give, options.take is not None))
        options = options._replace(take=lives.lasting.take, keeping=lives.lasting)
        while True:
            try:
                result = self.open.run(lives.lasting.rest(), stop, options)
            except HostLost as error:
                lives.go_on(error)
            else:
                lives.lasting.finish()
                return RunResult(results, lives.told(result.report), result.dead_letters)

    def stream(
        self,
        items: Iterable[object],
        stop: StopToken,
        options: RunOptions,
        results: deque[object],
    ) -> Streaming | LastingStream:
        self.runs += 1
        if not self.lasts or options.record is not None:
            return self.open.stream(items, stop, options, results)
        lives = Lives(self, self.lasting(items, results.extend, shown=True))
        return LastingStream(self, lives, stop, options, results)

    def outlives(self, lasting: Lasting, error: BaseException) -> bool:
        """Does a run go on after this?  Then it is known on which machines."""
        crew = self.open.runner.supervisor.crew
        return (
            isinstance(error, HostLost)
            and error is crew.failure
            and self.knows_states(lasting)
            and self.without(error.machine) is not None
        )

    def knows_states(self, lasting: Lasting) -> bool:
        """Is it known what stages had kept where the run goes on?  Of what earlier runs of the same
        workers left it is not."""
        has_states = any(spec.is_restorable for spec in self.topology.nodes)
        return lasting.newest is not None or self.runs == 1 or not has_states

    def without(self, machine: int) -> Hosts | None:
        """The machines that are left, if the workers find what they need there."""
        try:
            left = self.hosts.without(machine)
            left.place(self.open.runner.supervisor.processes.plan.specs)
        except (RunError, TopologyError):
            return None
        return left

    def go_on(self, lasting: Lasting, error: HostLost) -> None:
        """Has a run go on where it stands, on the machines that are left.  Raises what has befallen
        the last of them."""
        self.open.close()
        lasting.go_back()
        lost: HostLost | None = error
        while lost is not None:
            left = self.without(lost.machine) if lost.machine else None
            if left is None:
                raise lost
            self.hosts, lost = left, None
            try:
                with Deferral():  # of workers that are half started nobody would know
                    self.open = self.opened(lasting)
            except HostLost as another:
                lost = another

    def paces(self) -> Paces:
        return self.open.paces()

    def is_outdated(self) -> bool:
        return self.open.is_outdated()

    def is_busy(self) -> bool:
        return self.open.is_busy()

    def close(self) -> None:
        self.open.close()


class Lives:
    """The lives of one run, and what is told of those before the last."""

    def __init__(self, deployment: HostsDeployment, lasting: Lasting) -> None:
        self.deployment = deployment
        self.lasting = lasting
        self.began = perf_counter()
        self.notes: list[str] = []

    def go_on(self, error: HostLost) -> None:
        """Begins another.  Raises the error if there is to be none."""
        if not self.lasting.goes_on(error):
            raise error
        lasting = self.lasting
        self.notes.append(f"{error}; the run went on without it, behind item {lasting.position}")
        try:
            self.deployment.go_on(lasting, error)
        except RunError as second:
            raise second from error
        log = self.deployment.open.runner.supervisor.engine_log
        log.goes_on(lasting.position)

    def told(self, report: Report) -> Report:
        """The report of the last, as of the whole run."""
        if not self.notes:
            return report
        seconds = perf_counter() - self.began
        return replace(report, seconds=seconds, notes=(*report.notes, *self.notes))


class LastingStream:
    """A run whose results are asked for, in one life or several."""

    give: Give | None = None

    def __init__(
        self,
        deployment: HostsDeployment,
        lives: Lives,
        stop: StopToken,
        options: RunOptions,
        results: deque[object],
    ) -> None:
        self.deployment = deployment
        self.lives = lives
        self.stop = stop
        self.options = options._replace(take=lives.lasting.take, keeping=lives.lasting)
        self.results = results
        self.context = copy_context()  # of the caller, which every source thread has
        self.left: list[Streaming] = []  # whose thread may still be inside the iterator
        self.is_over = False
        self.life = self.begun()

    def begun(self) -> Streaming:
        items = self.lives.lasting.rest()
        return self.context.copy().run(
            self.deployment.open.stream, items, self.stop, self.options, self.results
        )

    @property
    def source_error(self) -> BaseException | None:
        return self.life.source_error

    def advance(self) -> bool:
        if self.is_over:
            return True
        try:
            self.is_over = self.life.advance()
        except HostLost as error:
            if not self.lives.lasting.goes_on(error):
                raise
            self.life.abandon(error)
            self.left.append(self.life)
            self.lives.go_on(error)
            self.life = self.begun()
        if self.is_over:
            self.lives.lasting.finish()
        return self.is_over and not self.results

    def report(self) -> Report:
        return self.lives.told(self.life.report())

    def letters(self) -> tuple[DeadLetter, ...]:
        return self.life.letters()

    def end(self, failed: bool, error: BaseException | None) -> Report:
        for life in self.left:
            life.source.interruptible.interrupt()
        return self.lives.told(self.life.end(failed, error))


def can_go_on(topology: Topology) -> bool:
    """Can what its stages keep be brought back on another machine?"""
    try:
        check_can_be_kept(topology)
    except TopologyError:
        return False
    return True
