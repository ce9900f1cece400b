"""The two nodes that the program itself steps: the source, which sends items in, and the sink,
which takes results out.

Knows: their channel ends, and the drive loops between those and the program.  Must never know: when
a loop is stepped, workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from conveyor.core.barriers import Barriers
from conveyor.core.channel import Inlet
from conveyor.core.drive import DriveSpec, drive
from conveyor.core.engine import Give
from conveyor.core.failures import delivered, failure_of, raised_by
from conveyor.core.job_node import ForkFailed, Node
from conveyor.core.nodes import RelayNode
from conveyor.core.ordered import stamped
from conveyor.core.selecting import SelectingNode
from conveyor.graph.route import Leaf, Select, balances
from conveyor.items.sealing import Take, sealer
from conveyor.report import DeadLetter, Tally
from conveyor.runtime.parent.keeper import Keeper
from conveyor.runtime.parent.noted import note_end
from conveyor.runtime.parent.recorder import RecordedPuller, Recorder, journal_of_sink
from conveyor.runtime.parent.run_tracer import RunTracer
from conveyor.runtime.parent.shared import Shared
from conveyor.runtime.shm.endpoints import RingEnds
from conveyor.runtime.shm.outlet import RingOutlet
from conveyor.runtime.shm.record import Blob
from conveyor.runtime.step.balancing import Balancer
from conveyor.runtime.step.logged import Log, LoggedBalancer, log_to
from conveyor.runtime.step.loop import DriveLoop
from conveyor.runtime.step.source import Feed, GivenFeed, Puller

__all__ = ["ProgramEnds", "SinkCut", "taken_by"]


class SinkCut:
    """How much the sink takes at once: `n` items."""

    def __init__(self, n: int) -> None:
        self.n = n


class SourceFork(SelectingNode):
    """The fork behind the source, whose function runs in the program itself."""

    recorder: Recorder | None = None

    def give_up(self, item: object, ordinal: int, error: BaseException, at_end: bool) -> None:
        """Raises what ends the run as it would come from a worker."""
        try:
            super().give_up(item, ordinal, error, at_end)
        except ForkFailed as failed:
            if self.recorder is not None:
                self.recorder.failed(0)
            raise raised_by(failure_of(0, "", failed), "source", "the program") from None


class ProgramEnds:
    """The ends of source and sink, kept from run to run; `balancer` chooses the lanes of the forks
    behind the source, and is another in each run."""

    def __init__(self, shared: Shared, send_dead_letter: Callable[[DeadLetter], None]) -> None:
        self.shared = shared
        self.send_dead_letter = send_dead_letter
        self.source_spec, *_, self.sink_spec = shared.topology.nodes
        self.source: RingEnds = shared.ends(self.source_spec)
        self.sink: RingEnds = shared.ends(self.sink_spec)
        self.source_balances = balances(self.source_spec.route)
        # A zip or an ordered join may need one item of one lane while others are full.
        self.takes_any_result = all(isinstance(each, Leaf) for each in self.sink_spec.inputs)
        self.recorder: Recorder | None = None
        self.source_log: Log | None = None
        self.sink_log: Log | None = None
        self.tally = Tally()  # of the source, in this run
        self.keeper: Keeper | None = None  # of a run that has a checkpoint
        self.balancer = self.new_balancer()

    def begin_run(self, recorder: Recorder | None, tracer: RunTracer | None = None) -> None:
        """Forgets what it has measured; from now on these are told what source and sink do."""
        self.recorder = recorder
        told = [each for each in (recorder, tracer) if each is not None]
        self.source_log = log_to([each.note_source for each in told])
        self.sink_log = log_to([each.note_sink for each in told])
        self.balancer = self.new_balancer()
        self.lift_soft_limits()
        for inlet in self.sink.inlets:
            inlet.opens = None

    def open_results(self, take: Take) -> None:
        """In this run results are opened as they are read: whoever collects them wants each once,
        and at once."""
        if self.keeper is None:
            for inlet in self.sink.inlets:
                inlet.opens = take

    def new_balancer(self) -> Balancer:
        route, outlets, control = self.source_spec.route, self.source.outlets, self.shared.control
        assert route is not None
        if self.source_log is None:
            return Balancer(route, outlets, control, control.request_attention)
        return LoggedBalancer(route, outlets, control, control.request_attention, self.source_log)

    @property
    def smallest_capacity(self) -> int:
        """The least that a channel behind the source holds."""
        return min(outlet.capacity for outlet in self.source.outlets)

    @property
    def smallest_result_capacity(self) -> int:
        """A quarter of that of the channels to the sink, so that what a stream holds in hand leaves
        room behind it."""
        return max(1, min(inlet.ring.capacity for inlet in self.sink.inlets) // 4)

    def puller(self, items: Iterable[object]) -> Puller:
        """What pulls the items that are sent in, and seals them."""
        seal = sealer(self.source.outlets[0].allocator.keep)
        if self.recorder is None:
            return Puller(items, seal)
        return RecordedPuller(items, seal, self.recorder)

    def source_loop(self, run: int, feed: Feed | GivenFeed) -> DriveLoop[Blob]:
        """The loop that publishes what `feed` has."""
        outlets, spec = self.source.outlets, self.source_spec
        relay = RelayNode()
        self.tally = relay.tally
        selecting = None
        if spec.fork is not None and isinstance(spec.route, Select):
            selecting = SourceFork(
                spec.fork, spec.route, relay.tally, lambda it: self.send_dead_letter(delivered(it))
            )
            selecting.recorder = self.recorder
        node = stamped(spec, relay, outlets, selecting=selecting)
        inlet: Inlet = feed
        barriers = None
        if self.keeper is not None:
            feed.barrier = outlets[0].barrier  # the last of an earlier run of these workers
            inlet = self.keeper.gate(feed)
            barriers = Barriers([inlet], outlets, self.source_comes_to_barrier)
            manifest = self.keeper.keeping.manifest
            if manifest is not None and spec.index in manifest.nodes:
                relay.tally.restore(manifest.nodes[spec.index].counts)
        driven = DriveSpec(
            node, [inlet], outlets, spec.route, selected=selecting, barriers=barriers
        )
        return DriveLoop(drive(run, driven, feed), [], outlets, self.balancer)

    def sink_loop(
        self, run: int, node: Node, inputs: Sequence[Inlet], cut: SinkCut
    ) -> DriveLoop[Blob]:
        """The loop that gives what comes out of `inputs` to `node`."""
        nothing: list[RingOutlet] = []
        journal = None
        if self.sink_log is not None and len(inputs) > 1:
            journal = journal_of_sink(node.tally, inputs, self.sink_log)
        barriers = None
        if self.keeper is not None:
            barriers = Barriers(self.sink.gates, nothing, self.sink_comes_to_barrier)
            for gate in barriers.gates:
                gate.passed = gate.inlet.barrier  # of an earlier run
        driven = DriveSpec(
            node=node,
            inlets=inputs,
            outlets=nothing,
            route=None,
            join_name=self.sink_spec.join_name,
            journal=journal,
            barriers=barriers,
        )
        return DriveLoop(drive(run, driven, cut), self.sink.inlets, nothing, None)

    def source_comes_to_barrier(self, number: int) -> None:
        """It notes what it knows, as workers do."""
        note_end(number, self.shared, self.source_spec, self.tally)

    def sink_comes_to_barrier(self, number: int) -> None:
        """So does the sink, of its zips."""
        assert self.keeper is not None
        if self.sink.kept_zips:
            zips = self.sink.known_by_zips()
            note_end(number, self.shared, self.sink_spec, Tally(), zips)
        self.keeper.whole(number)

    def lift_soft_limits(self) -> None:
        """The source, too, goes beyond what is measured, once the watchdog has found that nothing
        else can go on."""
        if self.shared.blocks[0].soft_limits_lifted:
            self.balancer.lift_soft_limits()
            for outlet in self.source.outlets:
                outlet.soft_limits_lifted = True


def taken_by(take: Give, recorder: Recorder | None) -> Give:
    """What hands on results, and tells the recorder, if there is one."""
    if recorder is None:
        return take

    def told(results: Sequence[object]) -> None:
        take(results)
        recorder.gave(results)

    return told
