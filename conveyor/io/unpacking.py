"""Bytes that were packed, unpacked as they are read.

Knows: how gzip and zstd pack, what such files are called, and what is left of one that is cut or
damaged.  Must never know: what is in it.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast, get_args

from conveyor.io.paths import needed

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "Compression",
    "Damaged",
    "check_compression",
    "compression_of",
    "packed",
    "suffix_of",
    "unpacked",
]

Compression: TypeAlias = Literal["gzip", "zstd"]
SUFFIXES: Final[dict[str, Compression]] = {".gz": "gzip", ".zst": "zstd"}

BUFFER: Final = 1 << 16
PACKED: Final = 1 << 14  # bytes that are unpacked at once, into how many they are


class Damaged(Exception):
    """What is packed is not what it says, or not whole."""


def check_compression(compression: object) -> None:
    """Raises `ValueError` for what is no way to pack."""
    if compression is not None and compression not in get_args(Compression):
        raise ValueError(f'compression is "gzip" or "zstd", not {compression!r}')


def compression_of(path: str, said: Compression | None) -> Compression | None:
    """How a file is packed: as was said, or by its suffix."""
    return said or SUFFIXES.get(os.path.splitext(path)[1].lower())


def suffix_of(compression: Compression | None) -> str:
    """What the name of a file that is packed so ends in."""
    return next((suffix for suffix, each in SUFFIXES.items() if each == compression), "")


def unpacked(raw: IO[bytes], compression: Compression | None) -> IO[bytes]:
    """What is packed in `raw`, in one go or in several.  Reading raises `Damaged` where that cannot
    be unpacked, or ends too early."""
    match compression:
        case None:
            return raw
        case "gzip":
            import gzip

            file = gzip.GzipFile(fileobj=raw)
            errors = (gzip.BadGzipFile, zlib.error)  # others are of the disk, or of the network
            return io.BufferedReader(Unpacking(file.read1, errors), BUFFER)
        case "zstd":
            zstd = needed("zstandard", "zstd")
            return io.BufferedReader(Unpacking(Frames(zstd, raw).read, (zstd.ZstdError,)), BUFFER)


class Unpacking(io.RawIOBase):
    """A file of what `read` gives, so many bytes at the most, none at the end."""

    def __init__(self, read: Callable[[int], Buffer], errors: tuple[type[Exception], ...]) -> None:
        super().__init__()
        self.read_some = read
        self.errors: tuple[type[Exception], ...] = (EOFError, *errors)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        try:
            found = memoryview(self.read_some(len(view)))
        except self.errors as error:
            raise Damaged(f"the file is damaged, or not whole: {error}") from error
        view[: len(found)] = found
        return len(found)


class Frames:
    """What zstd has packed, frame by frame: the reader of the library takes a frame that is cut for
    one that is whole."""

    def __init__(self, zstd: Any, raw: IO[bytes]) -> None:
        self.zstd = zstd
        self.raw = raw
        self.frame: Any = None  # the one that is being unpacked
        self.packed = b""
        self.found = memoryview(b"")

    def read(self, n: int) -> memoryview:
        while not self.found:
            packed = self.packed or self.raw.read(PACKED)
            self.packed = b""
            if not packed:
                if self.frame is not None:
                    raise EOFError("it ends inside of a frame of zstd")
                break
            if self.frame is None:
                self.frame = self.zstd.ZstdDecompressor().decompressobj()
            self.found = memoryview(self.frame.decompress(packed))
            if self.frame.eof:
                self.packed = self.frame.unused_data
                self.frame = None
        some, self.found = self.found[:n], self.found[n:]
        return some


def packed(raw: IO[bytes], compression: Compression | None) -> IO[bytes]:
    """What packs into `raw`; closed, it leaves that open.  One behind the other in a file is read
    as one."""
    match compression:
        case None:
            return raw
        case "gzip":
            import gzip

            # No name and no time: the same results are the same bytes.
            return cast("IO[bytes]", gzip.GzipFile("", "wb", 6, raw, 0))
        case "zstd":
            writer: IO[bytes] = (
                needed("zstandard", "zstd").ZstdCompressor().stream_writer(raw, closefd=False)
            )
            return writer
