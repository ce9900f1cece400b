"""Writes down a run while it goes on: the parent's side of a recording.

Knows: what workers note, what source and sink decide, the file.  Must never know: how a run is made
to follow a recording.

Rule 1.  The file is written as the run goes, frame by frame, and nothing in it is ever changed.
Rule 2.  What a dead worker had noted and not committed is taken back when another says how much
         stands.
Rule 3.  What source and sink decide is kept as words, and looked at when a frame is written.
Rule 4.  Where the file takes no more, as on a full disk, it ends, and the run goes on; what is
         there is valid.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from threading import RLock
from time import monotonic
from typing import Final, NamedTuple

from conveyor.core.channel import Inlet, Note
from conveyor.core.crashes import WorkerDeath
from conveyor.core.journal import PAGE_SIZE, Journal
from conveyor.graph.route import balancing_forks, leaves
from conveyor.graph.topology import Topology
from conveyor.items.fingerprint import Fingerprint
from conveyor.items.main_module import Definitions
from conveyor.items.sealing import PROTOCOL, Seal, Sealed
from conveyor.items.short_repr import message_of
from conveyor.recording import format as recording
from conveyor.recording.crash_points import Crash, CrashPoint, Timeout
from conveyor.recording.decision_points import TIMER, points_of
from conveyor.recording.format import End, RunLengths
from conveyor.recording.frames import frame
from conveyor.recording.kept_pipeline import pack_pipeline
from conveyor.report import DeadLetter, Tally
from conveyor.runtime.parent.gauged_digest import GaugedDigest
from conveyor.runtime.parent.late_items import LateItems
from conveyor.runtime.parent.post_mortem import Account, Remains
from conveyor.runtime.parent.shared import Shared
from conveyor.runtime.shm.decision_log import COUNT, DecisionLog, choice_of, decision_word, point_of
from conveyor.runtime.shm.ring import RingState
from conveyor.runtime.step import logged
from conveyor.runtime.step.logged import JOIN, STANDS, Log, LoggedReads, forks_taken
from conveyor.runtime.step.source import Puller

__all__ = ["RecordedPuller", "Recorder", "journal_of_sink"]

KEPT_INPUT: Final = 64 << 10  # bytes
MOST_KEPT: Final = 16 << 10  # items between two frames
KEPT_PIPELINE: Final = 1 << 20
FRAME_BYTES: Final = 8 << 10
FRAME_S: Final = 0.1


class Before(NamedTuple):
    """How far a node was when the run began, and its forks by number."""

    account: Account
    taken: dict[int, int]


class SlicesOnly(Journal):
    """The journal of a node that never dies, so that its counts are not asked for."""

    def note(self, ordinal: int, position: int, finished: int) -> None:
        """Nothing."""


def journal_of_sink(tally: Tally, inputs: Sequence[Inlet], log: Log) -> Journal:
    """What is told of the slices that the sink takes in hand, and logs from which input."""
    reads = LoggedReads(len(inputs), log)
    return SlicesOnly(tally, Note([0] * Note.words_for(PAGE_SIZE)), reads=reads)


class Recorder:
    """One run on its way into a file; made before the run begins."""

    def __init__(self, path: str, topology: Topology) -> None:
        self.path = path
        self.file = Path(path).open("wb", buffering=0)  # noqa: SIM115  # closed by `end`
        self.fault: OSError | None = None  # of the file, which took no more
        self.topology = topology
        points = points_of(topology)
        self.number_of = {point.name: number for number, point in enumerate(points)}
        self.numbers: dict[int, dict[int, int]] = {}  # of a node's points
        self.runs = [RunLengths(point.lanes) for point in points]
        self.lock = RLock()  # the source of a stream notes from a thread of its own
        self.given = GaugedDigest()
        self.outputs = Fingerprint()
        self.input: list[object] = []  # that is kept and not written yet
        self.kept = 0  # bytes of the input, or -1 if it is too large
        self.opened = 0  # bytes of what is not written yet, where that is known
        self.last_frame = monotonic()
        self.grown = 0
        # Of source and sink, as words of a log: these, too, note from several threads.
        self.of_source: list[int] = []
        self.of_sink: list[int] = []
        self.failed_in = ""
        self.before: dict[int, Before] = {}
        self.remains: dict[int, Remains] = {}
        self.shared: Shared | None = None
        self.logs: dict[int, DecisionLog] = {}
        self.late = LateItems(topology)
        self.saved: dict[int, list[int]] = {}  # what is not written yet
        self.write(recording.head(points, topology.adaptive_lanes, topology.lanes_of))

    def write(self, data: bytes) -> None:
        if self.fault is not None:
            return
        try:
            left = memoryview(data)
            while left:
                left = left[self.file.write(left) :]
        except OSError as fault:
            self.fault = fault

    @property
    def notes(self) -> tuple[str, ...]:
        """What a report has to say of the recording."""
        if self.fault is None:
            return ()
        return (
            f"the recording {self.path!r} ends before the run: {self.fault.strerror or self.fault}",
        )

    def keep_pipeline(
        self, stages: Mapping[int, bytes], forks: Mapping[int, bytes], main: Definitions | None
    ) -> None:
        packed = pack_pipeline(self.topology, stages, forks, main)
        if len(packed) <= KEPT_PIPELINE:
            self.write(frame(recording.PIPELINE, packed))

    # ---------------------------------------------------------------------------
    # while the run goes on

    def begin(
        self,
        shared: Shared,
        stages: Mapping[int, bytes],
        forks: Mapping[int, bytes],
        main: Definitions | None,
    ) -> None:
        """The workers are idle: from here on what they decide is of this run."""
        self.shared = shared
        self.keep_pipeline(stages, forks, main)
        layout, memory = shared.layout, shared.memory
        self.logs = {node: DecisionLog(layout.log(memory, node)) for node in layout.logs}
        for node, log in self.logs.items():
            log.take(shared.wakeups[node].notify)
        for spec in shared.topology.nodes:
            first = spec.done_name if spec.chooses_done else spec.join_name
            names = [first, *(fork.name for fork in balancing_forks(spec.route))]
            named = dict(enumerate(names)) | {logged.TIMER: spec.name + TIMER}
            # Where there is no join, or no timer, there is no point of that name.
            self.numbers[spec.index] = {
                point: self.number_of[name]
                for point, name in named.items()
                if name in self.number_of
            }
            taken_before: dict[int, int] = {}
            if spec.route is not None:
                taken_before |= forks_taken(
                    spec.route,
                    [RingState(shared.rings[channel]).tail for channel in leaves(spec.route)],
                )
            state = Note(layout.state(memory, spec.index)) if spec.is_restorable else None
            window = None if spec.concurrency is None else Note(layout.window(memory, spec.index))
            self.remains[spec.index] = Remains(
                spec, shared.rings, layout.notes(memory, spec.index), state, window
            )
            self.before[spec.index] = Before(self.remains[spec.index].account(0), taken_before)

    def note(self, node: int, words: Sequence[int]) -> None:
        """What was decided in a node, as words of its log."""
        runs, numbers, stepped = self.runs, self.numbers[node], self.late.stepped
        with self.lock:
            for word in words:
                point = point_of(word)
                if point in numbers:
                    runs[numbers[point]].add(choice_of(word), word & COUNT)
                    if point == JOIN:
                        stepped(node, word & COUNT)
                elif point & STANDS:
                    self.stands(node, point & ~STANDS, word & COUNT)
                elif point == logged.RAN_OUT:
                    self.write(self.late.ran_out(node, word & COUNT))
                else:
                    assert point == logged.SAVED
                    self.saved.setdefault(node, []).append(word & COUNT)
            self.grown += len(words)

    def note_source(self, point: int, lane: int, count: int) -> None:
        self.of_source.append(decision_word(point, lane, count))

    def note_sink(self, point: int, lane: int, count: int) -> None:
        self.of_sink.append(decision_word(point, lane, count))

    def note_ends(self) -> None:
        """What source and sink have decided since this was called last."""
        for node, noted in ((0, self.of_source), (len(self.topology.nodes) - 1, self.of_sink)):
            if words := noted[:]:
                del noted[: len(words)]  # and more may be added meanwhile
                self.note(node, words)

    def stands(self, node: int, point: int, count: int) -> None:
        """Another worker goes on: so much of what the dead one had decided at a point stands."""
        if point == JOIN:
            self.late.stands(node, count)
        elif point != logged.TIMER:
            count -= self.before[node].taken[point]
        self.flush()
        self.write(recording.void([(self.numbers[node][point], count)]))

    def died(self, node: int, hands: Sequence[WorkerDeath | None]) -> None:
        """A worker died, and no other has taken its place yet.  `hands`: what each of its jobs had
        in hand."""
        assert self.shared is not None
        name, begun = self.topology.nodes[node].name, self.before[node].account
        run, remains = self.shared.control.run, self.remains[node]
        place = remains.place(run, begun)
        hand, *others = hands
        with self.lock:
            self.write(self.late.died(node, run, remains, begun))
            if (finished := remains.finished(run)) is not None:
                # Another worker begins with fewer in hand: what the dead one noted is not for it
                self.stands(node, JOIN, finished)
            if hand is not None:
                head = begun.heads[hand.input]
                at = None if hand.at is None else hand.at - head
                hand = hand._replace(first=hand.first - head, end=hand.end - head, at=at)
                # Of others in hand something may have come, or comes again: that shows
                is_death = place.is_inside or self.topology.nodes[node].concurrency is not None
                if at is not None and hand.timed_out and not is_death:
                    hand = self.ran_out(node, hand, at)
                    if hand is None:
                        return
            self.write(recording.crashed(Crash(name, place, hand)))
            # If nothing came of it, it is lost, too, how far the jobs behind the first had come.
            if place.step == "taken":
                self.lost_behind(node, others)

    def ran_out(self, node: int, hand: WorkerDeath, at: int) -> WorkerDeath | None:
        """The time of the item at this position ran out.

        In the results that shows as a decision, and not as a death.  Gives what the death does to
        the items before that one; None if there are none, or the run ends with it.
        """
        assert self.shared is not None
        remains, head = self.remains[node], self.before[node].account.heads[hand.input]
        self.write(recording.ran_out(Timeout(self.topology.nodes[node].name, hand.input, at)))
        committed = remains.head(remains.spec.inputs[hand.input], self.shared.control.run) - head
        first = max(hand.first, committed)
        if first == at or remains.spec.dies_with_worker:
            return None
        return hand._replace(first=first, end=at, at=None, running=False, timed_out=False)

    def lost_behind(self, node: int, hands: Sequence[WorkerDeath | None]) -> None:
        """What the jobs behind the first in this worker had in hand is as good as not begun."""
        for part, held in zip(self.remains[node].spec.parts[1:], hands, strict=True):
            if held is not None:
                place = CrashPoint(held.first, "taken", 0)
                crash = Crash(self.topology.nodes[part].name, place, held)
                self.write(recording.crashed(crash))

    def failed(self, node: int) -> None:
        """The failure of this node ends the run."""
        self.failed_in = self.topology.nodes[node].name

    def drain(self) -> None:
        """Takes what the workers have noted; called again and again."""
        assert self.shared is not None
        for node, log in self.logs.items():
            if found := log.take(self.shared.wakeups[node].notify):
                self.note(node, found)
        grown = self.grown + len(self.of_source) + len(self.of_sink)
        if grown >= FRAME_BYTES or (grown and monotonic() - self.last_frame > FRAME_S):
            self.flush()

    def took(self, items: Sequence[object]) -> None:
        """The next items of the input, as they go in."""
        with self.lock:
            self.given.take(items)
            self.grown += 1
            if self.kept >= 0:
                self.keep(items)

    def keep(self, items: Sequence[object]) -> None:
        """Sealed items are opened at once: what lies outside of their pickles is soon used for
        others."""
        # In a slice all are sealed, or none.
        is_sealed = items and isinstance(items[0], Sealed)
        sealed = [item for item in items if isinstance(item, Sealed)] if is_sealed else []
        self.opened += sum(item.size for item in sealed)
        if self.kept + self.opened > KEPT_INPUT:
            self.kept, self.input = -1, []
            self.write(frame(recording.INPUT, b""))
            return
        self.input += [item.open() for item in sealed] if sealed else items
        if len(self.input) > MOST_KEPT:
            self.flush()

    def kept_input(self) -> bytes:
        """A frame with the items that came in, or one that says that they are too many."""
        if not self.input:
            return b""
        items, self.input, self.opened = self.input, [], 0
        part = b""
        if len(items) <= MOST_KEPT:
            part = pickle.dumps(items, PROTOCOL)
            self.kept += len(part)
        if not part or self.kept > KEPT_INPUT:
            self.kept, part = -1, b""
        return frame(recording.INPUT, part)

    def gave(self, results: Sequence[object]) -> None:
        """The next results, as they are handed out."""
        self.outputs.add(results)

    def flush(self) -> None:
        """Writes what has come in."""
        with self.lock:
            self.note_ends()
            self.write(
                self.kept_input()
                + recording.progressed(*self.given.news())
                + recording.decided(self.runs)
                + b"".join(
                    recording.saved(self.topology.nodes[node].name, behind)
                    for node, behind in self.saved.items()
                )
            )
            self.saved.clear()
            self.grown, self.last_frame = 0, monotonic()

    # ---------------------------------------------------------------------------
    # when it ends

    def end(self, how: str, error: BaseException | None, letters: Sequence[DeadLetter]) -> None:
        """The run is over: done, failed or stopped."""
        if self.file.closed:
            return
        try:
            lanes: dict[str, int] = {}
            if self.shared is not None and self.before:
                self.drain()
                lanes = {
                    fork: self.shared.control.open_lanes(fork) for fork in self.shared.control.forks
                }
            self.flush()
            failure = (
                ("", "")
                if error is None
                else (f"{type(error).__module__}.{type(error).__qualname__}", message_of(error))
            )
            told = tuple(
                (each.stage, each.ordinal, each.attempts, type(each.exception).__qualname__)
                for each in letters
            )
            outputs = self.outputs
            self.write(
                End(how, self.failed_in, failure, outputs.count, outputs.sum, told, lanes).packed()
            )
        finally:
            self.close()

    def close(self) -> None:
        try:
            self.file.close()
        except OSError as fault:  # some file systems tell only now that there was no room
            self.fault = self.fault or fault


class RecordedPuller(Puller):
    """Tells a recorder of what it pulls."""

    def __init__(self, items: Iterable[object], seal: Seal, recorder: Recorder) -> None:
        super().__init__(items, seal)
        self.recorder = recorder

    def tell(self, items: list[object]) -> None:
        self.recorder.took(items)
