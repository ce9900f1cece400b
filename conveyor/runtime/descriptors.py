"""File descriptors 0, 1 and 2.

Knows: that other descriptors must not have these numbers.  Must never know: what a descriptor is for.
"""

from __future__ import annotations

import os

__all__ = ["fill_standard", "is_open"]


def fill_standard() -> None:
    """Opens /dev/null where the program has closed its standard input, output or error.

    The next descriptor to be made would else have that number, and what a job or a library prints would go into a channel.
    """
    for standard in (0, 1, 2):
        if not is_open(standard):
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
