"""How a worker is made like its program, whatever it was forked from, and how what its jobs print
gets out.

This file knows what a process has of the system: environment, directory, limits, cores, output.  It
must never know pipelines.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import resource
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Final, NamedTuple

from conveyor.runtime.placement import usable_cores
from conveyor.runtime.process.bootstrap import Descriptors
from conveyor.runtime.process.importing import importing, remember
from conveyor.runtime.process.interpreter import Settings
from conveyor.runtime.process.numeric_threads import limit_threads
from conveyor.runtime.process.program_logging import LoggingLevels
from conveyor.runtime.process.start import environment

__all__ = ["STANDARD_OUTPUT", "Circumstances", "directory", "flush", "settle_in"]

STANDARD_OUTPUT = (1, 2)
LIMITS: Final = {
    name: number for name, number in sorted(vars(resource).items()) if name.startswith("RLIMIT_")
}


class Circumstances(NamedTuple):
    """What the program has when it starts a worker, which the worker is to have, too."""

    environment: dict[str, str]
    directory: int | None  # a descriptor: its name may lead elsewhere by now, or nowhere
    mask: int  # of the permissions of new files
    limits: dict[str, tuple[int, int]]
    cores: list[int]
    threads: int  # that numeric libraries are to start
    encodings: tuple[tuple[str, str] | None, ...]  # of standard output and error
    settings: Settings
    importing: tuple[str, ...]
    logging: LoggingLevels

    @classmethod
    def of_the_program(
        cls, cores: tuple[int, ...], threads: int, directory: int | None
    ) -> Circumstances:
        """Gives them as they are now; the worker is to run on `cores`, or where the program may."""
        return cls(
            environment=environment(),
            directory=directory,
            mask=_mask(),
            limits={name: resource.getrlimit(number) for name, number in LIMITS.items()},
            cores=list(cores) or usable_cores(),
            threads=threads,
            encodings=tuple(_encoding(stream) for stream in (sys.stdout, sys.stderr)),
            settings=Settings.of_the_program(),
            importing=importing(),
            logging=LoggingLevels.of_this_process(),
        )


@contextlib.contextmanager
def directory() -> Generator[int | None]:
    """Opens the working directory, which need not have a name any more; None if it cannot be
    opened."""
    try:
        fd = os.open(".", getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY)
    except OSError:
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


def _mask() -> int:
    """Reads the umask where the system shows it: setting it and putting it back would be seen by
    other threads."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        return int(Path("/proc/self/status").read_text().partition("\nUmask:")[2].split()[0], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _encoding(stream: object) -> tuple[str, str] | None:
    encoding, errors = getattr(stream, "encoding", None), getattr(stream, "errors", None)
    if isinstance(encoding, str) and isinstance(errors, str):
        with contextlib.suppress(LookupError):
            codecs.lookup(encoding)
            return encoding, errors
    return None


def settle_in(wanted: Circumstances, path: list[str], descriptors: Descriptors) -> None:
    """Makes this process like its program: output, environment, import path, directory, limits,
    cores."""
    for standard in STANDARD_OUTPUT:
        if descriptors[standard] != standard:
            os.dup2(descriptors[standard], standard)
    _take_environment(wanted.environment, wanted.threads)
    sys.path[:] = path
    remember(wanted.importing)
    if wanted.directory is not None:
        # The program may be there and not go there again; then the worker stays where it was born.
        with contextlib.suppress(OSError):
            os.fchdir(descriptors[wanted.directory])
        os.close(descriptors[wanted.directory])
    os.umask(wanted.mask)
    wanted.settings.take()
    wanted.logging.take()
    for name, limit in wanted.limits.items():
        # Only root may raise it, and the program raised it when it was root.
        with contextlib.suppress(OSError, ValueError):
            if resource.getrlimit(LIMITS[name]) != limit:
                resource.setrlimit(LIMITS[name], limit)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, wanted.cores)
    _open_output(wanted.encodings)


def _take_environment(wanted: dict[str, str], threads: int) -> None:
    zone = os.environ.get("TZ")
    for name in [name for name in os.environ if name not in wanted]:
        del os.environ[name]
    os.environ.update(wanted)
    limit_threads(threads)
    if os.environ.get("TZ") != zone:
        time.tzset()


def _open_output(encodings: tuple[tuple[str, str] | None, ...]) -> None:
    """Opens standard output for whole lines: several workers may print to one file."""
    if sys.stdout is not None:
        encoding, errors = encodings[0] or _encoding(sys.stdout) or (None, None)
        sys.stdout = open(  # noqa: SIM115  # for life
            STANDARD_OUTPUT[0], "w", buffering=1, encoding=encoding, errors=errors, closefd=False
        )
    if isinstance(sys.stderr, io.TextIOWrapper) and encodings[1] is not None:
        sys.stderr.reconfigure(encoding=encodings[1][0], errors=encodings[1][1])  # pyright: ignore[reportUnknownMemberType]  # a wrapper of what, does not matter


def flush() -> None:
    """Flushes what the jobs have printed.

    A job may have closed its output, or put something there that cannot be flushed.
    """
    for stream in (sys.stdout, sys.stderr):
        send = getattr(stream, "flush", None)
        if callable(send) and not getattr(stream, "closed", False):
            send()
