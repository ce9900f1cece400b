"""Where a run puts its newest snapshot, and every client takes it from.

Rule 1.  The run only puts a snapshot there, and waits for no client.
Rule 2.  A client gets the newest one; those that it was too slow for it never sees.
"""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from typing import NamedTuple

import psutil

from conveyor.monitor.snapshot import Snapshot
from conveyor.monitor.status import status_of

__all__ = ["Board", "News"]


class News(NamedTuple):
    """The newest status as JSON; `number` counts them from 1, 0: there is none yet.  `is_last`:
    there will be no other."""

    number: int
    document: str
    is_last: bool


class Board:
    """Of one run."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.before: Snapshot | None = None
        self.newest: Snapshot | None = None
        self.number = 0
        self.is_over = False
        self.readers = 0
        # Held while a document is made, which the run does not wait for.
        self.writing = threading.Lock()
        self.made = News(0, "", False)

    @property
    def is_watched(self) -> bool:
        """Is there a client, or was nothing put here yet?"""
        return self.readers > 0 or self.newest is None

    def show(self, snapshot: Snapshot) -> None:
        """Puts a snapshot there."""
        with self.changed:
            self.before, self.newest = self.newest, snapshot
            self.number += 1
            self.changed.notify_all()

    def end(self) -> None:
        """There will be no other."""
        with self.changed:
            self.is_over = True
            self.changed.notify_all()

    def begin_reading(self) -> None:
        with self.changed:
            self.readers += 1

    def end_reading(self) -> None:
        with self.changed:
            self.readers -= 1
            self.changed.notify_all()

    def wait_for_readers(self, seconds: float) -> None:
        """Until all have gone, so long at most."""
        with self.changed:
            self.changed.wait_for(lambda: not self.readers, seconds)

    def wait(self, seen: int, seconds: float) -> News:
        """What is newer than the document of number `seen`; after so many seconds what there is."""
        with self.changed:
            self.changed.wait_for(lambda: self.number > seen or self.is_over, seconds)
            before, now, number, is_over = self.before, self.newest, self.number, self.is_over
        with self.writing:
            if now is not None and self.made.number < number:
                document = json.dumps(status_of(before, now, memory_of(now)))
                self.made = News(number, document, is_over)
            return self.made._replace(is_last=is_over)


def memory_of(snapshot: Snapshot) -> dict[int, int]:
    """How many bytes each worker of this machine has in memory, as far as it is there to be
    asked."""
    found: dict[int, int] = {}
    for worker in snapshot.workers:
        if worker.node is None and worker.pid is not None and worker.pid not in found:
            with suppress(psutil.Error):
                found[worker.pid] = psutil.Process(worker.pid).memory_info().rss
    return found
