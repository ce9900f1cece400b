"""`top`: a run that is under way, as its monitor shows it, in a terminal."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from importlib.util import find_spec
from time import monotonic
from typing import Final, Protocol

from conveyor.cli.events import News, events_of
from conveyor.cli.exits import DONE, FAILED
from conveyor.cli.items import as_document
from conveyor.cli.status_text import plain
from conveyor.monitor.status import Status

__all__ = ["top", "top_words"]

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
