"""Work so fine that moving it costs more than doing it: integers through four trivial stages."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing.pool import Pool
from typing import Any

from benchmarks import peers
from benchmarks.harness import Comparison, Goal, Section
from benchmarks.jobs import add_one
from conveyor import Pipe, Pipeline, Processor

ITEMS = 1_000_000
STAGES = 4
CHUNKS = (1024, 2048, 4096, 8192, 16384)
MILLION = 1e6


def add_four(number: int) -> int:
    return add_one(add_one(add_one(add_one(number))))


def chain(pipes: bool) -> Pipeline[Any, Any]:
    """Four stages; with pipes written between them, which keeps each in a worker of its own."""
    pipeline = Pipeline[int]().add(Processor(add_one))
    for _ in range(STAGES - 1):
        pipeline = (pipeline.add(Pipe()) if pipes else pipeline).add(Processor(add_one))
    return pipeline


def measure(rounds: int) -> Section:
    numbers = list(range(ITEMS))
    comparison = Comparison("M items/s", rounds)
    with (
        peers.fork.Pool(peers.WORKERS) as pool,
        ProcessPoolExecutor(peers.WORKERS, mp_context=peers.fork) as executor,
        peers.mpire_map(add_four) as mpire,
        peers.queue_chain(_add_one, STAGES) as queues,
        chain(pipes=False) as fused,
        chain(pipes=True) as unfused,
    ):
        chunk = best_chunk(pool, numbers)

        def executed(given: list[int]) -> list[int]:
            return list(executor.map(add_four, given, chunksize=chunk))

        def add(name: str, run: Any, items: int = ITEMS) -> str:
            given = numbers[:items]
            comparison.add_rate(name, items / MILLION, lambda: checked(run(given), items))
            return name

        tuned = add(
            f"`Pool(2).imap`, chunk size {chunk}, the best of {len(CHUNKS)}",
            partial(through_pool, pool, chunk),
        )
        default = add("Conveyor, defaults", fused.run)
        every = add("Conveyor, a worker for every stage", unfused.run)
        add("`Pool(2).imap`, chunk size 1", partial(through_pool, pool, 1), 20_000)
        add("`ProcessPoolExecutor.map`, the same chunks", executed)
        add("joblib", partial(peers.joblib_map, add_four), 200_000)
        add("mpire", mpire, 200_000)
        chained = add("a process a stage, `multiprocessing.Queue` between", queues, 20_000)
        pypeln = add("pypeln", partial(peers.pypeln_chain, _add_one, STAGES), 2_000)
        add("limit: one process, a plain loop", alone)
        comparison.measure()
    goals = [
        Goal("P1", "fine: times hand-tuned `Pool.imap`", comparison.ratio(default, tuned), 1.1),
        Goal(
            "P1", "fine: the same, a worker for every stage", comparison.ratio(every, tuned), 0.95
        ),
        Goal("P1", "fine: times a chain of queues", comparison.ratio(default, chained), 60),
        Goal("P1", "fine: times pypeln", comparison.ratio(default, pypeln), 1000),
    ]
    text = (
        f"{ITEMS:,} integers through four stages of `x + 1`; fewer through what takes longer. A "
        f"pool runs the four as one\n"
        "function, its chunk size tuned by hand."
    )
    return Section("Fine", text, [comparison.markdown()], goals)


def _add_one(number: Any) -> Any:
    return number + 1


def alone(numbers: list[int]) -> list[int]:
    return [add_four(number) for number in numbers]


def best_chunk(pool: Pool, numbers: list[int]) -> int:
    """The chunk size that someone who tunes by hand would find, from three tries each."""
    trial = Comparison("", 3)
    for chunk in CHUNKS:
        trial.add_rate(str(chunk), 1.0, partial(through_pool, pool, chunk, numbers))
    return int(trial.measure().best(*map(str, CHUNKS)))


def through_pool(pool: Pool, chunk: int, numbers: list[int]) -> list[int]:
    return list(pool.imap(add_four, numbers, chunk))


def checked(results: list[int], items: int) -> None:
    assert len(results) == items
    assert results[-1] == items - 1 + STAGES
