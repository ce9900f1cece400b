"""The memory that the processes of one pipeline share.

This file knows one file without a name, mapped by all of them.  It must never know what is in it.

The file has no name, so nothing is left behind whatever ends the processes.  Its pages are reserved
when it is made, so that a system without room says so at once, instead of killing a process that
writes to it later.
"""

from __future__ import annotations

import errno
import mmap
import os
import resource
import sys
from typing import Final

from conveyor.errors import SharedMemoryFull

__all__ = ["PAGE", "REGION", "WINDOW", "Memory"]

PAGE: Final = mmap.ALLOCATIONGRANULARITY
# Bytes of addresses, for each producer of large records; only what is reserved takes memory.
REGION: Final = 1 << 39
WINDOW: Final = 128 << 20  # the part of a region that a process maps once and for all

CHUNK: Final = 1 << 30  # one read or write moves at most 2 GiB on Linux


class Memory:
    """`size` bytes that all processes map, and regions behind them, of which each maps what it uses
    (`at`)."""

    def __init__(self, fd: int, size: int) -> None:
        self.fd = fd
        self.size = size
        self.regions = -(-size // PAGE) * PAGE
        self.map = mmap.mmap(fd, size)
        self.view = memoryview(self.map)
        self.windows: dict[int, memoryview] = {}

    @classmethod
    def create(cls, size: int, regions: int = 0) -> Memory:
        """Makes memory, all zeros; raises `SharedMemoryFull` if the system has not that much."""
        fd = _nameless_file()
        try:
            _reserve(fd, 0, size)
            os.ftruncate(fd, size + PAGE + regions * REGION)
            return cls(fd, size)
        except OSError as error:  # a limit on files, or no room to map it
            os.close(fd)
            raise _full(size, error) from error
        except BaseException:
            os.close(fd)
            raise

    def close(self) -> None:
        """Closes the descriptor; the mapping goes with the last view of it."""
        os.close(self.fd)

    def reserve(self, start: int, end: int) -> None:
        """Reserves the pages from `start` to `end`; raises `SharedMemoryFull`.

        What was not reserved must not be written.
        """
        _reserve(self.fd, start, end)

    def write_at(self, offset: int, data: bytes) -> None:
        """Writes behind the mapped part; raises `SharedMemoryFull` if the system has no room."""
        view = memoryview(data)
        at = 0
        try:
            while at < len(view):
                at += os.pwrite(self.fd, view[at : at + CHUNK], offset + at)
        except OSError as error:
            raise _full(len(data), error) from error

    def read_at(self, offset: int, size: int) -> bytes:
        parts: list[bytes] = []
        while size > 0:
            part = os.pread(self.fd, min(size, CHUNK), offset)
            if not part:
                raise SharedMemoryFull(
                    f"{size} bytes of a large record are missing from shared memory"
                )
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        self.at(offset, len(data))[:] = data

    def at(self, offset: int, size: int) -> memoryview:
        """Gives a part of a region, mapped."""
        base = self.regions + (offset - self.regions) // REGION * REGION
        if offset + size > base + WINDOW:
            return memoryview(mmap.mmap(self.fd, size, offset=offset))
        window = self.windows.get(base)
        if window is None:
            window = self.windows[base] = memoryview(mmap.mmap(self.fd, WINDOW, offset=base))
        return window[offset - base : offset - base + size]


def _nameless_file() -> int:
    if sys.platform == "linux":
        return os.memfd_create("conveyor", os.MFD_CLOEXEC)
    import tempfile

    fd, path = tempfile.mkstemp(prefix="conveyor-")
    os.unlink(path)
    return fd


def _reserve(fd: int, start: int, end: int) -> None:
    try:
        if sys.platform == "linux":
            os.posix_fallocate(fd, start, end - start)
        else:  # no call reserves pages there; writing them does
            zeros = bytes(1 << 20)
            for offset in range(start, end, len(zeros)):
                os.pwrite(fd, zeros[: end - offset], offset)
    except OSError as error:
        raise _full(end - start, error) from error


def _full(size: int, error: OSError) -> SharedMemoryFull:
    if error.errno == errno.EFBIG:
        return SharedMemoryFull(
            f"{size} bytes of shared memory cannot be had: the size of files is limited to "
            f"{resource.getrlimit(resource.RLIMIT_FSIZE)[0]} bytes, and that counts all its "
            "addresses, used or not. "
            "Run the program without that limit (`ulimit -f unlimited`)"
        )
    reason = (
        "the memory for it is used up"
        if error.errno in (errno.ENOSPC, errno.ENOMEM)
        else str(error)
    )
    return SharedMemoryFull(
        f"{size} bytes of shared memory cannot be had: {reason}. "
        "Make the pipes smaller (Pipe(capacity)), or free memory"
    )
