"""Text, JSON and CSV in files: each is a source and a sink.

Knows: what a line means.  Must never know: how a file is read from a place in it, or cut back.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Generic, Protocol, overload

from typing_extensions import TypeVar

from conveyor.errors import LifecycleError
from conveyor.io.appended import AppendedFile
from conveyor.io.bad_rows import BadRows, OnBadRow
from conveyor.io.csv_rows import CsvReader, CsvWriter
from conveyor.io.epoch_files import EpochFiles, WholeFile
from conveyor.io.json_rows import dumped, loader
from conveyor.io.paths import Paths, in_order, is_url, listed, told
from conveyor.io.reading import (
    FilePosition,
    LineReader,
    Readable,
    RowReader,
    check_encoding,
    rows_of_files,
)
from conveyor.io.schema import AnyRow, Read, reader
from conveyor.io.unpacking import Compression, check_compression, compression_of, suffix_of

__all__ = ["Csv", "JsonLines", "Lines"]

T_co = TypeVar("T_co", covariant=True, default=Any)


class Written(Protocol):
    """Where bytes go, epoch by epoch."""

    def open(self, epoch: int) -> None: ...
    def is_empty(self) -> bool: ...
    def write(self, data: bytes) -> None: ...
    def prepare(self, epoch: int) -> None: ...
    def commit(self, epoch: int) -> None: ...
    def abort(self) -> None: ...


class InFiles(Readable[T_co, FilePosition], Generic[T_co]):
    """What text, JSON and CSV have in common."""

    _suffix = ""

    def __init__(
        self,
        path: Paths,
        on_error: OnBadRow,
        encoding: str,
        per_epoch: bool,
        compression: Compression | None,
    ) -> None:
        check_encoding(encoding)
        check_compression(compression)
        listed(path)  # says what is no path
        self.path = path
        self.bad = BadRows(on_error)
        self.encoding = encoding
        self.per_epoch = per_epoch
        self.compression: Compression | None = compression
        self.written: Written | None = None

    def _row_reader(self) -> RowReader:
        raise NotImplementedError

    def _packed_rows(self, items: Sequence[Any]) -> bytes:
        """The bytes of some results."""
        raise NotImplementedError

    @overload
    def open(self, position: FilePosition | None, /) -> Iterator[tuple[T_co, FilePosition]]: ...
    @overload
    def open(self, position: int, /) -> None: ...
    def open(self, position: FilePosition | int | None, /) -> Any:
        """As a source: the rows behind a position, each with the position behind it.  As a sink: an
        epoch begins.

        Raises `FileNotFoundError` if no file has such a name, or none the name of the position.
        """
        if isinstance(position, int):
            return self._begin(position)
        return rows_of_files(self.path, position, self.bad, self._row_reader(), self.compression)

    def _begin(self, epoch: int) -> None:
        """As a sink: what is there of this epoch and of later ones goes."""
        self.written = self.written or self._files()
        self.written.open(epoch)

    def _files(self) -> Written:
        """Where results go."""
        if not isinstance(self.path, str | os.PathLike):
            raise ValueError(f"results go into one file, not into {told(self.path)}")
        path = os.fspath(self.path)
        if self.per_epoch:
            return EpochFiles(path, self._suffix + suffix_of(self.compression), self.compression)
        compression = compression_of(path, self.compression)
        return (WholeFile if is_url(path) else AppendedFile)(path, compression)

    def _under_way(self) -> Written:
        if self.written is None:
            raise LifecycleError(f"{self.identity()}: open(0) comes before results are written")
        return self.written

    def write(self, items: Sequence[Any], /) -> None:
        """Appends results to the epoch that is open."""
        if items:
            self._under_way().write(self._packed_rows(items))

    def prepare(self, epoch: int, /) -> None:
        """The results of the epoch outlive a crash and a power cut."""
        self._under_way().prepare(epoch)

    def commit(self, epoch: int, /) -> None:
        """The results of the epoch are in place."""
        self._under_way().commit(epoch)

    def abort(self) -> None:
        """What was written and not prepared is gone."""
        if self.written is not None:
            self.written.abort()

    def discard(self) -> None:
        """What epochs have written is gone; a single file stays until another takes its place."""
        self._begin(0)

    def identity(self) -> str:
        """The kind of file, and where."""
        return f"{type(self).__name__} {told(self.path)}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r})"


class Lines(InFiles[str]):
    """Lines of text in files, as a source and as a sink; without their ends.

    `path` is a path, a glob, a URL or several of these; files are read in the order of their names.
    What ends in `.gz` or `.zst` is packed; `compression` says how, where no name does.  Lines end
    in a newline, with or without a carriage return; a byte order mark before the first is none of
    its text.  A line that is not in the `encoding` raises
    `BadRow`, or with `on_error="skip"` is left out and logged.  A packed file that is damaged or
    cut is a `BadRow` in any case, once what comes before was given.

    As a sink: one file, which a run replaces when it succeeds; or, with `per_epoch`, a file an
    epoch in the directory `path`.  Exactly once.

    >>> from tempfile import TemporaryDirectory
    >>> from conveyor import Pipeline, Processor
    >>> with TemporaryDirectory() as folder:
    ...     out = Lines(f"{folder}/out.txt.gz")
    ...     report = Pipeline[str]().add(Processor(str.upper)).drain(["a", "b"], into=out)
    ...     print(list(out))
    ['A', 'B']
    """

    _suffix = ".txt"

    def __init__(
        self,
        path: Paths,
        *,
        on_error: OnBadRow = "raise",
        encoding: str = "utf-8",
        per_epoch: bool = False,
        compression: Compression | None = None,
    ) -> None:
        super().__init__(path, on_error, encoding, per_epoch, compression)

    def _row_reader(self) -> RowReader:
        mark = codecs.BOM_UTF8 if codecs.lookup(self.encoding).name == "utf-8" else b""
        return LineReader(partial(_decoded, encoding=self.encoding), mark=mark)

    def write(self, items: Sequence[str], /) -> None:
        """Appends lines; raises `ValueError` for a text of several."""
        super().write(items)

    def _packed_rows(self, items: Sequence[Any]) -> bytes:
        for item in items:
            if not isinstance(item, str):
                raise TypeError(f"a line is a str, not {item!r}")
            if "\n" in item:
                raise ValueError(f"a line has no newline in it: {item!r}")
        return ("\n".join(items) + "\n").encode(self.encoding)


class JsonLines(InFiles[T_co], Generic[T_co]):
    """A JSON value a line, in files, as a source and as a sink.

    `path` and the rest are as for `Lines`.  `schema`, a `TypedDict`, dataclass, `NamedTuple` or
    struct of msgspec, is what each row is made into; without one it is what JSON says.  A row that
    is no JSON, or does not fit the schema, raises `BadRow` with file and line, or with
    `on_error="skip"` is left out and logged.  Empty lines are left out.

    As a sink it takes what JSON can hold, and rows: dataclasses, named tuples, structs.

    >>> from dataclasses import dataclass
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> @dataclass
    ... class Price:
    ...     name: str
    ...     euros: float
    >>> with TemporaryDirectory() as folder:
    ...     written = Path(folder, "a.jsonl").write_text('{"name": "tea", "euros": 3}\\n')
    ...     print(list(JsonLines(f"{folder}/*.jsonl", Price)))
    [Price(name='tea', euros=3.0)]
    """

    _suffix = ".jsonl"

    @overload
    def __init__(
        self: JsonLines[Any],
        path: Paths,
        schema: None = None,
        *,
        on_error: OnBadRow = "raise",
        per_epoch: bool = False,
        compression: Compression | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        path: Paths,
        schema: type[T_co],
        *,
        on_error: OnBadRow = "raise",
        per_epoch: bool = False,
        compression: Compression | None = None,
    ) -> None: ...
    def __init__(
        self,
        path: Paths,
        schema: type[Any] | None = None,
        *,
        on_error: OnBadRow = "raise",
        per_epoch: bool = False,
        compression: Compression | None = None,
    ) -> None:
        super().__init__(path, on_error, "utf-8", per_epoch, compression)
        self.make: Read = reader(schema)
        self.is_plain = schema is None

    def _row_reader(self) -> RowReader:
        loads, make = loader(), self.make
        if self.is_plain:
            return LineReader(loads, True, codecs.BOM_UTF8)
        return LineReader(lambda line: make(loads(line)), True, codecs.BOM_UTF8)

    def write(self, items: Sequence[object], /) -> None:
        """Appends values, one a line."""
        super().write(items)

    def _packed_rows(self, items: Sequence[Any]) -> bytes:
        return ("\n".join(map(dumped, items)) + "\n").encode()


class Csv(InFiles[T_co], Generic[T_co]):
    """Rows of CSV files by the names in the first line, as a source and as a sink.

    `path` and the rest are as for `Lines`.  Rows are `dict[str, str]`, or what `schema` makes of
    them (see `JsonLines`), which reads numbers, truth values and times from their texts.  A row
    that has more or fewer fields than the first line, or does not fit, raises `BadRow` with file
    and line, or with `on_error="skip"` is left out and logged.  A first line that has a name twice
    raises it in any case.

    As a sink it takes rows: mappings, dataclasses, named tuples, structs.  The first one names the
    columns, so a file without a row has no line at all; one that has others is refused.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     written = Path(folder, "a.csv").write_text("name,euros\\ntea,3\\n")
    ...     print(list(Csv(f"{folder}/a.csv")))
    [{'name': 'tea', 'euros': '3'}]
    """

    _suffix = ".csv"

    @overload
    def __init__(
        self: Csv[dict[str, str]],
        path: Paths,
        schema: None = None,
        *,
        delimiter: str = ",",
        on_error: OnBadRow = "raise",
        encoding: str = "utf-8",
        per_epoch: bool = False,
        compression: Compression | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        path: Paths,
        schema: type[T_co],
        *,
        delimiter: str = ",",
        on_error: OnBadRow = "raise",
        encoding: str = "utf-8",
        per_epoch: bool = False,
        compression: Compression | None = None,
    ) -> None: ...
    def __init__(
        self,
        path: Paths,
        schema: type[Any] | None = None,
        *,
        delimiter: str = ",",
        on_error: OnBadRow = "raise",
        encoding: str = "utf-8",
        per_epoch: bool = False,
        compression: Compression | None = None,
    ) -> None:
        super().__init__(path, on_error, encoding, per_epoch, compression)
        self.make: Read = reader(schema, from_text=True)
        self.delimiter = delimiter
        self.writer = CsvWriter(delimiter, encoding)

    def _row_reader(self) -> CsvReader:
        return CsvReader(self.make, self.delimiter, self.encoding, self.compression)

    def write(self, items: Sequence[AnyRow], /) -> None:
        """Appends rows; raises `ValueError` for one with other columns than the first."""
        super().write(items)

    def _begin(self, epoch: int) -> None:
        super()._begin(epoch)
        self.writer.begin([])

    def _packed_rows(self, items: Sequence[Any]) -> bytes:
        if self._under_way().is_empty():
            self.writer.begin([])
        elif not self.writer.names:  # of an earlier program
            path = os.path.realpath(in_order(self.path)[0])
            self.writer.begin(self._row_reader().names_of(path))
        return self.writer(items)


def _decoded(line: bytes, encoding: str) -> str:
    return line.decode(encoding)
