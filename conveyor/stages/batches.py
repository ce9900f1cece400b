"""Items in lists, and lists as items: `Batch` and `Unbatch`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from typing_extensions import TypeVar

from conveyor.stages.job import Gives, Job
from conveyor.stages.stage import Stage, checked_count
from conveyor.stages.state_job import Incremental

__all__ = ["Batch", "Unbatch"]

T = TypeVar("T", default=Any)


class Batch(Incremental[T, list[T]]):
    """Gathers items, in order, into lists of `n`; the last list of a run may be shorter.

    What has been gathered outlives its worker.  Raises `TopologyError` if `n` is no whole number
    of at least one.

    >>> from conveyor import Pipeline
    >>> Pipeline[int]().add(Batch(2)).run([1, 2, 3])
    [[1, 2], [3]]
    """

    stage_gives: ClassVar[Gives | None] = Gives.RESULT

    def __init__(self, n: int, *, name: str | None = None) -> None:
        self.n = checked_count("Batch", "n", n)
        self._take(None, name, "raise", 0, None, read_only=False)

    def begin(self) -> None:
        self.items: list[T] = []
        self.saved = 0  # of these
        self.is_another = False  # is it another list than the one that was saved?

    def process(self, item: T, /) -> list[T] | None:
        items = self.items
        items.append(item)
        if len(items) < self.n:
            return None
        self.items, self.saved, self.is_another = [], 0, True
        return items

    def finish(self) -> Iterable[list[T]]:
        if self.items:
            yield self.items
        self.begin()

    def snapshot(self) -> list[T]:
        self.saved, self.is_another = len(self.items), False
        return self.items

    def restore(self, state: list[T], /) -> None:
        self.items, self.saved = state, len(state)

    def changes(self) -> tuple[bool, list[T]] | None:
        changes = (self.is_another, self.items[self.saved :])
        self.saved, self.is_another = len(self.items), False
        return changes if any(changes) else None

    def apply(self, changes: tuple[bool, list[T]], /) -> None:
        is_another, items = changes
        self.restore(items if is_another else [*self.items, *items])

    def __repr__(self) -> str:
        return f"Batch({self.n})"


class Unbatch(Job[Iterable[T], T]):
    """Gives the items of each iterable one by one.

    >>> from conveyor import Pipeline
    >>> Pipeline[list[int]]().add(Unbatch()).run([[1, 2], [], [3]])
    [1, 2, 3]
    """

    stage_gives: ClassVar[Gives | None] = Gives.EACH

    def __init__(self, *, name: str | None = None) -> None:
        self._take(iter, name, "raise", 0, None, read_only=False)

    def default_name(self) -> str:
        return Stage.default_name(self)

    def __repr__(self) -> str:
        return "Unbatch()"
