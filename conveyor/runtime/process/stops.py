"""Whether a process is stopped, as by Ctrl-Z, or was.

A process that blocks SIGCONT goes on all the same when it is told to, and the signal stays pending:
so it can be seen later, and from outside, that it was stopped.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Final

__all__ = ["is_stopped", "keep_note_of_stops", "was_stopped"]

STOPPED: Final = ("T", "t")  # by a signal, by a debugger


def keep_note_of_stops() -> None:
    """Called in a process while it has one thread: from now on `was_stopped` can tell of it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCONT})


def is_stopped(pid: int) -> bool:
    """Is a process stopped now?  False where the system does not tell, or there is no such
    process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in STOPPED
    except (OSError, IndexError):
        return False


def was_stopped(pid: int) -> bool:
    """Has a process that keeps note of stops been stopped, and gone on?"""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        (pending,) = [line.split()[1] for line in lines if line.startswith("ShdPnd:")]
    except (OSError, ValueError):
        return False
    return bool(int(pending, 16) >> signal.SIGCONT - 1 & 1)
