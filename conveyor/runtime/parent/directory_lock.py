"""One program at a time keeps its run in a directory.

Knows: how the system locks a directory.  Must never know: what is kept in it.

The lock is one of the system: it ends with its program, however that ends.  Workers that were
forked from the program have it, too, for the moment by which they outlive it; so whoever comes next
waits a little.  A file system that knows no locks protects nothing.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
import weakref
from pathlib import Path
from typing import Final, NamedTuple

from conveyor.errors import LifecycleError

__all__ = ["DirectoryLock"]

PATIENCE_S: Final = 2.0  # longer than workers outlive their program
LOOK_S: Final = 0.05


class Held(NamedTuple):
    """What this program holds of a directory: its descriptor, and one entry for each use."""

    descriptor: int
    uses: list[None]


HELD: Final[dict[tuple[int, int], Held]] = {}  # by device and inode


class DirectoryLock:
    """Holds a directory for this program, until `release` is called or nothing refers to it.

    Raises `LifecycleError` if another program holds it.
    """

    def __init__(self, path: Path) -> None:
        found = path.stat()
        key = found.st_dev, found.st_ino
        if key not in HELD:
            HELD[key] = Held(locked(path), [])
        HELD[key].uses.append(None)
        self.release = weakref.finalize(self, let_go, key)  # does something once


def let_go(key: tuple[int, int]) -> None:
    HELD[key].uses.pop()
    if not HELD[key].uses:
        descriptor = HELD.pop(key).descriptor
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # workers that were forked have the descriptor, too
        os.close(descriptor)


def locked(path: Path) -> int:
    """A descriptor that holds the directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        wait_for(descriptor, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def wait_for(descriptor: int, path: Path) -> None:
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                return  # it cannot be locked
        if time.monotonic() > until:
            raise LifecycleError(
                f"{path} is in use: another program keeps its run there. Wait until that has "
                "ended, or give each a directory of its own"
            )
        time.sleep(LOOK_S)  # to wait in `flock` itself would have no limit
