"""What is kept of a run on several machines, in the program's own memory, so that it can go on
without one of them.

Knows: items, results, and between which barriers they are.  Must never know: hosts, how a run is
begun.

Rule 1.  Results are given once their barrier has come through and is kept, and not before; those
         behind it are thrown away when a machine is lost.  So none comes twice.  Of a stream, the
         consumer's thread takes results, and the source's may be the one that gives them.
Rule 2.  Items that an iterator gave are kept until such a barrier is behind them, as they were when
         they came.  Only one thread at a time is inside the iterator; one that a lost machine left
         there adds what it gets.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import Protocol, cast

from conveyor.core.epochs import Manifest, NodeState
from conveyor.core.keeping import Windows, ends
from conveyor.errors import NotPicklable
from conveyor.items.atoms import is_atom
from conveyor.items.sealing import Sealed, sealer
from conveyor.progress import how_many
from conveyor.report import DeadLetter

__all__ = ["Lasting", "position_of"]


class Items(Protocol):
    """The items of a run, counted from its beginning."""

    def behind(self, position: int) -> Iterable[object]:
        """Those behind so many."""
        ...

    def forget(self, position: int) -> None:
        """So many are not wanted any more."""
        ...

    def let_go(self) -> None:
        """None are wanted any more."""
        ...


class OfSequence:
    """Those of a list, a tuple or a range, which can be read anywhere."""

    def __init__(self, items: Sequence[object]) -> None:
        self.items = items

    def behind(self, position: int) -> Sequence[object]:
        return self.items[position:] if position else self.items

    def forget(self, position: int) -> None:
        """There is nothing to forget."""

    def let_go(self) -> None:
        """There is nothing to let go."""


class OfIterable:
    """Those of anything else, each of which is given once."""

    def __init__(self, items: Iterable[object]) -> None:
        self.iterator = iter(items)
        self.total = how_many(items)
        self.seal = sealer()
        self.turn = threading.Lock()  # to be inside the iterator
        self.taken = 0
        self.kept: dict[int, object] = {}  # by their number
        self.first = 0  # that may be kept
        self.error: Exception | None = None  # what the iterator raised in the end

    def behind(self, position: int) -> Iterable[object]:
        total = self.total
        return Rest(self, position) if total is None else SizedRest(self, position, total)

    def forget(self, position: int) -> None:
        for number in range(self.first, position):
            self.kept.pop(number, None)
        self.first = position

    def let_go(self) -> None:
        self.iterator = iter(())  # so that a generator is closed which nothing else refers to
        self.kept.clear()

    def item(self, number: int) -> object:
        """The item of this number, the next of the iterator if it was not taken before.  Raises
        what that raises."""
        if number == self.taken:
            with self.turn:
                if number == self.taken:  # else another thread has taken it meanwhile
                    return self.taken_now()
        kept = self.kept[number]
        return kept.open() if isinstance(kept, Sealed) else kept

    def taken_now(self) -> object:
        if self.error is not None:
            raise self.error
        try:
            item = next(self.iterator)
        except Exception as error:
            self.error = error
            raise
        self.kept[self.taken] = self.safe(item)
        self.taken += 1
        return item

    def safe(self, item: object) -> object:
        """An item as it is now, whatever happens to the object later."""
        if is_atom(item):
            return item
        try:
            return self.seal(item)
        except NotPicklable:  # whoever takes it says so
            return item


class Rest:
    """The items of an iterable from one on, as an iterator."""

    def __init__(self, items: OfIterable, number: int) -> None:
        self.items = items
        self.number = number

    def __iter__(self) -> Iterator[object]:
        return self

    def __next__(self) -> object:
        item = self.items.item(self.number)
        self.number += 1
        return item


class SizedRest(Rest):
    """The same, where it is known how many there are."""

    def __init__(self, items: OfIterable, number: int, total: int) -> None:
        super().__init__(items, number)
        self.total = total

    def __len__(self) -> int:
        return max(0, self.total - self.number)


class Lasting:
    """One run, as its engine keeps it; `give` takes the results that stand."""

    every_s = inf
    in_memory = True

    def __init__(
        self,
        items: Iterable[object],
        windows: Windows,
        give: Callable[[Sequence[object]], object],
    ) -> None:
        kind = type(items)
        self.items: Items = (
            OfSequence(cast("Sequence[object]", items))
            if kind in (list, tuple, range)
            else OfIterable(items)
        )
        self.windows = windows
        self.give = give
        self.goes_on: Callable[[BaseException], bool] = ends
        self.manifest: Manifest | None = None  # where this life begins
        self.begins_at = 0  # so many items were before it
        self.newest: Manifest | None = None  # of the barriers that came through
        self.next: Manifest | None = None
        self.held: list[object] = []  # results that do not stand yet
        self.through = 0  # how many of them came before the newest barrier
        self.turn = threading.Lock()  # to change what is held

    @property
    def stands_at(self) -> str:
        return f"behind item {self.begins_at}"

    def rest(self) -> Iterable[object]:
        """The items of this life."""
        return self.items.behind(self.begins_at)

    def begin_again(self) -> Iterable[object]:
        """Another life is to begin, at the newest barrier."""
        if self.newest is not None:
            self.manifest, self.begins_at = self.newest, position_of(self.newest)
        self.held, self.through = [], 0
        return self.rest()

    def take(self, results: Sequence[object], /) -> None:
        with self.turn:
            self.held += results

    def mark(self) -> None:
        self.through = len(self.held)

    def hold(self) -> None:
        """Does nothing: all results are held back."""

    def note(
        self, items: int, nodes: Mapping[int, NodeState], letters: Sequence[DeadLetter]
    ) -> None:
        kept = {"letters": tuple(letters)}
        self.next = Manifest(0, self.begins_at + items, nodes, False, kept)

    def complete(
        self,
        items: int,
        nodes: Mapping[int, NodeState],
        letters: Sequence[DeadLetter],
        is_finished: bool,
    ) -> None:
        assert is_finished, "of no other epoch it is said that it is to be durable"
        self.give_rest()

    def go_on(self) -> None:
        assert self.next is not None
        with self.turn:
            self.newest = self.next
            stand, self.held = self.held[: self.through], self.held[self.through :]
            self.through = 0
        self.items.forget(position_of(self.newest))
        self.give(stand)

    def give_rest(self) -> None:
        """All results have come, and stand."""
        rest, self.held = self.held, []
        self.give(rest)

    def let_go(self) -> None:
        """The run has ended."""
        self.items.let_go()


def position_of(manifest: Manifest) -> int:
    return cast("int", manifest.position)
