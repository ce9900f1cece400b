"""Every schedule, each class of them once.

A depth-first search over decisions.  The world asks of one join at a time wherever that loses
nothing (its persistent set); where the turn of several joins is a choice, too, sleep sets keep two
reads that do not touch from being tried in both orders (Godefroid, "Partial-Order Methods for the
Verification of Concurrent Systems", 1996).

A class of schedules is what remains when independent reads may be swapped.  Say join `a` and join
`b` can both read, and `a` is tried first.  When the search comes back to try `b` first, the read of
`a` is put to sleep: a schedule that takes it next is the first one with two reads swapped.  It
wakes up when a read of the same join is taken, since that read may change what `a` finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from conveyor.sim.schedule import RESTART, Decision
from conveyor.sim.schedulers.scheduler import Scheduler

__all__ = ["Exhaustive", "Redundant"]

Step: TypeAlias = tuple[str, int]  # a decision point, and the option taken there


class Redundant(Exception):
    """Raised in the middle of a schedule of a class that has been seen already."""


class Frame:
    """One decision of the schedule under way: its options, how many of them were tried, and those
    that need not be (`sleep`)."""

    __slots__ = ("at", "sleep", "steps")

    def __init__(self, steps: list[Step], sleep: frozenset[Step]) -> None:
        self.steps = steps
        self.sleep = sleep
        self.at = 0

    @property
    def step(self) -> Step:
        return self.steps[self.at]

    def asleep_behind(self) -> frozenset[Step]:
        """The steps that need not be tried behind this one: those that were tried before it or were
        asleep already, and are independent of it."""
        point = self.step[0]
        if point.startswith(RESTART):  # a worker that comes back may touch anything
            return frozenset()
        return frozenset(step for step in (*self.sleep, *self.steps[: self.at]) if step[0] != point)


class Exhaustive(Scheduler):
    """Takes the first option of each new decision, and comes back for the others.

    `several`: can more than one join be ready to read?  Else nothing ever sleeps, and decisions of
    one option need no look.
    """

    shares = True

    def __init__(self, several: bool) -> None:
        self.asks_always = several
        self.frames: list[Frame] = []
        self.sleep: frozenset[Step] = frozenset()
        self.chosen: Step | None = None
        self.begun = False

    def begin(self) -> bool:
        """The next schedule: another option of the last decision that has one left."""
        if self.begun and not self.step_back():
            return False
        self.begun = True
        self.go_on(0)
        return True

    def done(self) -> float:
        """How much of all there is has been tried, if what is left branches like what was seen
        (Knuth, "Estimating the Efficiency of Backtrack Programs", 1975)."""
        part, share = 0.0, 1.0
        for frame in self.frames:
            share /= len(frame.steps)
            part += frame.at * share
        return part + share

    def step_back(self) -> bool:
        frames = self.frames
        while frames:
            frame = frames[-1]
            if frame.at + 1 < len(frame.steps):
                frame.at += 1
                return True
            frames.pop()
        return False

    def shared(self) -> int:
        return max(0, len(self.frames) - 1)

    def go_on(self, at: int) -> None:
        self.at = at
        self.sleep = self.frames[at].sleep if at < len(self.frames) else frozenset()
        self.chosen = None

    def turn(self, points: Sequence[str], options: Sequence[Sequence[int]]) -> int:
        steps = [
            (point, lane) for point, lanes in zip(points, options, strict=True) for lane in lanes
        ]
        self.chosen = self.decide(steps)
        return points.index(self.chosen[0])

    def pick(self, point: str, ordinal: int, options: Sequence[int]) -> int:
        if self.chosen is not None:  # together with the turn
            chosen, self.chosen = self.chosen, None
            return chosen[1]
        if self.at < len(self.frames) and len(options) > 1:
            return self.decide([])[1]
        if len(options) == 1:
            if (point, options[0]) in self.sleep:
                raise Redundant
            if self.sleep:
                self.sleep = frozenset(step for step in self.sleep if step[0] != point)
            return options[0]
        return self.decide([(point, option) for option in options])[1]

    def decide(self, steps: list[Step]) -> Step:
        if self.at == len(self.frames):
            awake = [step for step in steps if step not in self.sleep] if self.sleep else steps
            if not awake:
                raise Redundant
            self.frames.append(Frame(awake, self.sleep))
        frame = self.frames[self.at]
        self.at += 1
        if self.asks_always:
            self.sleep = frame.asleep_behind()
        return frame.step

    def end(self, decisions: Sequence[Decision]) -> None:
        """Nothing to learn: the frames know all."""
