"""Signal handlers put off while something must not be left half done.

A handler may raise: Ctrl-C does, and so do time limits by SIGALRM.  Blocking signals is not enough,
since another thread would take them and the main thread still run their handlers; so each handler
is replaced by one that makes a note, and called later.
"""

from __future__ import annotations

import inspect
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import TypeAlias

from typing_extensions import TypeVar

from conveyor.signal_handlers import SIGNALS, code_of, codes_of_handlers, handler_of

__all__ = ["Deferral", "deliver", "interruptible", "is_of_a_handler"]

T = TypeVar("T")
Handler: TypeAlias = Callable[[int, FrameType | None], object]


class Deferrals:
    """How deep the main thread is in deferrals, and what was put off; it alone runs handlers."""

    def __init__(self) -> None:
        self.depth = 0
        self.kept: list[tuple[int, Handler]] = []
        self.arrived: list[int] = []


deferrals = Deferrals()


def note(number: int, _frame: FrameType | None) -> None:
    """Notes a signal: the handler of every signal while handlers are put off."""
    if number not in deferrals.arrived:
        deferrals.arrived.append(number)


class Deferral:
    """A block in which no signal handler of the program runs; those of signals that came meanwhile
    are called at its end.

    Does nothing in other threads than the main thread.  Deferrals may be nested; the outermost
    counts.
    """

    __slots__ = ("before",)

    def __enter__(self) -> None:
        self.before = deferrals.depth
        if self.before == 0 and _is_main():
            try:
                _hold(1)
            except BaseException:
                _put_back()
                deferrals.depth = 0
                raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.before == 0 and _is_main():
            deferrals.depth = 0
            try:
                _put_back()
            finally:
                _call_handlers()


def deliver() -> None:
    """Inside a deferral, at a point where nothing is half done: calls the handlers of the signals
    that have come."""
    if deferrals.arrived and _is_main():
        _call_handlers()


def interruptible(call: Callable[[], T]) -> T:
    """Calls `call` inside a deferral, with the handlers of the program in force meanwhile.

    Raises what a handler raises, as itself, also where `call` took it for an error of its own.
    """
    depth = deferrals.depth
    if depth == 0 or not _is_main():
        return call()
    try:
        try:
            deferrals.depth = 0
            _put_back()
            _call_handlers()
            return call()
        except Exception as error:
            if error.__cause__ is not None and is_of_a_handler(error.__cause__):
                raise error.__cause__ from None
            raise
        finally:
            _hold(depth)
    finally:
        _hold(depth)  # another signal may have come just before the first


def is_of_a_handler(error: BaseException) -> bool:
    """Was this raised by a signal handler of the program?

    It may be of any type, so only its traceback tells.
    """
    put_off = {code_of(handler) for _, handler in deferrals.kept}
    codes = (codes_of_handlers() | put_off) - {note.__code__}
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code in codes:
            return True
        trace = trace.tb_next
    return False


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()


def _hold(depth: int) -> None:
    """Puts `note` in the place of all handlers; if one of them raises first, then that is raised at
    the end."""
    try:
        for number in SIGNALS:
            handler = handler_of(number)
            if callable(handler) and handler is not note:
                deferrals.kept.append((number, handler))
                signal.signal(number, note)
        deferrals.depth = depth
    except ValueError:
        # An embedded interpreter, whose main thread is not Python's: it runs no handlers.
        deferrals.kept.clear()
    except BaseException:
        _hold(depth)
        raise


def _put_back() -> None:
    """Puts the handlers back, but for one that the program itself has set meanwhile."""
    try:
        while deferrals.kept:
            last = number, handler = deferrals.kept[-1]
            if handler_of(number) is note:
                signal.signal(number, handler)
            # A finalizer may have run in between, with a deferral of its own that has put back this
            # one, too.
            if deferrals.kept and deferrals.kept[-1] is last:
                deferrals.kept.pop()
    except BaseException:
        _put_back()
        raise


def _call_handlers() -> None:
    """Calls the handlers of what has arrived, all of them even if some raise."""
    if deferrals.arrived:
        number = deferrals.arrived.pop(0)
        handler = dict(deferrals.kept).get(number) or handler_of(number)
        try:
            if callable(handler):
                handler(number, inspect.currentframe())
        finally:
            _call_handlers()


def _forget() -> None:
    """Forgets, in a forked process, the signals of its parent."""
    deferrals.arrived.clear()
    deferrals.depth = 0
    _put_back()


os.register_at_fork(after_in_child=_forget)
