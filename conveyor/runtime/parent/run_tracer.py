"""Traces a run while it goes on: what each worker does and when, as a file that Perfetto reads.

Knows: what workers note of their time, the clock, the file.  Must never know: how it is drawn.

Rule 1.  The file is bounded.  Once there are too many events, only those that begin in every second
         window of time are kept, then in every fourth, and so on; in such a window there are all.
Rule 2.  Deaths, lanes and what the watchdog did are always kept.
Rule 3.  Where the file cannot be written when the run is over, the report says so.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter_ns
from typing import Final, NamedTuple

from conveyor.graph.route import balancing_forks
from conveyor.graph.topology import NodeSpec
from conveyor.reporting.trace_events import TraceEvents, Writer
from conveyor.runtime.parent.queues import queued_before
from conveyor.runtime.parent.shared import Shared
from conveyor.runtime.parent.worker_processes import WorkerProcesses
from conveyor.runtime.shm.trace_log import (
    ENTRY_WORDS,
    ITEMS,
    LANE_AT,
    WORTH_TAKING,
    SpanKind,
    SpanOf,
    TraceLog,
    decision,
    span_of,
)
from conveyor.runtime.step.logged import JOIN, TIMER

__all__ = ["RunTracer"]

MOST: Final = 60_000  # spans, about 7 MB in the file
WINDOW_NS: Final = 20_000_000
TAKE_NS: Final = 10_000_000
COUNT_NS: Final = 50_000_000  # how often it is looked what waits
MOST_COUNTS: Final = 2_000
MOST_MOMENTS: Final = 10_000
SINK_TRACK: Final = 1 << 30  # no process has such a number
US: Final = 1e-3

NAMES: Final = {SpanKind.FINISH: "finish", SpanKind.WAIT: "waiting", SpanKind.BLOCK: "blocked"}


class Moment(NamedTuple):
    """Something that happened to a worker, or to the run (track 0)."""

    at: int
    track: int
    text: str


class EndLog:
    """What source or sink has decided and when, as a worker's log has it; the source of a stream
    notes from a thread of its own."""

    def __init__(self) -> None:
        self.words = array("Q")

    def note(self, point: int, lane: int, items: int) -> None:
        self.words.extend((decision(point, lane, items), perf_counter_ns(), 0))

    @property
    def waiting(self) -> int:
        return len(self.words)

    def take(self) -> array[int]:
        found = self.words[:]
        del self.words[: len(found)]  # and more may be added meanwhile
        return found


class RunTracer:
    """One run on its way into a file; made before the run begins."""

    def __init__(self, path: str, shared: Shared, processes: WorkerProcesses) -> None:
        self.path = path
        self.file = Path(path).open("w", encoding="utf-8")  # noqa: SIM115  # closed by `end`
        self.fault: OSError | None = None
        self.topology = shared.topology
        self.shared = shared
        self.processes = processes
        memory, layout = shared.memory, shared.layout
        self.logs = {spec.index: layout.trace_log(memory, spec.index) for spec in self.specs()}
        source, sink = EndLog(), EndLog()
        first, *_, last = self.topology.nodes
        self.noted: dict[int, TraceLog | EndLog] = {**self.logs}
        self.noted |= {first.index: source, last.index: sink}
        self.note_source, self.note_sink = source.note, sink.note
        self.lost_before = 0
        # The tracks that each node has had: of a worker, the number of its process.
        self.tracks: dict[int, list[int]] = {}
        self.machines: dict[int, str] = {}  # the names of those that are elsewhere, by process
        self.spans: dict[int, array[int]] = {}  # by track
        self.count = 0
        self.stride, self.window = 1, WINDOW_NS  # of how many windows one is kept
        self.first = 0  # when the first span began: the window that begins there is always kept
        self.moments: list[Moment] = []
        self.fill: list[tuple[int, dict[int, int]]] = []
        self.next_count, self.count_ns = 0, COUNT_NS
        self.began = self.next_take = 0

    def specs(self) -> list[NodeSpec]:
        return self.processes.plan.specs

    # ---------------------------------------------------------------------------
    # while the run goes on

    def begin(self) -> None:
        """The workers are idle: from here on what they note is of this run."""
        for log in self.logs.values():
            log.reserve()
            log.skip()
        self.lost_before = self.lost()
        first, *_, last = self.topology.nodes
        self.goes_on(first.index, os.getpid())
        self.goes_on(last.index, SINK_TRACK)
        for node, handle in self.processes.handles.items():
            self.is_at_work(node, handle.pid)
        self.began = self.next_count = perf_counter_ns()

    def is_at_work(self, node: int, pid: int) -> None:
        self.goes_on(node, pid)
        if (machine := self.processes.crew.where(node)) is not None:
            self.machines[pid] = f" on {machine}"

    def goes_on(self, node: int, track: int) -> None:
        """What the node notes from now on belongs on this track."""
        if node in self.tracks:
            self.take(node)
        self.tracks.setdefault(node, []).append(track)
        self.spans.setdefault(track, array("Q"))

    def lost(self) -> int:
        return sum(log.lost for log in self.logs.values())

    def look(self) -> None:
        """Takes what has been noted, before there is no room for more; called again and again."""
        now = perf_counter_ns()
        if now >= self.next_take:
            self.next_take = now + TAKE_NS
            for node in self.tracks:
                if self.noted[node].waiting >= WORTH_TAKING:
                    self.take(node)
        if now >= self.next_count:
            self.count_queued()

    def take_all(self) -> None:
        for node in self.tracks:
            self.take(node)

    def take(self, node: int) -> None:
        found = self.kept(self.noted[node].take())
        if found:
            if self.stride == 1:  # nothing has been left out yet
                self.first = min(self.first or found[1], found[1])
            self.spans[self.tracks[node][-1]] += found
            self.count += len(found) // ENTRY_WORDS
            while self.count > MOST:
                self.thin()

    def thin(self) -> None:
        """Keeps every other window; where that is the first alone, half of it."""
        if self.stride * self.window < perf_counter_ns() - self.began:
            self.stride *= 2
        else:
            self.window //= 2
        self.spans = {track: self.kept(words) for track, words in self.spans.items()}
        self.count = sum(len(words) for words in self.spans.values()) // ENTRY_WORDS

    def kept(self, words: array[int]) -> array[int]:
        """What of these begins in a window that is kept."""
        if self.stride == 1:
            return words
        kept = array("Q")
        for at in range(0, len(words), ENTRY_WORDS):
            if self.is_kept(words[at + 1]):
                kept += words[at : at + ENTRY_WORDS]
        return kept

    def is_kept(self, start: int) -> bool:
        return (start - self.first) // self.window % self.stride == 0

    def count_queued(self) -> None:
        """Notes how much waits before each worker, now and then."""
        now = perf_counter_ns()
        self.next_count = now + self.count_ns
        self.fill.append((now, queued_before(self.shared)))
        if len(self.fill) > MOST_COUNTS:
            self.fill = self.fill[::2]
            self.count_ns *= 2

    # ---------------------------------------------------------------------------
    # as a witness

    def happened(self, track: int, text: str) -> None:
        if len(self.moments) < MOST_MOMENTS:
            self.moments.append(Moment(perf_counter_ns(), track, text))

    def started(self, node: int, pid: int, cores: Sequence[int], life: int) -> None:
        self.is_at_work(node, pid)
        self.happened(pid, "takes over" if life > 1 else "starts")

    def died(self, node: int, pid: int, how: str) -> None:
        if node in self.tracks:
            self.take(node)
        self.happened(pid, f"dies: {how}")

    def overdue(self, node: int, pid: int) -> None:
        self.happened(pid, "is killed: its item takes longer than timeout_s allows")

    def opened_lanes(self, fork: str, before: int, lanes: int) -> None:
        what = "opens" if lanes > before else "closes"
        self.happened(0, f"{fork} {what} lanes: {lanes} are open, {before} were before")

    def watchdog(self, forgotten: Sequence[int], yielding: Sequence[int]) -> None:
        for node in forgotten:
            self.happened(self.tracks.get(node, [0])[-1], "was asleep and is woken")
        for node in yielding:
            self.happened(self.tracks.get(node, [0])[-1], "its soft limits are lifted")

    # ---------------------------------------------------------------------------
    # when it ends

    def end(self, how: str, error: BaseException | None) -> None:
        """The run is over; writes the file."""
        if self.file.closed:
            return
        self.take_all()
        self.shared.control.trace(False)
        if error is not None:
            how = f"{how}: {type(error).__name__}"
        self.happened(0, f"the run is over: {how}")
        try:
            with self.file:
                self.file.write(self.to_json(how))
        except OSError as fault:
            self.fault = fault

    @property
    def notes(self) -> tuple[str, ...]:
        """What a report has to say of the trace."""
        if self.fault is None:
            return ()
        return (f"the trace {self.path!r} is not whole: {self.fault.strerror or self.fault}",)

    def to_json(self, how: str) -> str:
        process = os.getpid()
        events = TraceEvents(process, "conveyor pipeline")
        first, *_, last = self.topology.nodes
        events.track(process, "source, in the program")
        self.write_spans(events, first, process)
        for spec in self.specs():
            for pid in self.tracks.get(spec.index, []):
                where = self.machines.get(pid, "")
                events.track(pid, f"{self.topology.title(spec.index)}, worker {pid}{where}")
                self.write_spans(events, spec, pid)
        events.track(SINK_TRACK, "sink, in the program")
        self.write_spans(events, last, SINK_TRACK)
        for at, track, text in self.moments:
            events.instant(track or process, text, self.us(at), of_all=True)
        for at, queued in self.fill:
            for node, items in queued.items():
                name = f"queued before {self.topology.nodes[node].name}"
                events.counter(name, self.us(at), {"items": items})
        facts = {
            "how": how,
            "lost": self.lost() - self.lost_before,
            "one_window_of": self.stride,
            "first_window_at": round(self.us(self.first), 3),
        }
        return events.to_json(facts)

    def us(self, at: int) -> float:
        return max(0.0, (at - self.began) * US)

    def write_spans(self, events: TraceEvents, spec: NodeSpec, track: int) -> None:
        """Writes what was noted on a track; what it is called is made once for each lane."""
        writers: dict[int, Writer] = {}
        words, began = iter(self.spans.get(track, ())), self.began
        for what, start, duration in zip(words, words, words, strict=True):
            key = what >> LANE_AT
            if key not in writers:
                writers[key] = self.writer(events, spec, track, span_of(what))
            writers[key](start - began, duration, what & ITEMS)

    def writer(self, events: TraceEvents, spec: NodeSpec, track: int, span: SpanOf) -> Writer:
        """What writes spans that are all of one kind, point and lane."""
        if span.kind == SpanKind.DECIDE:
            return events.instants(track, decided(spec, span.point, span.lane))
        names = {SpanKind.SLICE: self.topology.title(spec.index)} | NAMES
        return events.slices(track, names[span.kind])


def decided(spec: NodeSpec, point: int, lane: int) -> str:
    """What a join, a timer or a fork of a node has chosen."""
    if point == JOIN:
        return f"{spec.join_name} reads input {lane}"
    if point == TIMER:
        return f"{spec.name}: {'something comes due' if lane else 'takes items'}"
    forks = dict(enumerate(balancing_forks(spec.route), 1))
    return f"{forks[point].name} gives to lane {lane}"
