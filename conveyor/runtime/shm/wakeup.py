"""How a process that sleeps is woken.

Knows: a descriptor that can be rung and waited on.  Must never know: who sleeps, or why.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Final

__all__ = ["Bell"]

ONE = (1).to_bytes(8, sys.byteorder)


class Bell:
    """An eventfd; where there is none, a pipe.  Rings before a `wait` are not lost, and several are
    one."""

    __slots__ = ("read_fd", "write_fd")

    DESCRIPTORS: Final = 1 if sys.platform == "linux" else 2

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self.read_fd = read_fd
        self.write_fd = write_fd

    @classmethod
    def create(cls, blocking: bool) -> Bell:
        """`blocking`: for a sleeper that waits for nothing else; else it polls `read_fd` and calls
        `silence`."""
        if sys.platform == "linux":
            fd = os.eventfd(0, os.EFD_CLOEXEC | (0 if blocking else os.EFD_NONBLOCK))
            return cls(fd, fd)
        read_fd, write_fd = os.pipe()
        os.set_blocking(read_fd, blocking)
        os.set_blocking(write_fd, False)
        return cls(read_fd, write_fd)

    def ring(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is ringing already, as loudly as it can
            os.write(self.write_fd, ONE)

    def wait(self) -> None:
        """Sleeps until somebody rings."""
        os.read(self.read_fd, 4096)

    def silence(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it was not rung
            os.read(self.read_fd, 4096)

    def close(self) -> None:
        for fd in {self.read_fd: None, self.write_fd: None}:
            os.close(fd)
