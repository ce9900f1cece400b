"""What is said of a worker process that is gone.

Knows: exit codes and signals.  Must never know: how processes are watched or ended.
"""

from __future__ import annotations

import signal

from conveyor.errors import WorkerCrashed

__all__ = ["crash"]


def crash(stage: str, pid: int | None, exit_code: int | None, items: int) -> WorkerCrashed:
    """The exception for a worker that is gone."""
    if exit_code is not None and exit_code < 0:
        how = f"was killed by {signal.Signals(-exit_code).name}"
        how += " (possibly by the system, for memory)" if -exit_code == signal.SIGKILL else ""
    else:
        how = f"left with exit code {exit_code}"
    error = WorkerCrashed(
        f"the worker of stage {stage!r} (pid {pid}) {how} after {items} items; "
        "the run was ended, because what it had in hand may be lost"
    )
    error.add_note(f"in stage {stage!r}, worker {pid}, item {items} or one soon after")
    return error
