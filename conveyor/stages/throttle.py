"""A job that holds items up: so many in so much time, and no more."""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar

from typing_extensions import TypeVar

from conveyor.stages.job import Gives
from conveyor.stages.stage import checked_count, checked_seconds
from conveyor.stages.state_job import StateJob
from conveyor.stages.timed import Timed

__all__ = ["Throttle"]

T = TypeVar("T", default=Any)


class Throttle(StateJob[T, T], Timed):
    """Passes its items on unchanged, in order, and at most `n` of them in any `per_s` seconds.

    An item leaves as soon as it may: the first `n` at once.  Those that have to wait do so in the
    pipe before it, where nothing is lost if a worker dies.  When items left is part of its state,
    so the bound holds over the runs of an open pipeline, and across the death of its worker.  In
    the simulator it waits in virtual time (`docs/simulation.md`).

    Raises `TopologyError` if `n` is no whole number of at least one, or `per_s` no number of
    seconds above 0.

    >>> from conveyor import Pipeline
    >>> run = Pipeline[str]().add(Throttle(2, per_s=1.0)).simulate("abcde")
    >>> list(zip(run, run.times))
    [('a', 0.0), ('b', 0.0), ('c', 1.0), ('d', 1.0), ('e', 2.0)]
    """

    _stage_gives: ClassVar[Gives | None] = Gives.UNOPENED
    _gives_by_time: ClassVar[bool] = False

    def __init__(self, n: int, per_s: float = 1.0, *, name: str | None = None) -> None:
        self.n = checked_count("Throttle", "n", n)
        self.per_s = checked_seconds("Throttle", "per_s", per_s)
        self._take(None, name, "raise", 0, None, read_only=True)

    def _begin(self) -> None:
        # When the last items left, and how many then, the newest at the end.
        self.log: deque[tuple[float, int]] = deque()
        self.logged = 0  # in all

    def process(self, item: T, /) -> T:
        """Gives the item back; in a pipeline nothing calls this, as nothing looks at the item."""
        return item

    def _allowance(self, now: float) -> int:
        log = self.log
        while log and log[0][0] + self.per_s <= now:
            self.logged -= log.popleft()[1]
        return self.n - self.logged

    def _opens_at(self) -> float:
        return self.log[0][0] + self.per_s if self.logged >= self.n else self._now

    def _left(self, outputs: int, now: float) -> None:
        self.logged += outputs
        if self.log and self.log[-1][0] == now:
            outputs += self.log.pop()[1]
        self.log.append((now, outputs))

    def snapshot(self) -> tuple[tuple[float, int], ...]:
        return tuple(self.log)

    def restore(self, state: tuple[tuple[float, int], ...], /) -> None:
        self.log = deque(state)
        self.logged = sum(outputs for _, outputs in state)

    def __repr__(self) -> str:
        return f"Throttle({self.n}, per_s={self.per_s:g})"
