"""What a job says if time wakes it, or holds it up.

Knows: what it holds, and by when.  Must never know: a clock; moments come to it as numbers.

Rule 1.  What it gives for an item never depends on the time, only on its state: a moment that it is
         told may change when something comes due, and nothing else.
Rule 2.  That something comes due changes its state, and gives nothing.  Whoever runs it keeps that
         state before he asks for what is due.  So another worker that goes on from the state that
         was kept gives the same again, although its clock says something else.
Rule 3.  What is due is given out before the next item is taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

__all__ = ["Timed", "is_woken", "timed"]


class Timed:
    """What beside items a job is asked for by the time; every moment is in seconds of its worker's
    clock.

    `_now` is set before each slice of items, to when it was taken in hand.
    """

    # Does anything come due, or are items only held up?
    _gives_by_time: ClassVar[bool] = True

    # Does what is due give something else at the end of a run than `finish` would?
    _differs_at_end: ClassVar[bool] = False

    _now: float = 0.0

    @property
    def _watches_time(self) -> bool:
        """Was it told of a time at all?"""
        return True

    def _deadline(self) -> float | None:
        """When the first of what it holds comes due; None if it holds nothing."""
        return None

    def _come_due(self) -> None:
        """The deadline has passed: what it was of is due."""

    @property
    def _is_due(self) -> bool:
        """Is there anything to be given out?"""
        return False

    def _due(self) -> Iterable[object]:
        """Gives out what is due, and forgets it."""
        return ()

    def _allowance(self, now: float) -> int | None:
        """How many items it may be given now; None: any number."""
        return None

    def _opens_at(self) -> float:
        """When it may be given an item, if that is not now."""
        return self._now

    def _left(self, outputs: int, now: float) -> None:
        """Called when so many outputs are out, before the next item."""


def is_woken(stage: object) -> bool:
    """Does a stage give outputs because time goes by?"""
    found = timed(stage)
    return found is not None and found._gives_by_time  # pyright: ignore[reportPrivateUsage]  # as a method would


def timed(stage: object) -> Timed | None:
    """The stage, if time wakes it or holds it up."""
    return stage if isinstance(stage, Timed) and stage._watches_time else None  # pyright: ignore[reportPrivateUsage]  # as a method would
