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
    has_rich = find_spec("rich") is not None
    if has_rich and (sys.stderr.isatty() or "ipykernel" in sys.modules):
        from conveyor.runtime.parent.progress_table import ProgressTable

        return ProgressTable()
    return PlainLines(sys.stderr)


class PlainLines:
    """A line on `file` every five seconds, and one at the end."""

    def __init__(self, file: TextIO) -> None:
        self.file = file
        self.next = monotonic() + EVERY_S

    def __call__(self, progress: Progress) -> None:
        if progress.finished or monotonic() >= self.next:
            self.next = monotonic() + EVERY_S
            print(f"conveyor: {progress}", file=self.file, flush=True)
