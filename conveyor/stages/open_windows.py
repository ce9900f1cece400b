"""The windows that have not been given out yet: found by place, by end, and by what has changed."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Hashable, Iterable, Iterator
from heapq import heappop, heappush
from typing import Any, TypeAlias

from conveyor.stages.spans import Number
from conveyor.stages.state_job import SIMPLE, kept_aside, parts_of

__all__ = ["Open", "OpenWindows", "Rows"]

# An item that is kept to be folded again: when it came, whether it is pickled, and itself.
Item: TypeAlias = tuple[int, bool, Any]
# A window as it is saved, but of its items only those behind the first so many.
Row: TypeAlias = tuple[int, Hashable, Hashable, Number, Number, Any, int, int, list[Item]]
# The number of the next window, windows that changed, and the numbers of those that are gone.
Rows: TypeAlias = tuple[int, list[Row], list[int]]


class Open:
    """A window that is open; `number` counts them as they are opened.

    `place` is where it is found: for a session its key, for others also which one it is.  `items`
    are there where they may have to be folded again, and so many of them are `saved`.
    """

    __slots__ = ("count", "end", "items", "key", "number", "place", "saved", "start", "value")

    def __init__(
        self, number: int, key: Hashable, place: Hashable, start: Number, end: Number
    ) -> None:
        self.number = number
        self.key = key
        self.place = place
        self.start = start
        self.end = end
        self.value: Any = None
        self.count = 0
        self.items: list[Item] = []
        self.saved = 0

    def keep(self, came: int, item: Any) -> None:
        """Keeps an item as it is now."""
        kind: object = type(item)  # pyright: ignore[reportUnknownVariableType]
        if kind in SIMPLE or (kind is tuple and SIMPLE.issuperset(map(type, item))):
            self.items.append((came, False, item))
        else:
            self.items.append((came, True, pickle.dumps(item, pickle.HIGHEST_PROTOCOL)))

    def new_row(self) -> Row:
        known, self.saved = self.saved, len(self.items)
        return self.row(known)

    def row(self, known: int) -> Row:
        """As it is saved, where so many of its items are."""
        new = self.items[known:]
        span = (self.start, self.end)
        return self.number, self.key, self.place, *span, self.value, self.count, known, new


def items_of(windows: Iterable[Open]) -> list[Any]:
    """The items that several windows keep, in the order in which they came."""
    kept = sorted(item for window in windows for item in window.items)
    return [pickle.loads(item) if is_pickled else item for _, is_pickled, item in kept]


class OpenWindows:
    """All of them; `undo` is told how to take back each change, if there is one."""

    def __init__(self, undo: Callable[[Callable[[], object]], None] | None) -> None:
        self.undo = undo
        self.number = 0  # of the next one
        self.by_number: dict[int, Open] = {}
        self.at: dict[Hashable, list[Open]] = {}  # by place
        self.ends: list[tuple[Number, int]] = []  # a heap: the end of each, or an earlier one
        self.changed: dict[int, Open] = {}  # since they were saved
        self.gone: dict[int, None] = {}

    def opened(self, key: Hashable, place: Hashable, start: Number, end: Number) -> Open:
        """A new one, with the next number."""
        window = Open(self.number, key, place, start, end)
        self.number += 1
        self.insert(window)
        return window

    def insert(self, window: Open) -> None:
        number = window.number
        self.by_number[number] = self.changed[number] = window
        self.gone.pop(number, None)
        self.at.setdefault(window.place, []).append(window)
        heappush(self.ends, (window.end, number))
        if self.undo is not None:
            self.undo(lambda: self.remove(window))

    def remove(self, window: Open) -> None:
        number = window.number
        del self.by_number[number]
        self.changed.pop(number, None)
        self.gone[number] = None
        there = self.at[window.place]
        there.remove(window)
        if not there:
            del self.at[window.place]
        if self.undo is not None:
            self.undo(lambda: self.insert(window))

    def touch(self, window: Open) -> None:
        """Called before a window that is there is changed."""
        self.changed[window.number] = window
        if self.undo is None:
            return
        start, end, count, items = window.start, window.end, window.count, len(window.items)
        value = kept_aside(window.value)

        def as_before() -> None:
            window.start, window.end, window.count = start, end, count
            window.value = value()
            del window.items[items:]
            heappush(self.ends, (end, window.number))

        self.undo(as_before)

    def take_due(self, watermark: Number) -> list[Open]:
        """Takes out those that end at the watermark or before."""
        due: list[Open] = []
        while self.ends and self.ends[0][0] <= watermark:
            end, number = heappop(self.ends)
            window = self.by_number.get(number)
            if window is None:  # merged into another, or taken out
                continue
            if window.end > end:  # a session that went on
                heappush(self.ends, (window.end, number))
            else:
                self.remove(window)
                due.append(window)
        return due

    # ---------------------------------------------------------------------------
    # as they are saved

    def all_rows(self) -> Rows:
        for window in self.by_number.values():
            window.saved = 0
        self.changed = dict(self.by_number)
        return self.new_rows()

    def new_rows(self) -> Rows:
        """What has changed since this, or all, was asked for."""
        rows = (self.number, [each.new_row() for each in self.changed.values()], list(self.gone))
        self.changed, self.gone = {}, {}
        return rows

    def parts(self, n: int) -> Iterator[Rows]:
        """All of them in about so many parts, each as it is when it is asked for."""
        for numbers in parts_of([*self.by_number], n):
            there = [self.by_number.get(number) for number in numbers]
            yield self.number, [each.row(0) for each in there if each is not None], []

    def apply(self, rows: Rows) -> None:
        self.number, changed, gone = rows
        for number in gone:
            if number in self.by_number:
                self.remove(self.by_number[number])
        for number, key, place, start, end, value, count, known, items in changed:
            before = self.by_number.get(number)
            window = Open(number, key, place, start, end)
            window.value, window.count = value, count
            if before is not None:
                window.items = before.items[:known]
                self.remove(before)
            window.items += items
            window.saved = len(window.items)
            self.insert(window)
        self.changed, self.gone = {}, {}
