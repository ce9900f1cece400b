"""How long to wait before another attempt at an item.

This file knows attempts.  It must never know what is tried.
"""

from __future__ import annotations

import time
from typing import Final

__all__ = ["pause_alone", "pause_before"]

FIRST_PAUSE_S: Final = 0.01
LONGEST_PAUSE_S: Final = 1.0


def pause_before(attempt: int) -> float:
    """Seconds to wait before an attempt: 10 ms before the second, then twice as long each time, a
    second at most.

    >>> [pause_before(attempt) for attempt in (2, 3, 4, 99)]
    [0.01, 0.02, 0.04, 1.0]
    """
    return float(min(FIRST_PAUSE_S * 2 ** (attempt - 2), LONGEST_PAUSE_S))


def pause_alone(attempt: int) -> None:
    """Waits before an attempt in one of several threads, which holds up no other."""
    # To the end, whatever happens: a run ends only behind its items, and a worker that is told to
    # stop waits for none of its threads, which are daemons
    time.sleep(pause_before(attempt))
