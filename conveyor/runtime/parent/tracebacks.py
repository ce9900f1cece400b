"""Which of the library's frames an error that leaves it carries along, and which it holds on to.

Knows: tracebacks and frames, and which errors have come from a worker.  Must never know: what these
are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import FrameType, TracebackType

from conveyor.items.remote_errors import WorkerTraceback

__all__ = ["let_go", "shorten"]


def shorten(error: BaseException) -> None:
    """Leaves in the traceback what its reader looks for: of an error that has come from a worker,
    whose cause says where it was raised there, and of Ctrl-C, the frames of the program alone."""
    if isinstance(error, KeyboardInterrupt) or isinstance(error.__cause__, WorkerTraceback):
        BaseException.with_traceback(error, without_our_frames(error.__traceback__))


def without_our_frames(trace: TracebackType | None) -> TracebackType | None:
    """The frames of the program, and of its source of items."""
    if trace is None:
        return None
    rest = without_our_frames(trace.tb_next)
    if _is_ours(trace.tb_frame):
        return rest
    return TracebackType(rest, trace.tb_frame, trace.tb_lasti, trace.tb_lineno)


def let_go(error: BaseException | None) -> None:
    """Empties our frames in the tracebacks of an error and its causes, but for those that are still
    at work.

    As long as the error is kept, they would otherwise keep the source of items and the memory of
    the run.
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
