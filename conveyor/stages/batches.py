"""Items in lists, and lists as items: `Batch` and `Unbatch`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from typing_extensions import TypeVar

from conveyor.stages.job import Gives, In, Job, Out
from conveyor.stages.stage import Stage, checked_count, checked_seconds
from conveyor.stages.state_job import Incremental
from conveyor.stages.timed import Timed

__all__ = ["Batch", "Unbatch"]

T = TypeVar("T", default=Any)
Each = TypeVar("Each")


class Batch(Incremental[T, list[T]], Timed):
    """Gathers items, in order, into lists of `n`; the last list of a run may be shorter.

    With `within_s` a list is given out as it is, once its first item has waited so many seconds for
    it to fill: also while no item comes.  In the simulator that is a decision: every way of cutting
    is possible (`docs/simulation.md`).

    What has been gathered outlives its worker.  Raises `TopologyError` if `n` is no whole number
    of at least one, or `within_s` no number of seconds above 0.

    >>> from conveyor import Pipeline
    >>> Pipeline[int]().add(Batch(2)).run([1, 2, 3])
    [[1, 2], [3]]
    >>> pl = Pipeline[int]().add(Batch(10, within_s=0.5))
    >>> pl.replay([1, 2, 3], "cv1:batch~timer.2=1")
    [[1, 2], [3]]
    >>> len(pl.explore([1, 2, 3], strategy="exhaustive").outputs)
    4
    """

    _stage_gives: ClassVar[Gives | None] = Gives.RESULT

    def __init__(self, n: int, *, within_s: float | None = None, name: str | None = None) -> None:
        self.n = checked_count("Batch", "n", n)
        self.within_s = (
            None
            if within_s is None
            else checked_seconds("Batch", "within_s", within_s, ", or None")
        )
        self._take(None, name, "raise", 0, None, read_only=False)

    @property
    def _watches_time(self) -> bool:
        return self.within_s is not None

    def _begin(self) -> None:
        self._start_anew()
        self.is_another = False

    def _start_anew(self) -> None:
        """The next item begins another list."""
        self.items: list[T] = []
        self.saved = 0  # of these
        self.is_another = True  # is it another list than the one that was saved?
        self.by: float | None = None  # when it is to be given out
        self.is_over = False  # has that moment come?

    def process(self, item: T, /) -> list[T] | None:
        items = self.items
        items.append(item)
        if self.within_s is not None and len(items) == 1:
            self.by = self._now + self.within_s
        if len(items) < self.n:
            return None
        self._start_anew()
        return items

    def finish(self) -> Iterable[list[T]]:
        if self.items:
            yield self.items
        self._start_anew()

    def _deadline(self) -> float | None:
        return self.by

    def _come_due(self) -> None:
        self.by, self.is_over = None, True

    @property
    def _is_due(self) -> bool:
        return self.is_over

    def _due(self) -> Iterable[list[T]]:
        return self.finish()

    def snapshot(self) -> tuple[list[T], float | None, bool]:
        self.saved, self.is_another = len(self.items), False
        return self.items, self.by, self.is_over

    def restore(self, state: tuple[list[T], float | None, bool], /) -> None:
        self.items, self.by, self.is_over = state
        self.saved, self.is_another = len(self.items), False

    def _changes(self) -> tuple[bool, list[T], float | None, bool] | None:
        is_another, items = self.is_another, self.items[self.saved :]
        self.saved, self.is_another = len(self.items), False
        if not (is_another or items or self.is_over):
            return None
        return is_another, items, self.by, self.is_over

    def _apply(self, changes: tuple[bool, list[T], float | None, bool], /) -> None:
        is_another, items, by, is_over = changes
        self.restore((items if is_another else [*self.items, *items], by, is_over))

    def __repr__(self) -> str:
        within = "" if self.within_s is None else f", within_s={self.within_s:g}"
        return f"Batch({self.n}{within})"


class Unbatch(Job[In, Out]):
    """Gives the items of each iterable one by one.

    >>> from conveyor import Pipeline
    >>> Pipeline[list[int]]().add(Unbatch()).run([[1, 2], [], [3]])
    [1, 2, 3]
    """

    _stage_gives: ClassVar[Gives | None] = Gives.EACH

    def __init__(self: Unbatch[Iterable[Each], Each], *, name: str | None = None) -> None:
        self._take(iter, name, "raise", 0, None, read_only=False)

    def _default_name(self) -> str:
        return Stage._default_name(self)

    def __repr__(self) -> str:
        return "Unbatch()"
