"""Directories that results are written into: of this machine, or remote.

Knows: files by name.  Must never know: epochs, or what is written.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import IO, Any, Protocol, cast

from conveyor.directories import made_directory, sync_directory
from conveyor.io.paths import is_url, keep_mode, needed

__all__ = ["Folder", "folder_at"]


class Folder(Protocol):
    """A directory whose files appear as a whole."""

    path: str

    def names(self) -> list[str]:
        """The files that are there; none, if the directory is not."""
        ...

    def create(self, name: str, instead_of: str) -> IO[bytes]:
        """A new file, in place of one that has the name; later it takes the place of
        `instead_of`, whose permissions it gets."""
        ...

    def finish(self, file: IO[bytes]) -> None:
        """Closes a file; what was written outlives a power cut."""
        ...

    def rename(self, old: str, new: str) -> None:
        """Gives a file another name, in place of one that has it; does nothing if it is not
        there."""
        ...

    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""
        ...


class LocalFolder:
    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)

    def names(self) -> list[str]:
        try:
            return sorted(os.listdir(self.path))
        except FileNotFoundError:
            return []

    def create(self, name: str, instead_of: str) -> IO[bytes]:
        made_directory(self.path)
        file = open(os.path.join(self.path, name), "wb")  # noqa: SIM115  # until `finish`
        keep_mode(file.fileno(), os.path.join(self.path, instead_of))
        return file

    def finish(self, file: IO[bytes]) -> None:
        with file:
            file.flush()
            os.fsync(file.fileno())
        sync_directory(self.path)

    def rename(self, old: str, new: str) -> None:
        with suppress(FileNotFoundError):
            os.replace(os.path.join(self.path, old), os.path.join(self.path, new))
            sync_directory(self.path)

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(self.path, name))
            sync_directory(self.path)  # else it may be back, and be taken for one of another life


class RemoteFolder:
    """By fsspec, which knows the protocols; a file is there once it is closed."""

    def __init__(self, url: str) -> None:
        self.path = url.rstrip("/")
        self.fs, self.inside = needed("fsspec", "remote").core.url_to_fs(self.path)

    def at(self, name: str) -> str:
        return f"{self.inside}/{name}"

    def names(self) -> list[str]:
        self.fs.invalidate_cache(self.inside)
        if not self.fs.exists(self.inside):
            return []
        found = cast("list[str]", self.fs.ls(self.inside, detail=False))
        return sorted(name.rstrip("/").rpartition("/")[2] for name in found)

    def create(self, name: str, instead_of: str) -> IO[bytes]:
        self.fs.makedirs(self.inside, exist_ok=True)
        file: Any = self.fs.open(self.at(name), "wb")
        return cast("IO[bytes]", file)

    def finish(self, file: IO[bytes]) -> None:
        file.close()

    def rename(self, old: str, new: str) -> None:
        if old in self.names():
            self.remove(new)
            self.fs.mv(self.at(old), self.at(new))

    def remove(self, name: str) -> None:
        if name in self.names():
            self.fs.rm_file(self.at(name))


def folder_at(path: str) -> Folder:
    return RemoteFolder(path) if is_url(path) else LocalFolder(path)
