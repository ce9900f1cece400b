"""Files read row by row, each with the place behind it.

Knows: bytes, lines and where they stand.  Must never know: what a line means.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import IO, Any, Final, Generic, NamedTuple, Protocol, TypeVar

from conveyor.errors import ConveyorError
from conveyor.io.bad_rows import BadRows, bad_row
from conveyor.io.paths import Paths, in_order, whole
from conveyor.io.unpacking import BUFFER, Compression, Damaged, compression_of, unpacked

__all__ = [
    "LARGEST_LINE",
    "FilePosition",
    "LineReader",
    "Readable",
    "RowReader",
    "check_encoding",
    "opened",
    "rows_of_files",
]

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


def check_encoding(encoding: str) -> None:
    """Raises `ValueError` for one whose lines cannot be told apart by their bytes."""
    if "\n".encode(encoding) != b"\n":
        raise ValueError(f"lines of {encoding} do not end in the byte 10; convert the file")


def opened(at: FilePosition, said: Compression | None, stack: ExitStack) -> IO[bytes]:
    """A file from a position on, unpacked; `stack` closes it.  What is packed has to be unpacked up
    to there.

    Raises `ConveyorError` if the file ends before, and so is not the one that was read.
    """
    raw: IO[bytes] = stack.enter_context(whole(at.file))
    plain = stack.enter_context(unpacked(raw, compression_of(at.file, said)))
    if plain is raw:
        left = at.offset - raw.seek(0, os.SEEK_END) if at.offset else 0
        if at.offset:  # what comes through a pipe has a beginning, and no other place to go to
            raw.seek(at.offset)
    else:
        left = at.offset
        while left and (skipped := plain.read(min(left, BUFFER))):
            left -= len(skipped)
    if left > 0:
        raise ConveyorError(
            f"{at.file} was read up to line {at.line}, byte {at.offset}, and ends before: it is "
            "not the file that it was"
        )
    return plain


def rows_of_files(
    paths: Paths,
    position: FilePosition | None,
    bad: BadRows,
    read: RowReader,
    said: Compression | None,
) -> Iterator[tuple[Any, FilePosition]]:
    """The rows of all files, in the order of their names, behind `position`; `said`: how they are
    packed, where their names do not say it.

    The files are looked for when it begins; `FileNotFoundError` if the one of the position is gone.
    """
    files = in_order(paths)
    if position is not None:
        if position.file not in files:
            raise FileNotFoundError(
                f"{position.file} was read up to line {position.line}, and is not there any more"
            )
        files = files[files.index(position.file) :]
    return _rows(files, position, bad, read, said)


def _rows(
    files: list[str],
    position: FilePosition | None,
    bad: BadRows,
    read: RowReader,
    said: Compression | None,
) -> Iterator[tuple[Any, FilePosition]]:
    for file in files:
        at = position if position is not None else FilePosition(file)
        position = None
        with ExitStack() as stack:
            try:
                found = opened(at, said, stack)
            except Damaged as error:
                raise bad_row(error, file, at.line + 1) from error
            yield from read(found, at, bad)


class LineReader:
    """Reads a file line by line; `parse` makes an item of the bytes of a line, without its end.
    The `mark` that the file may begin with is none of its first."""

    def __init__(
        self, parse: Callable[[bytes], Any], leaves_out_empty: bool = False, mark: bytes = b""
    ) -> None:
        self.parse = parse
        self.mark = mark
        self.leaves_out_empty = leaves_out_empty

    def __call__(
        self, file: IO[bytes], at: FilePosition, bad: BadRows, /
    ) -> Iterator[tuple[Any, FilePosition]]:
        name, offset, number = at
        parse, leaves_out_empty = self.parse, self.leaves_out_empty
        mark = b"" if offset else self.mark
        try:
            while raw := file.readline(LARGEST_LINE):
                offset += len(raw)
                number += 1
                if len(raw) == LARGEST_LINE and raw[-1:] != b"\n":
                    raise ValueError(
                        f"{name}:{number}: the line is longer than {LARGEST_LINE} bytes"
                    )
                if mark:
                    raw, mark = raw.removeprefix(mark), b""
                    if not raw:  # there is nothing else in the file
                        return
                line = raw[:-2] if raw[-2:] == b"\r\n" else raw[:-1] if raw[-1:] == b"\n" else raw
                if leaves_out_empty and not line.strip():
                    continue
                try:
                    item = parse(line)
                except Exception as error:
                    bad.found(error, name, number, line)
                    continue
                yield item, FilePosition(name, offset, number)
        except Damaged as error:
            raise bad_row(error, name, number + 1) from error
