"""How sources without an end wait for what has not come.

Knows: the clock.  Must never know: what is waited for, or for whom.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from conveyor.transfer.sleeping import sleeper

__all__ = ["LOOK_S", "Patience", "sleep"]

LOOK_S: Final = 0.2  # how long a look waits, where a store can be asked to wait


def sleep(seconds: float) -> None:
    """Sleeps as `time.sleep` does, in a source that looks again after a while; a run that ends,
    because it has failed or is stopped, does not wait for that.

    It is then left by an exception that is no `Exception`: what is to be closed stands in a
    `finally`, as for Ctrl-C.  `sleep(0)` only looks whether the run ends, for a source that waits
    in another way, a moment at a time.  Anywhere else it is `time.sleep`.

    >>> from collections.abc import Iterator
    >>> from pathlib import Path
    >>> def news(path: Path) -> Iterator[str]:
    ...     while True:
    ...         if path.exists():
    ...             yield path.read_text()
    ...         sleep(1.0)
    """
    if not seconds >= 0:
        raise ValueError(f"sleep() takes seconds, 0 at least, and not {seconds}")
    (sleeper.get() or time.sleep)(seconds)


class Patience:
    """Looks again after a while; gives up when nothing has come for `idle_s` seconds, counted from
    the beginning of the first look that finds nothing: another one may have worked on what came
    before.  When `until` gives True the look that begins is the last: it finds what came before."""

    def __init__(self, idle_s: float | None, until: Callable[[], bool] | None = None) -> None:
        self.idle_s = idle_s
        self.until = until
        self.is_last = False
        self.since: float | None = None

    def look_s(self) -> float:
        """A look begins; how many seconds it may wait by itself for something to come."""
        self.is_last = self.until is not None and self.until()
        if self.since is None:
            self.since = time.monotonic()
        return LOOK_S if self.idle_s is None else min(LOOK_S, self.idle_s)

    def came(self) -> None:
        """Something has been found, and is not waited for any more."""
        self.since = None

    def again(self, after_s: float) -> bool:
        """A look has ended: is it worth to look again?  Sleeps before, if nothing was found."""
        if self.is_last or self.since is None:
            return not self.is_last
        if self.idle_s is not None and time.monotonic() - self.since >= self.idle_s:
            return False
        sleep(after_s)
        return True
