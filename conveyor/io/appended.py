"""Results in one file, which is cut back to what was committed.

Knows: one file of this machine, and what a crash or a power cut leaves of it.  Must never know:
what is written.

Rule 1.  The first epoch goes into a file beside, which takes the place of the one that is there
         when it is committed: a run that fails leaves that as it was.
Rule 2.  Later epochs are appended.  Before the first byte behind what is committed, a note beside
         the file says how long it was; `prepare` adds how long it is then.  Whatever a crash leaves
         behind the length of the last epoch that is whole is cut off.
Rule 3.  Where there is no note, nothing was appended: the file is as long as it was committed.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import IO

from conveyor.directories import sync_directory
from conveyor.errors import ConveyorError
from conveyor.io.paths import check_place, keep_mode
from conveyor.io.unpacking import Compression, packed

__all__ = ["AppendedFile"]


class AppendedFile:
    """A file that grows by epochs."""

    def __init__(self, path: str, compression: Compression | None) -> None:
        self.given = path
        self.path = os.path.realpath(path)
        self.folder, name = os.path.split(self.path)
        self.part = os.path.join(self.folder, f".{name}.part")
        self.note = os.path.join(self.folder, f".{name}.epochs")
        self.compression: Compression | None = compression
        self.epoch = 0
        self.committed = 0  # bytes
        self.raw: IO[bytes] | None = None
        self.file: IO[bytes] | None = None

    def open(self, epoch: int) -> None:
        """Cuts back to what is committed before this epoch; 0: begins anew."""
        self.close()
        self.epoch = epoch
        if not os.path.isdir(self.folder):
            raise FileNotFoundError(f"there is no directory {self.folder} for {self.path}")
        check_place(self.given)
        if epoch == 0:
            self.committed = 0
            for path in (self.part, self.note):
                with suppress(FileNotFoundError):
                    os.unlink(path)
            return
        self.put_in_place()
        lengths = self.lengths()
        if not os.path.exists(self.path):
            raise ConveyorError(
                f"{self.path} had the results of {epoch} epochs, and is not there any more"
            )
        size = os.path.getsize(self.path)
        self.committed = lengths.get(str(epoch - 1), -1) if lengths else size
        if not 0 <= self.committed <= size:
            raise ConveyorError(
                f"{self.path} is not as the checkpoint left it: it has {size} bytes, and its "
                f"epochs are {lengths}"
            )
        self.cut_back()

    def lengths(self) -> dict[str, int]:
        """How long the file was after the newest epochs; nothing if it was not appended to."""
        try:
            with open(self.note, encoding="utf-8") as file:
                lengths: dict[str, int] = json.load(file)
        except FileNotFoundError:
            return {}
        return lengths

    def is_empty(self) -> bool:
        """Is there nothing yet, in this epoch or before?"""
        return self.file is None and self.committed == 0

    def write(self, data: bytes) -> None:
        self.opened().write(data)

    def opened(self) -> IO[bytes]:
        if self.file is None:
            if self.epoch == 0:
                self.raw = open(self.part, "wb")  # noqa: SIM115  # until `prepare`
                keep_mode(self.raw.fileno(), self.path)
            else:
                if not self.lengths():
                    self.keep({self.epoch - 1: self.committed})
                self.raw = open(self.path, "ab")  # noqa: SIM115
            self.file = packed(self.raw, self.compression)
        return self.file

    def prepare(self, epoch: int) -> None:
        """The bytes of the epoch are on the disk, and so is how many there are."""
        if epoch == 0 or self.file is not None:
            self.opened()
            assert self.raw is not None
            self.finish()
            self.raw.flush()
            os.fsync(self.raw.fileno())
            self.raw.close()
            self.raw = None
        if epoch == 0:  # also that there is no note of another run any more
            sync_directory(self.folder)
        else:
            size = os.path.getsize(self.path)
            if self.lengths():
                self.keep({epoch - 1: self.committed, epoch: size})
            self.committed = size
        self.epoch = epoch + 1

    def commit(self, epoch: int) -> None:
        if epoch == 0:
            self.put_in_place()
            self.committed = os.path.getsize(self.path)

    def abort(self) -> None:
        """What is not prepared is gone."""
        self.close()
        if self.epoch == 0:
            with suppress(FileNotFoundError):
                os.unlink(self.part)
        elif os.path.exists(self.path) and not os.path.exists(self.part):
            self.cut_back()

    def put_in_place(self) -> None:
        """The first epoch takes the place of what was there; does nothing if it has."""
        with suppress(FileNotFoundError):
            os.replace(self.part, self.path)
            sync_directory(self.folder)

    def cut_back(self) -> None:
        if os.path.getsize(self.path) > self.committed:
            with open(self.path, "r+b") as file:
                file.truncate(self.committed)
                os.fsync(file.fileno())

    def keep(self, lengths: dict[int, int]) -> None:
        """Writes the note, as a whole or not at all."""
        beside = f"{self.note}.new"
        with open(beside, "w", encoding="utf-8") as file:
            json.dump(lengths, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self.note)
        sync_directory(self.folder)

    def finish(self) -> None:
        """What packs writes its last bytes."""
        if self.file is not None and self.file is not self.raw:
            self.file.close()
        self.file = None

    def close(self) -> None:
        try:
            self.finish()
        finally:
            if self.raw is not None:
                self.raw.close()
            self.raw = None
