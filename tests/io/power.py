"""A disk that loses power: what a program does to a directory is taken down, and played back to the
states in which a power cut may leave it.

Knows: what POSIX promises of files and directories, and no more.  Must never know: who writes.

Rule 1.  What was written to a file since its last fsync is there or not, page by page; so is how
         long the file is.  A page that was never there is of zeros.
Rule 2.  What became of names since the last fsync of their directory is there or not, one by one;
         a rename is one of these.  An fsync of a file says nothing of its name.
Rule 3.  What is in a directory is lost with its name.
"""

from __future__ import annotations

import builtins
import io
import os
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import IO, Any, Final
from unittest.mock import patch

__all__ = ["Disk", "State"]

PAGE: Final = 4096

# A file by its number, a directory by its path, or nothing.
Thing = int | str | None
Names = dict[str, Thing]
State = dict[str, bytes | None]  # by path, relative; a directory is None

CREATE, OPEN, OPEN_FD, FSYNC = os.mkdir, builtins.open, os.open, os.fsync
RENAME, UNLINK, WRITE = os.replace, os.unlink, os.write


@dataclass
class File:
    """The versions of a file since the last that is safe, which is the first."""

    versions: list[bytes] = field(default_factory=lambda: [b""])

    def torn(self, choose: Callable[[int], int]) -> bytes:
        """Its pages, each of one of the versions, and so its length."""
        versions = self.versions
        size = len(versions[choose(len(versions))])
        pages: list[bytes] = []
        for at in range(0, size, PAGE):
            page = versions[choose(len(versions))][at : at + PAGE]
            pages.append(page.ljust(min(PAGE, size - at), b"\0")[: size - at])
        return b"".join(pages)


@dataclass
class Folder:
    """The names that are safe, and what became of names since, each all at once."""

    safe: Names = field(default_factory=dict[str, Thing])
    since: list[Names] = field(default_factory=list[Names])

    def names(self, choose: Callable[[int], int]) -> Names:
        found = dict(self.safe)
        for each in self.since:
            if choose(2):
                found.update(each)
        return {name: thing for name, thing in found.items() if thing is not None}

    @property
    def newest(self) -> Names:
        return self.names(lambda n: n - 1)


class Disk:
    """What is safe below a directory, as long as `recording` goes on.

    `at_each` is called before each step: there the power may go off.
    """

    def __init__(self, root: Path, at_each: Callable[[], None] = lambda: None) -> None:
        self.root = str(root)
        self.files: dict[int, File] = {}
        self.numbers: dict[int, int] = {}  # of files, by inode
        self.folders: dict[str, Folder] = {self.root: Folder()}
        self.at_each = at_each
        self.is_off = False
        self.opened: list[IO[Any]] = []
        for folder, subfolders, names in os.walk(self.root):
            self.folders[folder] = Folder()
            for name in subfolders:
                self.folders[folder].safe[name] = os.path.join(folder, name)
            for name in names:
                path = os.path.join(folder, name)
                self.folders[folder].safe[name] = self.new_file(path, Path(path).read_bytes())

    # ------------------------------------------------------------------- what may be left

    def state(self, choose: Callable[[int], int]) -> State:
        """What a power cut leaves; `choose(n)` is one of the first `n` numbers, the last of which
        is the newest."""
        found: State = {}
        self.gather(self.root, "", choose, found)
        return found

    def gather(self, folder: str, under: str, choose: Callable[[int], int], found: State) -> None:
        for name, thing in self.folders[folder].names(choose).items():
            path = f"{under}{name}"
            if isinstance(thing, str):
                found[path] = None
                self.gather(thing, f"{path}/", choose, found)
            elif thing is not None:
                found[path] = self.files[thing].torn(choose)

    def states(self, random: Random, more: int) -> Iterator[State]:
        """Some of the states: all that is not safe is lost, or one thing of it, or all but one; and
        others by chance."""
        counted = 0

        def counts(n: int) -> int:
            nonlocal counted
            counted += n > 1
            return n - 1

        yield self.state(counts)
        yield self.state(lambda n: 0)
        for place in range(counted):
            for usual in (0, 1):
                yield self.state(one_otherwise(place, usual))
        for _ in range(more if counted > 1 else 0):
            yield self.state(random.randrange)

    # ------------------------------------------------------------------ what is done to it

    def new_file(self, path: str, data: bytes = b"") -> int:
        number = len(self.files)
        self.files[number] = File([data])
        self.numbers[os.stat(path).st_ino] = number
        return number

    def changed(self, folder: str, names: Names) -> None:
        self.folders[folder].since.append(names)

    def holds(self, path: str) -> bool:
        return f"{path}/".startswith(f"{self.root}/")

    def written(self, fd: int) -> None:
        number = self.numbers.get(os.fstat(fd).st_ino)
        if number is not None:
            data = Path(f"/proc/self/fd/{fd}").read_bytes()
            self.files[number].versions.append(data)

    def made(self, path: str, was_there: bool) -> None:
        """A file was opened, which may be new."""
        folder, name = os.path.split(path)
        if not was_there:
            self.changed(folder, {name: self.new_file(path)})

    def fsync(self, fd: int) -> None:
        path = os.readlink(f"/proc/self/fd/{fd}")
        if not self.holds(path):
            FSYNC(fd)
            return
        self.at_each()
        if path in self.folders:
            self.folders[path] = Folder(self.folders[path].newest)
        else:
            found = self.files[self.numbers[os.fstat(fd).st_ino]]
            found.versions = found.versions[-1:]

    def open(self, file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        path = os.path.abspath(str(file))
        if not any(sign in mode for sign in "wa+x") or not self.holds(path):
            return OPEN(file, mode, *arguments, **options)
        self.at_each()
        was_there = os.path.exists(path)
        raw = Written(self, path, mode.replace("b", "").replace("t", ""))
        self.made(path, was_there)
        if was_there and "w" in mode:
            self.written(raw.fileno())
        found: Any = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        if "b" not in mode:
            found = io.TextIOWrapper(found, encoding=options.get("encoding"))
        self.opened.append(found)
        return found

    def open_fd(self, path: Any, flags: int, mode: int = 0o777, **options: Any) -> int:
        place = os.path.abspath(path)
        if not flags & os.O_CREAT or not self.holds(place):
            return OPEN_FD(path, flags, mode, **options)
        self.at_each()
        was_there = os.path.exists(place)
        fd = OPEN_FD(path, flags, mode, **options)
        self.made(place, was_there)
        if was_there and flags & os.O_TRUNC:
            self.written(fd)
        return fd

    def write(self, fd: int, data: Any) -> int:
        if self.numbers.get(os.fstat(fd).st_ino) is not None:
            self.at_each()
        count = WRITE(fd, data)
        self.written(fd)
        return count

    def rename(self, old: Any, new: Any) -> None:
        before, behind = os.path.abspath(old), os.path.abspath(new)
        (folder, name), (to, as_name) = os.path.split(before), os.path.split(behind)
        if self.holds(before):
            assert folder == to, "what goes to another directory is not known here"
            self.at_each()
        RENAME(old, new)
        if self.holds(before):
            thing = self.folders[folder].newest[name]
            self.changed(folder, {name: None, as_name: thing})

    def unlink(self, path: Any, **options: Any) -> None:
        folder, name = os.path.split(os.path.abspath(path))
        if self.holds(folder):
            self.at_each()
        UNLINK(path, **options)
        if self.holds(folder):
            self.changed(folder, {name: None})

    def mkdir(self, path: Any, *arguments: Any, **options: Any) -> None:
        folder, name = os.path.split(os.path.abspath(path))
        if self.holds(folder):
            self.at_each()
        CREATE(path, *arguments, **options)
        if self.holds(folder):
            self.folders[os.path.join(folder, name)] = Folder()
            self.changed(folder, {name: os.path.join(folder, name)})

    def goes_off(self) -> None:
        """Nothing reaches it any more, also of what is still to be written."""
        self.is_off = True
        for each in self.opened:
            each.close()

    @contextmanager
    def recording(self) -> Generator[None]:
        instead: Mapping[str, Callable[..., Any]] = {
            "builtins.open": self.open,
            "os.open": self.open_fd,
            "os.write": self.write,
            "os.fsync": self.fsync,
            "os.replace": self.rename,
            "os.rename": self.rename,
            "os.unlink": self.unlink,
            "os.mkdir": self.mkdir,
        }
        with ExitStack() as stack:
            for name, function in instead.items():
                stack.enter_context(patch(name, function))
            yield


class Written(io.FileIO):
    """A file whose every write is a step."""

    def __init__(self, disk: Disk, path: str, mode: str) -> None:
        super().__init__(path, mode)
        self.disk = disk

    def write(self, data: Any, /) -> int:
        if self.disk.is_off:
            return len(data)
        self.disk.at_each()
        count = super().write(data)
        self.disk.written(self.fileno())
        return count

    def truncate(self, size: int | None = None, /) -> int:
        self.disk.at_each()
        found = super().truncate(size)
        self.disk.written(self.fileno())
        return found


def one_otherwise(place: int, usual: int) -> Callable[[int], int]:
    """Of what may be there or not, one thing is otherwise than all others."""
    left = place

    def choose(n: int) -> int:
        nonlocal left
        if n < 2:
            return 0
        left -= 1
        is_there = usual if left != -1 else 1 - usual
        return n - 1 if is_there else 0

    return choose


def put(state: State, root: Path) -> None:
    """Makes a directory what a state says."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for path, data in state.items():
        if data is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(data)
