"""A file that grows, and a directory that fills.

Knows: what happens to a log that is written meanwhile.  Must never know: what its lines mean.

Rule 1.  A line is given once its end is there.
Rule 2.  A file is known by its number in the file system and its first bytes: a name may be given
         to another file (rotation), a file may be emptied and written anew (truncation), and a
         number may be used again.
Rule 3.  The file that has lost its name is read to its end before the one that has it now.
"""

from __future__ import annotations

import io
import os
from binascii import crc32
from collections.abc import Callable, Generator, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Final, NamedTuple

from conveyor.io.bad_rows import BadRows, OnBadRow
from conveyor.io.reading import LARGEST_LINE, Readable, check_encoding
from conveyor.io.waiting import Patience

__all__ = ["Directory", "DirectoryPosition", "Follow", "FollowPosition"]

HEAD: Final = 256  # bytes by which a file is known again
BLOCK: Final = 1 << 16


class FollowPosition(NamedTuple):
    """Behind byte `offset` and `line` lines of a file, which is known by its `number` and by the
    checksum `head` of its first bytes."""

    number: int = 0
    offset: int = 0
    line: int = 0
    head: int = 0


class Follow(Readable[str, FollowPosition]):
    """The lines of a file that grows, as a source without an end: as `tail -F` reads a log.

    It goes on with the new file when the name is given to one (rotation), and at the beginning when
    the file is emptied (truncation); what was in the old one is read first.  Lines that come and go
    between two looks, `poll_s` seconds apart, are not seen.  A file that is not there yet is waited
    for.  `idle_s` ends it when no line has come for so many seconds; `until`, a function without
    arguments, when it gives True, behind the lines that are there by then.

    When it goes on at a position and the file has another name by now, it is looked for in the same
    directory, among the names that begin with that of `path`.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     log = Path(folder, "a.log")
    ...     written = log.write_text("one\\ntwo\\nthr")
    ...     print(list(Follow(log, idle_s=0)))
    ['one', 'two']
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        poll_s: float = 0.2,
        idle_s: float | None = None,
        until: Callable[[], bool] | None = None,
        encoding: str = "utf-8",
        on_error: OnBadRow = "raise",
    ) -> None:
        check_encoding(encoding)
        self.path = os.path.abspath(path)
        self.poll_s = poll_s
        self.idle_s = idle_s
        self.until = until
        self.encoding = encoding
        self.bad = BadRows(on_error)

    def identity(self) -> str:
        """The kind of source, and where."""
        return f"Follow {self.path}"

    def __repr__(self) -> str:
        return f"Follow({self.path!r})"

    def open(self, position: FollowPosition | None, /) -> Iterator[tuple[str, FollowPosition]]:
        """The lines behind a position, each with the position behind it."""
        patience = Patience(self.idle_s, self.until)
        at = position or FollowPosition()
        file = self._found_again(at)
        while True:
            if file is None:
                at = FollowPosition()
                while (file := self._opened(patience)) is None:
                    if not patience.again(self.poll_s):
                        return
            with file:
                number = os.fstat(file.fileno()).st_ino
                is_over = yield from self._lines_of(file, at._replace(number=number), patience)
            if is_over:
                return
            file = None

    def _opened(self, patience: Patience) -> io.FileIO | None:
        """The file that has the name now."""
        patience.look_s()
        try:
            return io.FileIO(self.path)
        except FileNotFoundError:
            return None

    def _found_again(self, at: FollowPosition) -> io.FileIO | None:
        """The file of a position, under whatever name, if all that was read of it is there."""
        if not at.number:
            return None
        folder, name = os.path.split(self.path)
        others = [other for other in sorted(os.listdir(folder)) if other.startswith(name)]
        for other in [name, *others]:
            path = Path(folder, other)
            try:
                if path.stat().st_ino != at.number:
                    continue
                file = io.FileIO(path)
            except FileNotFoundError:
                continue
            if is_the_same(file, at):
                return file
            file.close()
        return None

    def _lines_of(
        self, file: io.FileIO, at: FollowPosition, patience: Patience
    ) -> Generator[tuple[str, FollowPosition], None, bool]:
        """The lines of one file, until another one has the name or it was emptied; True: until it
        is not worth to wait."""
        while True:
            patience.look_s()
            is_replaced = self._is_replaced(file)  # asked before the last look at what is in it
            for raw, now in there(file, at, self.path):
                at = now  # also behind a line that is left out, which is not looked at again
                patience.came()
                try:
                    line = raw.removesuffix(b"\r").decode(self.encoding)
                except UnicodeDecodeError as error:
                    self.bad.found(error, self.path, at.line, raw)
                    continue
                yield line, at
            if is_replaced or not is_the_same(file, at):
                return False
            if not patience.again(self.poll_s):
                return True

    def _is_replaced(self, file: io.FileIO) -> bool:
        """Has another file the name?  While none has it, this one may still be written into."""
        try:
            return os.stat(self.path).st_ino != os.fstat(file.fileno()).st_ino
        except FileNotFoundError:
            return False


def there(file: io.FileIO, at: FollowPosition, path: str) -> Iterator[tuple[bytes, FollowPosition]]:
    """The lines that are whole by now, without their newlines; what is written while they are given
    is for the next look."""
    rest = b""
    size = os.fstat(file.fileno()).st_size
    while at.offset + len(rest) < size:
        if not (block := os.pread(file.fileno(), BLOCK, at.offset + len(rest))):
            return  # it was emptied
        if not is_the_same(file, at):  # it was emptied: the block may be of what came then
            return
        *lines, rest = (rest + block).split(b"\n")
        for raw in lines:
            at = behind(at, raw + b"\n")
            yield raw, at
        if len(rest) > LARGEST_LINE:
            raise ValueError(f"{path}:{at.line + 1}: the line is too long for memory")


def behind(at: FollowPosition, line: bytes) -> FollowPosition:
    """The position behind a line."""
    head = crc32(line[: HEAD - at.offset], at.head) if at.offset < HEAD else at.head
    return FollowPosition(at.number, at.offset + len(line), at.line + 1, head)


def is_the_same(file: io.FileIO, at: FollowPosition) -> bool:
    """Is what was read of a file in it still?"""
    if os.fstat(file.fileno()).st_size < at.offset:
        return False
    return crc32(os.pread(file.fileno(), min(at.offset, HEAD), 0)) == at.head


class DirectoryPosition(NamedTuple):
    """The names that were there, of which the first `read` were given."""

    names: tuple[str, ...]
    read: int

    @property
    def seen(self) -> tuple[str, ...]:
        """The names that were given."""
        return self.names[: self.read]


class Directory(Readable[Path, DirectoryPosition]):
    """The files that come into a directory, as a source without an end: each path once, those that
    come together in the order of their names.

    A file has to come as a whole, by being renamed into place; names that begin with a dot, or end
    in `.part` or `.tmp`, are left alone.  `pattern` says which names count.  It looks every
    `poll_s` seconds; `idle_s` ends it when none has come for so many, `until`, a function without
    arguments, when it gives True, behind the files that are there by then.  Names that have gone
    are forgotten, so that what is read may be moved away.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("b.csv", "a.csv", "c.csv.part"):
    ...         Path(folder, name).touch()
    ...     print([path.name for path in Directory(folder, "*.csv", idle_s=0)])
    ['a.csv', 'b.csv']
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        pattern: str = "*",
        *,
        poll_s: float = 0.2,
        idle_s: float | None = None,
        until: Callable[[], bool] | None = None,
    ) -> None:
        self.path = os.path.abspath(path)
        self.pattern = pattern
        self.poll_s = poll_s
        self.idle_s = idle_s
        self.until = until

    def identity(self) -> str:
        """The kind of source, and where."""
        return f"Directory {self.path} {self.pattern}"

    def __repr__(self) -> str:
        return f"Directory({self.path!r}, {self.pattern!r})"

    def open(
        self, position: DirectoryPosition | None, /
    ) -> Iterator[tuple[Path, DirectoryPosition]]:
        """The files that were not given up to a position, each with the position behind it."""
        seen = position.seen if position is not None else ()
        patience = Patience(self.idle_s, self.until)
        while True:
            patience.look_s()
            there = self._there()
            given = {*seen}.intersection(there)
            new = [name for name in there if name not in given]
            names = (*sorted(given), *new)
            for read, name in enumerate(new, len(given) + 1):
                patience.came()
                yield Path(self.path, name), DirectoryPosition(names, read)
            seen = names
            if not patience.again(self.poll_s):
                return

    def _there(self) -> list[str]:
        """The names that count, sorted."""
        with os.scandir(self.path) as found:
            names = [entry.name for entry in found if entry.is_file()]
        return sorted(
            name
            for name in names
            if fnmatch(name, self.pattern)
            and not name.startswith(".")
            and not name.endswith((".part", ".tmp"))
        )
