"""Exceptions that come from outside into a simulated run: out of a signal handler, such as Ctrl-C
or the time limit of a test.

Knows: which functions handle signals, and where an exception was raised.  Must never know: jobs,
schedules.

The interpreter raises such an exception wherever it happens to be, and that is inside a job in most
cases.  It is no failure of that job, of a schedule or of a check, so it is never counted, retried
or made smaller: it ends the call that simulates.  Only the main thread runs handlers.  A handler
that a job installs for itself is the job's own matter.
"""

from __future__ import annotations

import dis
from types import CodeType
from typing import Final

from conveyor.core.steering import steers
from conveyor.errors import ConveyorError, NotSimulated
from conveyor.signal_handlers import codes_of_handlers

__all__ = ["is_final", "look_for_handlers", "pass_on"]

RAISES: Final = frozenset(dis.opmap[name] for name in ("RAISE_VARARGS", "RERAISE"))


class Handlers:
    """The code of the functions that handled signals when a simulation last began."""

    __slots__ = ("codes",)

    def __init__(self) -> None:
        self.codes: frozenset[CodeType] = frozenset()


HANDLERS: Final = Handlers()


def look_for_handlers() -> None:
    """Remembers which functions handle signals now; called before any job is."""
    HANDLERS.codes = codes_of_handlers()


def pass_on(error: BaseException) -> None:
    """Raises what a signal handler has raised, if that is what `error` is, or what the library has
    told as `error`."""
    found = from_outside(error)
    if found is not None:
        raise found from found.__cause__


def is_final(error: BaseException) -> bool:
    """Does no policy of a stage apply to this error?"""
    return steers(error) or isinstance(error, NotSimulated) or from_outside(error) is not None


def from_outside(error: BaseException) -> BaseException | None:
    """What a signal handler has raised: this error, or its cause, where the error is the library's
    own."""
    if is_of_handler(error):
        return error
    cause = error.__cause__ if isinstance(error, ConveyorError) else None
    return cause if cause is not None and is_of_handler(cause) else None


def is_of_handler(error: BaseException) -> bool:
    """Did a signal handler raise it?  One that is not written in Python leaves no frame: then no
    statement raised it."""
    entry = error.__traceback__
    by_statement = True
    while entry is not None:
        code = entry.tb_frame.f_code
        if code in HANDLERS.codes:
            return True
        by_statement = code.co_code[entry.tb_lasti] in RAISES
        entry = entry.tb_next
    return isinstance(error, KeyboardInterrupt) and not by_statement
