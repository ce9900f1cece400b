"""What the page "Try it here" runs a reader's script by, in the reader's browser.

Its script is a program of its own, as if it stood in a file.  What it prints is told as it comes;
each simulation that a name of it is bound to in the end is drawn.
"""

from __future__ import annotations

import linecache
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import TextIOBase
from types import ModuleType, TracebackType

from conveyor import Simulation

__all__ = ["run"]

SCRIPT = "pipeline.py"


class Told(TextIOBase):
    """A file whose text is told."""

    def __init__(self, tell: Callable[[str], object]) -> None:
        self.tell = tell

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.tell(text)
        return len(text)


def run(source: str, tell: Callable[[str], object]) -> list[tuple[str, str]]:
    """Runs a script; gives the name of each simulation in it, and its picture as a page of HTML.

    What it prints, and what it raises, goes to `tell`.
    """
    module = ModuleType("__main__")
    before, sys.modules["__main__"] = sys.modules["__main__"], module
    linecache.cache[SCRIPT] = (len(source), None, source.splitlines(keepends=True), SCRIPT)
    told = Told(tell)
    try:
        with redirect_stdout(told), redirect_stderr(told):
            try:
                exec(compile(source, SCRIPT, "exec"), module.__dict__)
            except BaseException as error:
                tell("".join(traceback.format_exception(error.with_traceback(of_script(error)))))
            return [
                (name, value.picture())
                for name, value in vars(module).items()
                if isinstance(value, Simulation)
            ]
    finally:
        sys.modules["__main__"] = before


def of_script(error: BaseException) -> TracebackType | None:
    """The traceback from the script on; none where it could not even be compiled."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != SCRIPT:
        trace = trace.tb_next
    return trace
