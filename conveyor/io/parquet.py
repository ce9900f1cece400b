"""Parquet files, as a source and as a sink, by pyarrow.

Knows: row groups, and files that are whole or not there.  Must never know: what the columns mean.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final, Generic, NamedTuple, overload

from typing_extensions import TypeVar

from conveyor.errors import LifecycleError
from conveyor.io.bad_rows import BadRows, OnBadRow, bad_row
from conveyor.io.epoch_files import EpochFiles, WholeFile
from conveyor.io.paths import Paths, in_order, needed, told, whole
from conveyor.io.reading import Readable
from conveyor.io.schema import AnyRow, Read, as_mapping, reader

__all__ = ["Parquet", "ParquetPosition"]

T_co = TypeVar("T_co", covariant=True, default=Any)

BATCH: Final = 1024  # rows that are made at once
GROUP: Final = 1 << 16  # rows that are written as one row group


class ParquetPosition(NamedTuple):
    """Behind `row` rows of row group `group` of a file."""

    file: str
    group: int = 0
    row: int = 0


class Parquet(Readable[T_co, ParquetPosition], Generic[T_co]):
    """Rows of Parquet files, as a source and as a sink; it needs pyarrow.

    `path` is a path, a glob, a URL or several of these; files are read in the order of their names,
    a row group at a time.  Rows are `dict[str, Any]`, or what `schema` makes of them (see
    `JsonLines`); one that does not fit raises `BadRow`, whose line counts the rows of its file, or
    with `on_error="skip"` is left out and logged.

    As a sink it takes rows: mappings, dataclasses, named tuples, structs.  A Parquet file cannot be
    appended to: with `per_epoch` it is a file an epoch in the directory `path`; without, one file,
    which a run without a checkpoint replaces when it succeeds.  The columns are those of the first
    rows, or of `columns`, a schema of pyarrow.  Exactly once.
    """

    @overload
    def __init__(
        self: Parquet[dict[str, Any]],
        path: Paths,
        schema: None = None,
        *,
        on_error: OnBadRow = "raise",
        per_epoch: bool = False,
        columns: object = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        path: Paths,
        schema: type[T_co],
        *,
        on_error: OnBadRow = "raise",
        per_epoch: bool = False,
        columns: object = None,
    ) -> None: ...
    def __init__(
        self,
        path: Paths,
        schema: type[Any] | None = None,
        *,
        on_error: OnBadRow = "raise",
        per_epoch: bool = False,
        columns: object = None,
    ) -> None:
        self.path = path
        self.make: Read = reader(schema)
        self.bad = BadRows(on_error)
        self.per_epoch = per_epoch
        self.columns: Any = columns
        self.files: EpochFiles | None = None
        self.writer: Any = None
        self.rows: list[dict[str, object]] = []

    def identity(self) -> str:
        """The kind of file, and where."""
        return f"Parquet {told(self.path)}"

    def __repr__(self) -> str:
        return f"Parquet({self.path!r})"

    @overload
    def open(
        self, position: ParquetPosition | None, /
    ) -> Iterator[tuple[T_co, ParquetPosition]]: ...
    @overload
    def open(self, position: int, /) -> None: ...
    def open(self, position: ParquetPosition | int | None, /) -> Any:
        """As a source: the rows behind a position, each with the position behind it.  As a sink: an
        epoch begins."""
        if isinstance(position, int):
            return self._begin(position)
        files = in_order(self.path)
        if position is not None:
            if position.file not in files:
                raise FileNotFoundError(f"{position.file} was read, and is not there any more")
            files = files[files.index(position.file) :]
        return self._rows_of(files, position)

    # ---------------------------------------------------------------------------
    # as a source

    def _rows_of(
        self, files: list[str], position: ParquetPosition | None
    ) -> Iterator[tuple[T_co, ParquetPosition]]:
        for name in files:
            at = position or ParquetPosition(name)
            position = None
            with ExitStack() as stack:
                raw = stack.enter_context(whole(name))
                with damage_told(name, 1):
                    file = needed("pyarrow.parquet", "parquet").ParquetFile(raw)
                stack.enter_context(file)
                first = sum(file.metadata.row_group(n).num_rows for n in range(at.group))
                for group in range(at.group, file.num_row_groups):
                    skipped = at.row if group == at.group else 0
                    yield from self._rows_of_group(file, name, group, skipped, first)
                    first += file.metadata.row_group(group).num_rows

    def _rows_of_group(
        self, file: Any, name: str, group: int, skipped: int, first: int
    ) -> Iterator[tuple[T_co, ParquetPosition]]:
        row = 0
        batches = file.iter_batches(BATCH, row_groups=[group])
        while True:
            with damage_told(name, first + row + 1):
                batch = next(batches, None)
            if batch is None:
                return
            some = batch.slice(max(0, skipped - row))
            row += batch.num_rows - some.num_rows
            for values in some.to_pylist():
                row += 1
                try:
                    item = self.make(values)
                except Exception as error:
                    self.bad.found(error, name, first + row, values)
                    continue
                yield item, ParquetPosition(name, group, row)

    # ---------------------------------------------------------------------------
    # as a sink

    def _begin(self, epoch: int) -> None:
        self._give_up()
        if self.files is None:
            if not isinstance(self.path, str | os.PathLike):
                raise ValueError(f"results go into one file, not into {told(self.path)}")
            path = os.fspath(self.path)
            self.files = EpochFiles(path, ".parquet") if self.per_epoch else WholeFile(path)
        self.files.open(epoch)

    def _under_way(self) -> EpochFiles:
        if self.files is None:
            raise LifecycleError(f"{self.identity()}: open(0) comes before results are written")
        return self.files

    def write(self, items: Sequence[AnyRow], /) -> None:
        """Appends rows to the epoch that is open; raises `TypeError` for what is no row."""
        for item in items:
            self.rows.append(dict(as_mapping(item)))
            if len(self.rows) >= GROUP:
                self._flush()

    def _flush(self) -> None:
        """The rows so far are a row group."""
        arrow = needed("pyarrow", "parquet")
        rows, self.rows = self.rows, []
        if self.writer is None:
            if self.columns is None:
                self.columns = arrow.Table.from_pylist(rows).schema
            parquet = needed("pyarrow.parquet", "parquet")
            self.writer = parquet.ParquetWriter(self._under_way().opened(), self.columns)
        known = set(self.columns.names)
        for row in rows:
            if row.keys() != known:
                raise ValueError(
                    f"a row has the columns {', '.join(row)}, and the file "
                    f"{', '.join(self.columns.names)}"
                )
        self.writer.write_table(arrow.Table.from_pylist(rows, schema=self.columns))

    def prepare(self, epoch: int, /) -> None:
        """The file of the epoch is whole, and outlives a crash and a power cut."""
        if self.rows or (not self.per_epoch and self.writer is None):
            self._flush()
        if self.writer is not None:
            self.writer.close()
            self.writer = None
        self._under_way().prepare(epoch)

    def commit(self, epoch: int, /) -> None:
        """The file of the epoch has its name."""
        self._under_way().commit(epoch)

    def abort(self) -> None:
        """What was written and not prepared is gone."""
        self._give_up()
        if self.files is not None:
            self.files.abort()

    def discard(self) -> None:
        """What epochs have written is gone; a single file stays until another takes its place."""
        self._begin(0)

    def _give_up(self) -> None:
        self.rows = []
        self.writer = None


@contextmanager
def damage_told(name: str, row: int) -> Generator[None]:
    """What pyarrow cannot read is told with its file, and the first row that is not read."""
    try:
        yield
    except (needed("pyarrow", "parquet").ArrowException, OSError) as error:
        raise bad_row(f"the file is damaged, or not whole: {error}", name, row) from error
