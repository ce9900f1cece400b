"""What can come out of a pipeline, found by taking every single step in every order: the reference
for the simulator's search.

The state of a pipeline is its channels, since production's recovery goes on from any state of
them.  So one step of a worker is a new drive loop that dies behind its first store (publish,
commit, close, note).  What the loop was told since its last store, which lane to read or which to
choose, belongs to the state, too; each answer is a step of its own.  No order of steps is left out,
and nothing is thought to be harmless; states that are alike are looked at once.

Only for stages without a state of their own.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeAlias

from conveyor.core.channel import Note, Tag
from conveyor.core.concurrent_drive import LaterHands, drive_concurrent
from conveyor.core.concurrent_node import ConcurrentNode
from conveyor.core.drive import Drive, DriveSpec, drive
from conveyor.core.endpoints import Ends, words_of_notes
from conveyor.core.job_node import ItemFailed, Node
from conveyor.core.nodes import CollectNode, RelayNode, node_for
from conveyor.core.ordered import stamped
from conveyor.core.requests import ALL_ENDED, ChooseDone, ChooseInput, ChooseLane, Request
from conveyor.core.selecting import SelectingNode
from conveyor.core.window import SlidingWindow, words_of_window
from conveyor.graph.route import Select, leaves
from conveyor.graph.topology import Kind, NodeSpec, Topology, channels_of
from conveyor.items.atoms import is_atom
from conveyor.items.sealing import seal
from conveyor.sim.world.channel import MemoryChannel
from conveyor.sim.world.slices import OneOutput

__all__ = ["Ending", "every_ending"]

Ending: TypeAlias = tuple[
    Any, ...
]  # the outputs, and at the end "ends" or "stuck"; or "fails" and what the job raised

RUN = 1
SPAN = 8  # items that go through a stage with several in hand, at most


class PipeState(NamedTuple):
    """A channel; items that nobody can read any more are None, and their stamps 0."""

    items: tuple[object, ...] = ()
    stamps: tuple[tuple[int, ...], ...] = ()
    head: int = 0
    closed: int = 0
    tag: Tag | None = None
    last: int = 0


class WorkerState(NamedTuple):
    """What a worker has beside its channels: its notes, and what it was told since its last
    store."""

    notes: tuple[int, ...] = ()
    told: tuple[int, ...] = ()
    finished: bool = False


Part: TypeAlias = PipeState | WorkerState


class Step(NamedTuple):
    """What one step of a worker leads to: its own channels and then its own state, and what it gave
    out."""

    parts: tuple[Part, ...]
    outputs: tuple[object, ...] = ()
    failed: str = ""


class Stored(BaseException):
    """One store is made: the worker dies."""


class Port:
    """A worker's end of a channel; the worker dies behind each store that changes anything."""

    def __init__(self, channel: MemoryChannel) -> None:
        self.channel = channel

    def __getattr__(self, name: str) -> Any:
        return getattr(self.channel, name)

    @property
    def tail(self) -> int:
        return self.channel.tail

    def commit(self, upto: int) -> None:
        if upto != self.channel.head:
            self.channel.commit(upto)
            raise Stored

    def publish(self, n: int, blob: list[object], tag: Tag) -> None:
        self.channel.publish(n, blob, tag)
        raise Stored

    def close(self, run: int) -> None:
        if self.channel.closed != run:
            self.channel.close(run)
            raise Stored


class NotePort(Note):
    __slots__ = ()

    def store(self, values: Sequence[int]) -> None:
        super().store(values)
        raise Stored


class NotedEnds(Ends[Any, Any]):
    def note(self, words: memoryview[int]) -> Note:
        return NotePort(words)


class OneItem:
    n = 1


class Worker:
    """One node; `steps` says what it can do next, from any state of its channels."""

    def __init__(self, spec: NodeSpec, topology: Topology) -> None:
        self.spec = spec
        self.around = [
            *channels_of(spec.inputs),
            *(leaves(spec.route) if spec.route is not None else ()),
        ]
        if spec.kind is Kind.SOURCE:
            self.around = [len(topology.channels), *self.around]
        # Of several items in hand, what is finished: no step of its own, as it is true only with
        # the record behind it
        self.window = words_of_window(SPAN) if spec.concurrency is not None else 0
        self.first = WorkerState(notes=(0,) * (words_of_notes(spec.inputs) + self.window))
        self.channels = {
            index: MemoryChannel(
                topology.channels[index].capacity if index < len(topology.channels) else 1 << 40
            )
            for index in self.around
        }

    def steps(self, pipes: Sequence[PipeState], worker: WorkerState) -> list[Step]:
        """Every step that can be taken; none if the worker has finished, or must wait."""
        if worker.finished:
            return []
        outputs: list[object] = []
        notes = memoryview(array("Q", worker.notes))
        loop = self.loop(pipes, notes, outputs)
        try:
            options = asked(loop, list(worker.told))
        except StopIteration:
            return [Step((*pipes, worker._replace(finished=True)))]
        except Stored:
            changed = [state_of(self.channels[index]) for index in self.around]
            return [Step((*changed, WorkerState(notes=tuple(notes))), tuple(outputs))]
        except ItemFailed as failed:
            return [Step((*pipes, worker), failed=f"{type(failed.error).__name__}: {failed.error}")]
        return [Step((*pipes, worker._replace(told=(*worker.told, option)))) for option in options]

    def loop(
        self, pipes: Sequence[PipeState], notes: memoryview[int], outputs: list[object]
    ) -> Drive[list[object]]:
        """A new worker, and its channels as they are."""
        for index, state in zip(self.around, pipes, strict=True):
            channel = self.channels[index]
            channel.clear()
            channel.items += state.items
            channel.stamps = tuple(map(list, state.stamps))
            _, _, channel.head, channel.closed, channel.tag, channel.last = state
        spec = self.spec
        words, window = notes[self.window :], notes[: self.window]
        ends = NotedEnds(spec, words, self.port, self.port)
        inputs: list[Any] = [self.port(self.around[0])] if spec.kind is Kind.SOURCE else ends.inputs
        bare = self.node(outputs)
        selecting = None
        if spec.fork is not None and isinstance(spec.route, Select):
            selecting = SelectingNode(spec.fork, spec.route, bare.tally, lambda letter: None)
        node = OneOutput(stamped(spec, bare, ends.outlets, selecting=selecting))
        driven = DriveSpec(
            node, inputs, ends.outlets, spec.route, spec.join_name, selected=selecting
        )
        if isinstance(bare, ConcurrentNode):
            hands = LaterHands(spec.concurrency or 1)
            return drive_concurrent(
                RUN, driven, bare, hands, SlidingWindow(Note(window)), spec.done_name
            )
        return drive(RUN, driven, OneItem())

    def port(self, channel: int) -> Port:
        return Port(self.channels[channel])

    def node(self, outputs: list[object]) -> Node:
        if self.spec.kind is Kind.SINK:
            return CollectNode(outputs.extend)
        if self.spec.stage is None:
            return RelayNode()
        assert not self.spec.stage.is_stateful
        return node_for(self.spec.stage, self.spec.name, lambda letter: None)


def asked(loop: Drive[list[object]], told: list[int]) -> Sequence[int]:
    """Goes on with what the worker was told, to where it must be told more: the options that it
    has; none if it must wait."""
    request: Request[list[object]] = next(loop)
    while True:
        answer = 0
        if isinstance(request, ChooseDone) and not request.options():
            answer = request.plain
        elif isinstance(request, ChooseLane | ChooseInput | ChooseDone) and told:
            answer = told.pop(0)
        elif isinstance(request, ChooseLane):
            return range(len(request.lanes))
        elif isinstance(request, ChooseDone):
            return request.options()
        elif isinstance(request, ChooseInput) and (options := request.options()):
            return options
        elif not request.ready():
            return ()
        elif isinstance(request, ChooseInput):
            answer = ALL_ENDED
        request = loop.send(answer)


def state_of(channel: MemoryChannel) -> PipeState:
    readable = min(channel.head, len(channel.items) - channel.last)
    items = (None,) * readable + tuple(channel.items[readable:])
    stamps = tuple((0,) * readable + tuple(each[readable:]) for each in channel.stamps)
    return PipeState(items, stamps, channel.head, channel.closed, channel.tag, channel.last)


class Search:
    """A state is a tuple of numbers, one for each channel and each worker: small, and quickly
    compared."""

    def __init__(self, topology: Topology, items: Sequence[object]) -> None:
        self.workers = [Worker(spec, topology) for spec in topology.nodes]
        self.number: dict[Part, int] = {}
        self.parts: list[Part] = []
        blob = tuple(item if is_atom(item) else seal(item) for item in items)
        source = PipeState(blob, (), 0, RUN, Tag(RUN, 0, 0, 0, 0, 0), len(blob))
        pipes = [*(PipeState() for _ in topology.channels), source]
        self.start = self.numbers([*pipes, *(worker.first for worker in self.workers)])
        self.places = [(*worker.around, at) for at, worker in enumerate(self.workers, len(pipes))]
        self.steps = cache(self.steps_of)
        self.endings = cache(self.endings_from)

    def numbers(self, parts: Iterable[Part]) -> tuple[int, ...]:
        found: list[int] = []
        for part in parts:
            number = self.number.setdefault(part, len(self.parts))
            if number == len(self.parts):
                self.parts.append(part)
            found.append(number)
        return tuple(found)

    def steps_of(self, worker: int, numbers: tuple[int, ...]) -> list[tuple[tuple[int, ...], Step]]:
        parts = [self.parts[number] for number in numbers]
        pipes = [part for part in parts if isinstance(part, PipeState)]
        memory = parts[-1]
        assert isinstance(memory, WorkerState)
        return [
            (self.numbers(step.parts), step) for step in self.workers[worker].steps(pipes, memory)
        ]

    def endings_from(self, state: tuple[int, ...]) -> frozenset[Ending]:
        """What can still come out, from here."""
        found: set[Ending] = set()
        stuck = True
        for worker, places in enumerate(self.places):
            for after, step in self.steps(worker, tuple([state[place] for place in places])):
                stuck = False
                if step.failed:
                    found.add(("fails", step.failed))
                    continue
                then = list(state)
                for place, number in zip(places, after, strict=True):
                    then[place] = number
                rest = self.endings(tuple(then))
                found |= {(*step.outputs, *ending) for ending in rest} if step.outputs else rest
        if stuck:
            workers = [self.parts[number] for number in state[-len(self.workers) :]]
            found.add(
                (
                    "ends"
                    if all(isinstance(part, WorkerState) and part.finished for part in workers)
                    else "stuck",
                )
            )
        return frozenset(found)


def every_ending(topology: Topology, items: Sequence[object]) -> set[Ending]:
    """All that can come of it."""
    search = Search(topology, items)
    return {
        ("fails", ending[-1]) if "fails" in ending else ending
        for ending in search.endings(search.start)
    }
