"""Tells of a run how far it has come, twice a second and at its end.

Knows: the clock, and which thread may be told in.  Must never know: what the caller does with it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sized
from time import monotonic, perf_counter
from typing import Final

from conveyor.core.engine import RunOptions
from conveyor.errors import RunError
from conveyor.graph.route import taken
from conveyor.graph.topology import Topology, channels_of
from conveyor.items.remote_errors import add_note
from conveyor.progress import Progress, progress_of
from conveyor.report import Report
from conveyor.reporting.through import share_through
from conveyor.runtime.parent.program_ends import ProgramEnds
from conveyor.runtime.parent.shared import Shared
from conveyor.runtime.shm.ring import RingState

__all__ = ["Teller"]

EVERY_S: Final = 0.5
ATTEMPTS: Final = 3


class Teller:
    """Of one run; called now and then by whatever waits for it."""

    def __init__(
        self,
        options: RunOptions,
        items: Iterable[object],
        topology: Topology,
        shared: Shared,
        ends: ProgramEnds,
    ) -> None:
        assert options.progress is not None
        self.tell = options.progress
        self.topology = topology
        self.shared = shared
        self.ends = ends
        self.total = len(items) if isinstance(items, Sized) else None
        self.thread = None if options.in_any_thread else threading.get_ident()
        self.started = perf_counter()
        self.next = monotonic() + EVERY_S
        self.sink_began = self.arrived()
        self.source_began = self.given()
        self.last: Progress | None = None

    def seconds(self) -> float:
        """How long the run has taken so far."""
        return perf_counter() - self.started

    def is_time(self) -> bool:
        """Is the caller to be told now, and in this thread?"""
        return monotonic() >= self.next and self.thread in (None, threading.get_ident())

    def say(self, report: Report) -> None:
        """Tells how far the run has come, which this report is of."""
        self.next = monotonic() + EVERY_S
        self.last = self.progress(report)
        self.tell(self.last)

    def progress(self, report: Report, finished: bool = False, is_whole: bool = False) -> Progress:
        queued = self.queued()
        names = {node: self.topology.nodes[node].name for node in queued}
        return progress_of(
            report,
            {names[node]: count for node, count in queued.items()},
            self.total,
            self.given() - self.source_began,
            share_through(self.topology, self.of_nodes(report, queued)),
            finished,
            is_whole,
        )

    def of_nodes(self, report: Report, queued: dict[int, int]) -> dict[int, tuple[int, int]]:
        """How many inputs of each node are done in this run, and how many are not."""
        found: dict[int, tuple[int, int]] = {}
        for node, count in queued.items():
            stage = report.stages.get(self.topology.nodes[node].name)
            if stage is not None:
                found[node] = stage.items_in - stage.in_hand, stage.in_hand + count
        sink = self.topology.nodes[-1].index
        found[sink] = self.arrived() - self.sink_began, queued[sink]
        return found

    def queued(self) -> dict[int, int]:
        """How many items wait before each worker."""
        return {
            spec.index: sum(self.waiting_in(channel) for channel in channels_of(spec.inputs))
            for spec in self.topology.nodes[1:]
            if spec.within is None
        }

    def waiting_in(self, channel: int) -> int:
        """How many items are in a channel whose two ends are at work: none, if they are too quick
        to be read."""
        for _ in range(ATTEMPTS):
            try:
                return max(0, RingState(self.shared.rings[channel]).queued)
            except RunError:  # a record was written over while it was read
                continue
        return 0

    def given(self) -> int:
        """How many items the source has given since the channels were made."""
        route = self.topology.nodes[0].route
        outlets = self.ends.source.outlets
        return 0 if route is None else taken(route, [outlet.tail for outlet in outlets])

    def arrived(self) -> int:
        """How many results have been committed since the channels were made."""
        return sum(
            self.shared.rings[channel].head()
            for channel in channels_of(self.topology.nodes[-1].inputs)
        )

    def ends_with(self, report: Report, is_whole: bool) -> None:
        """Keeps the last that there is to tell, while it can still be read; `is_whole`: of a run
        that came to the end of its items."""
        self.last = self.progress(report, finished=True, is_whole=is_whole)

    def finish(self, error: BaseException | None = None) -> None:
        """Tells it: of the run that is over, or has failed with `error`."""
        if self.last is None or not self.last.finished:
            return
        if error is None:
            self.tell(self.last)
            return
        try:
            self.tell(self.last)
        except Exception as another:  # it must not stand in the place of what ended the run
            add_note(error, f"progress= raised, too: {type(another).__name__}: {another}")
