"""Items of which a few take far longer than the rest, over eight lanes: does a long one hold others
up?"""

from __future__ import annotations

from heapq import heapify, heapreplace
from random import Random
from time import sleep

from benchmarks import peers
from benchmarks.harness import Comparison, Goal, Section
from conveyor import BalancingFork, Join, Pipeline, Processor

ITEMS = 400
LANES = 8
SEED = 1


def durations() -> list[float]:
    """Seconds: most a few milliseconds, some a hundred (Pareto, alpha 1.3)."""
    random = Random(SEED)
    return [min(0.2, 0.003 * random.paretovariate(1.3)) for _ in range(ITEMS)]


def work(seconds: float) -> float:
    sleep(seconds)
    return seconds


def greedy(seconds: list[float]) -> float:
    """When all are done if each goes, in the order of arrival, to the lane that is free first."""
    lanes = [0.0] * LANES
    heapify(lanes)
    for each in seconds:
        heapreplace(lanes, lanes[0] + each)
    return max(lanes)


def measure(rounds: int) -> Section:
    given = durations()
    bound = greedy(given)
    comparison = Comparison("s", rounds)

    def checked(results: list[float]) -> None:
        assert sorted(results) == sorted(given)

    processors = [Processor(work) for _ in range(LANES)]
    pipeline = Pipeline[float]().add(BalancingFork(LANES)).add(*processors).add(Join(LANES))
    with peers.fork.Pool(LANES) as pool, pipeline:
        limit, name = "limit: greedy list scheduling, computed", "Conveyor, defaults"
        comparison.add(limit, lambda: bound)
        comparison.add_seconds(name, lambda: checked(pipeline.run(given)))
        pooled = "`Pool(8).imap_unordered`"
        comparison.add_seconds(pooled, lambda: checked(list(pool.imap_unordered(work, given))))
        comparison.add_seconds("`Pool(8).map`", lambda: checked(pool.map(work, given)))
        comparison.measure()
    goals = [
        Goal(
            "P6",
            "skew: times greedy list scheduling",
            comparison.ratio(name, limit),
            1.04,
            at_least=False,
        ),
        Goal(
            "P6",
            "skew: times `Pool(8).imap_unordered`",
            comparison.ratio(name, pooled),
            1.0,
            at_least=False,
        ),
    ]
    text = (
        f"{ITEMS} sleeps with a heavy tail over {LANES} lanes; {sum(given):.2f} s in all, the "
        f"longest {max(given):.2f} s,\n"
        f"so no schedule takes less than {max(sum(given) / LANES, max(given)):.3f} s."
    )
    return Section("Skew", text, [comparison.markdown()], goals)
