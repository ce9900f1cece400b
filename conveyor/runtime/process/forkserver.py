"""The process that forks workers: one for a program, with all imported that a worker needs.

It must never know what the workers do.

It is not multiprocessing's own fork server: that one listens under a name in a directory for
temporary files, serves only the process that started it, hands its environment on to all that the
program starts, and cannot be replaced.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import os
import select
import signal
import socket
import struct
from functools import partial

from conveyor.runtime.descriptors import fill_standard
from conveyor.runtime.process.bootstrap import CLOEXEC, fork, ignore, spawned
from conveyor.runtime.process.importing import loading
from conveyor.runtime.process.numeric_threads import limit_threads

__all__ = ["NUMBER", "serve"]

# A pid, or the negative number of an error; later the status with which the process ended.
NUMBER = struct.Struct("=q")


def serve(fd: int, preload: list[str]) -> None:
    """Forks a worker for each way to its parent that comes through `fd`, until that ends and there
    are no workers any more."""
    fill_standard()
    os.set_inheritable(fd, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit_threads()
    with loading():
        for name in preload:
            # What cannot be imported here is reported where a worker needs it.
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    gc.freeze()  # what all workers share stays shared: no collector writes to it
    with socket.socket(fileno=fd) as requests:
        Server(requests).work()


class Server:
    """Forks workers, and tells their parent on the way to each how it ended."""

    def __init__(self, requests: socket.socket) -> None:
        self.requests = requests
        self.ways: dict[int, int] = {}
        self.wake, self.awaken = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(self.awaken, False)
        signal.signal(signal.SIGCHLD, ignore)
        signal.set_wakeup_fd(self.awaken, warn_on_full_buffer=False)
        self.poll = select.poll()
        self.poll.register(self.requests, select.POLLIN)
        self.poll.register(self.wake, select.POLLIN)
        self.parent_is_there = True

    def work(self) -> None:
        while self.parent_is_there or self.ways:
            for fd, _ in self.poll.poll():
                if fd == self.wake:
                    os.read(self.wake, 4096)
                    self.reap()
                else:
                    self.answer()

    def answer(self) -> None:
        """Forks a worker, or learns that no more will be asked for."""
        try:
            request, ways, _, _ = socket.recv_fds(self.requests, 1, 1, CLOEXEC)
        except ConnectionResetError:
            request, ways = b"", []
        if not request:
            self.parent_is_there = False
            self.poll.unregister(self.requests)
        for way in ways:
            os.set_inheritable(way, False)
            try:
                pid = fork(partial(self.child, way))
            except OSError as error:
                tell(way, -(error.errno or errno.EAGAIN))
                os.close(way)
            else:
                self.ways[pid] = way
                tell(way, pid)

    def child(self, way: int) -> int:
        """Lives the life of a worker."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.requests.close()
        for fd in (self.wake, self.awaken, *self.ways.values()):
            os.close(fd)
        return spawned(way)

    def reap(self) -> None:
        """Tells the parent of each child that has ended."""
        while self.ways:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            way = self.ways.pop(pid)
            tell(way, os.waitstatus_to_exitcode(status))
            os.close(way)


def tell(way: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the parent is gone
        os.write(way, NUMBER.pack(number))
