"""What becomes of a process that a job forks, once it comes out of the job.

The child has all that its parent had, the worker's loop, too.  Back in that, two processes would do
the work of one on the same channels.  So the child ends where it comes out of the job, as a program
does: by the code of `sys.exit`, with the traceback of an error, or else quietly.  Only a trace
function can tell that moment without a cost to those that do not fork.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
import traceback
from types import CodeType, FrameType, TracebackType
from typing import Any, Final, NoReturn, TypeAlias

__all__ = ["end_children_of_jobs", "is_a_worker"]

LIBRARY: Final = os.path.join(next(iter(sys.modules["conveyor"].__path__)), "")
ENDED_WELL: Final = (StopIteration, GeneratorExit)  # of a generator: no errors

Raised: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None]


class Watch:
    """The trace function of a child that may come back, and that of its parent, such as a
    debugger's."""

    ours: Any = None
    before: Any = None
    never_returns: CodeType | None = None


def end_children_of_jobs(never_returns: CodeType) -> None:
    """Called once in a worker, before its first job.

    A child that comes to `never_returns` is left alone.
    """
    Watch.never_returns = never_returns
    os.register_at_fork(after_in_child=_watch)


def is_a_worker() -> None:
    """Called in a child that does not come back to the job's caller: it is left alone."""
    if Watch.ours is not None and sys.gettrace() is Watch.ours:
        sys.settrace(Watch.before)


def _watch() -> None:
    here = inspect.currentframe()
    entry = caller = here.f_back if here is not None else None
    while entry is not None and not entry.f_code.co_filename.startswith(LIBRARY):
        entry = entry.f_back
    # A thread of the program's own has forked, or the library itself, which knows what it does.
    if entry is None or entry is caller:
        return
    entry.f_trace = _came_back
    Watch.before, Watch.ours = sys.gettrace(), _called_from(entry)
    sys.settrace(Watch.ours)


def _called_from(entry: FrameType) -> Any:
    def trace(frame: FrameType, _event: str, _argument: object) -> None:
        if frame.f_code is Watch.never_returns:
            is_a_worker()
        elif frame.f_back is entry:
            _leave(0)

    return trace


def _came_back(_frame: FrameType, event: str, argument: Any) -> NoReturn:
    """Ends the child at whatever happens next in the frame that has called the job."""
    if event != "exception" or issubclass(argument[0], ENDED_WELL):
        _leave(0)
    raised: Raised = argument
    if issubclass(raised[0], SystemExit):
        _leave(_code_of(raised[1]))
    traceback.print_exception(*raised)
    _leave(1)


def _code_of(error: BaseException) -> int:
    """Gives the exit code that Python would give."""
    code = getattr(error, "code", None)
    if code is None or isinstance(code, int):
        return (code or 0) & 0xFF
    print(code, file=sys.stderr)
    return 1


def _leave(code: int) -> NoReturn:
    try:
        for stream in (sys.stdout, sys.stderr):
            # It may be closed, or anything that the job has put there.
            with contextlib.suppress(Exception):
                stream.flush()
    finally:
        os._exit(code)
