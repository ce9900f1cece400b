"""Tables of SQLite and PostgreSQL, as a source and as a sink; and queries, as a source.

Knows: rows, pages, and one transaction an epoch.  Must never know: how each database is spoken to
(`databases`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Generic, NamedTuple, overload

from typing_extensions import TypeVar

from conveyor.errors import ConveyorError
from conveyor.io.bad_rows import BadRows, OnBadRow
from conveyor.io.databases import Connection, Database, database
from conveyor.io.held import check_not_ahead
from conveyor.io.reading import Readable
from conveyor.io.schema import AnyRow, Read, as_mapping, reader

__all__ = ["SqlPosition", "SqlQuery", "SqlTable"]

T_co = TypeVar("T_co", covariant=True, default=Any)

BATCH: Final = 500  # rows that go to the database at once
EPOCHS: Final = "conveyor_epochs"  # the table with the newest epoch of each sink


class SqlPosition(NamedTuple):
    """Behind the row that has this value in the column that gives the order; `row` is how many
    were read."""

    value: Any
    row: int


class Pages(Readable[T_co, SqlPosition], Generic[T_co]):
    """Rows in the order of a column, a page at a time: nothing is held open between two pages, and
    a page behind a value costs the same wherever it is, if the column has an index."""

    def __init__(
        self, url: str, schema: type[Any] | None, on_error: OnBadRow, page: int, where: str
    ) -> None:
        if page < 1:
            raise ValueError(f"page is the number of rows that are read at once, not {page!r}")
        self.database: Database = database(url)
        self.make: Read = reader(schema)
        self.bad = BadRows(on_error)
        self.page = page
        self.where = where

    def identity(self) -> str:
        """The kind of store, and where."""
        return f"{type(self).__name__} {self.database.identity()} {self.where}"

    def __repr__(self) -> str:
        return f"<{self.identity()}>"

    def _rows(
        self, chosen: str, order_by: str, position: SqlPosition | None
    ) -> Iterator[tuple[T_co, SqlPosition]]:
        """The rows of `chosen`, a table or a query, behind a position."""
        column = self.database.quoted(order_by)
        behind = f" WHERE {column} > {self.database.mark}"
        at = position
        self.database.check_there()
        connection = self.database.connect()
        try:
            while True:
                text = (
                    f"SELECT * FROM {chosen}{behind if at is not None else ''} "
                    f"ORDER BY {column} LIMIT {self.page + 1}"
                )
                found = self.database.select(connection, text, () if at is None else (at.value,))
                self.database.commit(connection)
                for row in found[: self.page]:
                    at = self._behind(row, order_by, at)
                    yield from ((item, at) for item in self._made(row, at))
                if len(found) <= self.page:
                    return
                assert at is not None
                self._behind(found[-1], order_by, at)  # the next page would leave it out
        finally:
            connection.close()

    def _behind(
        self, row: Mapping[str, Any], order_by: str, before: SqlPosition | None
    ) -> SqlPosition:
        """The position behind a row; raises `ConveyorError` if its value does not tell it."""
        if order_by not in row:
            raise ConveyorError(f"{self.identity()}: there is no column {order_by!r} in it")
        value = row[order_by]
        if value is None or (before is not None and value == before.value):
            raise ConveyorError(
                f"{self.identity()}: the column {order_by!r}, which gives the order, has "
                f"{value!r} in more than one row, or in one that it cannot order; take one whose "
                "values are unique and not null"
            )
        return SqlPosition(value, 1 if before is None else before.row + 1)

    def _made(self, row: Mapping[str, Any], at: SqlPosition) -> list[Any]:
        try:
            return [self.make(row)]
        except Exception as error:
            self.bad.found(error, self.identity(), at.row, row)
            return []


class SqlQuery(Pages[T_co], Generic[T_co]):
    """The rows of a query, as a source, in the order of one of its columns.

    `url` is `sqlite:///file.db` or `postgresql://...`, which needs psycopg.  The values of
    `order_by` are unique and not null, and a row that comes later has a greater one: the position
    is that value.  `page` rows are read at once.  Rows are `dict[str, Any]`, or what `schema` makes
    of them; one that does not fit raises `BadRow`, or with `on_error="skip"` is left out and
    logged.

    >>> import sqlite3
    >>> from contextlib import closing
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with closing(sqlite3.connect(f"{folder}/a.db")) as made:
    ...         found = made.executescript("create table t(n); insert into t values(1), (2)")
    ...     print(list(SqlQuery(f"sqlite:///{folder}/a.db", "select n, n * n as m from t", "n")))
    [{'n': 1, 'm': 1}, {'n': 2, 'm': 4}]
    """

    @overload
    def __init__(
        self: SqlQuery[dict[str, Any]],
        url: str,
        query: str,
        order_by: str,
        schema: None = None,
        *,
        page: int = 1000,
        on_error: OnBadRow = "raise",
    ) -> None: ...
    @overload
    def __init__(
        self,
        url: str,
        query: str,
        order_by: str,
        schema: type[T_co],
        *,
        page: int = 1000,
        on_error: OnBadRow = "raise",
    ) -> None: ...
    def __init__(
        self,
        url: str,
        query: str,
        order_by: str,
        schema: type[Any] | None = None,
        *,
        page: int = 1000,
        on_error: OnBadRow = "raise",
    ) -> None:
        super().__init__(url, schema, on_error, page, f"{query} ORDER BY {order_by}")
        self.query = query.rstrip().removesuffix(";")
        self.order_by = order_by

    def open(self, position: SqlPosition | None, /) -> Iterator[tuple[T_co, SqlPosition]]:
        """The rows behind a position, each with the position behind it."""
        return self._rows(
            # On a line of its own: the query may end in a comment.
            f"({self.database.escaped(self.query)}\n) AS chosen",
            self.order_by,
            position,
        )


class SqlTable(Pages[T_co], Generic[T_co]):
    """A table, as a source in the order of a column, and as a sink.

    `url` is `sqlite:///file.db` or `postgresql://...`, which needs psycopg.  The table exists.  As
    a source it is `SqlQuery` of all its rows; `order_by` may be left out if there is a `key` of one
    column.

    As a sink it takes rows by column: mappings, dataclasses, named tuples, structs of msgspec; all
    of an epoch have the same columns.  With `key`, a column or several that have a unique index, a
    row takes the place of the one that has the same key; without, rows are inserted.  Exactly once:
    the rows of an epoch and its number, in the table `conveyor_epochs`, are one transaction; so
    one run with a checkpoint writes into a table at a time.  What is committed cannot be undone.

    >>> import sqlite3
    >>> from contextlib import closing
    >>> from tempfile import TemporaryDirectory
    >>> from conveyor import Pipeline, Processor
    >>> def row(n: int) -> dict[str, int]:
    ...     return {"n": n % 2, "last": n}
    >>> with TemporaryDirectory() as folder:
    ...     with closing(sqlite3.connect(f"{folder}/a.db")) as made:
    ...         found = made.execute("create table t(n integer primary key, last integer)")
    ...     table = SqlTable(f"sqlite:///{folder}/a.db", "t", key="n")
    ...     report = Pipeline[int]().add(Processor(row)).drain(range(10), into=table)
    ...     print(list(table))
    [{'n': 0, 'last': 8}, {'n': 1, 'last': 9}]
    """

    @overload
    def __init__(
        self: SqlTable[dict[str, Any]],
        url: str,
        table: str,
        key: str | Sequence[str] | None = None,
        schema: None = None,
        *,
        order_by: str | None = None,
        page: int = 1000,
        on_error: OnBadRow = "raise",
    ) -> None: ...
    @overload
    def __init__(
        self,
        url: str,
        table: str,
        key: str | Sequence[str] | None,
        schema: type[T_co],
        *,
        order_by: str | None = None,
        page: int = 1000,
        on_error: OnBadRow = "raise",
    ) -> None: ...
    @overload
    def __init__(
        self,
        url: str,
        table: str,
        key: str | Sequence[str] | None = None,
        *,
        schema: type[T_co],
        order_by: str | None = None,
        page: int = 1000,
        on_error: OnBadRow = "raise",
    ) -> None: ...
    def __init__(
        self,
        url: str,
        table: str,
        key: str | Sequence[str] | None = None,
        schema: type[Any] | None = None,
        *,
        order_by: str | None = None,
        page: int = 1000,
        on_error: OnBadRow = "raise",
    ) -> None:
        super().__init__(url, schema, on_error, page, table)
        self.table = table
        self.keys = [key] if isinstance(key, str) else list(key or ())
        self.order_by = order_by or (self.keys[0] if len(self.keys) == 1 else None)
        self.connection: Connection | None = None
        self.columns: tuple[str, ...] = ()
        self.statement = ""
        self.batch: list[tuple[Any, ...]] = []

    @overload
    def open(self, position: SqlPosition | None, /) -> Iterator[tuple[T_co, SqlPosition]]: ...
    @overload
    def open(self, position: int, /) -> int: ...
    def open(self, position: SqlPosition | int | None, /) -> Any:
        """As a source: the rows behind a position, each with the position behind it.  As a sink: an
        epoch begins; gives the newest one that the database holds, -1 for none."""
        if isinstance(position, int):
            return self._begin(position)
        if self.order_by is None:
            raise ValueError(
                f"{self.identity()}: order_by= names the column in whose order rows are read"
            )
        return self._rows(self._name(), self.order_by, position)

    def _name(self) -> str:
        """The table as statements name it, with the schema it is in."""
        return ".".join(map(self.database.quoted, self.table.split(".")))

    # ---------------------------------------------------------------------------
    # as a sink

    def _begin(self, epoch: int) -> int:
        self._roll_back()
        held = self._held(epoch)
        return check_not_ahead(held, epoch, self.identity(), "rows", "table")

    def _held(self, epoch: int) -> int:
        """The newest epoch in the database; with the first one, what older runs left is
        forgotten."""
        mark = self.database.mark
        self.database.check_there()
        connection = self.database.connect()
        try:
            self.database.execute(
                connection,
                f"CREATE TABLE IF NOT EXISTS {EPOCHS}(sink TEXT PRIMARY KEY, epoch INTEGER)",
            )
            if epoch == 0:
                text = f"DELETE FROM {EPOCHS} WHERE sink = {mark}"
                self.database.execute(connection, text, (self.table,))
            text = f"SELECT epoch FROM {EPOCHS} WHERE sink = {mark}"
            found = self.database.select(connection, text, (self.table,))
            self.database.commit(connection)
        finally:
            connection.close()
        return found[0]["epoch"] if found else -1

    def write(self, items: Sequence[AnyRow], /) -> None:
        """Adds rows to the transaction of the epoch; raises `TypeError` for what is no
        row, `ValueError` for one with other columns than the first of the epoch."""
        for item in items:
            row = as_mapping(item)
            if not self.columns:
                self.columns = tuple(row)
                missing = [name for name in self.keys if name not in row]
                if missing or not row:
                    raise ValueError(
                        f"{self.identity()}: a row has "
                        + (f"no {', '.join(missing)}, which is its key" if row else "no columns")
                    )
                self.statement = self.database.insert(self._name(), self.columns, self.keys)
            if len(row) != len(self.columns):
                raise self._misfit(row)
            try:
                self.batch.append(tuple([row[name] for name in self.columns]))
            except KeyError:
                raise self._misfit(row) from None
            if len(self.batch) >= BATCH:
                self._flush()

    def _misfit(self, row: Mapping[str, object]) -> ValueError:
        return ValueError(
            f"{self.identity()}: a row has the columns {', '.join(row)}, and the first one had "
            f"{', '.join(self.columns)}"
        )

    def _flush(self) -> Connection:
        """The rows so far are in the transaction."""
        if self.connection is None:
            self.connection = self.database.connect()
        if self.batch:
            self.database.execute_many(self.connection, self.statement, self.batch)
            self.batch = []
        return self.connection

    def prepare(self, epoch: int, /) -> None:
        """The number of the epoch is in the transaction."""
        columns = ("sink", "epoch")
        text = self.database.insert(EPOCHS, columns, columns[:1])
        self.database.execute_many(self._flush(), text, [(self.table, epoch)])

    def commit(self, epoch: int, /) -> None:
        """The rows of the epoch are in the table, and its number is beside them."""
        connection, self.connection = self.connection, None
        self.columns = ()
        if connection is not None:
            try:
                self.database.commit(connection)
            finally:
                connection.close()

    def abort(self) -> None:
        """The transaction of the epoch is rolled back."""
        self._roll_back()

    def _roll_back(self) -> None:
        connection, self.connection = self.connection, None
        self.batch, self.columns = [], ()
        if connection is not None:
            connection.close()
