"""Where a node that has several items in hand saves its state though others are there.

This file knows what a scheduler and a crash plan say of that.  It must never know why: for real, no
other had come yet.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from conveyor.sim.schedule import SAVES, Decision
from conveyor.sim.world.faulty_channel import CrashPlan
from conveyor.sim.world.setting import Setting

__all__ = ["SaidEndings"]


class SaidEndings:
    """Those of one worker in one run; where nothing is said it takes in hand what there is."""

    def __init__(self, world: Setting, worker: str, crash_plan: CrashPlan | None) -> None:
        self.world = world
        self.worker = worker
        self.crash_plan = crash_plan
        self.said = world.scheduler.saves.get(worker, ())

    def next(self, items: int) -> int | None:
        at = bisect_right(self.said, items)
        known = [*self.said[at : at + 1]]
        if self.crash_plan is not None:
            # What is saved where a worker dies was the end of a generation, too
            died = self.crash_plan.next_item()
            known += [died] if died is not None and died > items else []
        return min(known, default=None)

    def ended(self, items: int) -> None:
        at = bisect_left(self.said, items)  # there may be as many as items
        if items in self.said[at : at + 1]:
            self.world.note(Decision(self.worker + SAVES, items, 1, 0))
