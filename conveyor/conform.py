"""Replays every recording under a directory: does the simulator do what the real runs did?

Knows: files of recordings, and how a result is told.  Must never know: how a run is recorded or
replayed.

A recording brings its pipeline along, pickled, so only recordings that you trust should be
replayed: to unpickle runs code.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from conveyor.errors import NotPicklable, ScheduleMismatch
from conveyor.items.main_module import standing_in
from conveyor.recording.reader import Recording
from conveyor.sim.search.from_recording import accepted

__all__ = ["Verdict", "conform", "verdicts"]

SUFFIX: Final = ".cvd"


class Verdict(NamedTuple):
    """What is different in one recording and its replay; empty if nothing is."""

    path: Path
    difference: str


def verdicts(path: Path) -> Iterator[Verdict]:
    """The differences of each recording under a directory, by name, or of a single file."""
    for each in sorted(path.rglob(f"*{SUFFIX}")) if path.is_dir() else [path]:
        yield Verdict(each, difference_in(each))


def difference_in(path: Path) -> str:
    try:
        recording = Recording.read(path.read_bytes(), path.name)
        with standing_in(recording.definitions()):
            return accepted(recording)
    except ScheduleMismatch as mismatch:
        return str(mismatch)
    except (ImportError, AttributeError, NotPicklable) as error:
        return (
            f"its pipeline or its input cannot be loaded: {error}; run this where its modules can "
            "be imported, or replay it in the program that recorded it: "
            f"pl.replay(items, {path.name!r})"
        )


def conform(path: Path) -> int:
    """Prints how many recordings were accepted, or the first that was not; gives the exit code."""
    if not path.exists():
        print(f"{path}: there is no such directory", file=sys.stderr)
        return 2
    found = 0
    for verdict in verdicts(path):
        if verdict.difference:
            print(f"{verdict.path}: {verdict.difference}\n{found} accepted before it")
            return 1
        found += 1
    print(f"{found}/{found} accepted")
    return 0
