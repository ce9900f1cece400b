"""How far a run has come, as it can be read off what its workers share with the program.

Knows: where each figure is.  Must never know: who is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter

from conveyor.graph.route import taken
from conveyor.graph.topology import Topology, channels_of
from conveyor.progress import Progress, how_many, progress_of
from conveyor.report import Report
from conveyor.reporting.through import share_through
from conveyor.runtime.parent.program_ends import ProgramEnds
from conveyor.runtime.parent.queues import queued_before, waiting_in
from conveyor.runtime.parent.shared import Shared

__all__ = ["Gauge"]


class Gauge:
    """Of one run, from its beginning."""

    def __init__(
        self, items: Iterable[object], topology: Topology, shared: Shared, ends: ProgramEnds
    ) -> None:
        self.topology = topology
        self.shared = shared
        self.ends = ends
        self.total = how_many(items)
        self.started = perf_counter()
        self.sink_began = self.arrived()
        self.source_began = self.given()

    def seconds(self) -> float:
        """How long the run has taken so far."""
        return perf_counter() - self.started

    def progress(self, report: Report, finished: bool = False, is_whole: bool = False) -> Progress:
        """How far it has come; `is_whole`: it came to the end of its items."""
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
        return queued_before(self.shared)

    def waiting_in(self, channel: int) -> int:
        """How many items are in a channel whose two ends are at work."""
        return waiting_in(self.shared, channel)

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
