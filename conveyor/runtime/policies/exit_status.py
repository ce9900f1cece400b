"""What is said of a worker process that is gone.

Knows: exit codes, signals.  Must never know: how processes are watched or ended.
"""

from __future__ import annotations

import signal

from conveyor.errors import WorkerCrashed

__all__ = ["crash", "way_to_go"]


def way_to_go(exit_code: int | None) -> str:
    """How a worker ended."""
    if exit_code is None:
        return "is gone (how it ended is not known)"
    if exit_code >= 0:
        return f"left with exit code {exit_code}"
    name = name_of(-exit_code)
    return f"was killed by {name}" + (
        " (possibly by the system, for memory)" if name == "SIGKILL" else ""
    )


def name_of(number: int) -> str:
    """A signal as the system calls it; of those for real time only two have a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def crash(stage: str, pid: int, how: str, items: int, why: str) -> WorkerCrashed:
    """The exception for a worker that is gone; `why` says why there is no other in its place."""
    error = WorkerCrashed(
        f"the worker of stage {stage!r} (pid {pid}) {how} after {items} items; {why}"
    )
    error.add_note(f"in stage {stage!r}, worker {pid}, item {items} or one soon after")
    return error
