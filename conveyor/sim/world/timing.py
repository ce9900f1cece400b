"""What time does where it is virtual: whether something comes due before the next item.

This file knows what jobs hold, and by when.  It must never know why a scheduler decides as it does.

A job that time wakes reads its input and its timer as a join would read two lanes, the one of which
has something as long as the job holds anything.

Rule 1.  It is asked where it can make a difference: something is held and there is an item.  What
         comes due may do so as soon as it is asked; that those behind it see it later is decided
         where they read.
Rule 2.  The answer "the item first" holds until that item is taken, whatever else happens.
Rule 3.  Where there is no item yet, and no join can read without losing something, it is asked,
         too: what comes due may be what a join gets next.
Rule 4.  Where nothing else can go on time passes by itself, to the first deadline of all.
Rule 5.  The default is what the clocks say: what comes due before the next item was there is first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from conveyor.core.requests import ALL_ENDED, COME_DUE, TimedChoice
from conveyor.sim.schedule import Decision
from conveyor.sim.world.clock import arrival, end
from conveyor.sim.world.loop import NodeLoop
from conveyor.sim.world.setting import Setting

__all__ = ["DUE", "ITEM", "Timing"]

ITEM, DUE = 0, 1


class Asking(Setting, Protocol):
    """Who takes down what is decided."""

    def note(self, decision: Decision) -> None: ...


class Timing:
    """The timed jobs of a world."""

    def __init__(self, world: Asking) -> None:
        self.world = world

    def answer(self, loop: NodeLoop, request: TimedChoice) -> int | None:
        """What a timed job is to do next: what comes due, or the next item of its only input;
        None: its join has to be read, or it has to wait."""
        loop.options = request.options()
        if loop.options:
            if loop.lets_time_pass and self.holds(loop):
                first = min(arrival(request.inlets[lane]) for lane in loop.options)
                if self.comes_due(loop, first):
                    return self.passes(loop)
            return self.takes(loop) if len(request.inlets) == 1 else None
        if not request.all_ended():
            return None
        if loop.barriers is not None and loop.barriers.reached:
            return ALL_ENDED
        return self.passes(loop) if self.holds(loop) and self.at_end(loop) else ALL_ENDED

    def holds(self, loop: NodeLoop) -> bool:
        return loop.timer is not None and loop.timer.deadline is not None

    def takes(self, loop: NodeLoop) -> int:
        """The next slice is taken."""
        loop.events += 1
        loop.lets_time_pass = loop.asked = True
        return 0

    def passes(self, loop: NodeLoop) -> int:
        """Time passes to the first deadline."""
        loop.events += 1
        return COME_DUE

    def comes_due(self, loop: NodeLoop, item: float | None) -> bool:
        """Asks whether something comes due before the next item, which was there at a moment, or is
        still to come."""
        assert loop.timer is not None
        deadline = loop.timer.deadline
        assert deadline is not None
        is_late = item is not None and deadline <= max(item, loop.clock.now)
        options = (DUE, ITEM) if is_late else (ITEM, DUE)
        option = self.world.scheduler.pick(loop.timer_point, loop.events, options)
        self.world.note(Decision(loop.timer_point, loop.events, option, options[0]))
        loop.lets_time_pass = option == DUE
        return option == DUE

    def at_end(self, loop: NodeLoop) -> bool:
        """Does something come due before the end is told?

        It is not asked where it gives the same as what comes at the end; but what was recorded, or
        what clocks say, is done.
        """
        assert loop.timer is not None
        timer, last = loop.timer, end(loop.wiring.read)
        said = self.world.scheduler.wants(loop.timer_point, loop.events)
        if timer.differs_at_end or said == DUE:
            return loop.lets_time_pass and self.comes_due(loop, last)
        deadline = timer.deadline
        return deadline is not None and deadline <= last

    def stalled(self, loops: Sequence[NodeLoop]) -> list[NodeLoop]:
        """Those that hold something, and wait for an item that is not there."""
        return [
            loop
            for loop in loops
            if type(loop.request) is TimedChoice and not loop.options and self.holds(loop)
        ]

    def wakes(self, loops: Sequence[NodeLoop], others_can: bool) -> NodeLoop | None:
        """One in which something comes due although no item has come; `others_can`: joins can
        read."""
        stalled = self.stalled(loops)
        if others_can:
            return next(
                (each for each in stalled if each.lets_time_pass and self.comes_due(each, None)),
                None,
            )
        return min(stalled, key=self.deadline, default=None)

    def deadline(self, loop: NodeLoop) -> float:
        assert loop.timer is not None
        deadline = loop.timer.deadline
        assert deadline is not None
        return deadline
