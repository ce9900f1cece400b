"""What a program has set in its interpreter, which no system call tells: limits, decimal
arithmetic, locale.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from decimal import Context

__all__ = ["Settings"]


class Settings(NamedTuple):
    """The settings of the thread that asks.

    A module that the program has not imported has its defaults, and is not imported for this.
    """

    recursion: int
    digits: int | None  # of an int as text; None where there is no limit to be set
    switching_s: float
    arithmetic: Context | None
    locale: str | None

    @classmethod
    def of_the_program(cls) -> Settings:
        """Gives the settings as they are now."""
        digits = getattr(sys, "get_int_max_str_digits", None)
        decimal, locale = sys.modules.get("decimal"), sys.modules.get("locale")
        return cls(
            recursion=sys.getrecursionlimit(),
            digits=None if digits is None else digits(),
            switching_s=sys.getswitchinterval(),
            arithmetic=None if decimal is None else decimal.getcontext().copy(),
            locale=None if locale is None else locale.setlocale(locale.LC_ALL),
        )

    def take(self) -> None:
        """Gives this interpreter these settings."""
        with contextlib.suppress(RecursionError):  # this is deeper than the limit already
            sys.setrecursionlimit(self.recursion)
        if self.digits is not None:
            sys.set_int_max_str_digits(self.digits)
        sys.setswitchinterval(self.switching_s)
        if self.arithmetic is not None:
            import decimal

            decimal.setcontext(self.arithmetic)
        if self.locale is not None:
            import locale

            with contextlib.suppress(locale.Error):  # a part of the program's has no name
                locale.setlocale(locale.LC_ALL, self.locale)
