"""How long to wait before another attempt at an item.

This file knows attempts.  It must never know what is tried.
"""

from __future__ import annotations

import time

from conveyor.core.timekeeper import pause_before

__all__ = ["pause_alone"]


def pause_alone(attempt: int) -> None:
    """Waits before an attempt in one of several threads, which holds up no other."""
    # To the end, whatever happens: a run ends only behind its items, and a worker that is told to
    # stop waits for none of its threads, which are daemons
    time.sleep(pause_before(attempt))
