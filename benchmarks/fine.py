"""Work so fine that moving it costs more than doing it: integers through four trivial stages."""

from functools import partial
from multiprocessing import get_context
from multiprocessing.pool import Pool

from benchmarks.table import Table
from conveyor import Pipeline, Processor

CHUNKS = (1024, 2048, 4096, 8192, 16384)
MILLION = 1e6


def add_one(number: int) -> int:
    return number + 1


def add_four(number: int) -> int:
    return add_one(add_one(add_one(add_one(number))))


def measure(items: int, rounds: int) -> Table:
    """`Pool.imap` on the composed function, its chunk size tuned by hand, against a worker for every stage."""
    numbers = list(range(items))
    expected = items + 3
    table = Table(f"Fine: {items:,} integers through four stages of `x + 1`", "M items/s", items / MILLION)
    pipeline = Pipeline[int]().add(Processor(add_one))
    for _ in range(3):
        pipeline = pipeline.add(Processor(add_one))
    with get_context("fork").Pool(2) as pool, pipeline:
        chunk = best_chunk(pool, numbers)
        pipeline.run(numbers)
        for _ in range(rounds):
            table.time(
                f"`Pool(2).imap`, chunk size {chunk}, the best",
                lambda: last(through_pool(pool, numbers, chunk), expected),
            )
            table.time("Conveyor, four workers, defaults", lambda: last(pipeline.run(numbers), expected))
            table.time("one process, a plain loop", lambda: last([add_four(number) for number in numbers], expected))
    return table


def best_chunk(pool: Pool, numbers: list[int]) -> int:
    """The chunk size that someone who tunes by hand would find, from three tries each."""
    trial = Table("", "", 1.0)
    for _ in range(3):
        for chunk in CHUNKS:
            trial.time(str(chunk), partial(through_pool, pool, numbers, chunk))
    return max(CHUNKS, key=lambda chunk: max(trial.rates[str(chunk)]))


def through_pool(pool: Pool, numbers: list[int], chunk: int) -> list[int]:
    return list(pool.imap(add_four, numbers, chunk))


def last(results: list[int], expected: int) -> None:
    assert results[-1] == expected, f"the last result is {results[-1]}, not {expected}"
