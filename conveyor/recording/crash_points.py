"""Where a worker of a recorded run died, and whose time ran out.

A crash point is the store before which a worker died, in the words of a schedule.  The crash points
of one worker are ordered as it comes to them.
"""

from __future__ import annotations

from math import inf
from typing import Final, NamedTuple

from conveyor.core.crashes import WorkerDeath

__all__ = ["WINDOW", "Crash", "CrashPoint", "Timeout", "is_inside"]

DIGITS: Final = "0123456789"
# In the order of a worker's way.  The empty one stands for all steps at which some of the outputs
# of an item are out.
STEPS: Final = ("begun", "due", "taken", "held", "noted", "", "emitted", "saved", "closed")
# With several items in hand: so many of them are committed, and so much is given.
WINDOW: Final = "window"


class CrashPoint(NamedTuple):
    """The store before which a worker died, in the words of a schedule.

    `item` is the ordinal of the item it was at, None at the end of its input; `step` is how far it
    was with it.  `given` counts the outputs that it had given by then; where the step is `copied`,
    the newest of them had gone to some lanes only.

    >>> CrashPoint(4, "emitted", 5) < CrashPoint(5, "taken", 5) < CrashPoint(5, "copied1", 6)
    True
    """

    item: int | None
    step: str
    given: int

    @property
    def is_inside(self) -> bool:
        """Can some of the outputs of the item be out, and others not?"""
        return is_inside(self.step)

    def comes_before(self, other: CrashPoint) -> bool:
        """Has a worker that is here not come so far yet as to the other point?"""
        if other.step != WINDOW:
            return self < other
        is_before = self.item is not None and other.item is not None and self.item < other.item
        return is_before or self.given < other.given

    def rank(self) -> tuple[float, int, int, str, int]:
        """Gives a key that grows along the way of a worker through its run."""
        word = self.step.rstrip(DIGITS)
        number = int(self.step.removeprefix(word) or 0)
        inside = self.is_inside
        return (
            inf if self.item is None else self.item,
            STEPS.index("" if inside else word),
            self.given if inside else 0,
            word if inside else "",
            number,
        )

    def __lt__(self, other: tuple[object, ...]) -> bool:
        return self.rank() < other.rank() if isinstance(other, CrashPoint) else NotImplemented


def is_inside(step: str) -> bool:
    return step[-1] in DIGITS and not step.startswith(("closed", "due"))


class Crash(NamedTuple):
    """The death of a worker: where, and what it had in hand, counted from the run's start."""

    worker: str
    point: CrashPoint
    hand: WorkerDeath | None


class Timeout(NamedTuple):
    """An item whose time ran out: its position in an input of the worker, counted from the run's
    start; without an input, the first of the steps of items in hand behind the end of its time."""

    worker: str
    input: int | None
    position: int

    def __str__(self) -> str:
        """What of the worker it is."""
        if self.input is None:
            return f"its item that goes on as step {self.position}"
        return f"its item {self.position} of input {self.input}"
