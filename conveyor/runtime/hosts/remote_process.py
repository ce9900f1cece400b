"""A worker's process on another machine, as the program knows it.

Knows: what was told of it.  Must never know: how it is told.
"""

from __future__ import annotations

import signal
from collections.abc import Callable

from conveyor.runtime.process.handle import is_ready
from conveyor.runtime.shm.wakeup import GuardedWakeup

__all__ = ["RemoteProcess"]


class RemoteProcess:
    """One such process; `press` sends it a signal."""

    def __init__(self, pid: int, press: Callable[[int], None]) -> None:
        self.pid = pid
        self.press = press
        self.gone = GuardedWakeup.create(blocking=False)
        self.fd = self.gone.read_fd
        self.is_gone = False
        self.status: int | None = None
        self.stopped: tuple[bool, bool] = (False, False)  # now, and ever

    def has_ended(self, status: int | None) -> None:
        """Called in another thread: it is gone."""
        self.status = status
        self.is_gone = True
        self.gone.notify()

    def wait(self, seconds: float) -> bool:
        return self.is_gone or is_ready(self.fd, seconds)

    def exit_code(self) -> int | None:
        return self.status

    def is_stopped(self) -> bool:
        return self.stopped[0]

    def was_stopped(self) -> bool:
        return self.stopped[1]

    def send(self, number: signal.Signals) -> None:
        if not self.is_gone:
            self.press(number)

    def close(self) -> None:
        self.gone.close()

    def close_copy(self) -> None:
        self.gone.close_copy()
