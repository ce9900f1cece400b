"""CSV, read and written by the standard library's `csv`.

Knows: the first row of a file names its columns.  Must never know: which file it is.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import IO, Any

from conveyor.io.bad_rows import BadRows
from conveyor.io.paths import opened
from conveyor.io.reading import LARGEST_LINE, FilePosition
from conveyor.io.schema import AnyRow, Read, as_mapping

__all__ = ["CsvReader", "CsvWriter"]


class Texts:
    """The lines of a file as texts, counted: a row may go over several.

    No generator, which would be at its end behind a line that is no text.
    """

    def __init__(self, file: IO[bytes], at: FilePosition, encoding: str) -> None:
        self.file = file
        self.encoding = encoding
        self.offset, self.line = at.offset, at.line

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        raw = self.file.readline(LARGEST_LINE)
        if not raw:
            raise StopIteration
        self.offset += len(raw)
        self.line += 1
        return raw.decode(self.encoding)


class CsvReader:
    """Reads the rows of a file as mappings by the names in its first row; `make` makes items of
    them."""

    def __init__(self, make: Read, delimiter: str, encoding: str) -> None:
        self.make = make
        self.delimiter = delimiter
        self.encoding = encoding

    def __call__(
        self, file: IO[bytes], at: FilePosition, bad: BadRows, /
    ) -> Iterator[tuple[Any, FilePosition]]:
        name = at.file
        texts, names = self.begun(file, at)
        rows = csv.reader(texts, delimiter=self.delimiter, strict=True)
        while True:
            first = texts.line + 1
            row: list[str] = []
            try:
                row = next(rows)
                if not row:
                    continue
                item = self.make(self.by_name(names, row))
            except StopIteration:
                return
            except Exception as error:
                bad.found(error, name, first, row)
                continue
            yield item, FilePosition(name, texts.offset, texts.line)

    def begun(self, file: IO[bytes], at: FilePosition) -> tuple[Texts, list[str]]:
        """The rows that are left, and the names of the columns."""
        texts = Texts(file, at, self.encoding)
        return texts, self.names_of(at.file) if at.offset else self.names(texts)

    def names_of(self, path: str) -> list[str]:
        """The names in the first row of a file."""
        with ExitStack() as stack:
            file = opened(path, 0, stack)
            return self.names(Texts(file, FilePosition(path), self.encoding))

    def names(self, texts: Texts) -> list[str]:
        none: list[str] = []
        names = next(csv.reader(texts, delimiter=self.delimiter, strict=True), none)
        return [names[0].removeprefix("\ufeff"), *names[1:]] if names else []

    def by_name(self, names: list[str], row: list[str]) -> dict[str, str]:
        if len(row) != len(names):
            raise ValueError(f"the row has {len(row)} fields, and the first line {len(names)}")
        return dict(zip(names, row, strict=True))


class CsvWriter:
    """Writes rows; the first one names the columns, unless the file has names already."""

    def __init__(self, delimiter: str, encoding: str) -> None:
        self.delimiter = delimiter
        self.encoding = encoding
        self.names: list[str] = []

    def begin(self, names: list[str]) -> None:
        """A file begins that has these names already; none: it is empty."""
        self.names = names

    def __call__(self, items: Sequence[AnyRow], /) -> bytes:
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=self.delimiter, lineterminator="\n")
        for item in items:
            row = as_mapping(item)
            if not self.names:
                self.names = list(row)
                writer.writerow(self.names)
            if len(row) != len(self.names) or any(name not in row for name in self.names):
                raise ValueError(
                    f"a row has the columns {', '.join(row)}, and the file {', '.join(self.names)}"
                )
            writer.writerow([row[name] for name in self.names])
        return text.getvalue().encode(self.encoding)
