"""Tells of a run how far it has come, twice a second and at its end.

Knows: the clock, and which thread may be told in.  Must never know: what the caller does with it.
"""

from __future__ import annotations

import threading
from time import monotonic
from typing import Final

from conveyor.items.remote_errors import add_note
from conveyor.items.short_repr import message_of
from conveyor.monitor.snapshot import How
from conveyor.progress import Progress, Tell
from conveyor.report import Report
from conveyor.runtime.parent.gauge import Gauge

__all__ = ["Teller"]

EVERY_S: Final = 0.5


class Teller:
    """Of one run; called now and then by whatever waits for it."""

    def __init__(self, tell: Tell, in_any_thread: bool, gauge: Gauge) -> None:
        self.tell = tell
        self.gauge = gauge
        self.thread = None if in_any_thread else threading.get_ident()
        self.next = monotonic() + EVERY_S
        self.last: Progress | None = None

    def is_time(self) -> bool:
        """Is the caller to be told now, and in this thread?"""
        return monotonic() >= self.next and self.thread in (None, threading.get_ident())

    def say(self, report: Report) -> None:
        """Tells how far the run has come, which this report is of."""
        self.next = monotonic() + EVERY_S
        self.last = self.gauge.progress(report)
        self.tell(self.last)

    def ends_with(self, report: Report, how: How, error: BaseException | None) -> None:
        """Keeps the last that there is to tell, while it can still be read."""
        self.last = self.gauge.progress(report, finished=True, is_whole=how is How.DONE)

    def finish(self, error: BaseException | None) -> None:
        """Tells it: of the run that is over, or has failed with `error`."""
        if self.last is None or not self.last.finished:
            return
        if error is None:
            self.tell(self.last)
            return
        try:
            self.tell(self.last)
        except Exception as another:  # it must not stand in the place of what ended the run
            add_note(
                error, f"progress= raised, too: {type(another).__name__}: {message_of(another)}"
            )
