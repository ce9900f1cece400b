"""The memory that the processes of one pipeline share.

Knows: one file without a name, mapped by all of them.  Must never know: what is in it.

It has no name, so nothing is left behind whatever ends the processes; and its pages are reserved when it is made, so that a
system without room says so at once, instead of killing a process that writes to it later.
"""

from __future__ import annotations

import errno
import mmap
import os
import sys
import tempfile

from conveyor.errors import SharedMemoryFull

__all__ = ["Memory"]

CHUNK = 1 << 30  # one read or write moves at most 2 GiB on Linux


class Memory:
    """`size` bytes that are mapped, and room behind them that is only read and written (`read_at`, `write_at`)."""

    def __init__(self, fd: int, size: int) -> None:
        self.fd = fd
        self.size = size
        self.map = mmap.mmap(fd, size)
        self.view = memoryview(self.map)

    @classmethod
    def create(cls, size: int) -> Memory:
        """New memory, all zeros; raises `SharedMemoryFull` if the system has not got that much."""
        fd = _nameless_file()
        try:
            _reserve(fd, size)
            return cls(fd, size)
        except BaseException:
            os.close(fd)
            raise

    def close(self) -> None:
        """Gives back the descriptor; the mapping goes with the last view of it."""
        os.close(self.fd)

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
                raise SharedMemoryFull(f"{size} bytes of a large record are missing from shared memory")
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _nameless_file() -> int:
    if sys.platform == "linux":
        return os.memfd_create("conveyor", os.MFD_CLOEXEC)
    fd, path = tempfile.mkstemp(prefix="conveyor-")
    os.unlink(path)
    return fd


def _reserve(fd: int, size: int) -> None:
    try:
        if sys.platform == "linux":
            os.posix_fallocate(fd, 0, size)
        else:  # no call reserves pages there; writing them does
            zeros = bytes(1 << 20)
            for offset in range(0, size, len(zeros)):
                os.pwrite(fd, zeros[: size - offset], offset)
    except OSError as error:
        raise _full(size, error) from error


def _full(size: int, error: OSError) -> SharedMemoryFull:
    reason = "the memory for it is used up" if error.errno in (errno.ENOSPC, errno.ENOMEM) else str(error)
    return SharedMemoryFull(
        f"{size} bytes of shared memory cannot be had: {reason}. Make the pipes smaller (Pipe(capacity)), or free memory"
    )
