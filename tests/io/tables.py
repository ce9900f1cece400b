"""A table of a SQLite database in a folder, as a sink of texts, and what is in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from conveyor.io import SqlTable

__all__ = ["read_table", "table"]


def table(folder: Path) -> SqlTable:
    with closing(sqlite3.connect(folder / "db")) as db:
        db.execute("create table if not exists said (text text)")
    return SqlTable(f"sqlite:///{folder}/db", "said")


def read_table(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "db")) as db:
        return [text for (text,) in db.execute("select text from said order by rowid")]
