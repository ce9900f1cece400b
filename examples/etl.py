"""Orders from a CSV file into SQLite: checked, priced, written by the hundred.

`setup=` makes a connection for each worker; what is refused is kept, with the reason.
"""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from conveyor import Batch, Pipeline, Processor
from conveyor.io import Csv

ROWS = [f"{n},{('Tea', 'coffee', 'cocoa')[n % 50 % 3]},{n % 9}" for n in range(2_000)]
SHOP = """create table prices (product text primary key, cents integer);
insert into prices values ('tea', 350), ('coffee', 520);
create table orders (number integer primary key, product, pieces, cents)"""


class Order(NamedTuple):
    number: int
    product: str
    pieces: int
    cents: int = 0


def checked(order: Order) -> Order:
    if order.pieces < 1:
        raise ValueError(f"{order.pieces} pieces")
    return order._replace(product=order.product.lower())


def priced(order: Order, shop: sqlite3.Connection) -> Order:
    for (cents,) in shop.execute("select cents from prices where product = ?", [order.product]):
        return order._replace(cents=order.pieces * cents)
    raise LookupError(f"no price for {order.product!r}")


def written(orders: list[Order], shop: sqlite3.Connection) -> int:
    with shop:  # one transaction; the same order twice is the same row
        shop.executemany("insert or replace into orders values (?, ?, ?, ?)", orders)
    return len(orders)


with tempfile.TemporaryDirectory() as folder, closing(sqlite3.connect(f"{folder}/db")) as shop:
    shop.executescript(SHOP)
    Path(folder, "orders.csv").write_text("\n".join(["number,product,pieces", *ROWS]))
    check = Processor(checked, on_error="dead_letter")
    price = Processor(priced, setup=lambda: sqlite3.connect(f"{folder}/db"), on_error="dead_letter")
    write = Processor(written, setup=lambda: sqlite3.connect(f"{folder}/db"))
    pl = Pipeline[Order]().add(check).add(price).add(Batch(100)).add(write)
    result = pl.run(Csv(f"{folder}/orders.csv", Order))
    print(f"{sum(result):,} orders written in {len(result)} transactions")
    for name in ("checked", "priced"):
        reasons = [letter.exception for letter in result.dead_letters if letter.stage == name]
        print(f"{len(reasons):,} refused by {name}, the first: {reasons[0]}")
    for product, cents in shop.execute("select product, sum(cents) from orders group by product"):
        print(f"{product:8} {cents / 100:12,.2f}")
