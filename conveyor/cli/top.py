"""`top`: a run that is under way, as its monitor shows it, in a terminal."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from time import monotonic
from typing import Final, Protocol

from conveyor.cli.events import News, events_of
from conveyor.cli.exits import DONE, FAILED
from conveyor.cli.items import as_document
from conveyor.monitor.status import FailureStatus, StageStatus, Status, WorkerStatus

__all__ = [
    "STAGE_HEAD",
    "WORKER_HEAD",
    "cells_of",
    "figures_of",
    "heading",
    "plain",
    "remarks_of",
    "top",
    "top_words",
    "trouble",
]

EVERY_S: Final = 5.0  # between two tables that are no terminal's
HOME_AND_CLEAR: Final = "\x1b[H\x1b[J"


class Screen(Protocol):
    """Shows what comes in, the newest in place of what was before."""

    def show(self, news: News) -> None: ...
    def end(self) -> None: ...


def top_words(parser: ArgumentParser) -> None:
    parser.add_argument("address", help="what the run has told: http://HOST:PORT/?token=...")


def top(asked: Namespace) -> int:
    """Shows a run that has a monitor, until it ends."""
    events = events_of(asked.address)
    newest = told(events) if asked.json else shown(events, screen())
    return FAILED if newest is not None and newest["ended"] == "failed" else DONE


def told(events: Iterable[News]) -> Status | None:
    """Prints each status as a line of JSON; gives the last."""
    newest: Status | None = None
    for news in events:
        if news.status is not None and news.status is not newest:
            newest = news.status
            print(as_document(newest), flush=True)
    return newest


def shown(events: Iterable[News], screen: Screen) -> Status | None:
    """Shows each status; gives the last."""
    newest: Status | None = None
    try:
        for news in events:
            newest = news.status
            screen.show(news)
    finally:
        screen.end()
    return newest


def screen() -> Screen:
    if not sys.stdout.isatty():
        return PlainScreen("", EVERY_S)
    if find_spec("rich") is None:
        return PlainScreen(HOME_AND_CLEAR, 0.0)
    from conveyor.cli.top_table import RichScreen

    return RichScreen()


class PlainScreen:
    """Tables of plain text, each behind `before`; `every_s` seconds apart, and one at the end."""

    def __init__(self, before: str, every_s: float) -> None:
        self.before = before
        self.every_s = every_s
        self.next = 0.0

    def show(self, news: News) -> None:
        if news.status is not None and (news.is_last or monotonic() >= self.next):
            self.next = monotonic() + self.every_s
            print(self.before + "\n".join(plain(news)), end="\n\n", flush=True)

    def end(self) -> None:
        """What was printed stays."""


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
        ", ".join(map(str, worker["cores"])) or "any",
        "" if worker["memory"] is None else f"{worker['memory'] / 1e6:,.0f} MB",
        str(worker["restarts"]),
    )


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows of text under one another: the first two columns to the left, the rest to the right.

    >>> [*columns([("a", "b", "c"), ("dd", "e", "12")])]
    ['a   b   c', 'dd  e  12']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        left = map(str.ljust, row[:2], widths[:2])
        yield "  ".join([*left, *map(str.rjust, row[2:], widths[2:])]).rstrip()
