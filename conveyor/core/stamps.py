"""What an ordered join must know of the items in its lanes, kept beside them.

Knows: slices of entries, and their stamps.  Must never know: which node gives them, how a join uses
them, what they are encoded as.

Rule 1.  In a lane of an ordered join a slice has *entries*: items, and marks.  A *mark* stands
         where a job gave nothing, and is None; an item that is None is sealed there.  The items
         among them are a slice like any other.
Rule 2.  A *stamp* is one number: twice the origin of an entry, and one more for the last entry in
         its lane that came of that origin.  The stamps that all entries of a slice have of one join
         are a *column*; there is one for each ordered join around them, the innermost at the end.
Rule 3.  What a fork takes is one run: behind a stamp that is not the last of its origin comes that
         origin again, behind one that is comes the next.  Where the fork gives whole records to a
         lane, a slice of it is one run, too, and where each entry is the last of its origin its
         column is a range, however long.  Where the fork deals out items, there are runs in it.
Rule 4.  Behind the join of a fork to all lanes each outer origin has an entry for each of these:
         such a column is `Copies`, however long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeAlias, final, overload

from conveyor.items.slices import all_sealed

__all__ = [
    "Column",
    "Copies",
    "Entries",
    "FINISH",
    "MARK",
    "Stamps",
    "among",
    "appended",
    "copied",
    "count_of_marks",
    "cut",
    "entries_of",
    "first_of",
    "follows",
    "gather",
    "has_items",
    "has_marks",
    "is_one_run",
    "marked",
    "items_of",
    "marks_of",
    "next_origin",
    "no_mark",
    "not_last",
    "places_of",
    "run_end",
    "run_of",
    "spread",
    "without_marks",
]

Column: TypeAlias = "range | Copies | list[int]"
Stamps: TypeAlias = tuple[Column, ...]

FINISH: Final = -2  # the stamp of what `finish` gave, which has no origin


MARK: Final = None


class Entries(list[object]):
    """A slice with marks in it, or with stamps; `has_marks` may be true where there is none."""

    __slots__ = ("has_marks", "same", "stamps")

    def __init__(
        self, entries: Iterable[object], stamps: Stamps = (), has_marks: bool = False
    ) -> None:
        # Of any subclass of list a copy is made entry by entry.
        super().__init__(entries[:] if isinstance(entries, Entries) else entries)
        # The same as a list of no other class, where a node has it: else it is copied once more
        # before it is pickled.
        self.same: list[object] | None = None
        self.stamps = stamps
        self.has_marks = has_marks

    def part(self, start: int, stop: int) -> Entries:
        """Gives some of the entries, with their stamps."""
        stamps = tuple([column[start:stop] for column in self.stamps])
        return Entries(self[start:stop], stamps, self.has_marks)

    def inside(self, column: Column) -> Entries:
        """Gives the same entries with the stamps of one more join, inside of those around them."""
        return Entries(self, (*self.stamps, column), self.has_marks)


def entries_of(items: list[object], stamps: Stamps = (), has_marks: bool = False) -> Entries:
    """Gives a slice on its way out, whose items nobody changes any more."""
    entries = Entries(items, stamps, has_marks)
    entries.same = items
    return entries


def has_marks(items: list[object]) -> bool:
    """May there be marks in a slice?"""
    return isinstance(items, Entries) and items.has_marks


def items_of(entries: list[object]) -> list[object]:
    """Gives a slice without its marks.

    >>> items_of(Entries(["a", None, "b"], has_marks=True))
    ['a', 'b']
    """
    return without_marks(entries) if has_marks(entries) else entries


def without_marks(entries: list[object]) -> list[object]:
    """Gives the items of a slice, or the slice itself where each of its entries is one."""
    # Where all are true none is None, and to see that takes a third of the time.
    return entries if all(entries) else [each for each in entries if each is not None]


def count_of_marks(entries: list[object]) -> int:
    """How many marks there are in a slice that may have some."""
    return 0 if all(entries) else entries.count(MARK)


def first_of(entries: Iterable[object]) -> object:
    """Gives the first item among some entries; a mark if there is none.

    >>> first_of([None, "a", None]), first_of([None])
    ('a', None)
    """
    return next((each for each in entries if each is not None), MARK)


def has_items(entries: list[object]) -> bool:
    """Is there an item in a slice?  A None is one where there are no marks.

    >>> has_items(Entries([None, "a"], has_marks=True)), has_items(Entries([None], has_marks=True))
    (True, False)
    >>> has_items([None]), has_items([])
    (True, False)
    """
    return first_of(entries) is not MARK if has_marks(entries) else len(entries) > 0


def places_of(entries: list[object]) -> list[int]:
    """Where the items are in a slice.

    >>> places_of([None, "a", None, "b"])
    [1, 3]
    """
    return [place for place, each in enumerate(entries) if each is not None]


def marks_of(entries: list[object]) -> list[int]:
    """Where the marks are in a slice."""
    return [place for place, each in enumerate(entries) if each is None]


def marked(items: list[object], places: Sequence[int]) -> list[object]:
    """Gives a slice in which marks stand at these places, in growing order.

    >>> marked(["a", "b"], [0, 2, 4])
    [None, 'a', None, 'b', None]
    """
    entries: list[object] = []
    taken = 0
    for before, place in enumerate(places):
        entries += items[taken : place - before]
        entries.append(None)
        taken = place - before
    return entries + items[taken:]


def spread(items: Iterable[object], entries: list[object]) -> Entries:
    """Gives a slice with these items where others are in `entries`, and marks where those are.

    >>> spread("xy", [None, "a", None, "b"])
    [None, 'x', None, 'y']
    """
    there = iter(items)
    return Entries([None if each is None else next(there) for each in entries], has_marks=True)


def among(entries: list[object], make: Callable[[list[object]], list[object]]) -> list[object]:
    """Lets `make` have the items of a slice, of each of which it makes another; the marks stay.

    >>> among(Entries([1, None, 3], has_marks=True), lambda items: [-item for item in items])
    [-1, None, -3]
    """
    if not has_marks(entries):
        return make(entries)
    items = items_of(entries)
    made = make(items)
    return entries if made is items else spread(made, entries)


def no_mark(items: list[object]) -> list[object]:
    """Gives a slice for a lane: if there is an item that is None, all are sealed."""
    return items if len(without_marks(items)) == len(items) else all_sealed(items)


# ------------------------------------------------------------------------------------- columns


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
    return [*column, *other]


# -------------------------------------------------------------------------------------- slices


def cut(items: list[object], start: int, stop: int) -> list[object]:
    """Gives a part of a slice, with its stamps."""
    return items.part(start, stop) if isinstance(items, Entries) else items[start:stop]


def gather(items: list[object], more: list[object]) -> None:
    """Adds to a slice what comes behind it; if it has stamps, the others must follow them."""
    items += more[:]  # a list of the list itself is added at a third of the time
    if isinstance(items, Entries) and isinstance(more, Entries):
        items.same = None
        items.stamps = appended(items.stamps, more.stamps)
        items.has_marks |= more.has_marks
