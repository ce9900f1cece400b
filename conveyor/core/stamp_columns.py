"""The stamps that the entries of a slice have of one ordered join, side by side.

Knows: numbers.  Must never know: entries, which node gives them, how a join uses them.

Most columns say what they are without a number for each entry: a range, `Copies` or `Groups`; any
other is a list.  What stamps are is said in `stamps`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import count, islice, repeat
from typing import Final, TypeAlias, final, overload

__all__ = [
    "Column",
    "Copies",
    "FINISH",
    "Groups",
    "Stamps",
    "appended",
    "copied",
    "follows",
    "is_one_run",
    "next_origin",
    "not_last",
    "run_end",
    "run_of",
]

Column: TypeAlias = "range | Copies | Groups | list[int]"
Stamps: TypeAlias = tuple[Column, ...]

FINISH: Final = -2  # the stamp of what `finish` gave, which has no origin


def next_origin(stamp: int) -> int:
    """Gives the origin of the entry behind one with this stamp, in the same run.

    >>> next_origin(14), next_origin(15), next_origin(FINISH)
    (7, 8, -1)
    """
    return (stamp >> 1) + (stamp & 1)


def run_of(origin: int, entries: int) -> range:
    """Gives the stamps of so many entries, each the only one of its origin.

    >>> list(run_of(3, 2))
    [7, 9]
    """
    return range(2 * origin + 1, 2 * (origin + entries) + 1, 2)


@final
class Copies:
    """The stamps of entries of one run of which each origin has `width`.  Their places count all
    such entries, from the first of origin 0 on.

    >>> column = Copies(range(6, 10), 2)
    >>> list(column), list(column[1:3]), column[-1]
    ([6, 7, 8, 9], [7, 8], 9)
    """

    __slots__ = ("places", "width")

    def __init__(self, places: range, width: int) -> None:
        self.places = places
        self.width = width

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[int]:
        places, width = self.places, self.width
        first, behind = places.start // width, -(-places.stop // width)
        whole = [0] * ((behind - first) * width)
        for lane in range(width):
            is_last = lane == width - 1
            whole[lane::width] = range(2 * first + is_last, 2 * behind + is_last, 2)
        before = places.start - first * width
        return islice(whole, before, before + len(places))

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> Copies: ...
    def __getitem__(self, at: int | slice) -> int | Copies:
        if isinstance(at, slice):
            return Copies(self.places[at], self.width)
        return self.stamp(self.places[at])

    def stamp(self, place: int) -> int:
        origin, lane = divmod(place, self.width)
        return 2 * origin + (lane == self.width - 1)


@final
class Groups:
    """The stamps of entries of one run: of each origin, behind how many of all the entries its own
    end, and at least one more than those of the origin before.

    >>> column = Groups(3, [2, 3])
    >>> list(column), column[-1], column[:2], list(column[1:])
    ([6, 7, 9], 9, Groups(3, [2]), [7, 9])
    """

    __slots__ = ("ends", "origin")

    def __init__(self, origin: int, ends: list[int]) -> None:
        self.origin = origin
        self.ends = ends

    def __repr__(self) -> str:
        return f"Groups({self.origin}, {self.ends})"

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def __iter__(self) -> Iterator[int]:
        before = 0
        for stamp, end in zip(count(2 * self.origin, 2), self.ends, strict=False):
            yield from repeat(stamp, end - before - 1)
            yield stamp + 1
            before = end

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> Column: ...
    def __getitem__(self, at: int | slice) -> int | Column:
        if isinstance(at, slice):
            return self.part(*at.indices(len(self)))
        places = range(len(self))
        group = bisect_right(self.ends, places[at])
        return 2 * (self.origin + group) + (self.ends[group] == places[at] + 1)

    def part(self, start: int, stop: int, step: int) -> Column:
        if start == 0 and stop == len(self):
            return self
        first, behind = self.ends_before(start), self.ends_before(stop)
        if start == self.end_of(first) and stop == self.end_of(behind):
            return Groups(self.origin + first, [end - start for end in self.ends[first:behind]])
        return [*self][start:stop:step]

    def end_of(self, origins: int) -> int:
        """Behind how many entries the first so many origins end."""
        return self.ends[origins - 1] if origins else 0

    def ends_before(self, place: int) -> int:
        """How many origins end before the entry at a place."""
        return bisect_right(self.ends, place)


def is_one_run(column: Column) -> bool:
    """Does a column show by its kind that it is one run?"""
    return not isinstance(column, list)


def run_end(column: Column, start: int, stop: int) -> int:
    """Gives where the run ends that begins at a place of some stamps, `stop` at most.

    >>> run_end([7, 9, 13], 0, 3), run_end([6, 6, 7, 9], 0, 4), run_end([FINISH, FINISH], 0, 2)
    (2, 4, 2)
    """
    wanted = column[start]
    for place in range(start, stop):
        if column[place] >> 1 != wanted >> 1:
            return place
        wanted = column[place] + 2 * (column[place] & 1)
    return stop


def not_last(column: Column) -> list[int]:
    """Gives the stamps of entries that have more of their origins behind them."""
    return [stamp & -2 for stamp in column]


def copied(column: range, width: int) -> Copies:
    """Gives the stamps of as many copies of entries, each the only one of its origin before.

    >>> list(copied(run_of(3, 2), 2))
    [6, 7, 8, 9]
    """
    first = (column.start >> 1) * width
    return Copies(range(first, first + len(column) * width), width)


def follows(stamps: Stamps, others: Stamps) -> bool:
    """Can entries with the other stamps be in one slice with those before them?

    >>> follows((run_of(3, 2),), (run_of(5, 1),)), follows((run_of(3, 2),), (run_of(6, 1),))
    (True, False)
    """
    return all(
        next_origin(column[-1]) == other[0] >> 1
        for column, other in zip(stamps, others, strict=True)
    )


def appended(stamps: Stamps, others: Stamps) -> Stamps:
    """Gives the stamps of both.

    >>> appended((run_of(3, 2),), (run_of(5, 1),)) == (run_of(3, 3),)
    True
    """
    return tuple([both(column, other) for column, other in zip(stamps, others, strict=True)])


def both(column: Column, other: Column) -> Column:
    if isinstance(column, range) and isinstance(other, range) and column.stop == other.start:
        return range(column.start, other.stop, 2)
    if isinstance(column, Copies) and isinstance(other, Copies) and column.width == other.width:
        places, behind = column.places, other.places
        if places.stop == behind.start:
            return Copies(range(places.start, behind.stop), column.width)
    if isinstance(column, Groups) and isinstance(other, Groups):
        taken, origin = len(column), column.origin + len(column.ends)
        if origin == other.origin:
            return Groups(column.origin, column.ends + [taken + end for end in other.ends])
    return [*column, *other]
