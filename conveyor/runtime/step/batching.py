"""How many items at a time: what production measures and decides, so that users choose no size.

This file knows the clock and the cost of an item.  It must never know what an item is, or how to
wait.

A worker takes a slice of about a millisecond of its own work, and at most a quarter of the smallest
capacity that it feeds.  Where nobody sees a result before the run ends, slices of coarse work grow
with what is queued (guided self-scheduling): a quarter of it, up to 64 items or eight milliseconds
of work.  So what waits in hundreds travels in dozens, and what comes last still travels one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from time import perf_counter_ns
from typing import Final

from conveyor.core.job_node import JobNode, Node, Piece
from conveyor.runtime.step.contract import PacedInlet, WorkFigures
from conveyor.runtime.step.sampling import Sampler

__all__ = [
    "GUIDED_ITEMS",
    "GUIDED_NS",
    "GUIDED_SHARE",
    "LARGEST_SLICE",
    "SLICE_NS",
    "Meter",
    "MeasuredNode",
    "RecordSize",
    "ShortLinger",
    "SliceSize",
    "WakeupCoalescing",
]

SLICE_NS: Final = 1_000_000
LARGEST_SLICE: Final = 4096
OFTEN_NS: Final = 20_000_000

# Of a run: the most work in a slice, of how many such slices what is queued must be enough for, and
# up to how many items a slice grows so.  In larger ones what a slice costs does not show any more,
# and what a job makes is read from memory again rather than from a cache.
GUIDED_NS: Final = 8_000_000
GUIDED_SHARE: Final = 4
GUIDED_ITEMS: Final = 64

# A slice takes at least so many times as long as saving the state behind it.
SAVING_SHARE: Final = 10


class Meter:
    """A node with a clock around it: measures what an item costs, and notes when the job is at
    work."""

    def __init__(
        self,
        node: Node,
        figures: WorkFigures,
        inlets: Sequence[PacedInlet],
        parts: Sequence[MeasuredNode] = (),
        sampler: Sampler | None = None,
    ) -> None:
        self.node = node
        self.tally = node.tally
        self.figures = figures
        self.inlets = inlets
        self.parts = parts  # of the node, behind its first: their time is theirs
        self.per_item = 0.0  # nanoseconds, smoothed
        busy, self.waiting, self.blocked, self.batches = figures.times()
        self.busy = busy + sum(part.busy for part in parts)
        self.last_blocked = self.blocked
        self.last_items = 0
        self.sampler = sampler
        # What the worker does is one of three: its jobs, to wait, to move items.
        self.since = 0
        self.elsewhere = self.busy + self.waiting + self.blocked

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        if self.blocked != self.last_blocked and self.last_items:
            self.learn((self.blocked - self.last_blocked) / self.last_items + self.per_item)
        self.last_blocked = self.blocked
        self.last_items = len(items)
        self.figures.set_running(1)
        started = perf_counter_ns()
        self.since = self.since or started
        if self.sampler is not None and self.sampler.due(self.batches):
            pieces = self.sampled(self.sampler, items, skip, limit)
        else:
            pieces = self.node(items, skip, limit)
        if isinstance(pieces, tuple):
            spent = perf_counter_ns() - started
            self.figures.set_running(0)
            self.busy += spent
            for part in self.parts:
                part.share(spent // (len(self.parts) + 1))
            self.learn(spent / len(items))
            self.record()
            return pieces
        return self.timed(pieces, len(items), started)

    def sampled(
        self, sampler: Sampler, items: list[object], skip: int, limit: int
    ) -> Iterable[Piece]:
        sampler.begin()
        try:
            return self.node(items, skip, limit)
        finally:
            sampler.end()

    def finish(self, skip: int, limit: int) -> Iterable[Piece]:
        return self.timed(self.node.finish(skip, limit), 0, perf_counter_ns())

    def timed(self, pieces: Iterable[Piece], items: int, started: int) -> Iterator[Piece]:
        spent = 0
        try:
            for piece in pieces:
                spent += perf_counter_ns() - started
                self.figures.set_running(0)
                yield piece
                self.figures.set_running(1)
                started = perf_counter_ns()
        finally:
            spent += perf_counter_ns() - started
            self.figures.set_running(0)
            self.busy += spent
            if items:
                self.learn(spent / items)
            self.record()

    def learn(self, per_item: float) -> None:
        known = self.per_item
        # A slice during which the system ran something else says little about the job.
        weight = 0.3 if per_item < 4 * known else 0.1
        self.per_item = known + weight * (per_item - known) if known else per_item
        for inlet in self.inlets:
            inlet.set_cost(int(self.per_item) + 1)

    def record(self) -> None:
        self.batches += 1
        busy = self.busy - sum([part.busy for part in self.parts]) if self.parts else self.busy
        self.figures.write_times(busy, self.waiting, self.blocked, self.batches)
        if self.since:
            spent = perf_counter_ns() - self.since + self.elsewhere
            self.figures.write_moving(max(0, spent - self.busy - self.waiting - self.blocked))


class MeasuredNode:
    """One of the nodes of a worker that runs several, with a clock around it."""

    def __init__(self, node: JobNode, figures: WorkFigures) -> None:
        self.node = node
        self.tally = node.tally
        self.figures = figures
        self.busy, _, _, self.batches = figures.times()
        self.unmeasured = False

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        started = perf_counter_ns()
        pieces = self.node(items, skip, limit)
        self.took(perf_counter_ns() - started)
        return pieces

    def took(self, nanoseconds: int) -> None:
        self.busy += nanoseconds
        self.batches += 1
        self.figures.write_times(self.busy, 0, 0, self.batches)

    def keep_marks(self) -> None:
        self.node.keep_marks()

    def passed_on(self, items: int) -> None:
        self.node.passed_on(items)
        self.unmeasured = True

    def share(self, nanoseconds: int) -> None:
        """Counts its share of the time of a loop that ran all jobs, if there was one: what each job
        took of that cannot be measured."""
        if self.unmeasured:
            self.unmeasured = False
            self.took(nanoseconds)

    def finish(self, skip: int, limit: int) -> Iterable[Piece]:
        return self.node.finish(skip, limit)


class SliceSize:
    """Slices of about a millisecond of the worker's own work, and no more than `room()`.

    Where a state is saved after each slice, and `saving` says how many nanoseconds that takes,
    slices are longer; and so they are where `is_guided`, with what is queued in the inlets.
    """

    def __init__(
        self,
        meter: Meter,
        room: Callable[[], int],
        smallest_capacity: int,
        saving: Callable[[], int] | None = None,
        is_guided: bool = False,
    ) -> None:
        self.meter = meter
        self.room = room
        self.saving = saving
        self.is_guided = is_guided
        self.most = most_of(smallest_capacity)
        self.last = 1

    @property
    def n(self) -> int:
        per_item = self.meter.per_item
        slice_ns = SLICE_NS if self.saving is None else SLICE_NS + SAVING_SHARE * self.saving()
        n = int(slice_ns / per_item) + 1 if per_item else 1
        if self.is_guided and per_item and n <= self.last:
            guided = min(int(GUIDED_NS / per_item), GUIDED_ITEMS)
            if n < guided:
                n = max(n, min(guided, self.queued() // GUIDED_SHARE))
        n = self.last = min(n, 2 * self.last, self.most)
        return max(1, min(n, self.room()))

    def queued(self) -> int:
        return sum([inlet.queued() for inlet in self.meter.inlets])


class RecordSize:
    """Slices for a node that passes on what it reads, which takes no time for an item: as many as
    its input gives at once, and no more than `room()`."""

    def __init__(self, room: Callable[[], int], smallest_capacity: int) -> None:
        self.room = room
        self.most = most_of(smallest_capacity)

    @property
    def n(self) -> int:
        return max(1, min(self.most, self.room()))


def most_of(smallest_capacity: int) -> int:
    """How many items a slice has at most, of a worker that feeds channels of this capacity."""
    return max(1, min(smallest_capacity // 4, LARGEST_SLICE))


class ShortLinger:
    """Outputs that gather leave once they have lain as long as the longest slice takes."""

    def __init__(self) -> None:
        self.until = 0

    def begin(self) -> None:
        self.until = perf_counter_ns() + GUIDED_NS

    def is_over(self) -> bool:
        return perf_counter_ns() >= self.until


class WakeupCoalescing:
    """How many results may gather before the sink of a run is woken: about what comes in twenty
    milliseconds."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.results = 1
        self.last = 0

    def next(self) -> int:
        """Gives the number for the next sleep; called once before each."""
        now = perf_counter_ns()
        often = now - self.last < OFTEN_NS
        self.last = now
        self.results = min(2 * self.results, self.most) if often else max(1, self.results // 2)
        return self.results
