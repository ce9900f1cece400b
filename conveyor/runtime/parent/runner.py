"""Runs a pipeline for real: the parent's two drive loops, source and sink, and what they wait for.

Knows: how a run begins, goes on and ends, in the calling thread.  Must never know: how workers are
started or what they do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from time import perf_counter

from conveyor.core.channel import Inlet
from conveyor.core.drive import DriveSpec, drive
from conveyor.core.engine import StopToken
from conveyor.core.job_node import Node
from conveyor.core.nodes import CollectNode, RelayNode
from conveyor.core.ordered import stamped
from conveyor.errors import RunStopped
from conveyor.graph.fusion import fuse, home
from conveyor.graph.route import LANES_BY_DEFAULT, Leaf, balances
from conveyor.graph.topology import Topology
from conveyor.items.main_module import is_redefined
from conveyor.items.sealing import sealer
from conveyor.report import DeadLetter, Report, RunResult
from conveyor.reporting.build import Figures, ordered_letters, report_of
from conveyor.runtime.parent.exit_status import without_our_frames
from conveyor.runtime.parent.recorder import RecordedPuller, Recorder
from conveyor.runtime.parent.relief import Intake, Relief
from conveyor.runtime.parent.supervisor import GRACE_S, PATIENCE_S, Supervisor
from conveyor.runtime.parent.watchdog import Watchdog
from conveyor.runtime.placement import Placement, usable_cores
from conveyor.runtime.process.importing import check_may_run
from conveyor.runtime.process.start import StartMethod
from conveyor.runtime.shm.endpoints import RingEnds
from conveyor.runtime.shm.fence import fence
from conveyor.runtime.shm.outlet import RingOutlet
from conveyor.runtime.shm.record import Blob
from conveyor.runtime.step.balancing import Balancer
from conveyor.runtime.step.batching import LARGEST_SLICE, WakeupCoalescing
from conveyor.runtime.step.contract import WaitReason
from conveyor.runtime.step.logged import LoggedBalancer
from conveyor.runtime.step.loop import Loop
from conveyor.runtime.step.source import Feed, GivenFeed, Puller

__all__ = ["WOKEN_BY_THE_NET", "Runner", "SinkCut"]

WOKEN_BY_THE_NET = "woken by the net"  # a note of the report that should never be there

NANO = 1e-9
LATE_MS = 20  # how long after its store a notification may still come


class SinkCut:
    """How much the sink takes at once."""

    def __init__(self, n: int) -> None:
        self.n = n


class Runner:
    """An open pipeline: its supervisor, kept warm from run to run, and the parent's ends of its
    channels."""

    def __init__(self, topology: Topology, start_method: StartMethod, placement: Placement) -> None:
        check_may_run()
        self.topology = topology
        self.recorder: Recorder | None = None
        self.recorded: Recorder | None = None  # the same, also once it has come to its end
        self.before_end: Callable[[], None] | None = (
            None  # stops a thread that still uses the channels
        )
        self.stop: StopToken | None = None  # of the run under way
        fused = fuse(topology, len(usable_cores()), placement.may_share)
        self.source_spec, self.sink_spec = fused.nodes[0], fused.nodes[-1]
        self.supervisor = Supervisor(fused, start_method, placement)
        self.watchdog = Watchdog(
            fused,
            self.supervisor.layout,
            self.supervisor.memory,
            self.supervisor.blocks,
            self.supervisor.is_notified,
        )
        self.apart: tuple[int, ...] = ()  # the source, if a thread of its own steps it
        self.wait_reasons: Callable[[], dict[int, WaitReason]] = (
            dict  # what source and sink wait for
        )
        self.source_balances = balances(self.source_spec.route)
        try:
            self.source_ends: RingEnds = self.supervisor.ends(self.source_spec)
            self.sink_ends: RingEnds = self.supervisor.ends(self.sink_spec)
            self.balancer = self.source_balancer()
        except BaseException:
            self.supervisor.end(GRACE_S)
            raise

    def source_balancer(self) -> Balancer:
        route, outlets, control = (
            self.source_spec.route,
            self.source_ends.outlets,
            self.supervisor.control,
        )
        assert route is not None
        if self.recorder is None:
            return Balancer(route, outlets, control, control.request_attention)
        return LoggedBalancer(
            route, outlets, control, control.request_attention, self.recorder.note_source
        )

    @property
    def smallest_capacity(self) -> int:
        return min(outlet.capacity for outlet in self.source_ends.outlets)

    @property
    def smallest_result_capacity(self) -> int:
        """Of the channels to the sink, so that what a stream holds in hand leaves room behind
        it."""
        return max(1, min(inlet.ring.capacity for inlet in self.sink_ends.inlets) // 4)

    def is_ours(self) -> bool:
        """Does this process have the workers, and not the one that it was forked from?"""
        return self.supervisor.is_ours()

    def is_outdated(self) -> bool:
        """Has the script defined anything again since the workers were started?  They would take
        the old for the new."""
        return is_redefined(self.supervisor.defined)

    def is_busy(self) -> bool:
        """Is a thread inside a run, or inside `next()` of a stream?"""
        return self.stop is not None and self.stop.busy

    def begin_run(self, recorder: Recorder | None, stop: StopToken) -> int:
        """Lets the workers begin, and whoever writes down what they decide."""
        self.recorder = self.recorded = recorder
        self.stop = self.supervisor.stop = stop
        stop.wake = self.supervisor.wake
        stop.check()
        self.balancer = self.source_balancer()
        self.lift_soft_limits()
        if recorder is not None:
            recorder.begin(self.supervisor)
        return self.supervisor.begin_run(recorder)

    def puller(self, items: Iterable[object]) -> Puller:
        """What pulls the items that are sent in, and seals them."""
        seal = sealer(self.source_ends.outlets[0].allocator.keep)
        return (
            Puller(items, seal)
            if self.recorder is None
            else RecordedPuller(items, seal, self.recorder)
        )

    def source_loop(self, run: int, feed: Feed | GivenFeed) -> Loop[Blob]:
        spec, ends = self.source_spec, self.source_ends
        node = stamped(spec, RelayNode(), ends.outlets)
        return Loop(
            drive(run, DriveSpec(node, [feed], ends.outlets, spec.route), feed),
            [],
            ends.outlets,
            self.balancer,
        )

    def sink_loop(self, run: int, node: Node, inputs: Sequence[Inlet], cut: SinkCut) -> Loop[Blob]:
        nothing: list[RingOutlet] = []
        journal = None
        if self.recorder is not None and len(inputs) > 1:
            journal = self.recorder.journal_of_sink(node.tally, inputs)
        driven = DriveSpec(node, inputs, nothing, None, self.sink_spec.join_name, journal)
        return Loop(drive(run, driven, cut), self.sink_ends.inlets, nothing, None)

    def run(
        self, items: Iterable[object], stop: StopToken, recorder: Recorder | None = None
    ) -> RunResult[object]:
        """All outputs of a run to the end of `items`.  Raises what ended it early; the workers are
        then gone."""
        started = perf_counter()
        results: RunResult[object] = RunResult()
        try:
            run = self.begin_run(recorder, stop)
            self.move(run, self.puller(items), results)
            self.finish_run()
        except KeyboardInterrupt as interrupt:
            if recorder is not None:
                recorder.gave(results)
            self.record_end("stopped", interrupt)
            self.end(failed=True)
            raise interrupt.with_traceback(without_our_frames(interrupt.__traceback__)) from None
        except BaseException as error:
            self.record_end("stopped" if isinstance(error, RunStopped) else "failed", error)
            self.end(failed=True)
            raise
        self.run_over()
        if recorder is not None:
            recorder.gave(results)
        self.record_end("done")
        results.report = self.report(perf_counter() - started)
        results.dead_letters = self.letters()
        return results

    def move(self, run: int, puller: Puller, results: list[object]) -> None:
        """Steps source and sink until both have finished."""
        sink = self.sink_loop(
            run, CollectNode(results.extend), self.sink_ends.inputs, SinkCut(LARGEST_SLICE)
        )
        # A zip or an ordered join may need one item of one lane while others are full.
        takes_any = all(isinstance(each, Leaf) for each in self.sink_spec.inputs)
        coalescing = WakeupCoalescing(self.smallest_result_capacity if takes_any else 1)
        assert self.stop is not None
        if puller.is_instant:
            feed = Feed(puller, self.balancer.room, self.smallest_capacity, self.stop.check)
            source = self.source_loop(run, feed)
            self.wait_reasons = self.wait_reasons_of(source.wait_reason, sink)
            while not (source.finished and sink.finished):
                if not self.step(source, sink):
                    self.wait(
                        [loop for loop in (source, sink) if not loop.finished], coalescing.next()
                    )
            return
        pushed = GivenFeed(self.smallest_capacity)
        source = self.source_loop(run, pushed)
        relief = Relief(
            self, self.stop, Intake(puller, pushed, self.balancer.room), source, sink, coalescing
        )
        self.wait_reasons = self.wait_reasons_of(relief.wait_reason, sink)
        relief.run()

    def wait_reasons_of(
        self, of_source: Callable[[], WaitReason], sink: Loop[Blob]
    ) -> Callable[[], dict[int, WaitReason]]:
        last = len(self.topology.nodes) - 1
        return lambda: {0: of_source(), last: sink.wait_reason()}

    def step(self, source: Loop[Blob], sink: Loop[Blob]) -> bool:
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
        self.record_end("stopped" if isinstance(error, RunStopped) else "failed", error)
        self.end(failed=True)
        if stop is not None:
            stop.release()

    def run_over(self) -> None:
        """Nobody may end the run any more, and nothing of it is kept."""
        self.stop = self.supervisor.stop = None
        self.wait_reasons = dict

    def record_end(self, how: str, error: BaseException | None = None) -> None:
        """The recording says how the run ended, before what is shared is given back."""
        recorder, self.recorder = self.recorder, None
        if recorder is not None and self.is_ours():
            self.supervisor.observer = None
            recorder.end(how, error, self.letters())

    def wait(
        self,
        loops: list[Loop[Blob]],
        results: int = 1,
        timeout_ms: int | None = None,
        wants_more: Callable[[], bool] | None = None,
    ) -> None:
        """Sleeps until one of the loops may be able to go on, or the source is to be asked for
        more.

        The sink is woken when so many results have gathered.
        """
        for loop in loops:
            loop.sleeps(results)
        fence()
        if not any(loop.able() for loop in loops) and not (wants_more is not None and wants_more()):
            self.supervisor.look_around()
            if not self.supervisor.sleep(timeout_ms) and not self.supervisor.restart_policy.due:
                self.spread_net([loop for loop in loops if not loop.inlets or results == 1])
        for loop in loops:
            loop.is_awake()

    def spread_net(self, loops: list[Loop[Blob]]) -> None:
        """Nothing has happened for a while: wakes who was forgotten, and raises `Deadlock` if
        nobody can go on any more.

        A source that balances may go on without being woken, as time goes by; and so may a sink
        that lets results gather, which is not among these.
        """
        able = any(
            loop.able() for loop in loops if loop.balancer is None or not self.source_balances
        )
        if able and not self.supervisor.sleep(LATE_MS):
            self.supervisor.forgotten += 1
        found = self.watchdog.look(self.supervisor.run, self.wait_reasons())
        self.lift_soft_limits()
        self.supervisor.forgotten += len(found.forgotten)
        self.supervisor.notify(
            [*found.yielding, *found.forgotten, *self.supervisor.not_begun(), *self.apart]
        )

    def lift_soft_limits(self) -> None:
        """The source, too, goes beyond what is measured if nobody can go on before."""
        if self.supervisor.blocks[0].soft_limits_lifted:
            self.balancer.lift_soft_limits()
            for outlet in self.source_ends.outlets:
                outlet.soft_limits_lifted = True

    def finish_run(self) -> None:
        """Waits until every worker has finished the run, and has sent on what its jobs printed."""
        while True:
            self.supervisor.look_around()  # may start the worker of one more lane, which then has this run to finish, too
            if self.supervisor.is_done():
                return
            if not self.supervisor.sleep() and not self.supervisor.restart_policy.due:
                self.spread_net([])

    def end(self, failed: bool = False) -> None:
        """Ends the workers and gives back all that was shared."""
        self.run_over()
        before_end, self.before_end = self.before_end, None
        if before_end is not None and self.is_ours():
            before_end()
        self.supervisor.end(GRACE_S if failed else PATIENCE_S)

    def letters(self) -> tuple[DeadLetter, ...]:
        """The dead letters so far, ordered by stage, then ordinal."""
        return ordered_letters(self.topology, self.supervisor.letters.all())

    def report(self, seconds: float) -> Report:
        """All workers and zips, in the order in which their stages were added."""
        notes = self.supervisor.notes + (self.recorded.notes if self.recorded is not None else ())
        if self.supervisor.forgotten:
            notes += (
                f"{WOKEN_BY_THE_NET}: {self.supervisor.forgotten} times somebody slept though there was work",
            )
        notes += tuple(
            f"{fork!r} had {lanes} lanes open: of that the simulator tells only with lanes={lanes}"
            for fork, lanes in self.supervisor.most_lanes.items()
            if lanes > LANES_BY_DEFAULT
        )
        return report_of(
            self.topology, self.figures, self.supervisor.control.read_zip, seconds, notes
        )

    def figures(self, index: int) -> Figures:
        """What the control block says of a node."""
        worker = home(self.supervisor.topology, index)
        block, cores = self.supervisor.blocks[index], self.supervisor.cores[worker]
        busy, waiting, blocked, batches = block.times()
        core = cores[0] if len(cores) == 1 else None
        tally, restarts = (
            block.tally(self.supervisor.run),
            self.supervisor.restart_policy.restarts(worker),
        )
        return Figures(
            tally,
            busy * NANO,
            waiting * NANO,
            blocked * NANO,
            batches,
            restarts,
            self.supervisor.pid(index),
            core,
        )
