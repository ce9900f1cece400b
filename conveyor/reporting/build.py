"""The report of a run, put together from what is known of each node.

Knows: the topology, and how to count by stage.  Must never know: what counted, or how the figures
came here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from conveyor.graph.topology import Topology, zips_of
from conveyor.report import DeadLetter, Report, StageReport, Tally
from conveyor.stages import Gives, gives_of

__all__ = ["Figures", "Letters", "ordered_letters", "report_of"]


class Figures(NamedTuple):
    """What is known of one node.  Times are seconds."""

    tally: Tally
    busy_s: float = 0.0
    waiting_s: float = 0.0
    blocked_s: float = 0.0
    batches: int = 0
    restarts: int = 0
    side_by_side: float = 0.0
    pid: int | None = None
    cores: tuple[int, ...] = ()
    node: str | None = None


class Letters:
    """The dead letters of a run, each once: those of items that a worker had not committed when it
    died are void."""

    def __init__(self) -> None:
        self.of_stage: dict[str, list[DeadLetter]] = {}

    def add(self, letter: DeadLetter) -> None:
        self.of_stage.setdefault(letter.stage, []).append(letter)

    def void(self, stage: str, ordinal: int, behind: Sequence[int] = ()) -> None:
        """Another worker begins again at the item of this ordinal of a stage, or of a fork; those
        `behind` stand."""
        self.of_stage[stage] = [
            letter
            for letter in self.of_stage.get(stage, [])
            if letter.ordinal < ordinal or letter.ordinal in behind
        ]

    def all(self) -> list[DeadLetter]:
        return [letter for letters in self.of_stage.values() for letter in letters]


def report_of(
    topology: Topology,
    figures: Callable[[int], Figures],
    zipped: Callable[[str], tuple[int, int]],
    seconds: float,
    notes: tuple[str, ...] = (),
) -> Report:
    """All workers and zips, in the order in which their stages were added.

    `figures` tells of a node by its number, `zipped` how many tuples a zip gave and how many items
    it could not pair.
    """
    widths = {name: width for spec in topology.nodes for name, width in zips_of(spec.inputs)}
    stages: dict[str, StageReport] = {}
    if topology.nodes[0].fork is not None:  # only there anything can become of what comes in
        stages[topology.nodes[0].name] = stage_report(topology, 0, figures(0))
    for info in topology.stages:
        if info.node is not None:
            stages[info.name] = stage_report(topology, info.node, figures(info.node))
        elif info.name in widths:
            tuples, left_over = zipped(info.name)
            items_in = tuples * widths[info.name] + left_over
            stages[info.name] = StageReport(
                name=info.name,
                kind=info.kind,
                items_in=items_in,
                items_out=tuples,
                left_over=left_over,
            )
    return Report(stages, seconds, notes, topology.figure)


def stage_report(topology: Topology, node: int, figures: Figures) -> StageReport:
    """What the report says of the stage that a node runs."""
    spec, tally = topology.nodes[node], figures.tally
    gives_one = spec.stage is None or gives_of(spec.stage) is not Gives.EACH
    return StageReport(
        name=spec.name,
        kind=type(spec.stage).__name__ if spec.stage is not None else spec.kind.value,
        items_in=tally.items_in,
        items_out=tally.items_out - tally.fork_failed - tally.fork_failed_at_end,
        passed=tally.passed - (tally.fork_failed if gives_one else 0),
        dropped=tally.dropped,
        skipped=tally.skipped,
        dead_lettered=tally.dead_lettered,
        failed=tally.failed,
        fork_failed=tally.fork_failed + tally.fork_failed_at_end,
        flushed=tally.flushed - tally.fork_failed_at_end,
        in_hand=tally.in_hand,
        busy_s=figures.busy_s,
        waiting_s=figures.waiting_s,
        blocked_s=figures.blocked_s,
        batches=figures.batches,
        side_by_side=figures.side_by_side,
        restarts=figures.restarts,
        pid=figures.pid,
        core=figures.cores[0] if len(figures.cores) == 1 else None,
        cores=len(figures.cores),
        node=figures.node,
    )


def ordered_letters(topology: Topology, letters: Iterable[DeadLetter]) -> tuple[DeadLetter, ...]:
    """Dead letters by stage, then by ordinal."""
    position = {info.name: place for place, info in enumerate(topology.stages)}
    return tuple(sorted(letters, key=lambda letter: (position[letter.stage], letter.ordinal)))
