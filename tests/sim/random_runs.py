"""Random small pipelines with everything that can befall a run: forks and joins of every kind, jobs
that drop, fail, multiply or keep a state, time limits, tight pipes.

Each is made of a number, so that one that fails can be had again.  Workers import this file by
name, so it stays light.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from random import Random
from typing import Any

from conveyor import BalancingFork, Filter, FlatMap, Join, Pipe, Processor, ReplicatingFork, Zip
from conveyor.errors import TopologyError
from conveyor.items.current_item import context
from tests.sim.parts import built

__all__ = ["Pipelines", "Refused", "number_of"]

Rows = list[list[Any]]


class Refused(Exception):
    """What some jobs raise."""


def number_of(*what: object) -> int:
    """The same number for the same things, in every process."""
    return zlib.crc32(repr(what).encode())


def marked(item: Any, name: str) -> str:
    """An item that has been through a job, and in which attempt."""
    return f"{item}{name}{context().attempt}"


def refuse(item: Any, name: str, kind: str) -> None:
    """Raises for some items: each time, or in the first attempt."""
    if (kind == "always" and number_of(item, name) % 3 == 0) or (
        kind == "at first" and context().attempt == 1
    ):
        raise Refused(name, item)


def mapped(name: str, drops: bool, refuses: str, options: dict[str, Any]) -> Processor[Any, Any]:
    def job(item: Any) -> Any:
        refuse(item, name, refuses)
        return None if drops and number_of(item, name) % 3 == 0 else marked(item, name)

    return Processor(job, name=name, **options)


def multiplied(name: str, most: int, refuses: str, options: dict[str, Any]) -> FlatMap[Any, Any]:
    """Gives up to so many outputs; where it refuses an item, some of them are given before."""

    def job(item: Any) -> Iterator[Any]:
        for number in range(number_of(item, name) % (most + 1)):
            if number == 1:
                refuse(item, name, refuses)
            yield f"{marked(item, name)}{number}"

    return FlatMap(job, name=name, **options)


def filtered(name: str) -> Filter[Any]:
    return Filter(lambda item: number_of(item, name) % 3 > 0, name=name)


class Numbered(Processor[Any, Any]):
    """Numbers its items, and says at the end how many they were, once or more."""

    def __init__(self, name: str, says: int, **options: Any) -> None:
        super().__init__(name=name, **options)
        self.label, self.says = name, says

    def setup(self) -> None:
        self.seen = 0

    def process(self, item: Any, /) -> Any:
        self.seen += 1
        return None if number_of(item) % 5 == 0 else f"{marked(item, self.label)}:{self.seen}"

    def finish(self) -> Iterable[Any]:
        for number in range(self.says):
            yield f"{self.label}{self.seen}-{number}"


class Remembered(Numbered):
    """The same, with a state that outlives its worker."""

    def snapshot(self) -> object:
        return self.seen

    def restore(self, state: object, /) -> None:
        assert isinstance(state, int)
        self.seen = state


class Many(FlatMap[Any, Any]):
    """Gives an item as often as it has seen items, up to three times."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        self.label = name

    def setup(self) -> None:
        self.seen = 0

    def process(self, item: Any, /) -> Iterable[Any]:
        self.seen += 1
        return [f"{marked(item, self.label)}{number}" for number in range(self.seen % 4)]


class ManyRemembered(Many):
    """The same, with a state that outlives its worker."""

    def snapshot(self) -> object:
        return self.seen

    def restore(self, state: object, /) -> None:
        assert isinstance(state, int)
        self.seen = state


class Pipelines:
    """A pipeline of a number: `build` makes it anew each time, `items` go through it."""

    def __init__(self, number: int) -> None:
        self.number = number
        attempt = 0
        while True:
            self.seed = f"{number}.{attempt}"
            try:
                self.build()
                break
            except TopologyError:  # not every join may stand in every place
                attempt += 1
        self.items = [chr(ord("a") + at) for at in range(1 + number_of(number) % 4)]

    def build(self) -> Any:
        return built(*Maker(Random(self.seed)).chain(2, least=1))


class Maker:
    """Draws stages, at most so many with a worker of their own."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.workers = random.randint(1, 6)
        self.names = iter("pqrstuvwxyzklmno")

    def chain(self, depth: int, least: int = 0) -> Rows:
        rows: Rows = []
        for _ in range(self.random.randint(least, 1 + depth)):
            rows += (
                self.diamond(depth) if depth and self.random.random() < 0.5 else [[self.stage()]]
            )
        return rows

    def diamond(self, depth: int) -> Rows:
        random = self.random
        join = random.choice(["join"] * 4 + ["ordered"] * 2 + ["zip"] * 2)
        fork = (
            "replicate"
            if join == "zip"
            else random.choice(["replicate", "replicate", "balance", "adapt"])
        )
        if fork == "adapt":
            return [[BalancingFork(max_lanes=2)], [self.stage()], [Join(ordered=join == "ordered")]]
        width = random.choice([2, 2, 2, 3])
        lanes = [self.chain(depth - 1) or [[self.pipe()]] for _ in range(width)]
        first: Any = (ReplicatingFork if fork == "replicate" else BalancingFork)(width)
        return [[first], *side_by_side(lanes), *self.end(join, width)]

    def end(self, join: str, width: int) -> Rows:
        rows: Rows = []
        # Two of the lanes first
        if width == 3 and join != "ordered" and self.random.random() < 0.5:
            rows, width = [[Join(2), Pipe()]], 2
        if join == "zip":
            return [*rows, [Zip(width)], *([[self.stage()]] if self.random.random() < 0.6 else [])]
        return [*rows, [Join(width, ordered=join == "ordered")]]

    def pipe(self) -> Pipe:
        return Pipe(self.random.choice([1, 1, 2, 3, 7, 16384]))

    def stage(self) -> Any:
        random = self.random
        kinds = (
            ["map"] * 3
            + ["many"] * 3
            + ["filter", "numbered", "numbered", "remembered", "grows", "grows again", "pipe"]
        )
        kind = random.choice(kinds) if self.workers > 0 else "pipe"
        if kind == "pipe":
            return self.pipe()
        self.workers -= 1
        name, refuses, options = (
            next(self.names),
            random.choice(["", "", "", "always", "at first"]),
            self.options(),
        )
        if refuses and random.random() < 0.8:
            options |= {"on_error": random.choice(["skip", "dead_letter"])}
        match kind:
            case "map":
                return mapped(name, random.random() < 0.5, refuses, options)
            case "many":
                return multiplied(name, random.choice([2, 3, 3, 7]), refuses, options)
            case "filter":
                return filtered(name)
            case "numbered":
                return Numbered(name, random.randint(0, 3), **options)
            case "remembered":
                return Remembered(name, random.randint(0, 3), **options)
            case "grows":
                return Many(name)
            case _:
                return ManyRemembered(name)

    def options(self) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if self.random.random() < 0.3:
            options["timeout_s"] = 1.0
        if self.random.random() < 0.3:
            options["on_error"] = self.random.choice(["skip", "dead_letter"])
        if self.random.random() < 0.3:
            options["retries"] = self.random.randint(1, 2)
        return options


def side_by_side(lanes: list[Rows]) -> Rows:
    """The rows of several lanes as rows of all; lanes that are shorter are filled up."""
    levels = zip_longest(*lanes)
    return [
        [stage for row in level for stage in ([Pipe()] if row is None else row)] for level in levels
    ]
