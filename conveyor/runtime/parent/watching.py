"""Those who are told of a run while it goes on, and at its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from conveyor.monitor.snapshot import How
from conveyor.report import Report

__all__ = ["Looker", "Watching"]


class Looker(Protocol):
    """Wants to know now and then how a run goes."""

    def is_time(self) -> bool:
        """Is it to be told now, and in this thread?"""
        ...

    def say(self, report: Report) -> None:
        """Is told how the run goes."""
        ...

    def ends_with(self, report: Report, how: How, error: BaseException | None) -> None:
        """The run ends; this is the last report, and the last time that it can read anything."""
        ...

    def finish(self, error: BaseException | None) -> None:
        """The run has ended, by `error` if it has failed."""
        ...


class Watching:
    """All of one run; `report` gives how it goes."""

    def __init__(self, report: Callable[[], Report], lookers: Sequence[Looker]) -> None:
        self.report = report
        self.lookers = lookers

    def look(self) -> None:
        """Called again and again: tells those for whom it is time."""
        due = [looker for looker in self.lookers if looker.is_time()]
        if due:
            report = self.report()
            for looker in due:
                looker.say(report)

    def ends_with(self, how: How, error: BaseException | None) -> None:
        report = self.report()
        for looker in self.lookers:
            looker.ends_with(report, how, error)

    def finish(self, error: BaseException | None = None) -> None:
        for looker in self.lookers:
            looker.finish(error)
