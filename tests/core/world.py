"""A pipeline in memory, in one thread, whose every decision is the test's.

A `World` has the nodes, drive loops and channels of a compiled topology.  `run` takes the decisions
one by one from a `Pick`, everything else in a fixed order; `shuffle` takes the steps of all loops
in any order.  A worker can be told to die before one of its stores, and is started again.  After
each step no channel may hold more than its capacity, and what goes in and out of a node must be
what `items.sealing` and `nodes` promise.

Beside the simulator this is a second world, and it is one on purpose: the drive loop, the nodes and
the recovery of workers are under test here, and the simulator, which is built on them, must not be
its own witness.  So it shares nothing with the simulator but the channel in memory, which the
contract of channels tests by itself, and knows none of its choices: no scheduler, no pruning, no
copies that are put off.  What both worlds find of the same pipelines, with deaths before every
store, must agree (`tests/sim/test_death_before_every_store.py`).
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Any, TypeAlias, TypeVar

from conveyor.core.channel import UNBOUNDED, Inlet, Note, Tag, Words
from conveyor.core.concurrent_drive import LaterHands, drive_concurrent
from conveyor.core.concurrent_node import ConcurrentNode, Held
from conveyor.core.crashes import Past
from conveyor.core.drive import Drive, DriveSpec, drive
from conveyor.core.endpoints import Ends, words_of_notes
from conveyor.core.failures import delivered
from conveyor.core.job_node import ItemFailed, Node, Piece, Surroundings
from conveyor.core.journal import PAGE_SIZE, Journal
from conveyor.core.nodes import CollectNode, RelayNode, node_for
from conveyor.core.ordered import stamped
from conveyor.core.requests import (
    ALL_ENDED,
    COME_DUE,
    TAKE,
    ChooseDone,
    ChooseInput,
    ChooseLane,
    Request,
)
from conveyor.core.selecting import SelectingNode
from conveyor.core.snapshots import RestoredNode, Saved, StateLog
from conveyor.core.stamps import MARK, Entries
from conveyor.core.timers import Timer
from conveyor.core.window import SlidingWindow, words_of_window
from conveyor.graph.compiler import compile_topology
from conveyor.graph.draft import Draft
from conveyor.graph.route import Select
from conveyor.graph.topology import Kind, NodeSpec, Topology, channels_of
from conveyor.items.atoms import is_atom
from conveyor.items.sealing import Sealed, seal
from conveyor.report import DeadLetter, Tally
from conveyor.reporting.build import Letters
from conveyor.sim.world.channel import MemoryChannel
from conveyor.stages import Stage
from conveyor.stages.timed import Timed, timed

Blob: TypeAlias = list[object]
Pick: TypeAlias = Callable[[int], int]  # how many options there are -> which one

T = TypeVar("T")


def compiled(*rows: Sequence[Stage], lanes: int = 2) -> Topology:
    """The graph of a pipeline with these rows."""
    draft = Draft()
    for row in rows:
        draft = draft.add(row)
    draft.check_complete("compiled()")
    return compile_topology(draft, lanes)


class Killed(BaseException):
    """A worker dies."""


class Deadlocked(AssertionError):
    """Nobody can go on, and somebody has not finished."""


@dataclass
class Life:
    """How many stores a worker has made, in all its lives, and before which it dies; `again`: so
    many later once more."""

    dies_before: int | None = None
    stores: int = 0
    again: int | None = None

    def store(self) -> None:
        if self.stores == self.dies_before:
            self.dies_before = self.stores + self.again if self.again is not None else None
            self.again = None
            raise Killed
        self.stores += 1


class Port:
    """One worker's end of a channel: either one, as `MemoryChannel` is both."""

    def __init__(self, channel: MemoryChannel, life: Life) -> None:
        self.channel = channel
        self.life = life
        self.capacity = channel.capacity
        self.start = channel.start
        self.pending = channel.pending
        self.ended = channel.ended
        self.peek = channel.peek
        self.look = channel.look
        self.position = channel.position
        self.queued = channel.queued
        self.pack = channel.pack
        self.fits = channel.fits
        self.last_tag = channel.last_tag
        self.last_blob = channel.last_blob
        self.carrying = channel.carrying
        self.carried = channel.carried

    @property
    def head(self) -> int:
        return self.channel.head

    @property
    def tail(self) -> int:
        return self.channel.tail

    def commit(self, upto: int) -> None:
        self.life.store()
        self.channel.commit(upto)

    def publish(self, n: int, blob: Blob, tag: Tag) -> None:
        self.life.store()
        self.channel.publish(n, blob, tag)

    def close(self, run: int) -> None:
        self.life.store()
        self.channel.close(run)

    @property
    def barrier(self) -> int:
        return self.channel.barrier

    @property
    def barrier_at(self) -> int:
        return self.channel.barrier_at


class NotePort(Note):
    """What outlives a worker besides its channels."""

    __slots__ = ("life",)

    def __init__(self, words: Words, life: Life) -> None:
        super().__init__(words)
        self.life = life

    def store(self, values: Sequence[int]) -> None:
        self.life.store()
        super().store(values)


class WorkerEnds(Ends[Port, Port]):
    def __init__(self, worker: Worker) -> None:
        self.life = worker.life
        super().__init__(worker.spec, worker.notes, worker.port, worker.port)

    def note(self, words: memoryview[int]) -> Note:
        return NotePort(words, self.life)


class States:
    """The states that a processor saved, which outlive it."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.saved: Saved | None = None
        self.state = self.ahead = b""

    def newest(self) -> Saved | None:
        return self.saved

    def save(self, saved: Saved) -> None:
        entry = self.log.entry(saved.finished)
        self.worker.life.store()
        self.saved = saved
        self.state, self.ahead = entry.written(self.state, self.ahead)

    def restore(self) -> None:
        stage: Any = self.worker.stage
        self.log = StateLog(stage, self.worker.spec.name)
        if self.saved is not None:
            self.log.read(self.state)


class PassingTime(Timer):
    """Time passes as far as it has to, and no item waits for it."""

    def __init__(self, stage: Timed) -> None:
        super().__init__(stage)
        self.moment = 0.0

    def now(self) -> float:
        return self.moment

    def begins(self) -> float:
        self.moment = max(self.moment, self.opens_at())
        return self.moment

    def is_past(self) -> bool:
        return False

    def is_open(self) -> bool:
        return True


class Watched:
    """A node that is held to what slices and pieces promise; `timer` is that of a job that time
    wakes."""

    def __init__(self, node: Node, timer: Timer | None) -> None:
        self.node = node
        self.tally = node.tally
        self.timer = timer

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterator[Piece]:
        assert items or (self.timer is not None and self.timer.is_due)
        assert len(items) <= limit or isinstance(items[0], Held)
        assert isinstance(items[0], Held) or is_slice(items) if items else True
        finished = 0
        for out, done, extra in self.node(items, skip, limit):
            assert len(out) <= limit
            assert is_slice(out)
            assert finished <= done <= len(items)
            assert not extra or done < len(items)
            finished = done
            yield out, done, extra
        assert finished == len(items)

    def finish(self, skip: int, limit: int) -> Iterator[Piece]:
        for out, done, extra in self.node.finish(skip, limit):
            assert 0 < len(out) <= limit
            assert is_slice(out)
            assert not done
            yield out, done, extra


def is_slice(items: list[object]) -> bool:
    """Sealed items only, or atoms only; in a lane of an ordered join marks, too, and stamps for
    all, in one run."""
    if isinstance(items, Entries):
        assert all(len(column) == len(items) for column in items.stamps)
        assert items.has_marks or MARK not in items
        pairs = [pair for column in items.stamps for pair in pairwise(column)]
        assert all((one >> 1) + (one & 1) == other >> 1 for one, other in pairs)
        items = [item for item in items if item is not MARK]
    return all(isinstance(item, Sealed) for item in items) or all(map(is_atom, items))


class Slices:
    """Where slices end: after as many items as `n_items` says, each time anew."""

    def __init__(self, n_items: Callable[[], int]) -> None:
        self.n_items = n_items

    @property
    def n(self) -> int:
        return self.n_items()


async def awaited(given: Awaitable[object]) -> object:
    return await given


class LoopTime:
    """The time of the event loop that runs the task itself."""

    is_ending = False

    def sleep(self, seconds: float, /) -> Awaitable[None]:
        return asyncio.sleep(seconds)

    def limit(self, seconds: float) -> asyncio.Timeout:
        return asyncio.timeout(seconds)


def comes_of(given: Awaitable[object]) -> object:
    return asyncio.run(awaited(given))


class Worker:
    """One node with its ends of the channels, stepped through one run after the other."""

    def __init__(self, world: World, spec: NodeSpec) -> None:
        self.world = world
        self.spec = spec
        self.life = Life()
        self.notes = memoryview(array("Q", [0] * words_of_notes(spec.inputs)))
        self.pages = NotePort([0] * Note.words_for(PAGE_SIZE), self.life)
        self.states = States(self)
        (capacity,) = [world.channels[c].capacity for c in channels_of(spec.inputs)][:1] or [1]
        self.window = NotePort([0] * words_of_window(capacity), self.life)
        self.finished = True
        self.is_dead = False
        self.deaths = 0
        self.be_born()

    def be_born(self) -> None:
        """Everything new but the channels."""
        self.is_dead = False
        self.stage = deepcopy(self.spec.stage)
        if self.stage is not None:
            self.stage.setup()
            self.states.restore()
        self.ends = WorkerEnds(self)
        self.zips = self.ends.zips
        self.inputs: list[Inlet] = self.ends.inputs
        if self.spec.kind is Kind.SOURCE:
            self.inputs = [Port(self.world.source, self.life)]
        self.outlets = self.ends.outlets

    def port(self, channel: int) -> Port:
        return Port(self.world.channels[channel], self.life)

    def node(self) -> Node:
        spec = self.spec
        if spec.kind is Kind.SINK:
            return CollectNode(self.world.outputs.extend)
        if self.stage is None:
            return RelayNode()
        around = Surroundings(place=self.place, awaits=comes_of, timekeeper=LoopTime())
        if spec.concurrency is not None and self.deaths:  # fewer items are in hand then
            around = around._replace(past=self.past)
        return node_for(self.stage, spec.name, self.send_dead_letter, around)

    def past(self, _index: int) -> Past:
        return Past(self.deaths % 2, 0, False)

    def send_dead_letter(self, letter: DeadLetter) -> None:
        self.world.letters.add(delivered(letter))

    def void(self, ordinal: int, behind: Sequence[int]) -> None:
        self.world.letters.void(self.spec.name, ordinal, behind)
        if isinstance(self.spec.route, Select):
            self.world.letters.void(self.spec.route.name, self.tally.items_out)

    def place(self, index: int) -> tuple[int, int]:
        return self.journal.place(index)

    def begin(self) -> None:
        """A drive loop, from where the channels say."""
        node = self.node()
        self.tally: Tally = node.tally
        self.journal = Journal(node.tally, self.pages, resumed=self.void)
        restored = RestoredNode(self.states) if self.spec.is_restorable else None
        job_node = node
        stage = timed(self.stage)
        self.timer = PassingTime(stage) if stage is not None else None
        selecting = None
        if self.spec.fork is not None and isinstance(self.spec.route, Select):
            selecting = SelectingNode(
                self.spec.fork, self.spec.route, node.tally, self.send_dead_letter
            )
        node = Watched(
            stamped(self.spec, node, self.ends.outlets, restored, self.timer, selecting), self.timer
        )
        driven = DriveSpec(
            node,
            self.inputs,
            self.outlets,
            self.spec.route,
            self.spec.join_name,
            self.journal if self.spec.kind in (Kind.JOB, Kind.RELAY) else None,
            restored,
            self.timer,
            selecting,
        )
        self.drive: Drive[Blob]
        if isinstance(job_node, ConcurrentNode):
            assert self.spec.concurrency is not None
            self.drive = drive_concurrent(
                self.world.run_number,
                driven,
                job_node,
                LaterHands(self.spec.concurrency),
                SlidingWindow(self.window),
                self.spec.name,
            )
        else:
            self.drive = drive(self.world.run_number, driven, self.world.slices)
        self.request: Request[Blob] | None = None
        self.finished = False

    def is_able(self) -> bool:
        """Can the loop go on from where it stands?"""
        if self.finished or self.is_dead:
            return False
        if self.request is None or isinstance(self.request, ChooseLane | ChooseDone):
            return True
        if self.request.ready():
            return True
        return isinstance(self.request, ChooseInput) and self.holds()

    def holds(self) -> bool:
        """Does its job hold something that may come due?"""
        return self.timer is not None and self.timer.deadline is not None

    def is_idle(self) -> bool:
        """May only time bring it to go on, as long as no item comes?"""
        request = self.request
        return isinstance(request, ChooseInput) and not request.ready()

    def has_to_decide(self) -> bool:
        """Does it stand at a merge that may read an item, may something come due, or be done?"""
        return self.is_able() and self.decides()

    def decides(self) -> bool:
        """The same, of one that is able."""
        request = self.request
        if isinstance(request, ChooseInput):
            return self.holds() or (len(request.inlets) > 1 and bool(request.options()))
        return isinstance(request, ChooseDone) and bool(request.options())

    def step(self, pick: Pick) -> None:
        """Goes on to the next request."""
        try:
            self.request = (
                next(self.drive)
                if self.request is None
                else self.drive.send(self.answer(self.request, pick))
            )
        except StopIteration:
            self.finished = True
        except Killed:
            self.is_dead = True
            self.deaths += 1
        except ItemFailed as failed:
            self.finished = True
            self.world.failures.append((self.spec.name, failed))
        self.world.check()

    def answer(self, request: Request[Blob], pick: Pick) -> int:
        if isinstance(request, ChooseLane):
            return one_of(range(len(request.lanes)), pick)
        if isinstance(request, ChooseDone):
            if request.in_hand.may_take():
                return TAKE
            options = request.options()
            return one_of(options, pick) if options else 0
        if isinstance(request, ChooseInput):
            options = request.options() or ([ALL_ENDED] if request.ready() else [])
            return one_of([*options, COME_DUE] if self.holds() else options, pick)
        return 0


class World:
    """A pipeline in memory.

    `slices` says how many items the next slice may have; `kill` is the name of the worker to be
    killed and the number of stores that it may make before; `again`, how many more before it is
    killed a second time.
    """

    def __init__(
        self,
        topology: Topology,
        *,
        slices: Callable[[], int] = lambda: 1,
        kill: tuple[str, int] | None = None,
        again: int | None = None,
    ) -> None:
        self.topology = topology
        self.slices = Slices(slices)
        self.run_number = 0
        self.source = MemoryChannel(UNBOUNDED)
        self.channels = [MemoryChannel(channel.capacity) for channel in topology.channels]
        self.outputs: list[Any] = []
        self.letters = Letters()
        self.failures: list[tuple[str, ItemFailed]] = []
        self.workers = {spec.name: Worker(self, spec) for spec in topology.nodes}
        self.in_order = downstream(topology, list(self.workers.values()))
        if kill is not None:
            self.workers[kill[0]].life.dies_before = kill[1]
            self.workers[kill[0]].life.again = again

    def begin(self, items: Iterable[object]) -> None:
        """Another run."""
        self.run_number += 1
        self.outputs.clear()
        self.letters = Letters()
        blob = [item if is_atom(item) else seal(item) for item in items]
        self.source.publish(len(blob), blob, Tag(self.run_number, 0, 0, 0, 0, 0))
        self.source.close(self.run_number)
        for worker in self.workers.values():
            worker.begin()

    def run(self, items: Iterable[object], pick: Pick) -> list[Any]:
        """A run in which only merges, balances, and when the dead come back are decided; the most
        upstream merge first."""
        self.begin(items)
        while True:
            self.settle(pick)
            merge = self.next_to_decide(pick)
            dead = next((worker for worker in self.in_order if worker.is_dead), None)
            if dead is not None and (merge is None or pick(2)):
                dead.be_born()
                dead.begin()
            elif merge is not None:
                merge.step(pick)
            else:
                return self.results()

    def next_to_decide(self, pick: Pick) -> Worker | None:
        """The most upstream that has to; of one to which no item has come it is decided whether
        time does not pass before another goes on."""
        able = [worker for worker in self.in_order if worker.has_to_decide()]
        for worker in able[:-1]:
            if not worker.is_idle() or pick(2):
                return worker
        return able[-1] if able else None

    def settle(self, pick: Pick) -> None:
        """Everybody goes on as far as they can without reading from a merge."""
        while free := [worker for worker in self.able() if not worker.decides()]:
            for worker in free:
                while worker.is_able() and not worker.decides():
                    worker.step(pick)

    def shuffle(self, items: Iterable[object], random: Random) -> list[Any]:
        """A run in which everything goes on in any order."""
        self.begin(items)
        while able := self.able():
            random.choice(able).step(random.randrange)
        return self.results()

    def able(self) -> list[Worker]:
        """The workers that can go on.

        All are looked at twice: to look at an ordered join or a zip takes its marks or leftovers
        away, and that makes room.
        """
        for worker in self.in_order:
            worker.is_able()
        return [worker for worker in self.in_order if worker.is_able()]

    def results(self) -> list[Any]:
        stuck = [
            f"{w.spec.name}: {type(w.request).__name__}" for w in self.in_order if not w.finished
        ]
        if stuck and not self.failures:
            raise Deadlocked(stuck)
        return self.outputs

    def check(self) -> None:
        for channel in self.channels:
            assert 0 <= channel.queued() <= channel.capacity

    def left_over(self) -> dict[str, int]:
        return {
            name: zipped.left_over
            for worker in self.in_order
            for name, zipped in worker.zips.items()
        }

    def jobs(self) -> list[Worker]:
        return [worker for worker in self.in_order if worker.spec.kind in (Kind.JOB, Kind.RELAY)]


def downstream(topology: Topology, workers: list[Worker]) -> list[Worker]:
    """The workers so that each comes after those that it reads from."""

    def distance(spec: NodeSpec) -> int:
        producers = [topology.channels[c].producer for c in channels_of(spec.inputs)]
        return max((1 + distance(topology.nodes[p]) for p in producers), default=0)

    return sorted(workers, key=lambda worker: distance(worker.spec))


def one_of(options: Sequence[int], pick: Pick) -> int:
    """A choice with one option is no choice."""
    return options[pick(len(options))] if len(options) > 1 else options[0]


def first(n: int) -> int:
    """The simplest schedule."""
    return 0


class Schedule:
    """A list of decisions that is followed, and made longer by 0 where it ends."""

    def __init__(self, taken: Sequence[int]) -> None:
        self.taken = list(taken)
        self.options: list[int] = []

    def __call__(self, n: int) -> int:
        at = len(self.options)
        self.options.append(n)
        if at == len(self.taken):
            self.taken.append(0)
        return self.taken[at]

    def next(self) -> Schedule | None:
        """The schedule that comes after this one, which has been followed to its end; None if this
        was the last."""
        for at in reversed(range(len(self.options))):
            if self.taken[at] + 1 < self.options[at]:
                return Schedule([*self.taken[:at], self.taken[at] + 1])
        return None


def every_schedule(run: Callable[[Pick], T]) -> Iterator[T]:
    """What `run` gives for each way of deciding, each exactly once."""
    schedule: Schedule | None = Schedule(())
    while schedule is not None:
        yield run(schedule)
        schedule = schedule.next()
