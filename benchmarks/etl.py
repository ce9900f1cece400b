"""Extract, transform, load, as it is written for the first time: rows of text become dataclasses,
are enriched from a table, gathered and written into a database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.pool import Pool

from benchmarks import peers
from benchmarks.harness import Comparison, Goal, Section
from conveyor import BalancingFork, Filter, Join, Pipeline, Processor

ROWS = 60_000
BATCH = 500
CUSTOMERS = 1_000
CHUNKS = (64, 256, 1024, 4096)
THOUSAND = 1e3


@dataclass(slots=True)
class Order:
    """One row; `region` is not in it."""

    number: int
    customer: str
    country: str
    cents: int
    region: str = ""


def rows() -> list[str]:
    countries = ("DE", "FR", "PL", "US", "??")
    return [
        f"{number},customer-{number * 7 % CUSTOMERS},{countries[number % 5]},"
        f"{number * 37 % 9973 / 100:.2f}"
        for number in range(ROWS)
    ]


def read(row: str) -> Order:
    number, customer, country, price = row.split(",")
    return Order(int(number), customer.strip(), country.upper(), round(float(price) * 100))


def is_valid(order: Order) -> bool:
    return order.country.isalpha() and order.cents > 0


def regions() -> dict[str, str]:
    return {f"customer-{number}": f"region-{number % 17}" for number in range(CUSTOMERS)}


class Enrich(Processor[Order, Order]):
    """Adds what the table of its worker knows of the customer."""

    def setup(self) -> None:
        self.regions = regions()

    def process(self, order: Order, /) -> Order:
        return replace(order, region=self.regions[order.customer])


class Gather(Processor[Order, list[Order]]):
    """Orders in lists, to be written at once."""

    def setup(self) -> None:
        self.gathered: list[Order] = []

    def process(self, order: Order, /) -> list[Order] | None:
        self.gathered.append(order)
        return self.take() if len(self.gathered) == BATCH else None

    def take(self) -> list[Order]:
        taken, self.gathered = self.gathered, []
        return taken

    def finish(self) -> Iterable[list[Order]]:
        if self.gathered:
            yield self.take()


class Table:
    """Where the orders go."""

    def __init__(self) -> None:
        self.database = sqlite3.connect(":memory:")
        self.database.execute("create table orders (number, customer, country, cents, region)")

    def write(self, orders: list[Order]) -> None:
        self.database.executemany(
            "insert into orders values (?, ?, ?, ?, ?)",
            [
                (order.number, order.customer, order.country, order.cents, order.region)
                for order in orders
            ],
        )

    def summary(self) -> tuple[int, int]:
        """How many rows there are, and what they add up to; then none are."""
        (summary,) = self.database.execute("select count(*), sum(cents) from orders").fetchall()
        self.database.execute("delete from orders")
        return summary[0], summary[1]


class Write(Processor[list[Order], tuple[int, int]]):
    """Writes lists of orders into its table, and says at the end what is there."""

    def setup(self) -> None:
        self.table = Table()

    def process(self, orders: list[Order], /) -> None:
        self.table.write(orders)

    def finish(self) -> Iterator[tuple[int, int]]:
        yield self.table.summary()


REGIONS = regions()


def whole_order(row: str) -> Order | None:
    """What is done with one row before it is written."""
    order = read(row)
    return replace(order, region=REGIONS[order.customer]) if is_valid(order) else None


def loaded(orders: Iterable[Order | None]) -> tuple[int, int]:
    """What a program without stages does with what has been made of its rows."""
    table, gathered = Table(), list[Order]()
    for order in orders:
        if order is not None:
            gathered.append(order)
        if len(gathered) == BATCH:
            table.write(gathered)
            gathered = []
    table.write(gathered)
    return table.summary()


def through_pool(pool: Pool, chunk: int, given: list[str]) -> tuple[int, int]:
    return loaded(pool.imap(whole_order, given, chunk))


def measure(rounds: int) -> Section:
    given = rows()
    expected = loaded(map(whole_order, given))
    work = ROWS / THOUSAND
    comparison = Comparison("1,000 rows/s", rounds)

    def checked(summary: tuple[int, int]) -> None:
        assert summary == expected

    chained = (
        Pipeline[str]()
        .add(Processor(read))
        .add(Filter(is_valid))
        .add(Enrich())
        .add(Gather())
        .add(Write())
    )
    lanes = (
        Pipeline[str]()
        .add(BalancingFork())
        .add(Processor(read))
        .add(Filter(is_valid))
        .add(Enrich())
    )
    balanced = lanes.add(Join()).add(Gather()).add(Write())
    with peers.fork.Pool(peers.WORKERS) as pool, chained, balanced:
        trial = Comparison("", 3)
        for chunk in CHUNKS:
            trial.add_rate(str(chunk), 1.0, partial(through_pool, pool, chunk, given))
        chunk = int(trial.measure().best(*map(str, CHUNKS)))
        loop, pooled = (
            "one process, a plain loop",
            f"`Pool(2).imap`, chunk size {chunk}, the best of {len(CHUNKS)}",
        )
        comparison.add_rate(loop, work, lambda: checked(loaded(map(whole_order, given))))
        comparison.add_rate(
            "Conveyor, the stages in a chain", work, lambda: checked(chained.run(given)[0])
        )
        across = "Conveyor, `BalancingFork()` around read, filter and enrich"
        comparison.add_rate(across, work, lambda: checked(balanced.run(given)[0]))
        comparison.add_rate(pooled, work, lambda: checked(through_pool(pool, chunk, given)))
        comparison.add_rate(
            "joblib", work, lambda: checked(loaded(peers.joblib_map(whole_order, given)))
        )
        comparison.measure()
    goals = [
        Goal(
            "P7",
            "etl: balanced, times hand-tuned `Pool.imap`",
            comparison.ratio(across, pooled),
            1.0,
        )
    ]
    text = (
        f"{ROWS:,} rows of text: a dataclass with slots for each, filtered, enriched from a table "
        f"by a class, gathered by\n"
        f"{BATCH} and written into SQLite. A pool makes an order of a row, and gathers and writes "
        "in the parent."
    )
    return Section("ETL", text, [comparison.markdown()], goals)
