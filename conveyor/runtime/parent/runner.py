"""Runs a pipeline for real: how a run begins, goes on and ends in the program's own process.

Knows: the two loops of the program, source and sink, and what they wait for.  Must never know: how
workers are started or what they do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Final

from conveyor.core.engine import RunOptions, StopToken
from conveyor.core.keeping import Keeping
from conveyor.core.nodes import CollectNode
from conveyor.errors import RunStopped
from conveyor.graph.fusion import fuse, sharing_notes
from conveyor.graph.pace import Paces, newer
from conveyor.graph.topology import Topology
from conveyor.items.main_module import is_redefined
from conveyor.monitor.snapshot import How
from conveyor.report import DeadLetter, Report, RunResult
from conveyor.reporting.build import ordered_letters
from conveyor.runtime.metrics import RunMetrics, run_metrics
from conveyor.runtime.parent.crew import Site
from conveyor.runtime.parent.gauge import Gauge
from conveyor.runtime.parent.keeper import Keeper, keeper_in
from conveyor.runtime.parent.program_ends import ProgramEnds, SinkCut, taken_by
from conveyor.runtime.parent.queues import queued_before
from conveyor.runtime.parent.recorder import Recorder
from conveyor.runtime.parent.relief import Intake, Relief
from conveyor.runtime.parent.run_report import run_report, stage_paces
from conveyor.runtime.parent.run_tracer import RunTracer
from conveyor.runtime.parent.showing import Showing
from conveyor.runtime.parent.supervisor import GRACE_S, PATIENCE_S, Supervisor
from conveyor.runtime.parent.telling import Teller
from conveyor.runtime.parent.watching import Looker, Watching
from conveyor.runtime.policies.watchdog import Watchdog
from conveyor.runtime.process.importing import check_may_run
from conveyor.runtime.shm.fence import fence
from conveyor.runtime.shm.record import Blob
from conveyor.runtime.step.batching import LARGEST_SLICE, WakeupCoalescing
from conveyor.runtime.step.contract import WaitReason
from conveyor.runtime.step.loop import DriveLoop
from conveyor.runtime.step.source import Feed, GivenFeed, Puller
from conveyor.stages import cores_of

__all__ = ["Runner"]

LATE_MS: Final = 20  # how long after its store a notification may still come


class Runner:
    """An open pipeline: its workers, kept warm from run to run, and the program's own ends."""

    def __init__(
        self, topology: Topology, site: Site, paces: Paces, keeping: Keeping | None = None
    ) -> None:
        check_may_run()
        self.topology = topology
        self.paces = paces  # what is known of the stages, also from earlier deployments
        self.recorded: Recorder | None = None  # of the newest run, also once it is over
        self.tracer: RunTracer | None = None  # the same
        self.metrics: RunMetrics | None = None  # the same
        # Stops a thread that still uses the channels.
        self.before_end: Callable[[], None] | None = None
        self.stop: StopToken | None = None  # of the run under way
        self.watching: Watching | None = None  # of the run under way
        self.missed_wakeups = 0  # in this run: workers that slept although there was work for them
        self.apart: tuple[int, ...] = ()  # the source, if a thread of its own steps it
        # What source and sink wait for.
        self.wait_reasons: Callable[[], dict[int, WaitReason]] = dict
        self.site = site
        fused = self.shared_out()
        self.supervisor = Supervisor(fused, site, sharing_notes(fused, paces), keeping)
        try:
            shared = self.supervisor.shared
            crew = self.supervisor.crew
            handles = self.supervisor.processes.handles
            self.watchdog = Watchdog(
                fused,
                shared.blocks,
                shared.channel,
                lambda node: shared.is_notified(node) or not crew.is_still(),
                lambda: any(worker.is_stopped() for worker in [*handles.values()]),
            )
            reports = self.supervisor.reports  # not by way of this object: it would keep itself
            self.ends = ProgramEnds(shared, lambda letter: reports.letters.add(letter))
        except BaseException:
            self.supervisor.end(GRACE_S)
            raise

    def shared_out(self) -> Topology:
        """Which stages would share a worker if the workers were started now."""
        beyond = sum(cores_of(spec.stage) - 1 for spec in self.topology.nodes)
        workers = max(1, self.site.room() - beyond)
        return fuse(self.topology, workers, self.site.may_share, self.paces)

    def is_ours(self) -> bool:
        """Does this process have the workers, and not the one that it was forked from?"""
        return self.supervisor.is_ours()

    def is_outdated(self) -> bool:
        """Has the script defined anything again since the workers were started?  They would take
        the old for the new."""
        return is_redefined(self.supervisor.processes.plan.defined)

    def is_busy(self) -> bool:
        """Is a thread inside a run, or inside `next()` of a stream?"""
        return self.stop is not None and self.stop.busy

    def begin_run(
        self,
        recorder: Recorder | None,
        tracer: RunTracer | None,
        stop: StopToken,
        guided: bool = False,
    ) -> int:
        """Lets the workers begin, and what records or traces the run, if that is asked for."""
        self.recorded, self.tracer = recorder, tracer
        self.ends.begin_run(recorder, tracer)
        self.stop = self.supervisor.stop = stop
        self.missed_wakeups = 0
        stop.wake = self.supervisor.wake
        stop.check()
        if recorder is not None:
            plan = self.supervisor.processes.plan
            recorder.begin(self.supervisor.shared, plan.stages, plan.forks, plan.main)
        self.supervisor.shared.control.trace(tracer is not None)
        if tracer is not None:
            tracer.begin()
            self.supervisor.watches.append(tracer.look)
            self.supervisor.witnesses.all.append(tracer)
        return self.supervisor.begin_run(recorder, guided)

    def watch(self, items: Iterable[object], options: RunOptions) -> None:
        """From now on all are told how far the run has come that want to be."""
        supervisor = self.supervisor
        self.metrics = metrics = run_metrics(
            {spec.index: spec.name for spec in supervisor.processes.plan.specs}, self.queued
        )
        if options.progress is None and options.monitor is None and metrics is None:
            return
        gauge = Gauge(items, supervisor.topology, supervisor.shared, self.ends)
        lookers: list[Looker] = []
        if options.progress is not None:
            lookers.append(Teller(options.progress, options.in_any_thread, gauge))
        if options.monitor is not None:
            options.monitor.draw(self.topology.figure, len(self.topology.channels))
            lookers.append(Showing(options.monitor, gauge, supervisor))
        if metrics is not None:
            lookers.append(metrics)
            if metrics.span is not None:
                supervisor.witnesses.all.append(metrics.span)
        self.watching = Watching(lambda: self.report(gauge.seconds()), lookers)
        supervisor.watches.append(self.watching.look)

    def queued(self) -> dict[str, int]:
        """How much waits before each stage."""
        nodes = self.supervisor.topology.nodes
        return {
            nodes[node].name: count for node, count in queued_before(self.supervisor.shared).items()
        }

    def last_look(self, how: How, error: BaseException | None = None) -> Watching | None:
        """What tells all that the run is over, once it is; what it tells is read now."""
        watching, self.watching = self.watching, None
        self.supervisor.watches.clear()
        if self.metrics is not None and self.metrics.span is not None:
            self.supervisor.witnesses.forget(self.metrics.span)
        if watching is not None and self.is_ours():
            watching.ends_with(how, error)
        return watching

    def run(
        self,
        items: Iterable[object],
        stop: StopToken,
        options: RunOptions,
        recorder: Recorder | None,
        tracer: RunTracer | None,
    ) -> RunResult[object]:
        """All outputs of a run to the end of `items`.  Raises what ended it early; the workers are
        then gone."""
        started = perf_counter()
        results: RunResult[object] = RunResult()
        try:
            run = self.begin_run(recorder, tracer, stop, guided=True)
            self.watch(items, options)
            collect = results.extend if options.take is None else taken_by(options.take, recorder)
            keeper = self.keeper_of(options.keeping)
            self.move(run, self.ends.puller(items), collect)
            self.finish_run()
            if keeper is not None:
                keeper.finish(self.letters())
        except KeyboardInterrupt as interrupt:
            if recorder is not None:
                recorder.gave(results)
            self.run_failed(How.STOPPED, interrupt)
            raise
        except BaseException as error:
            self.run_failed(How.STOPPED if isinstance(error, RunStopped) else How.FAILED, error)
            raise
        watching = self.last_look(How.DONE)
        self.run_over()
        if recorder is not None:
            recorder.gave(results)
        self.record_end("done")
        results.report = self.report(perf_counter() - started)
        self.supervisor.engine_log.ended(self.supervisor.run, results.report, "done")
        results.dead_letters = self.letters()
        if watching is not None:
            watching.finish()
        return results

    def keeper_of(self, keeping: Keeping | None) -> Keeper | None:
        """What makes the run durable, if it is to be."""
        self.ends.keeper = None
        if keeping is not None:
            self.ends.keeper = keeper_in(self.supervisor, keeping, self.letters)
        return self.ends.keeper

    def run_failed(self, how: How, error: BaseException) -> None:
        """Ends the workers, and tells all who are to know of it."""
        self.end_early(how, error)
        watching, self.watching = self.watching, None
        if watching is not None:
            watching.finish(error)

    def end_early(self, how: How, error: BaseException) -> None:
        """Ends the workers, once what can be read of the run was read; does nothing if the thread
        that stands in for the calling one has done so."""
        if self.supervisor.ended:
            return
        said, goes_on = how.value, self.goes_on(error)
        if goes_on:
            said = "lost a machine"
        self.watching = None if goes_on else self.last_look(how, error)
        self.record_end(how.value, error)
        self.end(failed=True)
        self.supervisor.engine_log.failed(self.supervisor.run, said, error)

    def goes_on(self, error: BaseException) -> bool:
        """Will the run that this ends go on with other workers?"""
        keeper = self.ends.keeper
        return keeper is not None and keeper.keeping.goes_on(error)

    def move(self, run: int, puller: Puller, collect: Callable[[list[object]], object]) -> None:
        """Steps source and sink until both have finished."""
        ends = self.ends
        collecting = CollectNode(collect)
        ends.open_results(collecting.memory)
        sink = ends.sink_loop(run, collecting, ends.sink.inputs, SinkCut(LARGEST_SLICE))
        coalescing = WakeupCoalescing(ends.smallest_result_capacity if ends.takes_any_result else 1)
        assert self.stop is not None
        room, smallest = ends.balancer.room, ends.smallest_capacity
        if puller.is_instant:
            if puller.sequence is not None:
                ends.balancer.guide(puller.to_come)
            source = ends.source_loop(run, Feed(puller, room, smallest, self.stop.check))
            self.wait_reasons = self.wait_reasons_of(source.wait_reason, sink)
            while not (source.finished and sink.finished):
                if not self.step(source, sink):
                    loops = [loop for loop in (source, sink) if not loop.finished]
                    self.wait(loops, coalescing.next())
            return
        pushed = GivenFeed(smallest)
        source = ends.source_loop(run, pushed)
        relief = Relief(self, self.stop, Intake(puller, pushed, room), source, sink, coalescing)
        self.wait_reasons = self.wait_reasons_of(relief.wait_reason, sink)
        relief.run()

    def wait_reasons_of(
        self, of_source: Callable[[], WaitReason], sink: DriveLoop[Blob]
    ) -> Callable[[], dict[int, WaitReason]]:
        """What asks source and sink what they wait for."""
        first, last = self.supervisor.shared.ends_of_program
        return lambda: {first: of_source(), last: sink.wait_reason()}

    def step(self, source: DriveLoop[Blob], sink: DriveLoop[Blob]) -> bool:
        """Does what can be done; was there anything?"""
        moved = source.step() | sink.step()
        if moved:
            self.supervisor.glance()
        return moved

    def wake(self) -> None:
        """Ends the sleep of the thread that waits, from another."""
        self.supervisor.wake()

    def fail(self, error: BaseException) -> None:
        """Ends the workers, while the thread that runs is inside its source."""
        stop = self.stop
        self.end_early(How.STOPPED if isinstance(error, RunStopped) else How.FAILED, error)
        if stop is not None and not self.goes_on(error):
            stop.release(error)

    def run_over(self) -> None:
        """The run cannot be stopped any more, and nothing of it is kept."""
        self.stop = self.supervisor.stop = None
        self.wait_reasons = dict
        self.ends.balancer.guide(None)  # what it asked has the items

    def record_end(self, how: str, error: BaseException | None = None) -> None:
        """The recording and the trace say how the run ended, before what is shared is given
        back."""
        recorder, self.ends.recorder = self.ends.recorder, None
        if recorder is not None and self.is_ours():
            self.supervisor.observer = None
            recorder.end(how, error, self.letters())
        if self.tracer is not None and self.is_ours():
            self.supervisor.witnesses.forget(self.tracer)
            self.tracer.end(how, error)

    def wait(
        self,
        loops: list[DriveLoop[Blob]],
        results: int = 1,
        timeout_ms: int | None = None,
        wants_more: Callable[[], bool] | None = None,
    ) -> None:
        """Sleeps until one of the loops may be able to go on, or the source is to be asked for
        more.

        The sink is woken when so many results have gathered.
        """
        supervisor = self.supervisor
        for loop in loops:
            loop.sleeps(results)
        fence()
        if not any(loop.able() for loop in loops) and not (wants_more is not None and wants_more()):
            supervisor.look_around()
            if not supervisor.sleep(timeout_ms) and not supervisor.restart_policy.due:
                self.spread_net([loop for loop in loops if not loop.inlets or results == 1])
        for loop in loops:
            loop.is_awake()

    def spread_net(self, loops: list[DriveLoop[Blob]]) -> None:
        """Nothing has happened for a while: wakes workers that missed their wakeup, and raises
        `Deadlock` if no node can go on any more.

        A source that balances may go on without being woken, as time goes by; and so may a sink
        that lets results gather, which is not among these.
        """
        supervisor, balances = self.supervisor, self.ends.source_balances
        able = any(loop.able() for loop in loops if loop.balancer is None or not balances)
        if able and not supervisor.sleep(LATE_MS):
            self.missed_wakeups += 1
        found = self.watchdog.look(supervisor.run, self.wait_reasons())
        self.ends.lift_soft_limits()
        self.missed_wakeups += len(found.forgotten)
        if found.forgotten or found.yielding:
            supervisor.witnesses.watchdog(found.forgotten, found.yielding)
        supervisor.shared.notify(
            [*found.yielding, *found.forgotten, *supervisor.not_begun(), *self.apart]
        )

    def finish_run(self) -> None:
        """Waits until every worker has finished the run, and has sent on what its jobs printed."""
        supervisor = self.supervisor
        while True:
            # May start the worker of one more lane, which then has this run to finish, too.
            supervisor.look_around()
            if supervisor.is_done():
                supervisor.records.take_all()
                return
            if not supervisor.sleep() and not supervisor.restart_policy.due:
                self.spread_net([])

    def end(self, failed: bool = False) -> None:
        """Ends the workers and gives back all that was shared."""
        if self.ends.keeper is not None and self.is_ours():
            self.ends.keeper.end()
        self.run_over()
        before_end, self.before_end = self.before_end, None
        if before_end is not None and self.is_ours():
            before_end()
        self.supervisor.end(GRACE_S if failed else PATIENCE_S)

    def letters(self) -> tuple[DeadLetter, ...]:
        """The dead letters so far, ordered by stage, then ordinal."""
        return ordered_letters(self.topology, self.supervisor.reports.letters.all())

    def report(self, seconds: float) -> Report:
        """How the run goes, or went, after so many seconds."""
        notes = self.recorded.notes if self.recorded is not None else ()
        notes += self.tracer.notes if self.tracer is not None else ()
        notes += self.supervisor.records.notes()
        self.paces = newer(self.paces, stage_paces(self.supervisor, seconds))
        shared = {spec.parts for spec in self.supervisor.topology.nodes}
        notes += tuple(
            f"when the pipeline is opened again: {note}"
            for note in sharing_notes(self.shared_out(), self.paces, shared)
        )
        return run_report(
            self.topology, self.supervisor, self.ends.tally, seconds, self.missed_wakeups, notes
        )
