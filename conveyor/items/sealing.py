"""How one item travels between two jobs, so that nothing can change it on the way.

Knows: what is safe as it is, and how anything else travels alone.  Must never know: slices,
channels, processes.

Rule 1.  An item leaves its job the moment it is returned or yielded.  What happens to the object
         afterwards must not show.
Rule 2.  An atom is carried as it is (`atoms`).
Rule 3.  Anything else is *sealed* at once, and opened again just before the next job sees it:
         taken apart into a row where that is possible (`rows`), else pickled alone.  So every lane
         and every attempt opens a copy of its own, and an item that cannot be pickled is known by
         name.
Rule 4.  A large buffer of a sealed item is kept beside the pickle, copied at once.  The job that
         gets the item gets a copy again, or, having promised not to change it, the buffer itself,
         read-only, until the item is committed.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Coroutine
from pickle import PickleBuffer
from sys import getrefcount
from typing import Any, Final, TypeAlias

from conveyor.errors import NotPicklable
from conveyor.items.atoms import SIMPLE
from conveyor.items.rows import forget_changed, taken_apart
from conveyor.items.sealed import (
    PROTOCOL,
    Bundle,
    Copied,
    Keep,
    Kept,
    Pickled,
    Sealed,
    Take,
)
from conveyor.items.short_repr import short_repr
from conveyor.items.unpicklable import plain_parts_of, reason

__all__ = [
    "PROTOCOL",
    "Bundle",
    "Copied",
    "Keep",
    "Kept",
    "Pickled",
    "Recycler",
    "Seal",
    "Sealed",
    "Take",
    "in_place",
    "is_owned",
    "pickled",
    "seal",
    "sealer",
]

LARGE: Final = 32 << 10  # bytes; a buffer of that size or more is kept outside of the pickle
RECYCLED: Final = 4  # buffers
LARGEST_RECYCLED: Final = 64 << 20  # bytes


Seal: TypeAlias = "Callable[[object], Sealed]"


def in_place(view: memoryview) -> object:
    """Gives the buffer itself, for a job that promises only to read."""
    return view


class Recycler:
    """Copies buffers into memory that is used again as soon as nothing refers to it.

    A page that is new to the process costs more than the copy of what is put into it.
    """

    __slots__ = ("used",)

    def __init__(self) -> None:
        self.used: deque[bytearray] = deque(maxlen=RECYCLED)

    def __call__(self, view: memoryview) -> object:
        used = self.used
        for index in range(len(used)):
            # A view of it, such as an array, would be one reference more: then the memory must not
            # be used again.
            if len(used[index]) == len(view) and getrefcount(used[index]) == ONE_REFERENCE:
                used[index][:] = view
                return used[index]
        copy = bytearray(view)
        if len(copy) <= LARGEST_RECYCLED:
            used.append(copy)
        return copy


def is_owned(box: list[object]) -> bool:
    """Is what is first in `box` a dict or a list of simple things to which only the box refers?

    A variable would not do in its place: what a function was called with, its own caller may have
    in a variable, too, and since Python 3.14 such references are not counted.  What a list holds
    is.

    >>> fresh, shared = [{"a": 1}], [[2]]
    >>> elsewhere = shared[0]
    >>> is_owned(fresh), is_owned(shared)
    (True, False)
    """
    if getrefcount(box[0]) != ONE_REFERENCE:
        return False
    item: Any = box[0]
    kind = type(box[0])
    if kind is dict:
        return SIMPLE.issuperset(map(type, item)) and SIMPLE.issuperset(map(type, item.values()))
    return kind is list and SIMPLE.issuperset(map(type, item))


def _count(box: list[object]) -> int:
    return getrefcount(box[0])


# What is counted of a thing to which only a list refers: it differs between versions of Python.
ONE_REFERENCE: Final = _count([[]])


def instead_of(item: object) -> str:
    """What to do about an item that cannot be pickled."""
    if isinstance(item, Coroutine):
        item.close()  # else it warns that it was never awaited
        return (
            "A function that calls an async function gives this; give the stage the async function "
            "itself, which is awaited then."
        )
    return (
        "Items and results travel between processes by pickle; send something that can be "
        "pickled instead."
    )


def sealer(keep: Keep = Copied) -> Seal:
    """Makes a function that seals one item; `keep` keeps its large buffers.

    The function is for as many threads at once as `keep` is.  It raises `NotPicklable`, with the
    reason, for an item that cannot be pickled.
    """
    forget_changed()
    pickle_alone = pickler(keep)

    def seal(item: object) -> Sealed:
        row = taken_apart(item)
        return pickle_alone(item) if row is None else row

    return seal


def pickler(keep: Keep) -> Callable[[object], Pickled]:
    """What pickles one item, as `sealer` has it."""
    # Only a large pickle can have a large buffer in it: a callback that is never called costs a
    # small item a quarter more.
    expected = False

    def pickle_alone(item: object) -> Pickled:
        nonlocal expected
        try:
            if not expected:
                data = pickle.dumps(item, PROTOCOL)
                if len(data) < LARGE:
                    return Pickled(data)
            data, large = pickled_apart(item)
        except Exception as error:
            why = reason(item, error, lambda part: pickle.dumps(part, PROTOCOL), plain_parts_of)
            raise NotPicklable(
                f"{short_repr(item)} cannot be pickled: {why}. {instead_of(item)}"
            ) from error
        kept = [keep(raw) for raw in large]
        expected = bool(kept) or len(data) >= LARGE
        return Pickled(data, kept)

    return pickle_alone


def pickled_apart(item: object) -> tuple[bytes, list[memoryview]]:
    """The pickle of an item, and the large buffers that are not in it."""
    large: list[memoryview] = []

    def is_small(buffer: PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < LARGE:
            return True
        large.append(raw)
        return False

    try:
        return pickle.dumps(item, PROTOCOL, buffer_callback=is_small), large
    except BaseException:
        large.clear()  # else the traceback would keep the item's buffers from being changed
        raise


def pickled(item: object) -> Pickled:
    """Pickles one item alone, with copies of its large buffers, such as those of arrays."""
    return pickler(Copied)(item)


def seal(item: object) -> Sealed:
    """Seals one item.

    >>> seal([1, 2]).open()
    [1, 2]
    """
    row = taken_apart(item)
    return pickled(item) if row is None else row
