"""One node of a pipeline in memory: its drive loop, its ends of the channels, and what becomes of
its worker.

Knows: how a loop begins, goes on to its next wait, dies, fails and is followed by another.  Must
never know: who decides, and whose turn it is.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Final, Protocol, TypeAlias

from conveyor.core.crashes import NO_STATE
from conveyor.core.drive import DriveSpec, drive
from conveyor.core.endpoints import Ends, words_of_notes
from conveyor.core.failures import LOADING, Failure, failure_of
from conveyor.core.job_node import ALONE, ItemFailed, Node, Piece
from conveyor.core.nodes import CollectNode, MapNode, RelayNode, node_for
from conveyor.core.ordered import stamped
from conveyor.core.requests import ChooseInput, ChooseLane, Request
from conveyor.core.snapshots import RestoredNode, packed_state
from conveyor.errors import WorkerCrashed
from conveyor.graph.route import balances, balancing_forks, leaves, taken
from conveyor.graph.topology import Kind, channels_of, is_shut
from conveyor.items.bytecode import is_slight
from conveyor.report import DeadLetter, Tally
from conveyor.sim.determinism.inspection import Inspection
from conveyor.sim.interruption import is_final, pass_on
from conveyor.sim.prepare.bindings import PrivateBindings
from conveyor.sim.prepare.intake import ByReference
from conveyor.sim.prepare.prepared import PreparedNode, PreparedPipeline
from conveyor.sim.schedule import CUT, Death, Decision
from conveyor.sim.schedulers.scheduler import Scheduler
from conveyor.sim.world.channel import MemoryChannel
from conveyor.sim.world.durable_state import DurableState
from conveyor.sim.world.faulty_channel import CrashPlan, FaultyChannel, Killed
from conveyor.sim.world.timers import StateLost, put_timer
from conveyor.stages import Job, Restorable

__all__ = ["RUN", "TEARDOWN", "Blob", "Loop", "Observer"]

Blob: TypeAlias = list[object]
AnyEnds: TypeAlias = "Ends[MemoryChannel, MemoryChannel] | Ends[FaultyChannel, FaultyChannel]"

RUN: Final = 1
TEARDOWN: Final = "teardown()"
ROOMY: Final = 1 << 40


class Observer(Protocol):
    """Is told what happens."""

    def watch(self, loop: Loop, node: Node) -> Node:
        """The node that takes the place of `node` in a loop."""
        ...

    def decided(self, decision: Decision) -> None: ...
    def died(self, death: Death) -> None: ...
    def restarted(self, worker: str) -> None: ...
    def failed(self, worker: str, text: str) -> None: ...


class Setting(Protocol):
    """What a loop finds around it, and whom it asks."""

    pipeline: PreparedPipeline
    observer: Observer | None
    inspection: Inspection | None
    scheduler: Scheduler
    channels: list[MemoryChannel]
    source: MemoryChannel
    sink: CollectNode
    nodes: dict[int, Node]
    counts: dict[str, int]
    deaths: dict[str, CrashPlan]
    opened: dict[str, int]
    dead: list[Loop]
    dead_letters: list[DeadLetter]
    failures: list[Failure]

    def choose(self, choose: ChooseLane) -> int: ...
    def decide(self, point: str, options: Sequence[int], count: int = 1) -> int: ...
    def runs_out(self, worker: str, place: tuple[int, int]) -> bool: ...


class SingleItemSlices:
    """Slices of one item: larger ones give a part of the same outcomes."""

    n = 1


class OneOutput:
    """A node that gives its outputs one by one: where a larger slice cuts them, any two may be
    chosen different lanes, and a worker may die between any two."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.tally = node.tally

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        return self.node(items, skip, 1)

    def finish(self, skip: int, limit: int) -> Iterable[Piece]:
        return self.node.finish(skip, 1)


class ChosenSlices:
    """Where a worker is to die, a slice is one item or all there is."""

    def __init__(self, world: Setting, loop: Loop) -> None:
        self.world = world
        self.loop = loop

    @property
    def n(self) -> int:
        there = max((end.queued() for end in self.loop.channels_in), default=1)
        if there <= 1 or not self.loop.crash_plan or not self.loop.crash_plan.will_die:
            return 1
        return ROOMY if self.world.decide(self.loop.spec.name + CUT, (0, 1)) else 1


SINGLE_ITEM_SLICES: Final = SingleItemSlices()


class Loop:
    """One node with its ends of the channels, stepped through one run."""

    def __init__(self, world: Setting, prepared: PreparedNode) -> None:
        self.world = world
        self.prepared = prepared
        self.spec = prepared.spec
        self.join_name = prepared.spec.join_name
        self.notes = memoryview(array("Q", [0] * words_of_notes(self.spec.inputs)))
        self.channels_in = [world.channels[c] for c in channels_of(self.spec.inputs)]
        if self.spec.kind is Kind.SOURCE:
            self.channels_in = [world.source]
        self.channels = [world.channels[c] for c in channels_of(self.spec.inputs)]
        self.channels += (
            [world.channels[c] for c in leaves(self.spec.route)]
            if self.spec.route is not None
            else []
        )
        self.composite = len(self.notes) > 0
        route = self.spec.route
        self.balances = balances(route)
        self.decides = route is not None and (
            len(self.spec.inputs) > 1 or self.balances
        )  # before it waits for room
        self.is_stamped = self.spec.depth > 0 or self.spec.stamps
        self.ends = self.deathless = self.make_ends(None)
        self.crash_plan: CrashPlan | None = None
        self.durable: DurableState | None = None
        self.lane = 0  # of its join, that it reads
        self.tally = Tally()
        self.options: list[
            int
        ] = []  # the lanes of its join that have something, while it waits to read
        self.moves = 0
        self.reads = 0
        self.has_begun = False  # has it come to its first wait?
        self.asked = False  # was its join asked for the slice that it takes in hand?
        self.stands = 0  # of what a worker that died had read
        self.finished = self.dead = False
        self.request: Request[Blob] | None = None
        self.stage: Job[object, object] | None = None
        self.private: PrivateBindings | None = None  # what the stage's code holds here

    def begin(self) -> None:
        """A new run, and a new worker in it."""
        for at in range(len(self.notes)):
            self.notes[at] = 0
        self.crash_plan = self.world.deaths.get(self.spec.name)
        self.durable = (
            None
            if self.crash_plan is None
            else DurableState(self.crash_plan, self.void, self.taken)
        )
        self.reads = self.lane = 0
        self.tally = Tally()
        if is_shut(self.spec, self.world.opened):
            self.finished, self.dead, self.request, self.stage = True, False, None, None
        else:
            self.be_born()

    def be_born(self) -> None:
        """A new worker: everything is new but the channels and the notes."""
        self.moves += 1
        self.finished = self.dead = self.asked = self.has_begun = False
        self.request = None
        world, spec, crash_plan = self.world, self.spec, self.crash_plan
        self.private = None
        try:
            node = self.make_node()
        except BaseException as error:  # reported, as a worker's is: the run ends
            self.fail("setup()" if self.stage is not None else LOADING, error)
            return
        finally:
            if self.private is not None:
                self.private.leave()
        self.ends = ends = (
            self.deathless
            if crash_plan is None and not self.composite
            else self.make_ends(crash_plan)
        )
        inputs = ends.inputs or [
            world.source if crash_plan is None else FaultyChannel(world.source, crash_plan)
        ]
        durable = self.durable
        restored = (
            RestoredNode(durable) if durable is not None and durable.stage is not None else None
        )
        if self.is_stamped or restored is not None:
            node = stamped(spec, node, ends.outlets, restored)
        if self.balances or crash_plan is not None:
            node = OneOutput(node)
        if world.observer is not None:
            node = world.observer.watch(self, node)
        cut = SINGLE_ITEM_SLICES if crash_plan is None else ChosenSlices(world, self)
        journal = None if durable is None else durable.journal
        driven = DriveSpec(
            node, inputs, ends.outlets, spec.route, spec.join_name, journal, restored
        )
        self.send = drive(RUN, driven, cut).send

    def make_ends(self, crash_plan: CrashPlan | None) -> AnyEnds:
        channel = self.world.channels.__getitem__
        if crash_plan is None:
            return Ends(self.spec, self.notes, channel, channel)

        def faulty(index: int) -> FaultyChannel:
            return FaultyChannel(channel(index), crash_plan)

        return Ends(self.spec, self.notes, faulty, faulty)

    def make_node(self) -> Node:
        spec, world, durable = self.spec, self.world, self.durable
        self.stage = None
        if spec.kind is Kind.SINK:
            world.sink.tally = self.tally
            return world.sink
        if durable is not None:
            self.tally = Tally()  # the journal knows what the last worker had counted
        node = None if spec.stage is None or durable is not None else world.nodes.get(spec.index)
        if node is None and spec.stage is not None:
            self.stage, self.private = stage, private = self.prepared.copy()
            if private is not None:
                private.enter()
            if self.prepared.sets_up:
                stage.setup()
            surroundings = ALONE._replace(place=self.place, is_final=is_final)
            if durable is not None:
                durable.succeed(stage, self.tally)
                surroundings = durable.surroundings()._replace(is_final=is_final)
            node = node_for(stage, spec.name, self.send_dead_letter, surroundings)
            if isinstance(node, MapNode) and not is_slight(node.job):
                node.quick = None  # it runs a job once more whose error it does not look at, be it that of a time limit
            if not world.pipeline.copies:
                node.seal = ByReference
            if world.inspection is not None:
                world.inspection.take(self.prepared, node)
            if world.pipeline.timers:
                job, place = node, surroundings.place or self.place
                put_timer(job, lambda: world.runs_out(spec.name, place(job.index())))
            if self.prepared.is_stateless and durable is None:
                world.nodes[spec.index] = node
        if node is None:
            node = RelayNode()
            if durable is not None:
                durable.succeed(None, self.tally)
        node.tally = self.tally
        return node

    def place(self, index: int) -> tuple[int, int]:
        """Which of its inputs an item of the slice in hand is from, and its position there."""
        return self.lane, self.ends.inputs[self.lane].position(index + 1) - 1

    def send_dead_letter(self, letter: DeadLetter) -> None:
        if self.crash_plan is not None:
            self.crash_plan.tell(self.crash_plan.done)
        self.world.dead_letters.append(letter)

    def void(self, ordinal: int) -> None:
        """What was said of the item with this ordinal, and of those behind it, is said again."""
        name, letters = self.spec.name, self.world.dead_letters
        self.world.dead_letters = [
            each for each in letters if each.stage != name or each.ordinal < ordinal
        ]
        scheduler, spec = self.world.scheduler, self.spec
        self.stands = ordinal
        if len(spec.inputs) > 1:
            scheduler.void(spec.join_name, self.reads, ordinal)
        for fork in balancing_forks(spec.route):
            tails = [self.world.channels[channel].tail for channel in leaves(fork)]
            scheduler.void(fork.name, self.world.counts.get(fork.name, 0), taken(fork, tails))

    def taken(self) -> None:
        """A slice is taken in hand; where its join was not asked for it, what was decided before a
        worker died still stands."""
        if len(self.spec.inputs) > 1 and not self.asked:
            self.stands += 1
            self.world.scheduler.void(self.spec.join_name, self.reads, self.stands)
        self.asked = False

    def go(self, answer: int | None) -> None:
        """Goes on to the next wait, or the next read of a join."""
        self.moves += 1
        send, world, private = self.send, self.world, self.private
        if private is not None:
            private.enter()
        try:
            if not self.has_begun:
                self.has_begun = True
                self.try_state()
            while True:
                request = send(answer)  # type: ignore[arg-type]  # None at first, and where nothing was asked
                if type(request) is ChooseLane:
                    answer = world.choose(request)
                elif type(request) is ChooseInput or not request.ready():
                    self.request = request
                    return
                else:
                    answer = None
        except StopIteration:
            self.finish()
        except Killed:
            self.die()
        except ItemFailed as failed:
            self.fail("", failed.error.error if isinstance(failed.error, StateLost) else failed)
        except Exception as error:
            self.fail("the worker itself", error)
        finally:
            if private is not None:
                private.leave()

    def try_state(self) -> None:
        """Packs the state of a processor as a run would, before its first item and behind its last;
        raises what that does.

        Where the worker may die that is done behind each slice.
        """
        stage = self.stage
        if (
            stage is not None
            and self.durable is None
            and stage.is_restorable
            and isinstance(stage, Restorable)
        ):
            packed_state(stage, self.spec.name)

    def finish(self) -> None:
        """All is done; even now the worker may die."""
        try:
            self.try_state()
        except Exception as error:
            self.fail("the worker itself", error)
            return
        self.finished = True
        if self.crash_plan is not None:
            try:
                self.crash_plan.finish()
            except Killed:
                self.finished = False
                self.die()

    def die(self) -> None:
        """Its worker is gone: another will take its place, unless a state died with it."""
        assert self.crash_plan is not None
        assert self.durable is not None
        stage, self.stage = self.stage, None  # which nothing tears down
        self.durable.died([inlet.head for inlet in self.ends.inputs or [self.world.source]])
        if self.world.observer is not None:
            self.world.observer.died(self.crash_plan.deaths[-1])
        if (
            stage is not None
            and stage.is_stateful
            and not stage.is_restorable
            and self.durable.has_begun
        ):
            self.fail(
                "",
                WorkerCrashed(
                    f"the worker of stage {self.spec.name!r} died in the simulation; {NO_STATE}"
                ),
            )
        elif self.crash_plan.gives_up:
            self.fail(
                "",
                WorkerCrashed(
                    f"the workers of stage {self.spec.name!r} died one after the other, as it is recorded"
                ),
            )
        else:
            self.dead = True
            self.world.dead.append(self)

    def fail(self, where: str, error: BaseException) -> None:
        """The run ends here.  Raises `error` if it comes from outside of the run."""
        self.finished = True
        self.world.nodes.pop(
            self.spec.index, None
        )  # it may have been left in the middle of something
        pass_on(error.error if isinstance(error, ItemFailed) else error)
        failure = failure_of(self.spec.index, where, error)
        self.world.failures.append(failure)
        if self.world.observer is not None:
            self.world.observer.failed(self.spec.name, f"{failure.where}: {failure.text}")

    def tear_down(self, is_told: bool) -> None:
        """Ends the worker as production does; an error then is the run's if it `is_told`."""
        stage, self.stage = self.stage, None
        if stage is None or not self.prepared.tears_down:
            return
        if self.private is not None:
            self.private.enter()
        try:
            stage.teardown()
        except BaseException as error:  # reported, as a worker's is
            if is_told:
                self.fail(TEARDOWN, error)
            else:
                pass_on(error)
        finally:
            if self.private is not None:
                self.private.leave()
