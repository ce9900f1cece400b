"""Chains whose functions are given what `setup=` makes: all accepted, with exactly these types."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Self, assert_type

from conveyor import BalancingFork, Filter, FlatMap, Join, Pipe, Pipeline, Processor, ReplicatingFork, RunResult


class Table:
    def look(self, key: str) -> int:
        return len(key)


class Door:
    """A context manager that is entered for itself."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None: ...

    def knock(self, key: str) -> bytes:
        return key.encode()


@contextmanager
def opened() -> Generator[Table]:
    yield Table()


def connect() -> sqlite3.Connection:
    return sqlite3.connect(":memory:")


def load(size: int) -> Table:
    assert size
    return Table()


def look(key: str, table: Table) -> int:
    return table.look(key)


def maybe(key: str, table: Table) -> int | None:
    return table.look(key) or None


def letters(key: str, table: Table) -> Iterator[str]:
    yield from key[: table.look(key)]


def is_known(key: str, table: Table) -> bool:
    return table.look(key) > 0


def knocked(key: str, door: Door) -> bytes:
    return door.knock(key)


def rows(key: str, database: sqlite3.Connection) -> list[tuple[str, int]]:
    database.execute("select ?", [key])
    return [(key, 1)]


class Library:
    def meaning(self, key: str, table: Table) -> str:
        return key * table.look(key)


def functions() -> None:
    assert_type(Pipeline[str]().add(Processor(look, setup=Table)), Pipeline[str, int])
    assert_type(Pipeline[str]().add(Processor(maybe, setup=Table)), Pipeline[str, int])
    assert_type(Pipeline[str]().add(Processor(look, setup=lambda: Table())), Pipeline[str, int])
    assert_type(Pipeline[str]().add(Processor(look, setup=partial(load, 3))), Pipeline[str, int])
    assert_type(Pipeline[str]().add(Processor(Library().meaning, setup=Table)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(FlatMap(letters, setup=Table)), Pipeline[str, str])
    assert_type(Pipeline[str]().add(FlatMap(rows, setup=connect)), Pipeline[str, tuple[str, int]])
    assert_type(Pipeline[str]().add(Filter(is_known, setup=Table)), Pipeline[str, str])
    assert_type(Pipeline().add(Processor(look, setup=Table)), Pipeline[str, int])
    assert_type(Pipeline[str]().add(Processor(look, setup=Table, name="look", retries=1)), Pipeline[str, int])


def context_managers() -> None:
    assert_type(Pipeline[str]().add(Processor(look, setup=opened)), Pipeline[str, int])
    assert_type(Pipeline[str]().add(Processor(maybe, setup=opened)), Pipeline[str, int])
    assert_type(Pipeline[str]().add(Processor(knocked, setup=Door)), Pipeline[str, bytes])
    assert_type(Pipeline[str]().add(Processor(rows, setup=connect)), Pipeline[str, list[tuple[str, int]]])
    assert_type(Pipeline[str]().add(FlatMap(rows, setup=lambda: closing(connect()))), Pipeline[str, tuple[str, int]])
    assert_type(Pipeline[str]().add(Filter(is_known, setup=opened)), Pipeline[str, str])


def lambdas_know_their_lane_and_what_was_made() -> None:
    assert_type(Pipeline[str]().add(Processor(lambda key, table: table.look(key), setup=Table)), Pipeline[str, int])
    assert_type(Pipeline[str]().add(Processor(lambda key, table: table.look(key), setup=opened)), Pipeline[str, int])
    assert_type(Pipeline[str]().add(Processor(lambda key, door: door.knock(key), setup=Door)), Pipeline[str, bytes])
    assert_type(Pipeline[str]().add(FlatMap(lambda key, table: [table.look(key)], setup=Table)), Pipeline[str, int])
    assert_type(Pipeline[str]().add(Filter(lambda key, table: table.look(key) > 1, setup=Table)), Pipeline[str, str])


def workers() -> None:
    assert_type(Pipeline[str](initializer=connect, preload=["json"]).add(Processor(len)), Pipeline[str, int])
    assert_type(Pipeline[str](initializer=lambda: None, preload=("json",)).add(Processor(len)), Pipeline[str, int])


def rows_of_several() -> None:
    assert_type(
        Pipeline[str]().add(ReplicatingFork(2)).add(Processor(look, setup=Table), Processor(knocked, setup=Door)),
        Pipeline[str, int, bytes],
    )
    assert_type(
        Pipeline[str]().add(ReplicatingFork(2)).add(Pipe(), Processor(lambda key, table: table.look(key), setup=opened)),
        Pipeline[str, str, int],
    )
    found = Pipeline[str]().add(BalancingFork()).add(Processor(look, setup=Table)).add(Join())
    assert_type(found.run(["a"]), RunResult[int])
