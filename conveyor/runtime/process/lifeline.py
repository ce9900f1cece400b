"""How workers come to end with their parent.

A worker is killed by the system when its parent is gone, whatever it is doing: the parent alone
holds the write end of a pipe, its *lifeline*, and the end of the last writer sends the reader's
signal.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys
import threading
from typing import Final

from conveyor.runtime.descriptors import file_of

__all__ = ["end_with_parent", "lifeline"]

F_SETSIG: Final = 10  # Linux: which signal O_ASYNC sends


class SystemPipe:
    """A pipe, of which it can be told whether its ends are still open."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        self.file = file_of(self.read_end)

    def is_whole(self) -> bool:
        return file_of(self.read_end) == self.file == file_of(self.write_end)

    def close_write_end(self) -> None:
        if file_of(self.write_end) == self.file:
            os.close(self.write_end)


class _Lifeline:
    """The pipes of this process, one for each user that it has been; a forked child drops its
    copies of the write ends."""

    def __init__(self) -> None:
        self.pipes: dict[int, SystemPipe] = {}
        os.register_at_fork(after_in_child=self.drop)

    def read_end(self) -> int:
        user = os.geteuid()  # a worker opens its end once more, so it must be its own
        pipe = self.pipes.get(user)
        if pipe is None or not pipe.is_whole():
            pipe = self.pipes[user] = SystemPipe()
        return pipe.read_end

    def drop(self) -> None:
        for pipe in self.pipes.values():
            pipe.close_write_end()
        self.pipes.clear()


_lifeline = _Lifeline()


def lifeline() -> int:
    """Gives the read end of this process's lifeline, for its workers."""
    return _lifeline.read_end()


def end_with_parent(fd: int) -> None:
    """Called in a worker: from now on it is killed as soon as no process holds the other end of
    `fd`."""
    try:
        # A description of its own, since the owner of the signal is kept there and workers share
        # what they inherit.
        own = (
            os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK)
            if sys.platform == "linux"
            else -1
        )
    except OSError:  # there is no /proc, or it is not for us
        own = -1
    if own < 0:
        threading.Thread(target=_watch, args=(fd,), name="conveyor-lifeline", daemon=True).start()
        return
    fcntl.fcntl(own, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(own, F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(own, fcntl.F_SETFL, fcntl.fcntl(own, fcntl.F_GETFL) | os.O_ASYNC)
    poll = select.poll()
    poll.register(own, select.POLLHUP)
    if poll.poll(0):  # the parent was gone before the signal was asked for
        os._exit(1)


def _watch(fd: int) -> None:
    os.read(fd, 1)
    os.kill(os.getpid(), signal.SIGKILL)
