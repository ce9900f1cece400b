"""How far a run has come, while it runs.

Knows: the counts of a report, what waits between stages, and what they tell together.  Must never
know: a clock, or how the figures are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass, field
from typing import TypeAlias

from conveyor.report import Report, StageReport

__all__ = ["Progress", "StageProgress", "Tell", "how_many", "progress_of"]


@dataclass(frozen=True, slots=True)
class StageProgress:
    """One stage so far: the counts of its report, and how it spends its time.

    busy, waiting, blocked: shares of the time since the run began, from 0 to 1; queued: items that
    wait before it; in_hand: items that it is at work on.
    """

    name: str
    kind: str
    items_in: int
    items_out: int
    passed: int
    dropped: int
    skipped: int
    dead_lettered: int
    failed: int
    flushed: int
    in_hand: int
    queued: int
    busy: float
    waiting: float
    blocked: float
    restarts: int
    pid: int | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come; `print(progress)` is a line.

    elapsed_s: since the run began; total: how many items there are, where `len(items)` tells; done:
    how many items of the source are through, exact where each stage gives one output for an item,
    an estimate elsewhere; rate: of these, a second; remaining_s: what the rest will take, if the
    total is known; finished: is this the last that is told of the run?
    """

    elapsed_s: float
    total: int | None
    done: int
    rate: float
    remaining_s: float | None
    stages: Mapping[str, StageProgress] = field(default_factory=dict[str, StageProgress])
    finished: bool = False

    @property
    def slowest(self) -> StageProgress | None:
        """The stage that is busy most of the time; None before any was."""
        busiest = max(self.stages.values(), key=lambda stage: stage.busy, default=None)
        return busiest if busiest is not None and busiest.busy else None

    def __str__(self) -> str:
        done = f"{self.done:,} done"
        if self.total is not None:
            done = f"{self.done:,} of {self.total:,} done"
        parts = [done, f"{self.rate:,.0f}/s", f"{self.elapsed_s:.0f} s"]
        if self.remaining_s is not None and not self.finished:
            parts.append(f"{self.remaining_s:.0f} s left")
        slowest = self.slowest
        if slowest is not None:
            waits = f", {slowest.queued:,} waiting for it" if slowest.queued else ""
            parts.append(f"slowest: {slowest.name}, busy {slowest.busy:.0%}{waits}")
        stages = self.stages.values()
        counts = {
            "skipped": sum(stage.skipped for stage in stages),
            "dead letters": sum(stage.dead_lettered for stage in stages),
            "restarts": sum(stage.restarts for stage in stages),
        }
        parts += [f"{count:,} {word}" for word, count in counts.items() if count]
        return "; ".join(parts)


Tell: TypeAlias = Callable[[Progress], object]


def how_many(items: Iterable[object]) -> int | None:
    """How many items there are, if they say so: what a length of theirs raises, or one that is no
    length, is not the run's."""
    try:
        return len(items) if isinstance(items, Sized) else None
    except Exception:
        return None


def progress_of(
    report: Report,
    queued: Mapping[str, int],
    total: int | None,
    taken: int,
    through: float,
    finished: bool = False,
    is_whole: bool = False,
) -> Progress:
    """What a report that is not yet whole says of how far the run has come.

    `queued`: how many items wait before each stage; `taken`: how many the source has given; and
    which share of these is `through`; `is_whole`: the run came to the end of its items.
    """
    done = taken if is_whole else int(taken * through + 1e-6)
    elapsed = report.seconds
    rate = done / elapsed if elapsed else 0.0
    remaining = (total - done) / rate if total is not None and rate and total >= done else None
    return Progress(
        elapsed_s=elapsed,
        total=total,
        done=done,
        rate=rate,
        remaining_s=remaining,
        stages={
            name: stage_progress(stage, queued.get(name, 0), elapsed)
            for name, stage in report.stages.items()
        },
        finished=finished,
    )


def stage_progress(stage: StageReport, queued: int, elapsed: float) -> StageProgress:
    over = elapsed or 1.0
    return StageProgress(
        name=stage.name,
        kind=stage.kind,
        items_in=stage.items_in,
        items_out=stage.items_out,
        passed=stage.passed,
        dropped=stage.dropped,
        skipped=stage.skipped,
        dead_lettered=stage.dead_lettered,
        failed=stage.failed,
        flushed=stage.flushed,
        in_hand=stage.in_hand,
        queued=queued,
        busy=min(1.0, stage.busy_s / over),
        waiting=min(1.0, stage.waiting_s / over),
        blocked=min(1.0, stage.blocked_s / over),
        restarts=stage.restarts,
        pid=stage.pid,
    )
