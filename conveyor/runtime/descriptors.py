"""File descriptors: 0, 1 and 2 stay the program's, and there are enough of the others."""

from __future__ import annotations

import errno
import os

from conveyor.errors import TooFewDescriptors

__all__ = ["check_room", "file_of", "fill_standard", "is_open"]


def fill_standard() -> None:
    """Opens /dev/null where the program has closed its standard input, output or error.

    The next descriptor to be made would else have that number, and what a job or a library prints
    would go into a channel.
    """
    for standard in (0, 1, 2):
        if not is_open(standard):
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def is_open(fd: int) -> bool:
    """Is this number an open descriptor of this process?"""
    return file_of(fd) is not None


def file_of(fd: int) -> tuple[int, int] | None:
    """Tells apart what descriptors are of; None for one that is closed.

    A program may close those that it does not know, as daemons do; their numbers are then of other
    files.
    """
    try:
        found = os.fstat(fd)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def check_room(count: int, what: str) -> None:
    """Raises `TooFewDescriptors` unless this process can open `count` more.

    It opens them for a moment, before anything is started.  Where descriptors ran out halfway,
    multiprocessing would keep those that it got, and a forked worker would have none left.
    """
    had: list[int] = []
    try:
        had.append(os.open("/", os.O_RDONLY))
        while len(had) < count:
            had.append(os.dup(had[0]))
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
        whose = (
            "the system"
            if error.errno == errno.ENFILE
            else f"this process, which may have {_limit()},"
        )
        raise TooFewDescriptors(
            f"{what} needs up to {count} more file descriptors, and {whose} has only {len(had)} "
            "left. Raise the limit (`ulimit -n 4096` in the shell, or "
            "resource.setrlimit(resource.RLIMIT_NOFILE, ...) in the program), close files, or open "
            "fewer pipelines at once"
        ) from error
    finally:
        for fd in had:
            os.close(fd)


def _limit() -> int:
    import resource  # a browser has none, and pipelines are simulated there

    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
