"""Which functions of the program handle signals, and the code that runs when one is called.

What a handler raises comes out of whatever the interpreter was about, a job or the library itself.
Both worlds have to tell it from what a job raised, and only the code in its traceback does.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from importlib import import_module
from types import CodeType, FunctionType, MethodType
from typing import Final

__all__ = ["SIGNALS", "code_of", "codes_of_handlers", "handler_of"]

# Without a look for the member of an enumeration: all signals are asked for, several times a run.
handler_of: Final[Callable[[int], object]] = getattr(
    import_module("_signal"), "getsignal", signal.getsignal
)

# Those that can be handled.
SIGNALS: Final = tuple(sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}))


def code_of(handler: object) -> CodeType | None:
    """The code that runs when a handler is called; None if it is not written in Python.

    >>> code_of(partial(lambda number, frame: None)) is None
    False
    >>> code_of(signal.default_int_handler) is None
    True
    """
    while isinstance(handler, partial | MethodType):
        handler = handler.func if isinstance(handler, partial) else handler.__func__
    if not isinstance(handler, FunctionType):
        handler = getattr(type(handler), "__call__", None)  # noqa: B004  # as a call looks for it
    return handler.__code__ if isinstance(handler, FunctionType) else None


def codes_of_handlers() -> frozenset[CodeType]:
    """The code of all functions that handle signals now."""
    found = (code_of(handler_of(number)) for number in SIGNALS)
    return frozenset(code for code in found if code is not None)
