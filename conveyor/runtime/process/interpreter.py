"""What a program has set in its interpreter, which no system call tells: limits, decimal
arithmetic, locale.

Knows: how each is asked for and set.  Must never know: how it travels.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from decimal import Context

__all__ = ["Settings"]


class Settings(NamedTuple):
    """Of the thread that asks.  A module that the program has not imported is as it always is, and
    is not imported for this."""

    recursion: int
    digits: int | None  # of an int as text; None where there is no limit to be set
    switching_s: float
    arithmetic: Context | None
    locale: str | None

    @classmethod
    def of_the_program(cls) -> Settings:
        """As they are now."""
        digits = getattr(sys, "get_int_max_str_digits", None)
        decimal, locale = sys.modules.get("decimal"), sys.modules.get("locale")
        return cls(
            sys.getrecursionlimit(),
            None if digits is None else digits(),
            sys.getswitchinterval(),
            None if decimal is None else decimal.getcontext().copy(),
            None if locale is None else locale.setlocale(locale.LC_ALL),
        )

    def take(self) -> None:
        """Makes this interpreter so."""
        with contextlib.suppress(
            RecursionError
        ):  # this is deeper than the limit: it cannot be set here
            sys.setrecursionlimit(self.recursion)
        if self.digits is not None:
            sys.set_int_max_str_digits(self.digits)
        sys.setswitchinterval(self.switching_s)
        if self.arithmetic is not None:
            import decimal

            decimal.setcontext(self.arithmetic)
        if self.locale is not None:
            import locale

            with contextlib.suppress(locale.Error):  # the program's has a part that has no name
                locale.setlocale(locale.LC_ALL, self.locale)
