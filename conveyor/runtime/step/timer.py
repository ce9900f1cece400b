"""The timer of a real run: the system's clock.

This file knows that clock.  It must never know how a worker sleeps, or which process it is in.
"""

from __future__ import annotations

from time import monotonic

from conveyor.core.timers import Timer
from conveyor.stages.timed import Timed

__all__ = ["ClockTimer"]


class ClockTimer(Timer):
    """The clock is one for all processes of a machine, so a moment that was saved by a worker is as
    good in the one after it; `ahead` is how far that of a run goes ahead of it, in seconds, where
    moments are kept that are of another one."""

    def __init__(self, stage: Timed, ahead: float = 0.0) -> None:
        super().__init__(stage)
        self.ahead = ahead

    def now(self) -> float:
        return monotonic() + self.ahead

    def begins(self) -> float:
        return self.now()

    def is_past(self) -> bool:
        deadline = self.deadline
        return deadline is not None and deadline <= self.now()

    def is_open(self) -> bool:
        allowed = self.allowance(self.now())
        return allowed is None or allowed > 0

    def come_due(self) -> None:
        """All whose deadline has passed is due from now on."""
        while self.is_past():
            super().come_due()

    def wakes_in(self) -> float | None:
        """In how many seconds something comes due, or an item may be taken that may not now; None:
        time alone brings nothing."""
        now = self.now()
        allowed, deadline = self.allowance(now), self.deadline
        moments = [] if deadline is None else [deadline]
        if allowed is not None and allowed <= 0:
            moments.append(self.opens_at())
        return max(0.0, min(moments) - now) if moments else None
