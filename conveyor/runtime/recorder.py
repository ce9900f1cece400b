"""Writes down a run while it goes on: the parent's side of a recording.

Knows: what workers note, what source and sink decide, the file.  Must never know: how a run is made to follow a recording.

Rule 1.  The file is written as the run goes, frame by frame, and nothing in it is ever changed.
Rule 2.  What a dead worker had noted and not committed is taken back when another says how much stands.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from threading import RLock
from time import monotonic
from typing import Final, NamedTuple

from conveyor import recording
from conveyor.channel import Inlet, Note
from conveyor.codec import PROTOCOL, Seal, Sealed
from conveyor.deaths import Death
from conveyor.ends import notes_of
from conveyor.errors import NotPicklable
from conveyor.fingerprint import Fingerprint
from conveyor.journal import PAGE_SIZE, Journal
from conveyor.recording import End, Fallen, Runs, points_of
from conveyor.report import DeadLetter, Tally
from conveyor.route import Leaf, forks_of, leaves
from conveyor.runtime.board import NodeBoard
from conveyor.runtime.crew import Crew
from conveyor.runtime.decision_log import JOIN, STANDS, DecisionLog, Noted, NotedReads, forks_taken
from conveyor.runtime.ring import RingState
from conveyor.runtime.source import Puller
from conveyor.topology import Input, NodeSpec, OrderedInput, Topology

__all__ = ["RecordedPuller", "Recorder"]

KEPT_INPUT: Final = 64 << 10  # bytes
MOST_KEPT: Final = 16 << 10  # items between two frames
KEPT_PIPELINE: Final = 1 << 20
FRAME_BYTES: Final = 8 << 10
FRAME_S: Final = 0.1


class Before(NamedTuple):
    """How far a node was when the run began: its inputs, and its forks by number."""

    heads: list[int]
    taken: dict[int, int]


class SlicesOnly(Journal):
    """Of a node that never dies, so that nobody asks for its counts."""

    def note(self, ordinal: int, position: int, finished: int) -> None:
        """Nothing."""


class Recorder:
    """One run on its way into a file; made before the run begins."""

    def __init__(self, path: str | PathLike[str], topology: Topology, adaptive_lanes: int) -> None:
        self.file = Path(path).open("wb", buffering=0)  # noqa: SIM115  # closed by `end`
        self.topology = topology
        points = points_of(topology)
        self.number_of = {point.name: number for number, point in enumerate(points)}
        self.number: dict[tuple[int, int], int] = {}  # of a node's point
        self.runs = [Runs(point.lanes) for point in points]
        self.lock = RLock()  # the source of a stream notes from a thread of its own
        self.given, self.told = Fingerprint(), 0
        self.outputs = Fingerprint()
        self.input: list[object] = []  # that is kept and not written yet
        self.kept = 0  # bytes of the input, or -1 if it is too large
        self.last_frame = monotonic()
        self.grown = 0
        self.failed_in = ""
        self.before: dict[int, Before] = {}
        self.dead: dict[int, list[Death | None]] = {}
        self.crew: Crew | None = None
        self.logs: dict[int, DecisionLog] = {}
        self.write(recording.head(points, adaptive_lanes))
        self.keep_pipeline()

    def write(self, data: bytes) -> None:
        self.file.write(data)

    def keep_pipeline(self) -> None:
        try:
            packed = recording.pack_topology(self.topology)
        except NotPicklable:
            return  # the run itself will say so
        if len(packed) <= KEPT_PIPELINE:
            self.write(recording.frame(recording.PIPELINE, packed))

    # ------------------------------------------------------------------------------------------------- while the run goes on

    def begin(self, crew: Crew) -> None:
        """The workers are idle: from here on what they decide is of this run."""
        self.crew = crew
        layout, memory = crew.layout, crew.memory
        self.logs = {node: DecisionLog(layout.log(memory, node)) for node in layout.logs}
        for node, log in self.logs.items():
            log.take(crew.bells[node].ring)
        for spec in crew.topology.nodes:
            for place, name in enumerate([spec.merge_name, *(fork.name for fork in forks_of(spec.route))]):
                self.number[spec.index, place] = self.number_of.get(name, -1)  # without a name: no join
            forks: dict[int, int] = {}
            if spec.route is not None:
                forks |= forks_taken(spec.route, [RingState(crew.rings[channel]).tail for channel in leaves(spec.route)])
            self.before[spec.index] = Before([self.head(each, spec) for each in spec.inputs], forks)

    def head(self, source: Input, spec: NodeSpec) -> int:
        """Where an input stands: a channel, an ordered join; a zip counts from the run's start."""
        assert self.crew is not None
        if isinstance(source, Leaf):
            return self.crew.rings[source.channel].head()
        if isinstance(source, OrderedInput):
            all_notes = self.crew.layout.notes(self.crew.memory, spec.index)
            (words,) = [all_notes[first : first + size] for each, first, size in notes_of(spec.inputs) if each == source]
            return Note(words).newest()[0]
        return 0

    def note(self, node: int, noted: Noted) -> None:
        """What was decided in a node."""
        with self.lock:
            if noted.point & STANDS:
                self.stands(node, noted)
            else:
                self.runs[self.number[node, noted.point]].add(noted.lane, noted.items)
                self.grown += 1

    def note_source(self, point: int, lane: int, count: int) -> None:
        self.note(0, Noted(point, lane, count))

    def note_sink(self, point: int, lane: int, count: int) -> None:
        self.note(len(self.topology.nodes) - 1, Noted(point, lane, count))

    def journal_of_sink(self, tally: Tally, inputs: Sequence[Inlet]) -> Journal:
        """What is told of the slices that the sink takes in hand."""
        return SlicesOnly(tally, Note([0] * Note.words_for(PAGE_SIZE)), NotedReads(inputs, self.note_sink))

    def stands(self, node: int, noted: Noted) -> None:
        """Another worker goes on: so much of what the dead one had decided at a point stands."""
        point, count = noted.point & ~STANDS, noted.items
        if point != JOIN:
            count -= self.before[node].taken[point]
        self.flush()
        self.write(recording.void([(self.number[node, point], count)]))

    def since_start(self, node: int, hand: Death | None) -> Death | None:
        """What a dead worker had in hand, counted from the start of the run."""
        if hand is None:
            return None
        head = self.before[node].heads[hand.input]
        at = None if hand.at is None else hand.at - head
        return hand._replace(first=hand.first - head, end=hand.end - head, at=at)

    def died(self, node: int, hand: Death | None) -> None:
        """A worker died; how far it had come its successor says."""
        self.dead.setdefault(node, []).append(hand)

    def resumed(self, node: int, done: int) -> None:
        """Another worker goes on in its place, behind so many items."""
        with self.lock:
            for hand in self.dead.pop(node, []):
                self.write(recording.fell(Fallen(self.topology.nodes[node].name, done, self.since_start(node, hand))))

    def failed(self, node: int) -> None:
        """The failure of this node ends the run."""
        self.failed_in = self.topology.nodes[node].name

    def drain(self) -> None:
        """Takes what the workers have noted; called again and again."""
        assert self.crew is not None
        for node, log in self.logs.items():
            for noted in log.take(self.crew.bells[node].ring):
                self.note(node, noted)
        if self.grown >= FRAME_BYTES or (self.grown and monotonic() - self.last_frame > FRAME_S):
            self.flush()

    def took(self, items: Sequence[object]) -> None:
        """The next items of the input, as they go in."""
        with self.lock:
            self.given.add(items)
            self.grown += 1
            if self.kept >= 0:
                self.input += items
                if len(self.input) > MOST_KEPT:
                    self.flush()

    def kept_input(self) -> bytes:
        """A frame with the items that came in, or one that says that they are too many."""
        if not self.input:
            return b""
        items, self.input = self.input, []
        part = b""
        if len(items) <= MOST_KEPT:
            part = pickle.dumps([item.open() if isinstance(item, Sealed) else item for item in items], PROTOCOL)
            self.kept += len(part)
        if not part or self.kept > KEPT_INPUT:
            self.kept, part = -1, b""
        return recording.frame(recording.INPUT, part)

    def gave(self, results: Sequence[object]) -> None:
        """The next results, as they are handed out."""
        self.outputs.add(results)

    def flush(self) -> None:
        """Writes what has come in."""
        with self.lock:
            prints = bytes(self.given.prints[self.told :])
            self.told += len(prints)
            self.write(self.kept_input() + recording.progressed(self.given, prints) + recording.decided(self.runs))
            self.grown, self.last_frame = 0, monotonic()

    # -------------------------------------------------------------------------------------------------------- when it ends

    def end(self, how: str, error: BaseException | None, letters: Sequence[DeadLetter]) -> None:
        """The run is over: done, failed or stopped."""
        if self.file.closed:
            return
        try:
            lanes: dict[str, int] = {}
            if self.crew is not None and self.before:
                self.drain()
                for node in list(self.dead):
                    board: NodeBoard = self.crew.boards[node]
                    fatal = self.topology.nodes[node].name == self.failed_in
                    if fatal or board.done != self.crew.run:  # nobody took its place
                        self.resumed(node, board.tally(self.crew.run).items_in)
                lanes = {fork: self.crew.board.open_lanes(fork) for fork in self.crew.forks}
            self.flush()
            failure = ("", "") if error is None else (f"{type(error).__module__}.{type(error).__qualname__}", str(error))
            told = tuple((each.stage, each.ordinal, each.attempts, type(each.exception).__qualname__) for each in letters)
            outputs = self.outputs
            self.write(End(how, self.failed_in, failure, outputs.count, outputs.sum, told, lanes).packed())
        finally:
            self.file.close()


class RecordedPuller(Puller):
    """Tells a recorder of what it pulls."""

    def __init__(self, items: Iterable[object], seal: Seal, recorder: Recorder) -> None:
        super().__init__(items, seal)
        self.recorder = recorder

    def pull(self, n: int) -> list[object]:
        items = super().pull(n)
        self.recorder.took(items)
        return items
