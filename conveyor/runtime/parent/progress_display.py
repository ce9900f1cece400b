"""What `progress=True` shows: a table on a terminal, plain lines elsewhere.

Knows: terminals, notebooks and standard error.  Must never know: how far is found out.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from time import monotonic
from typing import Final, TextIO

from conveyor.progress import Progress, Tell

__all__ = ["PlainLines", "display"]

EVERY_S: Final = 5.0  # between two plain lines


def display() -> Tell:
    """What shows progress here: `rich` on a terminal or in a notebook, if it is installed."""
    in_notebook = is_a_notebook()
    if find_spec("rich") is None or not (in_notebook or sys.stderr.isatty()):
        return PlainLines(sys.stderr)
    from conveyor.runtime.parent.progress_table import NotebookTable, ProgressTable

    return NotebookTable() if in_notebook else ProgressTable()


def is_a_notebook() -> bool:
    """Is this the kernel of a notebook?"""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


class PlainLines:
    """A line on `file` every five seconds, and one at the end."""

    def __init__(self, file: TextIO) -> None:
        self.file = file
        self.next = monotonic() + EVERY_S

    def __call__(self, progress: Progress) -> None:
        if progress.finished or monotonic() >= self.next:
            self.next = monotonic() + EVERY_S
            print(f"conveyor: {progress}", file=self.file, flush=True)
