"""How a source sleeps until it looks again for what has not come.

Knows: that what takes from a source may call it out of its sleep.  Must never know: clocks, or
threads.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

__all__ = ["sleeper"]

# Sleeps for so many seconds in a source that a run takes from, and raises what calls it out of
# there once the run ends; None where nothing does.
sleeper: Final[ContextVar[Callable[[float], object] | None]] = ContextVar("sleeper", default=None)
