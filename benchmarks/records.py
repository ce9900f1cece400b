"""Log crunching: lines of JSON are parsed, filtered, normalised and counted by key."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from functools import partial
from multiprocessing.pool import Pool
from typing import Any, TypeAlias

from benchmarks import peers
from benchmarks.harness import Comparison, Goal, Section
from conveyor import BalancingFork, Filter, Join, Pipeline, Processor

ITEMS = 200_000
CHUNKS = (256, 1024, 4096, 16384)
THOUSAND = 1e3

Record: TypeAlias = dict[str, Any]


def lines() -> list[str]:
    levels = ("info", "debug", "WARNING", "Error")
    return [
        json.dumps(
            {
                "time": 1_700_000_000 + number,
                "level": levels[number * 7 % 4],
                "service": f"Service-{number % 37}",
                "ms": number * 13 % 997 / 10,
                "user": f"user{number * 31 % 10_007}",
                "path": f"/api/v1/things/{number % 101}",
            }
        )
        for number in range(ITEMS)
    ]


def parse(line: str) -> Record:
    record: Record = json.loads(line)
    return record


def matters(record: Record) -> object:
    return record["level"] != "debug" and record["ms"] > 5.0


def normalise(record: Record) -> tuple[str, str]:
    return record["service"].lower(), record["level"].lower()


class Count(Processor[tuple[str, str], Counter[tuple[str, str]]]):
    """How often each key came."""

    def setup(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def process(self, item: tuple[str, str], /) -> None:
        self.counts[item] += 1

    def finish(self) -> Iterable[Counter[tuple[str, str]]]:
        yield self.counts
        self.counts = Counter()


def key_of(line: str) -> tuple[str, str] | None:
    record = parse(line)
    return normalise(record) if matters(record) else None


def counted(keys: Iterable[tuple[str, str] | None]) -> Counter[tuple[str, str]]:
    return Counter(key for key in keys if key is not None)


def through_pool(pool: Pool, chunk: int, given: list[str]) -> Counter[tuple[str, str]]:
    return counted(pool.imap_unordered(key_of, given, chunk))


def measure(rounds: int) -> Section:
    given = lines()
    expected = counted(map(key_of, given))
    work = ITEMS / THOUSAND
    comparison = Comparison("1,000 lines/s", rounds)

    def checked(counts: Counter[tuple[str, str]]) -> None:
        assert counts == expected

    chained = (
        Pipeline[str]()
        .add(Processor(parse))
        .add(Filter(matters))
        .add(Processor(normalise))
        .add(Count())
    )
    balanced = (
        Pipeline[str]()
        .add(BalancingFork())
        .add(Processor(parse))
        .add(Filter(matters))
        .add(Processor(normalise))
    )
    joined = balanced.add(Join()).add(Count())
    with peers.fork.Pool(peers.WORKERS) as pool, peers.mpire_map(key_of) as mpire, chained, joined:
        trial = Comparison("", 3)
        for chunk in CHUNKS:
            trial.add_rate(str(chunk), 1.0, partial(through_pool, pool, chunk, given))
        chunk = int(trial.measure().best(*map(str, CHUNKS)))
        pooled = f"`Pool(2).imap_unordered`, chunk size {chunk}, the best of {len(CHUNKS)}"
        name = "Conveyor, `BalancingFork()` around parse, filter and normalise"
        comparison.add_rate(pooled, work, lambda: checked(through_pool(pool, chunk, given)))
        comparison.add_rate(name, work, lambda: checked(joined.run(given)[0]))
        in_chain, loop = "Conveyor, the stages in a chain", "one process"
        comparison.add_rate(in_chain, work, lambda: checked(chained.run(given)[0]))
        comparison.add_rate(
            "joblib", work, lambda: checked(counted(peers.joblib_map(key_of, given)))
        )
        comparison.add_rate("mpire", work, lambda: checked(counted(mpire(given))))
        comparison.add_rate(loop, work, lambda: checked(counted(map(key_of, given))))
        comparison.measure()
    goals = [
        Goal("P7", "records: times hand-tuned `Pool.imap`", comparison.ratio(name, pooled), 1.0),
        Goal("P7", "records: in a chain, times one process", comparison.ratio(in_chain, loop), 1.0),
    ]
    text = (
        f"{ITEMS:,} lines of JSON to dictionaries, filtered, normalised, counted by key. A pool "
        f"runs the first three as one\n"
        "function and counts in the parent."
    )
    return Section("Records", text, [comparison.markdown()], goals)
