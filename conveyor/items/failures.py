"""What the methods of an item may raise that is a failure of theirs: its pickle, its repr."""

from __future__ import annotations

from typing import Final

__all__ = ["OWN_FAILURES"]

# To leave the program is not for such a method to say; what a signal or a user interrupts is none.
OWN_FAILURES: Final = (Exception, SystemExit, GeneratorExit)
