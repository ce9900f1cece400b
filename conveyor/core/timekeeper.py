"""What an event loop does for the tasks of async jobs.

Knows: that they wait, and that their time is limited.  Must never know: a clock, an event loop.
"""

from __future__ import annotations

from collections.abc import Awaitable
from types import TracebackType
from typing import Final, Protocol

__all__ = ["Limit", "Timekeeper", "pause_before"]

FIRST_PAUSE_S: Final = 0.01
LONGEST_PAUSE_S: Final = 1.0


class Limit(Protocol):
    """What cancels the task that is inside, once its time is over."""

    async def __aenter__(self) -> object: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
        /,
    ) -> bool | None:
        """Raises `TimeoutError` if the time was over."""
        ...

    def expired(self) -> bool: ...


class Timekeeper(Protocol):
    @property
    def is_ending(self) -> bool:
        """Is all work cancelled, whatever it is at?"""
        ...

    def sleep(self, seconds: float, /) -> Awaitable[None]: ...

    def limit(self, seconds: float) -> Limit:
        """What an attempt is in that may take so long."""
        ...


def pause_before(attempt: int) -> float:
    """Seconds to wait before an attempt: 10 ms before the second, then twice as long each time, a
    second at most.

    >>> [pause_before(attempt) for attempt in (2, 3, 4, 99)]
    [0.01, 0.02, 0.04, 1.0]
    """
    return float(min(FIRST_PAUSE_S * 2 ** (attempt - 2), LONGEST_PAUSE_S))
