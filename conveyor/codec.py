"""What an item looks like between two processors.

Knows: which items may travel together, and how one travels alone.  Must never know: channels, records, processes.

Rule 1.  An item leaves its job the moment it is returned or yielded.  What happens to the object afterwards must not show.
Rule 2.  An *atom* cannot change: int, float, complex, str, bytes, bool, None, and tuples of them.  Atoms are
         carried as they are, and a whole slice of them is encoded at once.
Rule 3.  Anything else is *sealed*: pickled at once and alone, and opened again just before the next job sees it.  So every
         lane and every attempt opens a copy of its own, and an item that cannot be pickled is known by name.

A slice, between a node and a channel, holds either sealed items only, or atoms only.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from reprlib import Repr
from typing import Final, cast

from conveyor.errors import NotPicklable

__all__ = ["Bundle", "Sealed", "is_atom", "opened", "opened_each", "seal", "uniform"]

PROTOCOL: Final = 5
SHORT: Final = Repr()
SHORT.maxstring = SHORT.maxother = SHORT.maxlong = 80
SIMPLE: Final = frozenset({int, float, complex, str, bytes, bool, type(None)})


def is_atom(item: object) -> bool:
    """Is `item` of a type that nobody can change afterwards?

    >>> is_atom((1, "a", None)), is_atom([1]), is_atom((1, [2]))
    (True, False, False)
    """
    kind = type(item)
    if kind in SIMPLE:
        return True
    return kind is tuple and all(is_atom(part) for part in parts_of(item))


def parts_of(item: object) -> tuple[object, ...]:
    """`item`, which is a tuple, as the type checkers may know it."""
    assert isinstance(item, tuple)
    return cast("tuple[object, ...]", item)


class Sealed:
    """One item, pickled: nothing can change it any more, and each `open` gives a new copy."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def open(self) -> object:
        try:
            item: object = pickle.loads(self.data)
        except Exception as error:
            raise NotPicklable(
                f"an item cannot be unpickled: {type(error).__name__}: {error}. "
                "Its class must be importable in the worker, or be defined in __main__, and take its own pickle back."
            ) from error
        return item


class Bundle(Sealed):
    """A tuple of items of which some are sealed: what a zip gives.  It is opened part by part."""

    __slots__ = ("parts",)

    def __init__(self, parts: tuple[object, ...]) -> None:
        super().__init__(b"")
        self.parts = parts

    def open(self) -> object:
        return tuple(part.open() if isinstance(part, Sealed) else part for part in self.parts)


def seal(item: object) -> Sealed:
    """`item`, pickled on its own.

    >>> seal([1, 2]).open()
    [1, 2]
    """
    try:
        return Sealed(pickle.dumps(item, PROTOCOL))
    except Exception as error:
        raise NotPicklable(
            f"{short_repr(item)} cannot be pickled: {type(error).__name__}: {error}. "
            "Items and results travel between processes by pickle; send something that can be pickled instead."
        ) from error


def uniform(items: list[object]) -> list[object]:
    """The items as a slice: if one of them is sealed, all are.

    >>> [type(item).__name__ for item in uniform([1, seal([2])])]
    ['Sealed', 'Sealed']
    """
    sealed = sum(isinstance(item, Sealed) for item in items)
    return items if sealed in (0, len(items)) else all_sealed(items)


def all_sealed(items: list[object]) -> list[object]:
    return [whole(item) for item in items]


def whole(item: object) -> Sealed:
    if type(item) is Sealed:
        return item
    return seal(item.open() if isinstance(item, Sealed) else item)


def opened(items: list[object]) -> Iterable[object]:
    """The items of a slice as a job may see them, each opened when its turn comes."""
    return opened_each(items) if items and isinstance(items[0], Sealed) else items


def opened_each(items: Iterable[object]) -> Iterator[object]:
    for item in items:
        yield item.open() if isinstance(item, Sealed) else item


def short_repr(item: object, width: int = 80) -> str:
    """A repr that fits in a message, whatever `__repr__` does, and of large containers only the beginning.

    >>> short_repr(range(3)), short_repr([0] * 100)
    ('range(0, 3)', '[0, 0, 0, 0, 0, 0, ...]')
    """
    try:
        text = SHORT.repr(item)
    except Exception as error:
        text = f"<{type(item).__name__} whose repr raised {type(error).__name__}>"
    return text if len(text) <= width else text[: width - 3] + "..."
