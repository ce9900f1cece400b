"""Slices: the items that travel together, between a node and a channel or between two jobs.

A slice at a channel is *tight*: it holds sealed items only, or atoms only, which are encoded all at
once.  Within a worker that runs several jobs it is *loose*: any of them, and, as they are, dicts
and lists of simple things to which nothing else refers; a job gets a copy of those.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import countOf
from typing import cast

from conveyor.items.atoms import ATOMS
from conveyor.items.forms import Row
from conveyor.items.sealing import Bundle, Sealed, Take, seal

__all__ = ["kind_of_all", "opened", "opened_loose", "opened_tight", "tight", "uniform"]


def uniform(items: list[object]) -> list[object]:
    """Makes a tight slice of items that are each sealed or an atom: if one is sealed, all are.

    >>> [isinstance(item, Sealed) for item in uniform([1, seal([2])])]
    [True, True]
    """
    kinds = set(map(type, items))  # few, so no Python code runs for each item
    sealed = sum([issubclass(kind, Sealed) for kind in kinds])
    return items if sealed in (0, len(kinds)) else all_sealed(items)


def all_sealed(items: list[object]) -> list[object]:
    """Seals each item that is not sealed yet."""
    return [whole(item) for item in items]


def whole(item: object) -> Sealed:
    """Gives the item sealed as one: a bundle is opened and sealed anew."""
    if isinstance(item, Sealed):
        return seal(item.open()) if isinstance(item, Bundle) else item
    return seal(item)


def opened(items: list[object], take: Take = bytearray) -> Iterable[object]:
    """Gives the items of a tight slice as a job may see them, each opened when its turn comes."""
    is_sealed = items and isinstance(items[0], Sealed)
    return opened_loose(items, iter(items), take) if is_sealed else items


def opened_tight(
    items: list[object], cursor: Iterator[object], take: Take = bytearray
) -> Iterator[object]:
    """Gives the items of a tight slice as a job may see them, as `cursor`, which iterates over
    them, comes to them; `take` gives a job each large buffer."""
    is_sealed = items and isinstance(items[0], Sealed)
    return opened_loose(items, cursor, take) if is_sealed else cursor


def kind_of_all(items: list[object]) -> type[object] | None:
    """Gives the type of the items of a slice, if all are of the same; the slice is not empty."""
    kind = type(items[0])
    return kind if countOf(map(type, items), kind) == len(items) else None


def opened_loose(
    items: list[object], cursor: Iterator[object], take: Take = bytearray
) -> Iterator[object]:
    """Gives the items of a loose slice as a job may see them, as `opened_tight` does.

    >>> items = [{"a": 1}, seal([2]), 3]
    >>> seen = list(opened_loose(items, iter(items)))
    >>> seen, seen[0] is items[0]
    ([{'a': 1}, [2], 3], False)
    """
    # As a rule all items are of one type.  Then no Python function is called for each of them.
    kind = kind_of_all(items)
    if kind is dict:
        return map(dict[object, object].copy, cast("Iterator[dict[object, object]]", cursor))
    if kind is not None and issubclass(kind, Row):
        return map(kind.open, cast("Iterator[Row]", cursor))
    return cursor if kind in ATOMS else _opened_loose(cursor, take)


def _opened_loose(items: Iterator[object], take: Take) -> Iterator[object]:
    for item in items:
        if isinstance(item, Sealed):
            yield item.open(take)
        elif type(item) is dict or type(item) is list:
            yield cast("list[object]", item).copy()
        else:
            yield item


def tight(items: list[object]) -> list[object]:
    """Makes a slice that can go to a channel of a loose one.

    >>> [isinstance(item, Sealed) for item in tight([1, {"a": 1}])]
    [True, True]
    """
    kinds = set(map(type, items))
    if not kinds.isdisjoint((dict, list)):
        items = [seal(item) if type(item) in (dict, list) else item for item in items]
    return uniform(items) if Bundle not in kinds else all_sealed(items)
