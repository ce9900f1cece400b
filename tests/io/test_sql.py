"""Tables of real databases as source and as sink; SQLite is always there, PostgreSQL where
`make services` has started it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from conveyor import Pipeline, Processor
from conveyor.errors import BadRow, ConveyorError
from conveyor.io import SqlQuery, SqlTable
from conveyor.io.databases import database
from tests.helpers import PROVE
from tests.io.crashes import drive, killed_and_resumed
from tests.io.services import service

pytestmark = [pytest.mark.processes, pytest.mark.timeout(100)]


class Row(NamedTuple):
    n: int
    name: str


@dataclass
class Counted:
    n: int
    name: str | None = None


@pytest.fixture(params=["sqlite", "postgres"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Runs statements in a new, empty database, and gives its URL."""
    schema = f"schema_{abs(hash(tmp_path)):x}"
    if request.param == "sqlite":
        (tmp_path / "a.db").touch()
        url = f"sqlite:///{tmp_path}/a.db"
    else:
        url = f"{service('postgres')}?options=-csearch_path%3D{schema}"
    statements(url, f"CREATE SCHEMA {schema}" if request.param == "postgres" else "")
    yield partial(statements, url)
    statements(url, f"DROP SCHEMA {schema} CASCADE" if request.param == "postgres" else "")


def statements(url: str, text: str) -> str:
    known = database(url)
    with closing(known.connect()) as connection:
        for statement in filter(str.strip, text.split(";")):
            known.execute(connection, statement)
        connection.commit()
    return url


def filled(made: Callable[[str], str], numbers: range) -> str:
    values = ", ".join(f"({n}, 'name {n}')" for n in numbers)
    made("CREATE TABLE t(n INTEGER PRIMARY KEY, name TEXT)")
    return made(f"INSERT INTO t VALUES {values}")


@pytest.mark.parametrize("page", [1, 2, 7, 100])
def test_rows_come_in_order_from_any_position(made: Callable[[str], str], page: int) -> None:
    url = filled(made, range(0, 20, 2))
    expected = [Row(n, f"name {n}") for n in range(0, 20, 2)]
    source = SqlTable(url, "t", "n", Row, page=page)

    pairs = list(source.open(None))

    assert [row for row, _ in pairs] == expected
    for read, (_, position) in enumerate(pairs, 1):
        assert [row for row, _ in source.open(position)] == expected[read:]


def test_a_query_is_read_in_the_order_of_a_column(made: Callable[[str], str]) -> None:
    url = filled(made, range(10))
    query = "SELECT n, n * n AS square FROM t WHERE name LIKE 'name %' AND n % 2 = 0;"
    source = SqlQuery(url, query, "square", page=2)

    assert [*source] == [{"n": n, "square": n * n} for n in range(0, 10, 2)]


def test_rows_that_come_while_it_is_read_are_read_too(made: Callable[[str], str]) -> None:
    source = SqlTable(filled(made, range(4)), "t", "n", page=2).open(None)
    first = next(source)[0]
    made("INSERT INTO t VALUES (7, 'later')")

    assert [row["n"] for row in (first, *(row for row, _ in source))] == [0, 1, 2, 3, 7]


def test_a_column_that_gives_no_order_is_refused(made: Callable[[str], str]) -> None:
    url = made("CREATE TABLE t(n INTEGER, name TEXT)")
    made("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (2, 'c'), (3, NULL)")

    for page in (1, 2, 10):
        with pytest.raises(ConveyorError, match="'n', which gives the order, has 2 in more than"):
            list(SqlTable(url, "t", order_by="n", page=page))
    with pytest.raises(ConveyorError, match="has None in more than one row, or in one that it"):
        list(SqlTable(url, "t", order_by="name"))
    # SQLite takes a name that it does not know for a text.
    with pytest.raises(Exception, match=r"no column 'N' in it|column \"N\" does not exist"):
        list(SqlQuery(url, 'SELECT n, n AS "m" FROM t WHERE n = 1', "N"))
    with pytest.raises(ValueError, match="order_by= names the column"):
        SqlTable(url, "t").open(None)


def test_a_row_that_does_not_fit_says_which(made: Callable[[str], str]) -> None:
    url = filled(made, range(3))
    made("UPDATE t SET name = NULL WHERE n = 1")

    with pytest.raises(BadRow, match=r"t:2: field 'name': None is no str; the row is \{'n': 1"):
        list(SqlTable(url, "t", "n", Row))
    left = SqlTable(url, "t", "n", Row, on_error="skip")
    assert [row.n for row in left] == [0, 2]


def stored(url: str) -> list[tuple[Any, ...]]:
    known = database(url)
    with closing(known.connect()) as connection:
        rows = known.select(connection, "SELECT n, name FROM t ORDER BY n", ())
    return [tuple(row.values()) for row in rows]


def row(n: int) -> dict[str, object]:
    return {"name": f"name {n}", "n": n}


def named(n: int) -> Row:
    return Row(n, f"name {n}")


@pytest.mark.parametrize("make", [row, named, Counted])
def test_a_run_writes_rows_in_one_transaction(
    made: Callable[[str], str], make: Callable[[int], Any]
) -> None:
    url = made("CREATE TABLE t(n INTEGER PRIMARY KEY, name TEXT)")
    pl = Pipeline[int](start_method="fork").add(Processor(make))

    pl.drain(range(1234), into=SqlTable(url, "t"))

    assert [n for n, _ in stored(url)] == list(range(1234))
    with pytest.raises(Exception, match=r"(?i)unique"):
        pl.drain(range(2000, 0, -1), into=SqlTable(url, "t"))
    assert len(stored(url)) == 1234


def test_with_a_key_the_last_row_stays(made: Callable[[str], str]) -> None:
    url = filled(made, range(3))

    def changed(n: int) -> Row:
        return Row(n % 5, f"from {n}")

    pl = Pipeline[int](start_method="fork").add(Processor(changed))
    pl.drain(range(1000), into=SqlTable(url, "t", key="n"))
    pl.drain(range(1000), into=SqlTable(url, "t", key=["n"]))

    assert stored(url) == [(n, f"from {995 + n}") for n in range(5)]


EPOCHS = [[[row(0), row(1)], [row(2)]], [[row(3)]], [], [[row(n) for n in range(4, 700)]]]


@pytest.mark.parametrize("key", [None, "n"])
def test_the_death_before_any_step_leaves_the_rows_of_an_undisturbed_run(
    made: Callable[[str], str], tmp_path: Path, key: str | None
) -> None:
    url = made("CREATE TABLE t(n INTEGER PRIMARY KEY, name TEXT)")
    (tmp_path / "first").mkdir()
    steps = drive(partial(SqlTable, url, "t", key), EPOCHS, tmp_path / "first", None)
    assert steps > 15

    for dies_at in range(0, steps, 1 if PROVE else 5):
        made("DELETE FROM t")
        deaths = [dies_at, dies_at // 2]
        killed_and_resumed(
            partial(SqlTable, url, "t", key), EPOCHS, tmp_path / str(dies_at), deaths
        )
        assert stored(url) == [(n, f"name {n}") for n in range(700)], dies_at


def test_a_table_that_is_ahead_of_the_checkpoint_is_refused(made: Callable[[str], str]) -> None:
    url = made("CREATE TABLE t(n INTEGER PRIMARY KEY, name TEXT)")
    sink = SqlTable(url, "t")
    assert sink.open(0) == -1
    for epoch in range(3):
        sink.write([row(epoch)])
        sink.prepare(epoch)
        sink.commit(epoch)
        sink.commit(epoch)

    assert SqlTable(url, "t").open(3) == 2
    with pytest.raises(ConveyorError, match="holds epoch 2 already"):
        SqlTable(url, "t").open(2)
    assert SqlTable(url, "t").open(0) == -1


def test_a_query_may_end_in_a_comment(made: Callable[[str], str]) -> None:
    url = filled(made, range(3))

    found = SqlQuery(url, "SELECT n FROM t -- all of them\n", "n")

    assert [each["n"] for each in found] == [0, 1, 2]


def test_a_database_that_is_not_there_is_named_and_not_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"

    with pytest.raises(FileNotFoundError, match=f"there is no database {tmp_path}/a.db"):
        list(SqlQuery(url, "SELECT 1 AS n", "n"))
    with pytest.raises(FileNotFoundError, match="there is no database"):
        SqlTable(url, "t").open(0)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def held(
    made: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Sequence[str], Callable[[], object]], None]]:
    """Calls something while another program holds the database by some statements, until it has
    been waited for three times, as far as Ctrl-C and `stop()` can be heard."""
    if not made("").startswith("sqlite"):
        pytest.skip("a server queues those that write by itself")
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)

    def meanwhile(statements: Sequence[str], call: Callable[[], object]) -> None:
        for statement in statements:
            other.execute(statement).fetchone()
        waits: list[float] = []

        def until_it_is_done(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 3:
                other.rollback()

        monkeypatch.setattr(time, "sleep", until_it_is_done)
        call()
        assert len(waits) == 3
        assert max(waits) < 1

    with closing(other):
        yield meanwhile


def test_a_database_that_another_one_writes_into_is_waited_for(
    made: Callable[[str], str], held: Callable[[Sequence[str], Callable[[], object]], None]
) -> None:
    url = made("CREATE TABLE t(n INTEGER PRIMARY KEY, name TEXT)")
    sink: Any = SqlTable(url, "t")

    held(["BEGIN IMMEDIATE"], lambda: sink.open(0))
    sink.write([row(1)])
    held(["BEGIN IMMEDIATE"], lambda: sink.prepare(0))
    sink.commit(0)

    assert [each["n"] for each in SqlTable(url, "t", order_by="n")] == [1]


def test_a_database_that_another_one_reads_is_waited_for(
    made: Callable[[str], str], held: Callable[[Sequence[str], Callable[[], object]], None]
) -> None:
    url = filled(made, range(2))
    sink: Any = SqlTable(url, "t", key="n")
    sink.open(0)
    sink.write([row(n) for n in range(1, 4)])
    sink.prepare(0)
    reads = ["BEGIN", "SELECT n FROM t"]

    held(reads, lambda: sink.commit(0))
    held(reads, lambda: sink.open(0))

    assert [each["n"] for each in SqlTable(url, "t", order_by="n")] == [0, 1, 2, 3]


def test_a_row_without_its_key_or_without_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.db").touch()
    sink: Any = SqlTable(f"sqlite:///{tmp_path}/a.db", "t", key=["n", "m"])
    sink.open(0)

    with pytest.raises(ValueError, match="a row has no m, which is its key"):
        sink.write([{"n": 1, "name": "a"}])
    sink.abort()
    with pytest.raises(ValueError, match="a row has no columns"):
        sink.write([{}])
    sink.abort()


def test_rows_with_other_columns_and_no_rows_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.db").touch()
    url = f"sqlite:///{tmp_path}/a.db"
    sink: Any = SqlTable(url, "t")
    sink.open(0)
    sink.write([row(1)])

    with pytest.raises(ValueError, match="a row has the columns n, and the first one had name, n"):
        sink.write([{"n": 3}])
    with pytest.raises(ValueError, match="a row has the columns n, m"):
        sink.write([{"n": 3, "m": 4}])
    with pytest.raises(TypeError, match="a row is a mapping, a dataclass"):
        sink.write([3])
    sink.abort()


def test_an_url_that_names_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="names no file: sqlite:///out"):
        SqlTable("sqlite://out.db", "t")
    with pytest.raises(ValueError, match="begins with neither sqlite:/// nor postgresql://"):
        SqlTable("mysql://host/db", "t")
    assert sqlite3.sqlite_version_info > (3, 24)  # upserts
