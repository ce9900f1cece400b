"""What befell the workers of a run: before which store one died, whose time ran out.

Knows: how places are named and which comes first.  Must never know: who died there, how that is
found out, files.
"""

from __future__ import annotations

from math import inf
from typing import Final, NamedTuple

from conveyor.core.crashes import WorkerDeath

__all__ = ["Fallen", "Place", "Timeout"]

DIGITS: Final = "0123456789"
STEPS: Final = (
    "begun",
    "taken",
    "held",
    "",
    "emitted",
    "saved",
    "closed",
)  # the empty one: some of its outputs are out


class Place(NamedTuple):
    """Before which store a worker died, in the words of a schedule: with which `item` (None: at the
    end), at which `step`.

    `given`: how many outputs it had given by then, the newest to some lanes only where the step is
    `copied`.

    >>> Place(4, "emitted", 5) < Place(5, "taken", 5) < Place(5, "copied1", 6) < Place(5, "emitted1", 6)
    True
    """

    item: int | None
    step: str
    given: int

    @property
    def is_inside(self) -> bool:
        """Are some of the outputs of the item out, and perhaps not all?"""
        return self.step[-1] in DIGITS and not self.step.startswith("closed")

    def rank(self) -> tuple[float, int, int, str, int]:
        """Grows along the way of a worker through its run."""
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
        return self.rank() < other.rank() if isinstance(other, Place) else NotImplemented


class Fallen(NamedTuple):
    """A worker that died, where, and what it had in hand, counted from the run's start."""

    worker: str
    place: Place
    hand: WorkerDeath | None


class Timeout(NamedTuple):
    """The time of an item ran out: of this position of an input, counted from the run's start."""

    worker: str
    input: int
    position: int
