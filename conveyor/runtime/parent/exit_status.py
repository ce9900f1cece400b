"""What is said of a worker process that is gone, and of a program that was interrupted.

Knows: exit codes, signals, frames.  Must never know: how processes are watched or ended.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType, TracebackType

from conveyor.errors import WorkerCrashed

__all__ = ["crash", "let_go", "way_to_go", "without_our_frames"]


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


def without_our_frames(trace: TracebackType | None) -> TracebackType | None:
    """A traceback as a user wants it who pressed Ctrl-C: the frames of the program, and of its
    source of items."""
    if trace is None:
        return None
    rest = without_our_frames(trace.tb_next)
    if _is_ours(trace.tb_frame):
        return rest
    return TracebackType(rest, trace.tb_frame, trace.tb_lasti, trace.tb_lineno)


def let_go(error: BaseException | None) -> None:
    """Empties our frames in the tracebacks of an error and its causes, all but those that are still
    at work.

    While somebody keeps the error, they would else keep the source of items and the memory of the
    run.
    """
    seen: set[int] = set()
    errors = [error]
    while errors:
        each = errors.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        errors += [each.__cause__, each.__context__]
        for frame in _frames(each.__traceback__):
            if _is_ours(frame):
                with contextlib.suppress(RuntimeError):  # it is still at work
                    frame.clear()


def _frames(trace: TracebackType | None) -> Iterator[FrameType]:
    """Those that an error came through, and those that had called them, which may be of another
    thread."""
    known: set[int] = set()
    while trace is not None:
        frame: FrameType | None = trace.tb_frame
        while frame is not None and id(frame) not in known:
            known.add(id(frame))
            yield frame
            frame = frame.f_back
        trace = trace.tb_next


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == "conveyor"
