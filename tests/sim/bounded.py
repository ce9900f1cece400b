"""Random small pipelines of tight pipes, and what becomes of a run: what both worlds must agree on.

Workers import this file by name, so it stays light: the standard library and conveyor, and no test
tool.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from random import Random
from typing import Any, TypeAlias
from zlib import crc32

from conveyor import BalancingFork, FlatMap, Join, Pipe, Processor, ReplicatingFork, Zip
from conveyor.errors import Deadlock, TopologyError
from conveyor.sim.prepare.prepared import PreparedPipeline
from conveyor.sim.schedulers.exhaustive import Redundant
from conveyor.sim.search.api import made
from conveyor.sim.search.simulation import Simulator
from conveyor.stages import Stage
from tests.sim.parts import built

__all__ = ["STUCK", "All", "Pairs", "endings", "pipeline_rows", "real_ending"]

Row: TypeAlias = list[Stage]
Ending: TypeAlias = "tuple[Any, ...] | str"

STUCK = "stuck"
MOST_SCHEDULES = 600
MOST_NODES = 9


def late(item: Any) -> Any:
    """Takes a moment, now and then, so that workers overtake one another."""
    how_long = os.urandom(1)[0]
    if how_long > 160:
        time.sleep((how_long - 160) * 5e-6)
    return item


def some(item: Any) -> Any:
    """Drops about a third."""
    return item if crc32(repr(item).encode()) % 3 else None


def few(item: Any) -> Iterator[Any]:
    """Gives an item not at all, once or twice."""
    for _ in range(crc32(repr(item).encode()) % 3):
        yield item


class All(Processor[Any, Any]):
    """Gives nothing until the end, and then everything."""

    def setup(self) -> None:
        self.held: list[Any] = []

    def process(self, item: Any, /) -> None:
        self.held.append(item)

    def finish(self) -> Iterable[Any]:
        held, self.held = self.held, []
        return held


class Pairs(Processor[Any, Any]):
    """Gives two items together; one that is left at the end, by itself."""

    def setup(self) -> None:
        self.held: list[Any] = []

    def process(self, item: Any, /) -> Any:
        self.held.append(item)
        if len(self.held) == 2:
            return tuple(self.finish())
        return None

    def finish(self) -> Iterable[Any]:
        held, self.held = self.held, []
        return held


JOBS: Sequence[Callable[[], Stage]] = (
    lambda: Processor(late),
    lambda: Processor(late),
    lambda: Processor(some),
    lambda: FlatMap(few),
    All,
    Pairs,
)


def pipeline_rows(random: Random) -> tuple[list[Row], int]:
    """The rows of a pipeline that can be built, and how many items to send through it."""
    while True:
        rows = chain(random, 2)
        try:
            nodes = len(built(*rows).topology.nodes)
        except TopologyError:
            continue
        if 3 < nodes <= MOST_NODES:
            return rows, random.choice((2, 3, 4, 6, 9, 13))


def chain(random: Random, depth: int) -> list[Row]:
    """What one lane passes through."""
    rows: list[Row] = []
    for _ in range(random.choice((1, 1, 2)) if depth < 2 else random.choice((1, 2))):
        kind = random.random()
        if depth and kind < (0.8 if depth == 2 else 0.3):
            rows += diamond(random, depth - 1)
        elif kind < 0.9:
            rows += [[random.choice(JOBS)()]]
        else:
            rows += [[pipe(random)]]
    return rows


def pipe(random: Random) -> Stage:
    return Pipe(random.choice((1, 1, 1, 2, 3)))


def diamond(random: Random, depth: int) -> list[Row]:
    width = random.choice((2, 2, 2, 3))
    fork = random.choice((ReplicatingFork, ReplicatingFork, ReplicatingFork, BalancingFork))
    lanes = [bounded(random, chain(random, depth)) for _ in range(width)]
    return [[fork(width)], *side_by_side(random, lanes), *closed(random, width)]


def bounded(random: Random, rows: list[Row]) -> list[Row]:
    """With pipes before and behind, mostly."""
    chances = random.random(), random.random()
    before, behind = ([[pipe(random)] for _ in range(chance < 0.7)] for chance in chances)
    return [*before, *rows, *behind]


def side_by_side(random: Random, lanes: Sequence[list[Row]]) -> list[Row]:
    return [
        [stage for row in level for stage in (row or [pipe(random)])]
        for level in zip_longest(*lanes)
    ]


def closed(random: Random, width: int) -> list[Row]:
    """The lanes brought together, all at once or two of them first."""
    merges: list[Callable[[int], Stage]] = [Zip, Zip, Join, lambda n: Join(n, ordered=True)]
    if width == 3 and random.random() < 0.6:
        return [[random.choice((Zip, Join))(2), pipe(random)], *closed(random, 2)]
    return [[random.choice(merges)(width)]]


def endings(pl: Any, items: Sequence[Any]) -> set[Ending] | None:
    """All that a complete search finds; None if that would take too long."""
    simulator = Simulator(PreparedPipeline(pl.topology), items)
    simulator.searches_capacities = False
    scheduler = made("exhaustive", simulator.pipeline, seed=0)
    found: set[Ending] = set()
    for _ in range(MOST_SCHEDULES):
        if not scheduler.begin():
            return found
        try:
            attempt = simulator.attempt(scheduler)
        except Redundant:
            continue
        if attempt.error is not None and not isinstance(attempt.error, Deadlock):
            raise attempt.error
        found.add(STUCK if attempt.error is not None else tuple(attempt.outputs))
    return None


def real_ending(pl: Any, items: Iterable[Any], streamed: bool = False) -> Ending:
    """What becomes of a real run."""
    try:
        if not streamed:
            return tuple(pl.run(items))
        with pl.stream(items) as stream:
            return tuple(stream)
    except Deadlock:
        return STUCK
