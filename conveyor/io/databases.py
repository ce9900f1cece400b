"""How SQLite and PostgreSQL are spoken to.

Knows: the words of each, and what of the DB-API they share.  Must never know: what is read or
written.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol, cast
from urllib.parse import unquote, urlsplit

from conveyor.io.paths import needed
from conveyor.io.waiting import sleep

__all__ = ["Connection", "Database", "database"]


class Connection(Protocol):
    """What the DB-API says of a connection; closed, it rolls back what is not committed."""

    def cursor(self) -> Any: ...
    def commit(self) -> None: ...
    def close(self) -> None: ...


class Database:
    """A database by its URL; `mark` stands for a value in a statement."""

    mark = "?"

    def __init__(self, url: str) -> None:
        self.url = url

    def check_there(self) -> None:
        """Raises `FileNotFoundError` where to connect would make a database, without a table."""

    def connect(self) -> Connection:
        """A new connection; the first statement begins a transaction."""
        raise NotImplementedError

    def identity(self) -> str:
        """Where it is, with no password."""
        raise NotImplementedError

    def quoted(self, name: str) -> str:
        """A name as it stands in a statement."""
        escaped = self.escaped(name.replace('"', '""'))
        return f'"{escaped}"'

    def escaped(self, text: str) -> str:
        """A text of the program's as part of a statement with marks."""
        return text

    def insert(self, table: str, columns: Sequence[str], keys: Sequence[str]) -> str:
        """The statement that writes a row, in place of one that has the same keys, if there are
        any."""
        names = ", ".join(map(self.quoted, columns))
        text = f"INSERT INTO {table}({names}) VALUES ({', '.join([self.mark] * len(columns))})"
        if not keys:
            return text
        others = [self.quoted(name) for name in columns if name not in keys]
        change = ", ".join(f"{name} = excluded.{name}" for name in others)
        return (
            f"{text} ON CONFLICT ({', '.join(map(self.quoted, keys))}) "
            f"DO {f'UPDATE SET {change}' if change else 'NOTHING'}"
        )

    def execute(self, connection: Connection, text: str, values: Sequence[Any] = ()) -> Any:
        cursor = connection.cursor()
        with self.named():
            cursor.execute(text, values)
        return cursor

    def execute_many(
        self, connection: Connection, text: str, rows: Sequence[Sequence[Any]]
    ) -> None:
        with self.named():
            connection.cursor().executemany(text, rows)

    def commit(self, connection: Connection) -> None:
        with self.named():
            connection.commit()

    @contextmanager
    def named(self) -> Generator[None]:
        """An error of the database says which one it is."""
        try:
            yield
        except Exception as error:
            error.add_note(f"It is of {self.identity()}.")
            raise

    def select(
        self, connection: Connection, text: str, values: Sequence[Any]
    ) -> list[Mapping[str, Any]]:
        """The rows that a statement finds, by their columns."""
        cursor = self.execute(connection, text, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


PATIENCE_S: Final = 60.0
ASLEEP_S: Final = 0.1  # in SQLite itself, where nothing interrupts a thread


def patiently(call: Callable[[], Any]) -> Any:
    """What `call` gives, once nobody else holds the database; raises `sqlite3.OperationalError` if
    that takes too long.  In a source it is left, as any other wait, when its run ends."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return call()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        sleep(ASLEEP_S)


class Sqlite(Database):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        parts = urlsplit(url)
        self.path = unquote(parts.path)[1:]
        if parts.netloc or not self.path:
            raise ValueError(
                f"{url!r} names no file: sqlite:///out.db is one in the working directory, "
                "sqlite:////data/out.db one by its whole path"
            )

    def check_there(self) -> None:
        if not os.path.exists(self.path):
            raise FileNotFoundError(f"there is no database {os.path.abspath(self.path)}")

    def connect(self) -> Connection:
        # The calls come from one thread at a time, which the threads of a run take care of.
        return sqlite3.connect(self.path, timeout=ASLEEP_S, check_same_thread=False)

    def execute(self, connection: Connection, text: str, values: Sequence[Any] = ()) -> Any:
        return patiently(lambda: super(Sqlite, self).execute(connection, text, values))

    def execute_many(
        self, connection: Connection, text: str, rows: Sequence[Sequence[Any]]
    ) -> None:
        if not cast("sqlite3.Connection", connection).in_transaction:
            self.execute(connection, "BEGIN IMMEDIATE")
        # Nobody else writes now, and whoever reads is soon done; the rows cannot be written again.
        self.wait_inside(connection, PATIENCE_S)
        super().execute_many(connection, text, rows)
        self.wait_inside(connection, ASLEEP_S)

    def commit(self, connection: Connection) -> None:
        patiently(lambda: super(Sqlite, self).commit(connection))

    def wait_inside(self, connection: Connection, seconds: float) -> None:
        """So long SQLite itself waits for who holds the database, before it says so."""
        self.execute(connection, f"PRAGMA busy_timeout = {round(1000 * seconds)}")

    def identity(self) -> str:
        return f"sqlite:///{os.path.abspath(self.path)}"


class Postgres(Database):
    mark = "%s"

    def escaped(self, text: str) -> str:
        return text.replace("%", "%%")

    def connect(self) -> Connection:
        return cast("Connection", needed("psycopg", "postgres").connect(self.url))

    def identity(self) -> str:
        parts = urlsplit(self.url)
        place = parts.hostname or ""
        return f"postgresql://{place}{f':{parts.port}' if parts.port else ''}{parts.path}"


def database(url: str) -> Database:
    """The database that a URL names; raises `ValueError` for one that is not known."""
    scheme = url.partition(":")[0]
    if scheme == "sqlite":
        return Sqlite(url)
    if scheme in ("postgresql", "postgres"):
        return Postgres(url)
    raise ValueError(f"{url!r} begins with neither sqlite:/// nor postgresql://")
