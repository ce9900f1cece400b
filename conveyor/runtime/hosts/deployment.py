"""A pipeline that is open on several machines, and goes on without one that is lost.

Knows: when a run begins again, and on which machines.  Must never know: how a run goes, where it
goes back to, how anything is kept.

Rule 1.  A run goes back to the newest barrier that has come through, or to the newest epoch of its
         checkpoint, with all workers anew on the machines that are left, and from there on it is as
         one that begins.
Rule 2.  It ends with the machine, as `HostLost`, where that cannot be: no machine is left that has
         what the stages need; a stage has what cannot be brought back; the run is recorded.
Rule 3.  A stream that is kept in a checkpoint goes back to the newest barrier, too, and not to an
         epoch: the program has been given results since.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextvars import copy_context
from dataclasses import replace
from time import perf_counter
from typing import Final

from conveyor.core.engine import Give, RunOptions, StopToken
from conveyor.core.keeping import Acknowledging, Keeping, Windows
from conveyor.errors import HostLost, RunError, TopologyError
from conveyor.graph.keeping import check_can_be_kept
from conveyor.graph.pace import Paces
from conveyor.graph.topology import Topology
from conveyor.report import DeadLetter, Report, RunResult
from conveyor.runtime.hosts.kept_lasting import KeptLasting
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
        least = 1 if shown else self.capacity()
        windows = Windows(least, least, self.capacity(), THROUGH_S, SENT_S)
        lasting = Lasting(items, windows, give)
        lasting.goes_on = lambda error: self.outlives(error) and self.knows_states(lasting)
        return lasting

    def kept_lasting(
        self, items: Iterable[object], give: Give, keeping: Keeping, acknowledging: Acknowledging
    ) -> KeptLasting:
        """A stream that does, and that has a checkpoint."""
        at_most_s = keeping.windows.through_s  # else an epoch would be long in coming through
        through_s, sent_s = min(THROUGH_S, at_most_s), min(SENT_S, at_most_s)
        windows = Windows(1, 1, self.capacity(), through_s, sent_s)
        lasting = KeptLasting(items, windows, give, keeping, acknowledging)
        lasting.goes_on = self.outlives
        return lasting

    def capacity(self) -> int:
        """How many items all pipes hold."""
        return sum(channel.capacity for channel in self.topology.channels)

    def run(
        self, items: Iterable[object], stop: StopToken, options: RunOptions
    ) -> RunResult[object]:
        self.runs += 1
        if options.keeping is not None:
            options.keeping.goes_on = self.outlives
            return self.run_lives(items, stop, options, options.keeping)
        if not self.lasts or options.record is not None:
            return self.open.run(items, stop, options)
        results: list[object] = []
        lasting = self.lasting(items, options.take or results.extend, options.take is not None)
        options = options._replace(take=lasting.take, keeping=lasting)
        result = self.run_lives(lasting.rest(), stop, options, lasting)
        return RunResult(results, result.report, result.dead_letters)

    def run_lives(
        self, items: Iterable[object], stop: StopToken, options: RunOptions, keeping: Keeping
    ) -> RunResult[object]:
        """A run in one life or several, of which the first begins with these items."""
        lives = Lives(self, keeping)
        while True:
            try:
                result = self.open.run(items, stop, options)
            except HostLost as error:
                items = lives.go_on(error)
            else:
                result.report = lives.told(result.report)
                return result

    def stream(
        self,
        items: Iterable[object],
        stop: StopToken,
        options: RunOptions,
        results: deque[object],
    ) -> Streaming | LastingStream:
        self.runs += 1
        keeping, acknowledging, give = options.keeping, options.acknowledging, results.extend
        if keeping is not None and acknowledging is not None:
            kept = self.kept_lasting(items, give, keeping, acknowledging)
            results.extend(acknowledging.earlier)
            stream = LastingStream(self, kept, stop, options._replace(acknowledging=kept), results)
            kept.told, stream.give = stream.lives.told, kept.gave
            return stream
        if not self.lasts or options.record is not None:
            return self.open.stream(items, stop, options, results)
        lasting = self.lasting(items, give, shown=True)
        return LastingStream(self, lasting, stop, options, results)

    def outlives(self, error: BaseException) -> bool:
        """Are there other machines on which a run can go on after this?"""
        crew = self.open.runner.supervisor.crew
        return (
            isinstance(error, HostLost)
            and error is crew.failure
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

    def go_on(self, keeping: Keeping, error: HostLost) -> Iterable[object]:
        """Opens again on the machines that are left, and gives the items with which the run goes
        on.  Raises what has befallen the last of them."""
        self.open.close()
        items = keeping.begin_again()
        lost: HostLost | None = error
        while lost is not None:
            left = self.without(lost.machine) if lost.machine else None
            if left is None:
                raise lost
            self.hosts, lost = left, None
            try:
                with Deferral():  # of workers that are half started nobody would know
                    self.open = self.opened(keeping)
            except HostLost as another:
                lost = another
        return items

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

    def __init__(self, deployment: HostsDeployment, keeping: Keeping) -> None:
        self.deployment = deployment
        self.keeping = keeping
        self.began = perf_counter()
        self.notes: list[str] = []

    def go_on(self, error: HostLost) -> Iterable[object]:
        """Begins another, and gives its items.  Raises the error if there is to be none."""
        if not self.keeping.goes_on(error):
            raise error
        try:
            items = self.deployment.go_on(self.keeping, error)
        except RunError as second:
            raise second from error
        where = self.keeping.stands_at
        self.notes.append(f"{error}; the run went on without it, {where}")
        self.deployment.open.runner.supervisor.engine_log.goes_on(where)
        return items

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
        lasting: Lasting,
        stop: StopToken,
        options: RunOptions,
        results: deque[object],
    ) -> None:
        self.deployment = deployment
        self.lasting = lasting
        self.lives = Lives(deployment, lasting)
        self.stop = stop
        self.options = options._replace(take=lasting.take, keeping=lasting)
        self.acknowledging = options.acknowledging
        self.results = results
        self.context = copy_context()  # of the caller, which every source thread has
        self.left: list[Streaming] = []  # whose thread may still be inside the iterator
        self.is_over = False
        self.life = self.begun(lasting.rest())

    def begun(self, items: Iterable[object]) -> Streaming:
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
            if not self.lasting.goes_on(error):
                raise
            self.life.abandon(error)
            self.left.append(self.life)
            self.life = self.begun(self.lives.go_on(error))
        if self.is_over:
            self.life.settle()
            self.lasting.give_rest()
        return self.is_over and not self.results

    def leave(self) -> None:
        """Does nothing: what the program has been given stands, and the end makes it durable."""

    def report(self) -> Report:
        return self.lives.told(self.life.report())

    def letters(self) -> tuple[DeadLetter, ...]:
        return self.life.letters()

    def end(self, failed: bool, error: BaseException | None) -> Report:
        for life in self.left:
            life.source.interruptible.interrupt()
        try:
            return self.lives.told(self.life.end(failed, error))
        finally:
            self.results.clear()  # an epoch that was still being made durable may have given some
            self.lasting.let_go()


def can_go_on(topology: Topology) -> bool:
    """Can what its stages keep be brought back on another machine?"""
    try:
        check_can_be_kept(topology)
    except TopologyError:
        return False
    return True
