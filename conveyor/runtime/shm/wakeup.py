"""How a process that sleeps is woken by another.

This file knows one descriptor that can be notified and waited on.  It must never know which process
sleeps, or what for.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
from typing import Final, Self

from conveyor.errors import RunError

__all__ = ["GuardedWakeup", "Wakeup"]

ONE = (1).to_bytes(8, sys.byteorder)


class Wakeup:
    """An eventfd, or a pipe where the system has no eventfd.

    A notification before a `wait` is not lost.  Several of them end one `wait`.
    """

    __slots__ = ("read_fd", "write_fd")

    DESCRIPTORS: Final = 1 if sys.platform == "linux" else 2

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self.read_fd = read_fd
        self.write_fd = write_fd

    @classmethod
    def create(cls, blocking: bool) -> Self:
        """Opens the descriptors; raises `OSError` if there are none left.

        With `blocking`, the sleeper waits for nothing else and calls `wait`.  Without, it polls
        `read_fd` together with other descriptors and calls `clear`.
        """
        if sys.platform == "linux":
            fd = os.eventfd(0, os.EFD_CLOEXEC | (0 if blocking else os.EFD_NONBLOCK))
            return cls(fd, fd)
        read_fd, write_fd = os.pipe()
        os.set_blocking(read_fd, blocking)
        os.set_blocking(write_fd, False)
        return cls(read_fd, write_fd)

    def notify(self) -> None:
        """Ends the present or the next `wait` of the process that sleeps here."""
        try:
            os.write(self.write_fd, ONE)
        except BlockingIOError:
            return  # as full of notifications as it can be
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            raise RunError(
                "a file descriptor of the run is closed. Who closes all that are open "
                "(os.closerange, or what makes a daemon of its process) must do so in a program of "
                "its own: subprocess.run(...)"
            ) from error

    def wait(self) -> None:
        """Sleeps until there is a notification, and takes all that there are."""
        os.read(self.read_fd, 4096)

    def clear(self) -> None:
        """Takes all notifications that there are, without waiting for one."""
        with contextlib.suppress(BlockingIOError):  # there is none
            os.read(self.read_fd, 4096)

    def close(self) -> None:
        """Closes this process's descriptors."""
        for fd in {self.read_fd: None, self.write_fd: None}:
            os.close(fd)


class GuardedWakeup(Wakeup):
    """A `Wakeup` that any thread may notify, also once another one has closed it: then nothing
    happens, where a descriptor that is closed may be another file by now."""

    __slots__ = ("is_open", "lock")

    def __init__(self, read_fd: int, write_fd: int) -> None:
        super().__init__(read_fd, write_fd)
        self.is_open = True
        self.lock = threading.RLock()  # a signal handler may come between

    def notify(self) -> None:
        with self.lock:
            if self.is_open:
                super().notify()

    def close(self) -> None:
        """Closes it; does nothing the second time."""
        with self.lock:
            self.close_copy()

    def close_copy(self) -> None:
        """The same in a process that was forked, where a thread that is not there may hold the
        lock."""
        if self.is_open:
            self.is_open = False
            super().close()
