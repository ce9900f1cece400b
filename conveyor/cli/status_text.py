"""The status of a run as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from conveyor.cli.events import News
from conveyor.monitor.status import FailureStatus, StageStatus, WorkerStatus

__all__ = [
    "STAGE_HEAD",
    "WORKER_HEAD",
    "cells_of",
    "figures_of",
    "heading",
    "plain",
    "remarks_of",
    "trouble",
]

STAGE_HEAD: Final = ("stage", "state", "/s", "in", "out", "queued", "busy", "blocked", "waiting")
WORKER_HEAD: Final = ("worker", "state", "pid", "core", "memory", "restarts")


def plain(news: News) -> Iterator[str]:
    """A status as lines of text."""
    status = news.status
    if status is None:
        return
    yield heading(news)
    stages = [(*figures_of(stage), remarks_of(stage)) for stage in status["stages"]]
    yield from columns([(*STAGE_HEAD, ""), *stages])
    yield from columns([WORKER_HEAD, *map(cells_of, status["workers"])])
    yield from map(trouble, status["failures"])


def trouble(failure: FailureStatus) -> str:
    stage = f"{failure['stage']}: " if failure["stage"] else ""
    return f"{failure['at_s']:.1f} s  {stage}{failure['text']}"


def heading(news: News) -> str:
    """How far the run has come, in a line."""
    status = news.status
    if status is None:
        return "there are no figures yet"
    parts = [status["ended"] or ("over" if news.is_last else "running")]
    total = "" if status["total"] is None else f" of {status['total']:,}"
    parts.append(f"{status['done']:,}{total} done")
    if status["ended"] is None:
        parts.append(f"{status['recent_rate']:,.0f}/s now")
    parts += [f"{status['rate']:,.0f}/s on average", f"{status['elapsed_s']:.1f} s"]
    if status["remaining_s"] is not None and status["ended"] is None:
        parts.append(f"{status['remaining_s']:.0f} s left")
    if news.quiet_s:
        parts.append(f"no news for {news.quiet_s:.0f} s")
    return ", ".join(parts)


def figures_of(stage: StageStatus) -> tuple[str, ...]:
    """What stands below `STAGE_HEAD`."""
    counts = (stage["items_in"], stage["items_out"], stage["queued"])
    shares = (stage["busy"], stage["blocked"], stage["waiting"])
    return (
        stage["name"],
        stage["state"],
        f"{stage['rate']:,.0f}",
        *(f"{count:,}" for count in counts),
        *(f"{share:.0%}" for share in shares),
    )


def remarks_of(stage: StageStatus) -> str:
    counts = {
        "skipped": stage["skipped"],
        "dead letters": stage["dead_lettered"],
        "failed": stage["failed"],
        "restarts": stage["restarts"],
    }
    return ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)


def cells_of(worker: WorkerStatus) -> tuple[str, ...]:
    """What stands below `WORKER_HEAD`."""
    return (
        " + ".join(worker["stages"]),
        worker["state"],
        "" if worker["pid"] is None else str(worker["pid"]),
        where(worker),
        "" if worker["memory"] is None else f"{worker['memory'] / 1e6:,.0f} MB",
        str(worker["restarts"]),
    )


def where(worker: WorkerStatus) -> str:
    """Its cores, and its machine if that is another one."""
    cores = ", ".join(map(str, worker["cores"])) or "any"
    return cores if worker["node"] is None else f"{cores} on {worker['node']}"


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows of text under one another: the first two columns to the left, the rest to the right.

    >>> [*columns([("a", "b", "c"), ("dd", "e", "12")])]
    ['a   b   c', 'dd  e  12']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        left = map(str.ljust, row[:2], widths[:2])
        yield "  ".join([*left, *map(str.rjust, row[2:], widths[2:])]).rstrip()
