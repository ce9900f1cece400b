"""Lets go of workers that have to wait for the core they are kept on.

Knows: how long the threads of a process were ready and had no core, as Linux tells.  Must never
know: what workers do.

Rule 1.  To be kept on a core of its own helps a worker as long as nothing else runs there.  Another
         program may, and so may threads that a job starts.  A worker that had to wait for so large
         a part of a second (`PATIENCE`) is let go, with all its threads, and is not kept on a core
         again.
Rule 2.  It helps to let go only while there are cores that no worker is kept on.
Rule 3.  Cores that the user has named stay.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from time import monotonic
from typing import Final

__all__ = ["Pins"]

EVERY_S: Final = 1.0
PATIENCE: Final = 0.3
NS_PER_S: Final = 1e9


class Pins:
    """The workers that are kept on cores of their own: `kept`, the cores by node, from which those
    are taken out that are let go.  `notes` is what the report says of them; `title` gives the
    stages of a node."""

    def __init__(
        self,
        kept: dict[int, tuple[int, ...]],
        usable: Iterable[int],
        title: Callable[[int], str],
    ) -> None:
        self.kept = kept
        self.title = title
        self.usable = frozenset(usable)
        self.notes: tuple[str, ...] = ()
        self.waited: dict[int, int] = {}  # by pid, nanoseconds
        self.looked = 0.0

    def look(self, processes: Callable[[], Mapping[int, int]]) -> None:
        """Lets go of those that had to wait since the last look, if that was a while ago.

        `processes` gives those that there are, by node.
        """
        now = monotonic()
        since = now - self.looked
        if since < EVERY_S:
            return
        self.looked = now
        if not self.usable - {core for cores in self.kept.values() for core in cores}:
            return
        before, pids = self.waited, processes()
        self.waited = {pid: waited_ns(pid) for node, pid in pids.items() if self.kept.get(node)}
        for node, pid in pids.items():
            if pid not in self.waited or pid not in before:
                continue
            share = (self.waited[pid] - before[pid]) / NS_PER_S / since
            if share > PATIENCE:
                self.let_go(node, pid, self.title(node), share)

    def let_go(self, node: int, pid: int, title: str, share: float) -> None:
        """Lets a worker run wherever the program may."""
        cores = self.kept[node]
        for thread in threads_of(pid):
            # It may end meanwhile.
            with contextlib.suppress(OSError):
                os.sched_setaffinity(thread, self.usable)
        self.kept[node] = ()
        self.notes += (
            f"placement: {title!r} was let go from core {', '.join(map(str, cores))}, as it had to "
            f"wait for it {share:.0%} of a second: others were at work there. If those were "
            "threads of its own, cores=n gives it several",
        )


def waited_ns(pid: int) -> int:
    """How long the threads of a process were ready and had no core, in nanoseconds; 0 where that
    is not told."""
    return sum(map(waited_by, threads_of(pid)))


def waited_by(thread: int) -> int:
    try:
        return int(Path(f"/proc/{thread}/schedstat").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def threads_of(pid: int) -> list[int]:
    """The threads of a process; none if it is gone, or where they are not told."""
    try:
        return list(map(int, os.listdir(f"/proc/{pid}/task")))
    except OSError:
        return []
