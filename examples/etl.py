"""Orders from a CSV file into SQLite: checked, priced, written by the hundred.

Rows that are refused are there at the end, with the reason. Each worker has a connection of its
own, which `setup=` makes.
"""

import csv
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from conveyor import Batch, Pipeline, Processor


@dataclass(frozen=True, slots=True)
class Order:
    number: int
    product: str
    pieces: int
    cents: int = 0


def checked(row: dict[str, str]) -> Order:
    order = Order(int(row["number"]), row["product"].strip().lower(), int(row["pieces"]))
    if order.pieces < 1:
        raise ValueError(f"{order.pieces} pieces")
    return order


def priced(order: Order, prices: sqlite3.Connection) -> Order:
    found = prices.execute("select cents from prices where product = ?", [order.product]).fetchone()
    if found is None:
        raise LookupError(f"no price for {order.product!r}")
    return Order(order.number, order.product, order.pieces, order.pieces * found[0])


def written(orders: list[Order], database: sqlite3.Connection) -> int:
    rows = [(order.number, order.product, order.pieces, order.cents) for order in orders]
    with database:  # one transaction; the same order twice is the same row
        database.executemany("insert or replace into orders values (?, ?, ?, ?)", rows)
    return len(rows)


def connect(path: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(path))


def make(path: Path, orders: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table prices (product text primary key, cents integer)")
        database.executemany("insert into prices values (?, ?)", [("tea", 350), ("coffee", 520)])
        database.execute("create table orders (number integer primary key, product, pieces, cents)")
    lines = [f"{n},{('Tea', 'coffee', 'cocoa')[n % 50 % 3]},{n % 9}" for n in range(2_000)]
    orders.write_text("\n".join(["number,product,pieces", *lines]), encoding="utf-8")


with tempfile.TemporaryDirectory() as folder:
    path, orders = Path(folder, "shop.db"), Path(folder, "orders.csv")
    make(path, orders)
    pl = (
        Pipeline[dict[str, str]]()
        .add(Processor(checked, on_error="dead_letter"))
        .add(Processor(priced, setup=partial(connect, path), on_error="dead_letter"))
        .add(Batch(100))
        .add(Processor(written, setup=partial(connect, path)))
    )
    with orders.open(encoding="utf-8", newline="") as file:
        result = pl.run(csv.DictReader(file))
    print(f"{sum(result):,} orders written in {len(result)} transactions")
    for stage in ("checked", "priced"):
        letters = [letter for letter in result.dead_letters if letter.stage == stage]
        print(f"{len(letters):,} refused by {stage}, the first: {letters[0].exception}")
    with connect(path) as database:
        for row in database.execute("select product, sum(cents) from orders group by product"):
            print(f"{row[0]:8} {row[1] / 100:12,.2f}")
