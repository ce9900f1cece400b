"""Several schedulers in turn, since none is the best for every bug."""

from __future__ import annotations

from collections.abc import Sequence

from conveyor.sim.schedule import Decision, Schedule
from conveyor.sim.schedulers.deviations import Deviations
from conveyor.sim.schedulers.pct import Priorities
from conveyor.sim.schedulers.random import RandomWalk
from conveyor.sim.schedulers.replay import FollowSchedule
from conveyor.sim.schedulers.scheduler import Scheduler
from conveyor.sim.schedulers.urw import UniformWalk

__all__ = ["Portfolio"]


class Portfolio(Scheduler):
    """Known failures first; then few deviations, random, uniform walk, priorities of depth 2 and 4,
    a schedule each in turn."""

    def __init__(self, seed: int = 0, known: Sequence[Schedule] = ()) -> None:
        self.known: list[Scheduler] = [FollowSchedule(schedule) for schedule in known]
        self.members: list[Scheduler] = [
            Deviations(2),
            RandomWalk(seed),
            UniformWalk(seed + 1),
            Priorities(2, seed + 2),
            Priorities(4, seed + 3),
        ]
        self.turns = -1
        self.member: Scheduler = self.members[0]

    def begin(self) -> bool:
        while self.known:
            self.member = self.known.pop(0)
            if self.member.begin():
                return self.take_over()
        while self.members:
            self.turns += 1
            self.member = self.members[self.turns % len(self.members)]
            if self.member.begin():
                return self.take_over()
            self.members.remove(self.member)
        return False

    def take_over(self) -> bool:
        member = self.member
        self.asks_always, self.waits = member.asks_always, member.waits
        self.comes_in, self.results = member.comes_in, member.results
        return True

    def pick(self, point: str, ordinal: int, options: Sequence[int]) -> int:
        return self.member.pick(point, ordinal, options)

    def turn(self, points: Sequence[str], options: Sequence[Sequence[int]]) -> int:
        return self.member.turn(points, options)

    def next(self, ordinal: int, joins: int) -> int | None:
        return self.member.next(ordinal, joins)

    def wants(self, point: str, ordinal: int) -> int | None:
        return self.member.wants(point, ordinal)

    def end(self, decisions: Sequence[Decision]) -> None:
        self.member.end(decisions)
