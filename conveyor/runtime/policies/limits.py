"""How long items have been at jobs that have a time limit, without the time in which their workers
were stopped.

Knows: the clock, since when an item is at its job, whether a worker is stopped or was.  Must never
know: what becomes of it.

Rule 1.  The time of an item that is over by the clock is over, if its worker was not stopped since
         it was started.
Rule 2.  Else what counts is what passed between looks, for each an eighth of the limit at most, and
         nothing if the worker was stopped then.  So where all processes were stopped together, this
         one included, an eighth is lost, whatever it took.
Rule 3.  It is looked twice in an eighth of the limit while an item is at its job.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns
from typing import Final

from conveyor.runtime.policies.contract import ItemClock, StoppableWorker

__all__ = ["Limits", "Stopwatch"]

NS_PER_S: Final = 10**9
LEAST_NS: Final = 10_000_000  # between two looks


class Stopwatch:
    """Measures how long each item of one node is at its job.

    >>> watch = Stopwatch(limit=80, least=1)
    >>> watch.left(7, now=10)  # since 7: so it is looked again after half of an eighth
    2
    """

    def __init__(self, limit: int, least: int = LEAST_NS) -> None:
        self.limit = limit
        self.most = max(limit // 8, least)  # that one look adds
        self.since: int = 0  # when the item began, which is unlike any other's; 0: there is none
        self.looked = 0
        self.spent = 0

    def is_over(self, since: int, now: int, worker: StoppableWorker) -> bool:
        """Has the item that began at `since` had its time?"""
        self.turn_to(since)
        if not since:
            return False
        by_the_clock = now - since > self.limit
        if now - self.looked >= self.most // 2 or by_the_clock:
            self.spent += 0 if worker.is_stopped() else min(now - self.looked, self.most)
            self.looked = now
        return by_the_clock and (
            self.spent > self.limit or not (worker.is_stopped() or worker.was_stopped())
        )

    def left(self, since: int, now: int) -> int:
        """How soon to look again."""
        self.turn_to(since)
        return max(0, self.looked + self.most // 2 - now) if since else self.most

    def turn_to(self, since: int) -> None:
        if since != self.since:
            self.since = since
            self.looked = since
            self.spent = 0


class Limits:
    """The time limits of all nodes whose jobs have one, in seconds.

    `clocks` are there for each node, by its number; `worker` gives the worker of a node, or None
    while there is none.
    """

    def __init__(
        self,
        limits_s: Mapping[int, float],
        clocks: Sequence[ItemClock],
        worker: Callable[[int], StoppableWorker | None],
    ) -> None:
        self.clocks = clocks
        self.worker = worker
        self.watches = {node: Stopwatch(int(limit * NS_PER_S)) for node, limit in limits_s.items()}

    def over(self) -> dict[int, int]:
        """The nodes whose item has had its time, with when it began."""
        if not self.watches:
            return {}
        now = perf_counter_ns()
        found: dict[int, int] = {}
        for node, watch in self.watches.items():
            since = self.clocks[node].item_since
            worker = self.worker(node)
            if worker is not None and watch.is_over(since, now, worker):
                found[node] = since
        return found

    def patience_ms(self) -> float | None:
        """How soon to look again; None: there is nothing to look at."""
        now = perf_counter_ns() if self.watches else 0
        return min(
            (
                watch.left(self.clocks[node].item_since, now) / 1e6
                for node, watch in self.watches.items()
            ),
            default=None,
        )
