"""How time comes to a node: as an answer, like every decision.

Knows: what a timed job holds and when it may go on (`stages.timed`).  Must never know: a clock;
each world has a `Timer` of its own.

Rule 1.  Before a node takes a slice it asks: which input is next, or does something come due first?
Rule 2.  What comes due changes the state of the job, and that is saved.  Only then it is given out,
         as what comes of a slice without items: it commits nothing, and goes out before the next.
Rule 3.  While outputs come a second time nothing comes due: there was nothing due between them when
         they came first.
"""

# What a stage is asked for by the time is no part of what its user may call, and this is who asks.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Protocol

from conveyor.core.job_node import JobNode, Node, Piece
from conveyor.stages.timed import Timed

__all__ = ["Paced", "TimedNode", "Timer"]


class Timer(ABC):
    """The clock of one timed job in one run, as its world has it; `dues` counts what came due."""

    def __init__(self, stage: Timed) -> None:
        self.stage = stage
        self.dues = 0

    @abstractmethod
    def now(self) -> float:
        """The moment, in seconds."""
        ...

    @abstractmethod
    def begins(self) -> float:
        """The moment at which a slice of items is taken in hand: not before it may be."""
        ...

    @abstractmethod
    def is_past(self) -> bool:
        """Has the deadline of anything passed?"""
        ...

    @abstractmethod
    def is_open(self) -> bool:
        """May an item be taken now?"""
        ...

    @property
    def deadline(self) -> float | None:
        """When the first of what the job holds comes due; None if it holds nothing."""
        return self.stage._deadline()

    @property
    def differs_at_end(self) -> bool:
        """Does what is due give something else at the end of a run than `finish` would?"""
        return self.stage._differs_at_end

    def allowance(self, now: float) -> int | None:
        """How many items the job may be given at a moment; None: any number."""
        return self.stage._allowance(now)

    def opens_at(self) -> float:
        """When it may be given an item, if that is not now."""
        return self.stage._opens_at()

    def come_due(self) -> None:
        """What has passed is due from now on."""
        self.stage._come_due()
        self.dues += 1

    @property
    def is_due(self) -> bool:
        return self.stage._is_due

    @property
    def progress(self) -> int:
        """Grows when something comes due, and when it is out."""
        return 2 * self.dues - self.stage._is_due


class Cut(Protocol):
    @property
    def n(self) -> int: ...


class Paced:
    """A cut that takes no more items than the job may be given now."""

    def __init__(self, cut: Cut, timer: Timer) -> None:
        self.cut = cut
        self.timer = timer

    @property
    def n(self) -> int:
        n, allowed = self.cut.n, self.timer.allowance(self.timer.now())
        return n if allowed is None else max(1, min(n, allowed))


class TimedNode:
    """A node whose job is told of the time; `job` is the node of the job itself."""

    def __init__(self, node: Node, job: JobNode, timer: Timer) -> None:
        self.node = node
        self.job = job
        self.timer = timer
        self.tally = node.tally

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterator[Piece]:
        timer, stage, tally = self.timer, self.timer.stage, self.tally
        if not items:
            yield from self.job.flushed(stage._due, "due()", 0, limit)
            return
        stage._now = timer.begins()
        for piece in self.node(items, skip, limit):
            before = tally.items_out - len(piece[0])
            yield piece
            # Now it is out, however long it had to wait for room.
            if left := tally.items_out - before:
                stage._left(left, timer.now())

    def finish(self, skip: int, limit: int) -> Iterable[Piece]:
        return self.node.finish(skip, limit)
