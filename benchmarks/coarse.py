"""Work that is worth a process: a third of a millisecond of arithmetic an item, balanced over the
cores."""

from __future__ import annotations

from functools import partial

from benchmarks import peers
from benchmarks.harness import Comparison, Goal, Section
from benchmarks.jobs import work
from conveyor import BalancingFork, Join, Pipeline, Processor

ITEMS = 2000
CHUNKS = (1, 4, 16, 64)


def work_alone(items: int) -> int:
    for item in range(items):
        work(item)
    return items


def measure(rounds: int) -> Section:
    items = list(range(ITEMS))
    expected = sorted(map(work, items))
    comparison = Comparison("items/s", rounds)
    with (
        peers.bare_processes(work_alone) as bare,
        peers.fork.Pool(peers.WORKERS) as pool,
        peers.mpire_map(work) as mpire,
        Pipeline[int]().add(BalancingFork()).add(Processor(work)).add(Join()) as pipeline,
    ):

        def checked(results: list[int]) -> None:
            assert sorted(results) == expected

        def through_pool(chunk: int) -> None:
            checked(list(pool.imap_unordered(work, items, chunk)))

        limit, conveyor = "limit: two bare processes, half the items each", "Conveyor, defaults"
        comparison.add_rate(limit, ITEMS, lambda: bare(ITEMS))
        comparison.add_rate(conveyor, ITEMS, lambda: checked(pipeline.run(items)))
        pools = [f"`Pool(2).imap_unordered`, chunk size {chunk}" for chunk in CHUNKS]
        for chunk, name in zip(CHUNKS, pools, strict=True):
            comparison.add_rate(name, ITEMS, partial(through_pool, chunk))
        comparison.add_rate("joblib", ITEMS, lambda: checked(peers.joblib_map(work, items)))
        comparison.add_rate("mpire", ITEMS, lambda: checked(mpire(items)))
        comparison.add_rate("one process", ITEMS, lambda: work_alone(ITEMS))
        comparison.measure()
    goals = [
        Goal(
            "P2",
            "coarse: of what two bare processes reach",
            comparison.ratio(conveyor, limit),
            0.97,
        ),
        Goal(
            "P2",
            "coarse: times the best of `Pool`, joblib and mpire in each round",
            comparison.ratio_to_best(conveyor, [*pools, "joblib", "mpire"]),
            1.0,
        ),
    ]
    text = (
        f"{ITEMS:,} items of about 0.35 ms of arithmetic each: `BalancingFork()`, one processor,"
        " `Join()`."
    )
    return Section("Coarse", text, [comparison.markdown()], goals)
