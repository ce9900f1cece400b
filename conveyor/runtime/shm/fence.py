"""A memory fence.

This file knows what keeps the order of loads and stores.  It must never know what is stored.
"""

from __future__ import annotations

import os
import threading

__all__ = ["fence"]

_lock = threading.Lock()


def _renew_fence() -> None:
    """In a process that was forked: a thread that it has not got may have been inside the fence."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_fence)


def fence() -> None:
    """No load or store moves across this."""
    with _lock:
        pass
