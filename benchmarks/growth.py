"""How cost grows with the number of items, stages and lanes, and with the size of an item; drawn in
docs/growth.svg."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from time import perf_counter
from typing import Any

from benchmarks.document import DOCUMENT
from benchmarks.harness import Goal, Section
from benchmarks.plot import Panel, svg
from conveyor import BalancingFork, Join, Pipeline, Processor
from conveyor.runtime.placement import Placement

PICTURE = DOCUMENT.with_name("growth.svg")

COUNTS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
DEPTHS = (1, 2, 4, 8, 16, 32)
WIDTHS = (1, 2, 4, 8, 16)
SIZES = (*(8 << step for step in range(0, 24, 2)), 64 << 20)

ITEMS = 1_000_000  # where something else grows
SMALL_ITEMS = 100_000
LANE_ITEMS = 4_000
SPIN = 400  # about 20 µs
SIZE_BYTES = 256 << 20  # moved in all, but for small items
NANO = 1e9

TEXT = """Warm runs, the quickest of each kind. A run has a fixed cost, which a thousand items show:
{thousand:.1f} ms to wake the workers and hear from each that it is done. From 1e5 items on time is
proportional. It is not linear in

- few items: slices double from one item on, so the first some thousand items pay more each;
- stages: those of nothing but operators share a worker where workers are short, and each more costs
  {fused:.0f} ns an item there; with a worker each it costs {apart:.0f}, and up to the number of
  cores less, as these run side by side;
- lanes up to the number of cores, where they add speed; beyond, they only wait in turn;
- the size of an item: below some hundred bytes it does not show beside the {small:.0f} ns that
  moving an item costs; from there on the copies cost, in all {middle:.1f} GB/s over both hops at 8
  kB, where a record fits into the caches, and {large:.1f} GB/s at 64 MiB, where each pickle is new
  memory, which the system has to find and to clear. From 256 kB on a record lies outside of its
  ring."""

Points = list[tuple[float, float]]


def add_one(number: int) -> int:
    return number + 1


def same(item: Any) -> Any:
    return item


def spin(number: int) -> int:
    for step in range(SPIN):
        number += step & 3
    return number


def chain(depth: int) -> Pipeline[Any, Any]:
    pipeline = Pipeline[int]().add(Processor(add_one))
    for _ in range(depth - 1):
        pipeline = pipeline.add(Processor(add_one))
    return pipeline


def balanced(width: int) -> Any:
    pipeline: Any = Pipeline()
    pipeline.add(BalancingFork(width)).add(*(Processor(spin) for _ in range(width))).add(
        Join(width)
    )
    return pipeline


def seconds(
    pipeline: Pipeline[Any, Any],
    items: Sequence[object],
    rounds: int,
    placement: Placement | None = None,
) -> float:
    """Of the quickest warm run: what else the machine does only adds to it, and a slope is a small
    difference."""
    spent: list[float] = []
    with pipeline:
        pipeline.run(items[: len(items) // 10 + 1], placement=placement)
        for _ in range(rounds):
            started = perf_counter()
            pipeline.run(items, placement=placement)
            spent.append(perf_counter() - started)
    return min(spent)


def by_count(rounds: int) -> Points:
    return [(n, seconds(chain(4), range(n), rounds)) for n in COUNTS]


def by_depth(rounds: int, placement: Placement) -> Points:
    return [(depth, seconds(chain(depth), range(ITEMS), rounds, placement)) for depth in DEPTHS]


def by_width(rounds: int) -> Points:
    return [
        (width, seconds(balanced(width), range(LANE_ITEMS), rounds) / LANE_ITEMS * NANO)
        for width in WIDTHS
    ]


def by_size(rounds: int) -> Points:
    points: Points = []
    for size in SIZES:
        # Each an object of its own: of one that comes again a pickle says no more than that.
        items = [bytes(size) for _ in range(max(4, min(SMALL_ITEMS, SIZE_BYTES // size)))]
        pipeline = Pipeline[bytes]().add(Processor(same)).add(Processor(len))
        points.append((size, seconds(pipeline, items, rounds) / len(items) * NANO))
    return points


def slopes(points: Points, first: float) -> list[float]:
    """Seconds for one more of what grows, between one point and the next, from `first` on."""
    wanted = [point for point in points if point[0] >= first]
    return [
        (behind[1] - before[1]) / (behind[0] - before[0]) for before, behind in pairwise(wanted)
    ]


def spread(values: Sequence[float]) -> float:
    """How many times the largest is the smallest; without end if one is none at all."""
    return max(values) / min(values) if min(values) > 0 else float("inf")


def measure(rounds: int) -> Section:
    counts, widths, sizes = by_count(rounds), by_width(rounds), by_size(rounds)
    fused, apart = by_depth(rounds, Placement()), by_depth(rounds, Placement(fuse=False))
    panels = [
        Panel("Items, through four stages", "items", "seconds", {"run": counts}),
        Panel(
            f"Stages, {ITEMS:,} items",
            "stages",
            "seconds",
            {"fused": fused, "a worker each": apart},
        ),
        Panel("Lanes, 20 µs of work an item", "lanes", "ns an item", {"balanced": widths}),
        Panel("Size of an item, two stages", "bytes", "ns an item", {"bytes": sizes}),
    ]
    PICTURE.write_text(svg(panels), encoding="utf-8")
    goals = [
        Goal(
            "P9",
            "growth: spread of the slope, 1e5 to 1e7 items",
            spread(slopes(counts, 100_000)),
            1.3,
            at_least=False,
        ),
        Goal(
            "P9",
            "growth: spread of the slope, 4 to 32 stages",
            spread(slopes(fused, 4)),
            1.3,
            at_least=False,
        ),
        Goal(
            "P9", "growth: the same, a worker each", spread(slopes(apart, 4)), 1.3, at_least=False
        ),
        Goal(
            "P9",
            "growth: spread of the cost of an item, 1 to 16 lanes",
            spread([y for _, y in widths[1:]]),
            1.3,
            at_least=False,
        ),
    ]
    rates = {size: 2 * size / nanoseconds for size, nanoseconds in sizes}
    text = TEXT.format(
        thousand=counts[0][1] * 1e3,
        fused=slopes(fused, 4)[-1] / ITEMS * NANO,
        apart=slopes(apart, 4)[-1] / ITEMS * NANO,
        small=sizes[0][1],
        middle=rates[8 << 10],
        large=rates[SIZES[-1]],
    )
    return Section("Growth", text, ["![How cost grows](growth.svg)"], goals)
