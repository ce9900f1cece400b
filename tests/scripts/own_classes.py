"""Items of the script's own classes go to the workers and come back, and are of those classes here
and there.

There is no main guard: that the workers never run this file shows in its output, which would come
twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from conveyor import FlatMap, Pipeline, Processor


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclass(frozen=True)
class Point:
    x: int
    colour: Colour


class Pair(NamedTuple):
    left: Point
    right: Point


class Base:
    made_here = "in the script"

    def describe(self) -> str:
        return f"{type(self).__name__} {self.made_here}"


class Derived(Base):
    pass


def moved(point: Point) -> Point:
    assert type(point) is Point
    assert point.colour is Colour.RED
    return Point(point.x + 1, Colour.BLUE)


def twins(point: Point) -> list[Pair]:
    assert isinstance(point, Point)
    assert point.colour is Colour.BLUE
    return [Pair(point, moved(Point(point.x, Colour.RED)))]


class Describe(Processor[Pair, tuple[Pair, Derived]]):
    """A stateful processor of the script's own."""

    def setup(self) -> None:
        self.made: type[Derived] = Derived

    def process(self, item: Pair, /) -> tuple[Pair, Derived]:
        assert type(item) is Pair
        return item, self.made()


print("begin", flush=True)
outputs = (
    Pipeline[Point]()
    .add(Processor(moved))
    .add(FlatMap(twins))
    .add(Describe())
    .run([Point(1, Colour.RED), Point(5, Colour.RED)])
)
for pair, derived in outputs:
    assert type(pair) is Pair
    assert type(pair.left) is type(pair.right) is Point
    assert pair.right.colour is Colour.BLUE
    assert type(derived) is Derived
    print(pair.left.x, pair.right.x, derived.describe())
