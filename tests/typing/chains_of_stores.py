"""Chains from files into files and the like: all accepted, with exactly these types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, assert_type

from conveyor import Pipeline, Processor, Report, Sink, Source
from conveyor.io import (
    Csv,
    Directory,
    Follow,
    JsonLines,
    Kafka,
    Lines,
    Parquet,
    RedisStream,
    SqlQuery,
    SqlTable,
)


class Price(TypedDict):
    name: str
    euros: float


@dataclass
class Sale:
    name: str
    cents: int


def sold(price: Price) -> Sale:
    return Sale(price["name"], round(100 * price["euros"]))


def first(row: dict[str, str]) -> str:
    return min(row.values())


def any_json(row: dict[str, Any]) -> str:
    return str(row)


assert_type(JsonLines("in/*.jsonl.gz"), JsonLines[Any])
assert_type(JsonLines(Path("in"), Price), JsonLines[Price])
assert_type(Csv(["a.csv", "b.csv"]), Csv[dict[str, str]])
assert_type(Csv("a.csv", Sale, on_error="skip"), Csv[Sale])
assert_type(list(Csv("a.csv")), list[dict[str, str]])

sales = Pipeline[Price]().add(Processor(sold))
assert_type(sales.drain(JsonLines("in/*.jsonl", Price), into=Csv("out.csv")), Report)
sales.drain(Csv("in.csv", Price), into=JsonLines("out", per_epoch=True, compression="zstd"))
sales.run(JsonLines("in/*.jsonl", Price))
Pipeline[str]().add(Processor(str.upper)).drain(Lines("in.txt"), into=Lines("out.txt.gz"))
Pipeline[dict[str, str]]().add(Processor(first)).drain(Csv("in.csv"), into=Lines("out.txt"))
Pipeline[dict[str, Any]]().add(Processor(any_json)).drain(JsonLines("in"), into=JsonLines("out"))
lines: Source[str, Any] = Lines("in.txt")
texts: Sink[str] = Lines("out.txt")
values: Sink[object] = JsonLines("out.jsonl")
prices: Source[Price, Any] = JsonLines("in", Price)
rows: Iterator[tuple[Price, Any]] = JsonLines("in", Price).open(None)

assert_type(SqlTable("sqlite:///a.db", "t"), SqlTable[dict[str, Any]])
assert_type(SqlTable("sqlite:///a.db", "t", "n", Sale), SqlTable[Sale])
assert_type(SqlTable("sqlite:///a.db", "t", schema=Sale, order_by="n"), SqlTable[Sale])
assert_type(SqlQuery("sqlite:///a.db", "select 1 as n", "n", Price, page=5), SqlQuery[Price])
assert_type(Parquet("in/*.parquet", Price), Parquet[Price])
sales.drain(SqlTable("sqlite:///a.db", "t", "n", Price), into=SqlTable("sqlite:///b.db", "t"))
sales.drain(Parquet("in/*.parquet", Price), into=Parquet("out", per_epoch=True))
sales.drain(JsonLines("in", Price), into=RedisStream("redis://localhost", "sales"))
Pipeline[str]().add(Processor(str.upper)).drain(Follow("a.log"), into=Kafka("localhost", "lines"))
Pipeline[Path]().add(Processor(Path.read_text)).drain(Directory("in"), into=Lines("out"))
