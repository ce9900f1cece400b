"""File descriptors that are kept away from standard input, output and error.

Knows: the numbers 0, 1 and 2.  Must never know: what a descriptor is for.
"""

from __future__ import annotations

import fcntl
import os

__all__ = ["above_standard"]

FIRST_FREE = 3


def above_standard(fd: int) -> int:
    """The same open file under a number that nobody prints to: a program may have closed its standard output."""
    if fd >= FIRST_FREE:
        return fd
    lifted = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE)
    os.close(fd)
    return lifted
