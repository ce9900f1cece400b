"""What a search is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import UnionType
from typing import Any, Final, Literal, TypeAlias, get_args

from conveyor.items.short_repr import short_repr
from conveyor.recording.reader import Recording
from conveyor.sim.faults import Faults
from conveyor.sim.schedule import Schedule
from conveyor.sim.schedulers.scheduler import Scheduler
from conveyor.sim.search.findings import Exploration

__all__ = ["STRATEGIES", "SearchOptions", "Strategy", "check_bounds", "check_seconds", "check_type"]

Strategy: TypeAlias = Literal["portfolio", "random", "urw", "pct", "deviations", "exhaustive"]

STRATEGIES: Final[tuple[Strategy, ...]] = get_args(Strategy)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """How a pipeline is explored.

    strategy: which schedules are run; schedules: how many at most; expired: is it time to end;
    seed: of a strategy that draws; faults: which workers may die; copy: does every item cross a
    pickle, as between two processes; start: what is run before all others; lanes: of each fork that
    adapts, if not as by default; told: what is called behind each schedule with what was found so
    far.
    """

    strategy: Strategy | Scheduler
    schedules: int
    expired: Callable[[], bool]
    seed: int
    faults: Faults | None
    copy: bool = True
    start: Schedule | Recording | None = None
    lanes: int | None = None
    told: Callable[[Exploration[Any]], object] | None = None

    def check(self, call: str) -> None:
        """Raises `TypeError` or `ValueError` for what a search cannot work with."""
        check_bounds(self.schedules, self.faults, call)
        check_type(bool, self.copy, f"{call}: copy")


def check_bounds(schedules: object, faults: object, call: str) -> None:
    """Raises `TypeError` or `ValueError` for bounds that a search cannot work with."""
    check_type(int, schedules, f"{call}: schedules")
    check_type(Faults | None, faults, f"{call}: faults")
    if isinstance(schedules, int) and schedules < 1:
        raise ValueError(f"{call}: schedules is {schedules}; it must be 1 or more")


def check_seconds(seconds: object, call: str) -> None:
    """Raises `TypeError` or `ValueError` for what is no time in which a search could do anything:
    one that has tried nothing has found nothing wrong."""
    check_type(int | float | None, seconds, f"{call}: seconds")
    if isinstance(seconds, int | float) and not seconds > 0:
        raise ValueError(f"{call}: seconds is {seconds}; it must be above 0")


def check_type(kind: type | UnionType, given: object, what: str) -> None:
    """Raises `TypeError` if `given` is not of this type."""
    if not isinstance(given, kind):
        name = (
            kind.__name__
            if isinstance(kind, type)
            else " | ".join(each.__name__ for each in get_args(kind))
        )
        raise TypeError(
            f"{what} must be of type {name.removesuffix(' | NoneType')}, and is {short_repr(given)}"
        )
