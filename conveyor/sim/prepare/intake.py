"""The items that go into a simulation, each made safe as it is pulled from its iterable.

A source may give one object again and again, changed each time, as a reader does that fills one
dict for each row.  So an item is sealed before the next is pulled, as in a real run.  With
`copy=False` it goes on by reference: there, every item of such a source shows the last row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sized
from typing import Final

from conveyor.errors import NotPicklable
from conveyor.items.atoms import is_atom
from conveyor.items.sealing import Sealed, Take, sealer

__all__ = ["MOST_PULLED", "ByReference", "as_given", "taken_in"]

MOST_PULLED: Final = 1_000_000  # of an iterable that does not say how many there are


def taken_in(items: Iterable[object], *, copies: bool = True, expected: int = 0) -> list[object]:
    """All items of an iterable; those that could change are sealed one by one.

    Raises `NotPicklable`; and `ValueError` after a million items, or `expected` if that is more,
    of an iterable that has no length.

    >>> row = {"n": 0}
    >>> as_given(taken_in(row for row["n"] in range(2)))
    [{'n': 0}, {'n': 1}]
    """
    seal = sealer() if copies else ByReference
    safe: list[object] = []
    most = None if isinstance(items, Sized) else max(MOST_PULLED, expected)
    for item in items:
        if len(safe) == most:
            raise ValueError(
                f"the input has more than {most:,} items and does not say how many: "
                "a simulated run ends only behind the last. "
                "Give it a part, such as itertools.islice(items, 100), or a list"
            )
        try:
            safe.append(item if is_atom(item) or isinstance(item, Sealed) else seal(item))
        except NotPicklable as error:
            error.add_note(f"It is item {len(safe)} of the run's input.")
            raise
    return safe


def as_given(items: Iterable[object]) -> list[object]:
    """The items as they were when they were pulled: sealed items are opened, which copies them."""
    return [item.open() if isinstance(item, Sealed) else item for item in items]


class ByReference(Sealed):
    """An item that is not copied, for simulations that are to be quick rather than faithful.

    It stands in for a sealed item.  Opened, it is the very object, so a job that changes its item
    changes it for every other job.

    >>> item = [1]
    >>> ByReference(item).open() is item
    True
    """

    __slots__ = ("item",)

    def __init__(self, item: object) -> None:
        self.item = item

    def open(self, take: Take = bytearray) -> object:
        return self.item
