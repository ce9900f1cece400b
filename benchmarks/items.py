"""What the class of an item costs: the same fields as a tuple, a dict, a dataclass and more, from
one process to the next, and out and back."""

from __future__ import annotations

import datetime
import decimal
import enum
import gc
import uuid
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import peers
from benchmarks.harness import Comparison, Goal, Section, processor_seconds
from conveyor import Pipeline, Processor
from conveyor.runtime import Placement

ITEMS = 15_000
CHUNKS = (64, 512, 4096)
RUNS = 2
MOST_ROUNDS = 3  # of so many classes
THOUSAND, MICRO = 1e3, 1e6
APART = Placement(fuse=False)
OURS, POOL, JOBLIB, LOOP = "Conveyor", "`Pool(1).imap`", "joblib", "a plain loop"

TEXT = f"""Four fields (three strings and a number) as items of several classes, {ITEMS:,} of
them. Above: one stage makes them, one passes them on, one drops them, each in a worker of its
own; what all processes together spend, the making included. Below: a list of items through one
stage and back. The pool has one process, as the stage has, and the best chunk size of
{len(CHUNKS)}; joblib has two. What the benchmark has in memory is kept from the collector there
(`gc.freeze`): a full look at it takes as long as a run, and came in anybody's run."""


class Named(NamedTuple):
    address: str
    minute: str
    path: str
    status: int


@dataclass
class Plain:
    address: str
    minute: str
    path: str
    status: int


@dataclass(frozen=True)
class Frozen:
    address: str
    minute: str
    path: str
    status: int


@dataclass(slots=True)
class Slotted:
    address: str
    minute: str
    path: str
    status: int


@dataclass(frozen=True, slots=True)
class FrozenSlotted:
    address: str
    minute: str
    path: str
    status: int


@dataclass
class Nested:
    """A record within a record, and a list."""

    hit: Plain
    tags: list[str]


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


@dataclass
class Rich:
    """Fields that are no atoms."""

    when: datetime.datetime
    price: decimal.Decimal
    level: Level
    key: uuid.UUID


Fields = tuple[str, str, str, int]

CLASSES: dict[str, Callable[[Fields], object]] = {
    "tuple": lambda fields: fields,
    "dict": lambda fields: dict(zip(("address", "minute", "path", "status"), fields, strict=True)),
    "NamedTuple": lambda fields: Named(*fields),
    "dataclass": lambda fields: Plain(*fields),
    "frozen dataclass": lambda fields: Frozen(*fields),
    "dataclass with slots": lambda fields: Slotted(*fields),
    "frozen dataclass with slots": lambda fields: FrozenSlotted(*fields),
    "dataclass in a dataclass, with a list": lambda fields: Nested(Plain(*fields), ["a", "b"]),
    "dataclass of datetime, Decimal, Enum, UUID": lambda fields: Rich(
        datetime.datetime(2026, 11, 29, 10, fields[3] % 60),
        decimal.Decimal(fields[3]),
        Level.HIGH,
        uuid.UUID(int=fields[3]),
    ),
    "Path": lambda fields: Path(fields[2]),
}
TIMES_A_TUPLE = {
    "dict": 2.0,
    "NamedTuple": 2.5,
    "dataclass": 2.5,
    "frozen dataclass": 2.5,
    "dataclass with slots": 2.5,
    "frozen dataclass with slots": 2.5,
}


def fields_of(number: int) -> Fields:
    return f"10.0.0.{number % 251}", "29/Nov/2026:10:00", f"/api/items/{number % 997}", number


def same(item: Any) -> Any:
    return item


def drop(item: object) -> None:
    """Takes what it is given."""


def maker(make: Callable[[Fields], object]) -> Callable[[int], object]:
    return lambda number: make(fields_of(number))


def measure(rounds: int) -> Section:
    rounds = min(rounds, MOST_ROUNDS)
    sent = Comparison("µs of processor time an item", rounds)
    back: dict[str, Comparison] = {}
    chunks: dict[str, int] = {}
    fields = list(map(fields_of, range(ITEMS)))
    with ExitStack() as stack:
        pool = stack.enter_context(peers.fork.Pool(1))
        there_and_back = stack.enter_context(Pipeline[Any]().add(Processor(same)))
        for name, make in CLASSES.items():
            stages = [Processor(maker(make)), Processor(same), Processor(drop)]
            pipeline: Any = stack.enter_context(Pipeline[int]())
            for stage in stages:
                pipeline.add(stage)
            run = partial(pipeline.run, range(ITEMS), placement=APART)
            sent.add(name, partial(processor_micros, run, RUNS * ITEMS, RUNS))
            items = list(map(make, fields))
            chunks[name], back[name] = compared(rounds, items, pool, there_and_back)
        sent.measure()
    goals = [
        Goal("P7", f"items: {name}, times a tuple", sent.ratio(name, "tuple"), bound, False)
        for name, bound in TIMES_A_TUPLE.items()
    ]
    goals.append(
        Goal(
            "P7",
            "items: one hop out and back, times hand-tuned `Pool.imap`, the worst class",
            min(each.ratio(OURS, POOL) for each in back.values()),
            1.0,
        )
    )
    return Section("Items", TEXT, [sent.markdown(), table_of(back, chunks)], goals)


def compared(
    rounds: int, items: list[object], pool: Pool, pipeline: Pipeline[Any, Any]
) -> tuple[int, Comparison]:
    """The best chunk size of a pool, and everybody's thousands of items a second, out and back."""

    def checked(results: Iterable[object]) -> None:
        assert list(results) == items

    trial = Comparison("", 1)
    for size in CHUNKS:
        trial.add_rate(str(size), 1.0, partial(through_pool, pool, size, items))
    chunk = int(trial.measure().best(*map(str, CHUNKS)))
    work = ITEMS / THOUSAND
    comparison = Comparison("1,000 items/s", rounds)
    comparison.add_rate(LOOP, work, lambda: checked(map(same, items)))
    comparison.add_rate(OURS, work, lambda: checked(pipeline.run(items)))
    comparison.add_rate(POOL, work, lambda: checked(through_pool(pool, chunk, items)))
    comparison.add_rate(JOBLIB, work, lambda: checked(peers.joblib_map(same, items)))
    gc.collect()
    gc.freeze()
    try:
        return chunk, comparison.measure()
    finally:
        gc.unfreeze()


def through_pool(pool: Pool, chunk: int, items: list[object]) -> list[object]:
    return list(pool.imap(same, items, chunk))


def table_of(back: dict[str, Comparison], chunks: dict[str, int]) -> str:
    """A line for each class: what each competitor reaches, and Conveyor in times of a pool."""
    names = (OURS, POOL, JOBLIB, LOOP)
    lines = [
        f"| 1,000 items/s, out and back | {' | '.join(names)} | chunk | {OURS}, times {POOL} |",
        f"| --- |{' --- |' * (len(names) + 2)}",
    ]
    for name, comparison in back.items():
        cells = [f"{comparison.median(each):.3g}" for each in names]
        ratio = comparison.ratio(OURS, POOL)
        lines.append(f"| {name} | {' | '.join(cells)} | {chunks[name]} | {ratio:.3g} |")
    return "\n".join(lines)


def processor_micros(run: Callable[[], object], items: int, times: int) -> float:
    """Microseconds an item that all processes together spend."""
    before = processor_seconds()
    for _ in range(times):
        run()
    return (processor_seconds() - before) / items * MICRO
