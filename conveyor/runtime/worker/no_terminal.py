"""A worker has no terminal: what asks for one says so, and what to do instead.

Knows: the calls that ask a person something.  Must never know: workers, jobs.
"""

from __future__ import annotations

import builtins
import os
import sys
from typing import Final

__all__ = ["note_on", "say_that_there_is_no_terminal"]

BREAKPOINT: Final = (
    "a worker has no terminal, so breakpoint() cannot stop there: pl.simulate(items) runs all jobs "
    "in your own process, where it does; or name a debugger that needs no terminal in "
    "PYTHONBREAKPOINT"
)
INPUT: Final = (
    "a worker has no standard input: ask before the run, and give the answer to the job, by "
    "functools.partial or with its items"
)


def say_that_there_is_no_terminal() -> None:
    """From now on in this process, what asks for a terminal fails with a reason."""
    sys.breakpointhook = _breakpoint
    builtins.input = _input


def note_on(error: BaseException) -> str | None:
    """What to add to an error that a debugger raises where it cannot ask; None for all others."""
    bdb = sys.modules.get("bdb")
    return BREAKPOINT if bdb is not None and isinstance(error, bdb.BdbQuit) else None


def _breakpoint(*args: object, **options: object) -> object:
    """Stops in the debugger that the user has named, if there is one."""
    if os.environ.get("PYTHONBREAKPOINT"):
        return sys.__breakpointhook__(*args, **options)
    raise RuntimeError(BREAKPOINT)


def _input(prompt: object = "", /) -> str:
    raise EOFError(f"input({str(prompt)!r}): {INPUT}")
