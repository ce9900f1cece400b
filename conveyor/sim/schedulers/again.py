"""What was decided before, decision by decision.

Knows: a list of decisions.  Must never know: what they were for.
"""

from __future__ import annotations

from collections.abc import Sequence

from conveyor.sim.schedule import IN, LEFT, NEXT, Decision
from conveyor.sim.schedulers.scheduler import Scheduler

__all__ = ["Again"]


class Again(Scheduler):
    """Takes the decisions of a run that has been, in their order; where jobs decide otherwise now,
    the default."""

    asks_always = True

    def __init__(self, log: Sequence[Decision]) -> None:
        said = {decision.point: decision.option for decision in log if decision.point in (IN, LEFT)}
        self.comes_in, self.results = said.get(IN), said.get(LEFT)
        self.log = [decision for decision in log if decision.point not in said]
        self.at = 0

    def pick(self, point: str, ordinal: int, options: Sequence[int]) -> int:
        then = self.log[self.at] if self.at < len(self.log) else None
        self.at += 1
        return (
            then.option
            if then is not None and then.point == point and then.option in options
            else options[0]
        )

    def turn(self, points: Sequence[str], options: Sequence[Sequence[int]]) -> int:
        point = self.log[self.at].point if self.at < len(self.log) else ""
        return points.index(point) if point in points else 0

    def next(self, ordinal: int, joins: int) -> int | None:
        then = self.log[self.at] if self.at < len(self.log) else None
        if then is None or then.point != NEXT:
            return None
        self.at += 1
        return then.option if then.option < joins else None
