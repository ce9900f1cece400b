"""A figure: boxes, and arrows between them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

__all__ = ["Arrow", "Box", "Figure", "Shape"]


class Shape(Enum):
    """How a box is drawn: what the graph begins and ends with, what works, what only passes on."""

    END = "end"
    WORK = "work"
    ROUTER = "router"


class Box(NamedTuple):
    """A box.

    name: its title; kind: a word below it; lines: more lines of text; heat: from 0 to 1, how much
    its colour stands out; shape: how it is drawn.
    """

    name: str
    kind: str = ""
    shape: Shape = Shape.WORK
    lines: tuple[str, ...] = ()
    heat: float = 0.0

    @property
    def words(self) -> list[str]:
        """The lines of text in it; a kind that is its name, too, is not said twice."""
        kind = [self.kind] if self.kind and self.kind.casefold() != self.name.casefold() else []
        return [self.name, *kind, *self.lines]


class Arrow(NamedTuple):
    """An arrow from one box to another, both by their number."""

    source: int
    target: int
    label: str = ""


class Figure(NamedTuple):
    """Boxes, each numbered by its place, and the arrows between them; there are no circles."""

    boxes: Sequence[Box] = ()
    arrows: Sequence[Arrow] = ()
