"""What becomes of a row that cannot be read.

Knows: the choices, and where the row stands.  Must never know: what kind of store it is.
"""

from __future__ import annotations

import logging
from typing import Final, Literal, TypeAlias, get_args

from conveyor.errors import BadRow
from conveyor.items.short_repr import short_repr

__all__ = ["BadRows", "OnBadRow", "bad_row"]

OnBadRow: TypeAlias = Literal["raise", "skip"]

LOGGER: Final = logging.getLogger("conveyor.io")


def bad_row(what: object, file: str, line: int) -> BadRow:
    """The error of a row that cannot be read, or of all from there on."""
    bad = BadRow(f"{file}:{line}: {what}")
    bad.file, bad.line = file, line
    return bad


class BadRows:
    """What is done with each row that cannot be read: it ends the run as a `BadRow`, or is left out
    and its place logged."""

    def __init__(self, on_error: OnBadRow) -> None:
        if on_error not in get_args(OnBadRow):
            raise ValueError(f'on_error of a source is "raise" or "skip", not {on_error!r}')
        self.skips = on_error == "skip"

    def found(self, error: Exception, file: str, line: int, row: object) -> None:
        """A row could not be read; raises `BadRow` unless it is left out."""
        bad = bad_row(f"{error}; the row is {short_repr(row)}", file, line)
        if not self.skips:
            raise bad from error
        LOGGER.warning("left out: %s", bad)
