"""Results in files that appear as a whole: one an epoch, or one for a run that is one epoch.

Knows: which names belong to which epoch.  Must never know: what is written.

Rule 1.  An epoch is written under a name that begins with a dot; `commit` gives it its own.
Rule 2.  `open` removes all that belongs to the epoch it is told, or to a later one.
"""

from __future__ import annotations

import os
import re
from typing import IO

from conveyor.errors import ConveyorError
from conveyor.io.folders import Folder, folder_at
from conveyor.io.paths import check_place, is_url
from conveyor.io.unpacking import Compression, packed

__all__ = ["EpochFiles", "WholeFile"]


class EpochFiles:
    """A directory with a file for each epoch that has results."""

    def __init__(self, path: str, suffix: str, compression: Compression | None = None) -> None:
        self.folder: Folder = folder_at(path)
        self.suffix = suffix
        self.compression: Compression | None = compression
        self.pattern = re.compile(rf"(\.?)epoch-(\d{{8,}}){re.escape(suffix)}(\.part)?")
        self.epoch = 0
        self.raw: IO[bytes] | None = None
        self.file: IO[bytes] | None = None

    def name(self, epoch: int) -> str:
        return f"epoch-{epoch:08d}{self.suffix}"

    def part(self, epoch: int) -> str:
        return f".{self.name(epoch)}.part"

    def open(self, epoch: int) -> None:
        """Everything of this epoch and of later ones is gone."""
        self.close()
        self.epoch = epoch
        for name in self.folder.names():
            found = self.pattern.fullmatch(name)
            if found is not None and int(found[2]) >= epoch:
                self.folder.remove(name)

    def is_empty(self) -> bool:
        """Is there nothing in the file of this epoch yet?"""
        return self.file is None

    def write(self, data: bytes) -> None:
        self.opened().write(data)

    def opened(self) -> IO[bytes]:
        """The file of the epoch, packed on the way if it is to be."""
        if self.file is None:
            self.raw = self.folder.create(self.part(self.epoch), self.name(self.epoch))
            self.file = packed(self.raw, self.compression)
        return self.file

    def prepare(self, epoch: int) -> None:
        if self.file is not None and self.raw is not None:
            if self.file is not self.raw:
                self.file.close()
            self.folder.finish(self.raw)
            self.raw = self.file = None
        self.epoch = epoch + 1

    def commit(self, epoch: int) -> None:
        self.folder.rename(self.part(epoch), self.name(epoch))

    def abort(self) -> None:
        """What is not prepared is gone."""
        self.close()
        self.folder.remove(self.part(self.epoch))

    def close(self) -> None:
        if self.raw is not None:
            self.raw.close()
        self.raw = self.file = None


class WholeFile(EpochFiles):
    """One file, which cannot be appended to: of a run that is one epoch."""

    def __init__(self, path: str, compression: Compression | None = None) -> None:
        place = path if is_url(path) else os.path.abspath(path)
        folder, _, self.its_name = place.rpartition("/")
        super().__init__(folder, "", compression)

    def name(self, epoch: int) -> str:
        return self.its_name

    def open(self, epoch: int) -> None:
        if epoch:
            raise ConveyorError(
                f"{self.folder.path}/{self.its_name} cannot be appended to, as a run with a "
                "checkpoint has to: write a file an epoch into a directory, with per_epoch=True"
            )
        self.close()
        if not is_url(self.folder.path):
            check_place(os.path.join(self.folder.path, self.its_name))
        self.folder.remove(self.part(0))

    def prepare(self, epoch: int) -> None:
        if epoch:
            self.open(epoch)
        self.opened()  # a file without results is a file
        super().prepare(epoch)
