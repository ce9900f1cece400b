"""CSV, read and written by the standard library's `csv`.

Knows: the first row of a file names its columns.  Must never know: which file it is.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import IO, Any, Final, Literal

from conveyor.io.bad_rows import BadRows, bad_row
from conveyor.io.reading import LARGEST_LINE, FilePosition, opened
from conveyor.io.schema import AnyRow, Read, as_mapping
from conveyor.io.unpacking import Compression, Damaged

__all__ = ["CsvReader", "CsvWriter"]

# Of what is read, whole as it is; any other error is of the disk, or of the network.
NO_ROW: Final = (csv.Error, UnicodeError)


class Texts:
    """The lines of a file as texts, counted: a row may go over several.

    No generator, which would be at its end behind a line that is no text.
    """

    def __init__(self, file: IO[bytes], at: FilePosition, encoding: str) -> None:
        self.file = file
        self.name = at.file
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
        text = raw.decode(self.encoding)
        return text if self.line > 1 else text.removeprefix("\ufeff")


class CsvReader:
    """Reads the rows of a file as mappings by the names in its first row; `make` makes items of
    them."""

    def __init__(self, make: Read, delimiter: str, encoding: str, said: Compression | None) -> None:
        self.make = make
        self.delimiter = delimiter
        self.encoding = encoding
        # How files are packed, where their names do not say it.
        self.said: Compression | None = said

    def __call__(
        self, file: IO[bytes], at: FilePosition, bad: BadRows, /
    ) -> Iterator[tuple[Any, FilePosition]]:
        name = at.file
        texts, names = self.begun(file, at)
        rows = csv.reader(texts, delimiter=self.delimiter, strict=True)
        while True:
            first = texts.line + 1
            try:
                row = next(rows, None)
            except Damaged as error:  # there is nothing behind it
                raise bad_row(error, name, texts.line + 1) from error
            except NO_ROW as error:
                bad.found(error, name, first, [])
                continue
            if row is None:
                return
            if not row:
                continue
            try:
                item = self.make(self.by_name(names, row))
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
            at = FilePosition(path)
            return self.names(Texts(opened(at, self.said, stack), at, self.encoding))

    def names(self, texts: Texts) -> list[str]:
        """Without them there is no row, so what cannot be read is never left out."""
        none: list[str] = []
        try:
            found = next(csv.reader(texts, delimiter=self.delimiter, strict=True), none)
            if twice := [name for name, times in Counter(found).items() if times > 1]:
                raise csv.Error(f"the first line names the column {twice[0]!r} twice")
        except (Damaged, *NO_ROW) as error:
            raise bad_row(error, texts.name, max(1, texts.line)) from error
        return found

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
        rows = [*map(as_mapping, items)]
        if not self.names and rows:
            self.names = list(rows[0])
            rows.insert(0, dict(zip(self.names, self.names, strict=True)))
        for row in rows:
            if len(row) != len(self.names) or any(name not in row for name in self.names):
                raise ValueError(
                    f"a row has the columns {', '.join(row)}, and the file {', '.join(self.names)}"
                )
        fields = [[row[name] for name in self.names] for row in rows]
        text = self.written(fields, csv.QUOTE_MINIMAL)
        if "\r" in text:  # which is not always quoted, and is the end of a row to whoever reads it
            text = self.written(fields, csv.QUOTE_ALL)
        return text.encode(self.encoding)

    def written(self, fields: list[list[object]], quoting: Literal[0, 1]) -> str:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self.delimiter, lineterminator="\n", quoting=quoting).writerows(
            fields
        )
        return text.getvalue()
