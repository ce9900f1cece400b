"""The death of everything in a run that has a checkpoint: its workers, its channels, the program.

This file knows what is on a disk and in a sink, and how a run begins again from there.  It must
never know which schedules are worth running.

Barriers go out behind every so many items.  The store before which everything dies is one of all
stores of the run: into channels, notes, manifests, and the sink.  What outlives it is on the disk
and in the sink alone, so it cannot matter in which order nodes were stepped that do not decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Generic, Protocol

from typing_extensions import TypeVar

from conveyor.core.epochs import Epochs, Manifest, NodeState, letters_before
from conveyor.core.failures import Failure
from conveyor.core.steering import ControlFlow
from conveyor.graph.topology import NodeSpec
from conveyor.report import DeadLetter, Tally
from conveyor.sim.prepare.prepared import PreparedPipeline
from conveyor.sim.schedule import MACHINE, Death
from conveyor.sim.world.channel import MemoryChannel
from conveyor.sim.world.clock import VirtualClock
from conveyor.sim.world.durable_state import Remembered
from conveyor.sim.world.faulty_channel import CrashPlan
from conveyor.sim.world.wiring import AnyEnds
from conveyor.sim.world.worker import Worker

__all__ = ["Blackout", "BlackoutPlan", "Machine", "machine_of"]

BEFORE: Final = "before"


class Blackout(ControlFlow):
    """Raised where everything dies: nothing behind that point is done."""


class BlackoutPlan(CrashPlan):
    """Where everything dies: before one store of the run, by its number; None: never.

    A barrier goes out behind `every` so many items.  `in_one`: the sink keeps results and the
    number of their epoch in one transaction, rather than in two phases.
    """

    def __init__(
        self,
        every: int = 1,
        before: int | None = None,
        at: Sequence[Death] = (),
        in_one: bool = False,
    ) -> None:
        for death in at:
            every, before = death.item or 1, int(death.step.removeprefix(BEFORE))
        super().__init__(MACHINE, 0, before=before)
        self.every = every
        self.in_one = in_one

    @property
    def will_die(self) -> bool:
        return self.before is not None and not self.deaths

    def renewed(self) -> BlackoutPlan:
        return BlackoutPlan(self.every, self.before, self.at, self.in_one)

    def come_to(
        self, item: int | None, step: str, *, running: bool, is_chosen: bool = False
    ) -> None:
        """Does nothing but where a store is: between them there is nothing to lose."""
        if is_chosen:
            self.deaths.append(Death(MACHINE, self.every, f"{BEFORE}{self.before}"))
            raise Blackout


class KeptLoop(Protocol):
    """A node, as far as it is kept and begins again."""

    spec: NodeSpec
    tally: Tally
    worker: Worker
    finished: bool
    clock: VirtualClock
    saved: Remembered | None
    ends: AnyEnds

    @property
    def positions(self) -> tuple[int, ...]: ...

    def keep(self, number: int) -> None: ...
    def begin_again(self, known: NodeState | None, was_last: bool) -> None: ...


Each = TypeVar("Each", bound=KeptLoop)


class Running(Protocol[Each]):
    """The run that is to survive."""

    pipeline: PreparedPipeline
    items: list[object]
    source: MemoryChannel
    outputs: list[object]
    times: list[float]
    dead_letters: list[DeadLetter]
    failures: list[Failure]
    dead: list[Each]
    loops: list[Each]
    active: list[Each]

    def put_in(self, items: list[object]) -> None: ...
    def shut_lanes(self) -> None: ...
    def finish(self) -> None: ...


class Disk:
    """Manifests in memory, of which each is there as a whole or not at all."""

    def __init__(self, plan: BlackoutPlan) -> None:
        self.plan = plan
        self.manifests: list[Manifest] = []

    def newest(self) -> Sequence[Manifest]:
        return self.manifests[::-1]

    def write(self, manifest: Manifest) -> None:
        self.plan.store(None, "manifest")
        self.manifests.append(manifest)

    def forget(self, before: int) -> None:
        self.plan.store(None, "forgotten")
        self.manifests = [each for each in self.manifests if each.epoch >= before]


class Sink:
    """The outputs of a run as a sink that keeps each of them once: `outputs` holds what is
    committed, then what is prepared, then what is neither."""

    def __init__(self, plan: BlackoutPlan, outputs: list[object]) -> None:
        self.plan = plan
        self.outputs = outputs
        self.committed = 0
        self.held = -1  # the newest epoch that is committed
        self.prepared: tuple[int, int] | None = None  # an epoch, and where its outputs end

    def open(self, epoch: int) -> int | None:
        if self.prepared is not None and (self.plan.in_one or self.prepared[0] >= epoch):
            self.prepared = None
        del self.outputs[self.committed if self.prepared is None else self.prepared[1] :]
        return self.held if self.plan.in_one else None

    def prepare(self, epoch: int) -> None:
        self.plan.store(None, "prepared")
        if self.prepared is not None:  # nobody committed it, and now nobody can
            del self.outputs[self.committed : self.prepared[1]]
        self.prepared = epoch, len(self.outputs)

    def commit(self, epoch: int) -> None:
        self.plan.store(None, "committed")
        if self.prepared is not None and self.prepared[0] == epoch:
            self.held, self.committed = self.prepared
            self.prepared = None


class Machine(Generic[Each]):
    """The epochs of one run, and all that outlives the death of everything."""

    def __init__(self, plan: BlackoutPlan, world: Running[Each], items: int) -> None:
        self.plan = plan
        self.world = world
        self.source = world.source
        self.specs = world.pipeline.topology.nodes
        self.items = items  # of the run
        self.first = 0  # the item with which the source has begun
        self.sink = Sink(plan, world.outputs)
        self.epochs = Epochs(Disk(plan), self.sink)
        self.kept: dict[int, NodeState] = {}  # what nodes knew at the newest barrier
        self.manifest: Manifest | None = None  # with which this life has begun
        self.epochs.resume()
        self.send()

    def live(self) -> None:
        """Runs to where no node can go on, again from the newest epoch whenever everything dies."""
        world = self.world
        while True:
            try:
                world.finish()
                if not world.failures and not world.active and not self.is_finished:
                    for loop in world.loops:
                        loop.keep(0)
                    self.complete(self.items, is_finished=True)
                if self.is_finished or not (world.failures or world.active):
                    del world.outputs[self.sink.committed :]
                return
            except Blackout:
                self.begin_again()

    def begin_again(self) -> None:
        """A new life of everything, from the disk and the sink."""
        world = self.world
        for loop in world.loops:
            loop.worker.take_stage()
        self.manifest = self.epochs.resume()
        position = 0 if self.manifest is None else self.manifest.position
        assert isinstance(position, int)
        self.first = position
        self.kept = {}
        world.put_in(world.items[position : self.items])
        self.send()
        del world.times[len(world.outputs) :]
        world.dead_letters = self.letters()
        world.failures, world.dead = [], []
        world.shut_lanes()
        for loop in world.loops:
            known = None if self.manifest is None else self.manifest.nodes[loop.spec.index]
            loop.begin_again(known, self.is_finished)
        world.active = [loop for loop in world.loops if not loop.finished]

    def letters(self) -> list[DeadLetter]:
        """The items that had been given up where this life goes on."""
        letters = () if self.manifest is None else self.manifest.kept["letters"]
        assert isinstance(letters, tuple)
        return [*letters]

    @property
    def is_finished(self) -> bool:
        return self.manifest is not None and self.manifest.is_finished

    def send(self) -> None:
        """Sends the next barrier, behind so many items that the source has not given yet."""
        every, source = self.plan.every, self.source
        ahead = (self.first + source.head) // every * every + every
        if ahead < self.items:
            source.barrier_at = ahead - self.first
            source.barrier += 1

    def keep(self, node: KeptLoop, *, is_last: bool) -> None:
        """A node has come to the barrier; behind the last one, which is the sink, the epoch is
        whole, and the next barrier may go out."""
        state = None
        if node.saved is not None:
            self.plan.store(None, "kept")
            state = node.saved.data
        zips = {name: each.state() for name, each in node.ends.kept_zips.items()}
        known = NodeState(node.tally.counts(), node.positions, state, node.clock.now, zips)
        self.kept[node.spec.index] = known
        if is_last:
            self.complete(self.first + self.source.barrier_at)
            self.send()

    def complete(self, position: int, *, is_finished: bool = False) -> None:
        """Makes the epoch durable."""
        counts = {node: known.counts for node, known in self.kept.items()}
        letters = letters_before(self.world.dead_letters, self.specs, counts)
        kept = {"letters": letters}
        manifest = Manifest(self.epochs.epoch, position, self.kept, is_finished, kept)
        self.epochs.complete(manifest)
        self.kept = {}


def machine_of(plan: CrashPlan, world: Running[Each], items: int) -> Machine[Each]:
    """The machine on which a run with so many items dies by this plan."""
    assert isinstance(plan, BlackoutPlan)
    return Machine(plan, world, items)
