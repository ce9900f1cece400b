"""The answers to whether a type is assignable to another, and how several make one."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

__all__ = ["Assignability", "all_of", "any_of"]


class Assignability(Enum):
    """Is a value of one type assignable to another type?"""

    YES = "yes"
    NO = "no"
    UNSURE = "cannot tell"


def all_of(answers: Iterable[Assignability]) -> Assignability:
    """Combines what must all hold: one no is enough."""
    worst = Assignability.YES
    for answer in answers:
        if answer is Assignability.NO:
            return Assignability.NO
        if answer is Assignability.UNSURE:
            worst = Assignability.UNSURE
    return worst


def any_of(answers: Iterable[Assignability]) -> Assignability:
    """Combines what need only hold once: one yes is enough."""
    best = Assignability.NO
    for answer in answers:
        if answer is Assignability.YES:
            return Assignability.YES
        if answer is Assignability.UNSURE:
            best = Assignability.UNSURE
    return best


def doubted(answer: Assignability) -> Assignability:
    """Makes a yes that may have overlooked something unsure; a no stays one."""
    return Assignability.NO if answer is Assignability.NO else Assignability.UNSURE
