"""The simulator: schedules and classes a second, stores a second, and how soon a failure is small.

One thread, no peers: rates hold for a machine on which the reference loop takes 30 ms, so each is
scaled by that loop, timed in the same round.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb
from time import perf_counter

from benchmarks.harness import Comparison, Goal, Section
from conveyor import Join, Pipeline, Processor, ReplicatingFork
from conveyor.sim.search.simulation import Simulation

REFERENCE_S = 0.030
SCHEDULES = 2000
STAGES = 4
ITEMS = 2000


def reference() -> None:
    s = 0
    for i in range(1_000_000):
        s += i & 3


def left(item: int) -> tuple[str, int]:
    return "left", item


def right(item: int) -> tuple[str, int]:
    return "right", item


def increment(item: int) -> int:
    return item + 1


def diamond() -> Pipeline[int, tuple[str, int]]:
    """A fork to two processors, and a join."""
    return (
        Pipeline[int]().add(ReplicatingFork(2)).add(Processor(left), Processor(right)).add(Join(2))
    )


def line() -> Pipeline[int, int]:
    increments = [Processor(increment, name=f"increment{n}") for n in range(STAGES)]
    pipeline = Pipeline[int]().add(increments[0])
    for each in increments[1:]:
        pipeline = pipeline.add(each)
    return pipeline


def seconds(run: Callable[[], object]) -> float:
    started = perf_counter()
    run()
    return perf_counter() - started


def scaled(work: float, run: Callable[[], object]) -> Callable[[], float]:
    """Work a second, on a machine that takes 30 ms for the reference loop."""
    return lambda: work * seconds(reference) / REFERENCE_S / seconds(run)


def explore(items: int) -> Callable[[], object]:
    pipeline = diamond()
    return lambda: pipeline.explore(range(items), strategy="exhaustive", schedules=1 << 30)


def shrunk() -> float:
    """How many milliseconds it takes to make a failure of forty decisions small."""

    def lefts_first(simulation: Simulation[tuple[str, int]]) -> bool:
        return [side for side, _ in simulation[:2]] != ["right", "right"]

    def search() -> None:
        found = diamond().explore(range(20), lefts_first, strategy="random", seed=5)
        assert found.failure is not None
        assert found.failure.runs <= 200

    return seconds(search) * REFERENCE_S / seconds(reference) * 1e3


def measure(rounds: int) -> Section:
    stores = ITEMS * (2 * STAGES + 3) + STAGES + 1
    rates = Comparison("thousands a second, scaled", rounds)
    schedules, five, seven, stored = (
        "schedules, 2 x 3 items",
        "classes, 2 x 5 items",
        "classes, 2 x 7 items",
        "stores",
    )
    run = Comparison("ms, scaled", rounds)
    rates.add(
        schedules,
        scaled(
            SCHEDULES / 1e3,
            lambda: diamond().explore(range(3), strategy="random", schedules=SCHEDULES),
        ),
    )
    rates.add(five, scaled(comb(10, 5) / 1e3, explore(5)))
    rates.add(seven, scaled(comb(14, 7) / 1e3, explore(7)))
    rates.add(stored, scaled(stores / 1e3, lambda: line().simulate(range(ITEMS))))
    run.add("a failure found and made small", shrunk)
    rates.measure()
    run.measure()
    return Section(
        "The simulator",
        "One thread. Rates are scaled to a machine on which `for i in range(1_000_000): s += i & 3`"
        " takes 30 ms, by that loop timed in the same round; the ratios compare with the first"
        " line. Every twentieth schedule is run a second time, as always, to find jobs that are not"
        " deterministic.",
        [rates.markdown(), run.markdown()],
        [
            Goal(
                "S1", "schedules/s, replicate 2 x 3 items, thousands", rates.median(schedules), 20
            ),
            Goal("S2", "classes/s, exhaustive, 2 x 5 items, thousands", rates.median(five), 30),
            Goal("S2", "classes/s, exhaustive, 2 x 7 items, thousands", rates.median(seven), 30),
            Goal("S3", "stores/s, thousands", rates.median(stored), 800),
            Goal(
                "S4",
                "a failure found and shrunk, seconds",
                run.median("a failure found and made small") / 1e3,
                0.2,
                False,
            ),
        ],
    )
