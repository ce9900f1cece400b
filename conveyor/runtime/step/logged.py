"""What a worker decides, written down before anything comes of it, for a parent that records the
run, or traces it.

This file knows the kinds of decisions: which input a join reads, which lane a fork chooses,
whether something comes due before the next item, and where a generation ends early.
It must never know where they are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from conveyor.core.requests import ChooseLane
from conveyor.graph.route import Route, balancing_forks, leaves, taken
from conveyor.runtime.step.balancing import Balancer
from conveyor.runtime.step.contract import LaneCounts, PacedOutlet
from conveyor.runtime.step.timer import ClockTimer
from conveyor.stages.timed import Timed

__all__ = [
    "JOIN",
    "RAN_OUT",
    "SAVED",
    "STANDS",
    "TIMER",
    "Log",
    "LoggedBalancer",
    "LoggedEndings",
    "LoggedReads",
    "LoggedTimer",
    "forks_taken",
    "log_to",
]

JOIN: Final = 0  # the forks of a node are counted from 1
TIMER: Final = 0x40
ITEM, DUE = 0, 1  # the lanes of a timer
RAN_OUT: Final = 0x41  # no decision: the time of one of several items in hand ran out
SAVED: Final = 0x42  # a state was saved behind so many items of the run, as no other was there
STANDS: Final = 0x80  # with a point: how much of what was logged there stands

Log: TypeAlias = Callable[[int, int, int], None]
"""Writes down a point of decision, the input or lane that was chosen, and for how many items."""


def log_to(logs: Sequence[Log]) -> Log | None:
    """What writes down in all of them; None if there are none."""
    if len(logs) < 2:
        return logs[0] if logs else None

    def log(point: int, choice: int, count: int) -> None:
        for each in logs:
            each(point, choice, count)

    return log


class LoggedReads:
    """Logs the slices that a node takes in hand: of which input, if it has several, and that
    nothing came due before them, if time wakes its job."""

    def __init__(self, inputs: int, log: Log, is_woken: bool = False) -> None:
        self.joins = inputs > 1
        self.is_woken = is_woken
        self.log = log

    def __call__(self, source: int, items: int) -> None:
        if self.joins:
            self.log(JOIN, source, items)
        if self.is_woken:
            self.log(TIMER, ITEM, items)


class LoggedTimer(ClockTimer):
    """Notes how much came due, and behind which item."""

    def __init__(self, stage: Timed, ahead: float, log: Log) -> None:
        super().__init__(stage, ahead)
        self.log = log

    def come_due(self) -> None:
        before = self.dues
        super().come_due()
        self.log(TIMER, DUE, self.dues - before)


class LoggedBalancer(Balancer):
    """Notes which lane takes the next record."""

    def __init__(
        self,
        route: Route,
        outlets: Sequence[PacedOutlet],
        counts: LaneCounts,
        tell_parent: Callable[[], None],
        log: Log,
    ) -> None:
        super().__init__(route, outlets, counts, tell_parent)
        self.log = log
        self.numbers = {fork.name: number for number, fork in enumerate(balancing_forks(route), 1)}

    def choose(self, choose: ChooseLane) -> int:
        chosen = super().choose(choose)
        self.log(self.numbers[choose.name], chosen, choose.items)
        return chosen


class LoggedEndings:
    """Notes where generations end that are not full."""

    def __init__(self, log: Log) -> None:
        self.log = log

    def next(self, items: int) -> int | None:
        return None  # nobody knows

    def ended(self, items: int) -> None:
        self.log(SAVED, 0, items)


def forks_taken(route: Route, tails: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Each fork of a route by its number, and how many items it has taken since its channels were
    made."""
    place = {channel: index for index, channel in enumerate(leaves(route))}
    for number, fork in enumerate(balancing_forks(route), 1):
        yield number, taken(fork, [tails[place[channel]] for channel in leaves(fork)])
