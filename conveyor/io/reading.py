"""Files read row by row, each with the place behind it.

Knows: bytes, lines and where they stand.  Must never know: what a line means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import IO, Any, Final, Generic, NamedTuple, Protocol, TypeVar

from conveyor.io.bad_rows import BadRows
from conveyor.io.paths import Paths, in_order, opened

__all__ = ["LARGEST_LINE", "FilePosition", "LineReader", "Readable", "RowReader", "rows_of_files"]

T_co = TypeVar("T_co", covariant=True)
P = TypeVar("P")

# Where no line ends for so long there are none: a line is held in memory.
LARGEST_LINE: Final = 1 << 28


class FilePosition(NamedTuple):
    """How far files have been read: byte `offset` of `file`, unpacked, behind `line` lines."""

    file: str
    offset: int = 0
    line: int = 0


class RowReader(Protocol):
    """What reads the rows of one file, from a place in it on."""

    def __call__(
        self, file: IO[bytes], at: FilePosition, bad: BadRows, /
    ) -> Iterator[tuple[Any, FilePosition]]: ...


class Readable(Generic[T_co, P]):
    """A source as an iterable: its items from the beginning, for whatever takes an iterable."""

    def open(self, position: P | None, /) -> Iterator[tuple[T_co, P]]:
        raise NotImplementedError

    def __iter__(self) -> Iterator[T_co]:
        for item, _ in self.open(None):
            yield item


def rows_of_files(
    paths: Paths, position: FilePosition | None, bad: BadRows, read: RowReader
) -> Iterator[tuple[Any, FilePosition]]:
    """The rows of all files, in the order of their names, behind `position`.

    The files are looked for when it begins; `FileNotFoundError` if the one of the position is gone.
    """
    files = in_order(paths)
    if position is not None:
        if position.file not in files:
            raise FileNotFoundError(
                f"{position.file} was read up to line {position.line}, and is not there any more"
            )
        files = files[files.index(position.file) :]
    return _rows(files, position, bad, read)


def _rows(
    files: list[str], position: FilePosition | None, bad: BadRows, read: RowReader
) -> Iterator[tuple[Any, FilePosition]]:
    for file in files:
        at = position if position is not None else FilePosition(file)
        position = None
        with ExitStack() as stack:
            yield from read(opened(file, at.offset, stack), at, bad)


class LineReader:
    """Reads a file line by line; `parse` makes an item of the bytes of a line, without its end."""

    def __init__(self, parse: Callable[[bytes], Any], leaves_out_empty: bool = False) -> None:
        self.parse = parse
        self.leaves_out_empty = leaves_out_empty

    def __call__(
        self, file: IO[bytes], at: FilePosition, bad: BadRows, /
    ) -> Iterator[tuple[Any, FilePosition]]:
        name, offset, number = at
        parse, leaves_out_empty = self.parse, self.leaves_out_empty
        while raw := file.readline(LARGEST_LINE):
            offset += len(raw)
            number += 1
            if len(raw) == LARGEST_LINE and raw[-1:] != b"\n":
                raise ValueError(f"{name}:{number}: the line is longer than {LARGEST_LINE} bytes")
            line = raw[:-2] if raw[-2:] == b"\r\n" else raw[:-1] if raw[-1:] == b"\n" else raw
            if leaves_out_empty and not line.strip():
                continue
            try:
                item = parse(line)
            except Exception as error:
                bad.found(error, name, number, line)
                continue
            yield item, FilePosition(name, offset, number)
