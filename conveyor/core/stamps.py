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
         such a column is `Copies`, however long.  Where each origin has any number of entries in
         its lane, a column is `Groups`, which says behind how many each ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from conveyor.core.stamp_columns import Column, Stamps, appended
from conveyor.items.slices import all_sealed

__all__ = [
    "Entries",
    "MARK",
    "among",
    "count_of_marks",
    "cut",
    "entries_of",
    "first_of",
    "gather",
    "has_items",
    "has_marks",
    "marked",
    "items_of",
    "marks_of",
    "no_mark",
    "places_of",
    "spread",
    "without_marks",
]

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
