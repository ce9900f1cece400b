"""A process that was started: whether it is still there, how it ended, and how it is sent signals.

Knows: what the system tells of a process.  Must never know: how it was started, pipelines.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
from typing import Final, cast

from conveyor.runtime.process.forkserver import NUMBER
from conveyor.runtime.process.stops import is_stopped, was_stopped

__all__ = ["Handle", "is_ready"]

REAP_S: Final = 0.3


class Handle:
    """A process that was started; what it tells is what the system says of the process.

    `fd` is readable when the process is gone, whichever process is its parent.  `way` leads to the
    process; where the fork server is its parent, that tells there how it ended.
    """

    def __init__(self, pid: int, way: socket.socket, is_child: bool) -> None:
        self.pid = pid
        self.way = way
        self.is_child = is_child
        self.is_own = False
        self.is_gone = False
        self.status: int | None = None
        self.fd = way.fileno()
        if sys.platform == "linux":
            # It is gone already, or there is no descriptor: then the end of its way tells.
            with contextlib.suppress(OSError):
                self.fd = os.pidfd_open(pid)
                self.is_own = True

    def wait(self, seconds: float) -> bool:
        """Waits so long for the end of the process, and gives whether it is gone."""
        if not self.is_gone and is_ready(self.fd, seconds):
            self.is_gone = True
            self.status = self.reaped() if self.is_child else self.told()
        return self.is_gone

    def reaped(self) -> int | None:
        # The program may have a handler that waits for all children, or ignore SIGCHLD.
        with contextlib.suppress(ChildProcessError):
            pid, status = os.waitpid(self.pid, 0)
            if pid:
                return os.waitstatus_to_exitcode(status)
        return None

    def told(self) -> int | None:
        data = b""
        with contextlib.suppress(ConnectionResetError):
            if is_ready(self.way.fileno(), REAP_S):
                data = self.way.recv(NUMBER.size)
        # The fork server may be gone, too.
        return cast("int", NUMBER.unpack(data)[0]) if data else None

    def exit_code(self) -> int | None:
        """Gives what it left with, below zero for a signal; None while it is there, or if that is
        not known."""
        self.wait(0)
        return self.status

    def is_stopped(self) -> bool:
        return is_stopped(self.pid)

    def was_stopped(self) -> bool:
        """Was it stopped, and has it gone on?"""
        return was_stopped(self.pid)

    def send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self.is_own and sys.platform == "linux":
                signal.pidfd_send_signal(self.fd, number)
            elif not self.wait(0):
                os.kill(self.pid, number)

    def close(self) -> None:
        """Gives back what the system keeps for it."""
        self.wait(0)
        self.close_copy()

    def close_copy(self) -> None:
        """Closes the descriptors and leaves the process alone, which may be another's child."""
        self.way.close()
        if self.is_own:
            os.close(self.fd)


def is_ready(fd: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
