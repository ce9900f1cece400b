"""How one item travels between two jobs, so that nothing can change it on the way.

Knows: what is safe as it is, and how anything else travels alone.  Must never know: slices,
channels, processes.

Rule 1.  An item leaves its job the moment it is returned or yielded.  What happens to the object
         afterwards must not show.
Rule 2.  An atom is carried as it is (`atoms`).
Rule 3.  Anything else is *sealed*: pickled at once and alone, and opened again just before the next
         job sees it.  So every lane and every attempt opens a copy of its own, and an item that
         cannot be pickled is known by name.  A dict or a list of simple things to which nothing
         else refers is as good as sealed: opened, it is copied.
Rule 4.  A large buffer of a sealed item is kept beside the pickle, copied at once.  The job that
         gets the item gets a copy again, or, having promised not to change it, the buffer itself,
         read-only, until the item is committed.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Sequence
from pickle import PickleBuffer
from sys import getrefcount
from typing import Any, Final, Protocol, TypeAlias

from conveyor.errors import NotPicklable
from conveyor.items.atoms import SIMPLE
from conveyor.items.short_repr import short_repr
from conveyor.items.unpicklable import plain_parts_of, reason

__all__ = [
    "Bundle",
    "Copied",
    "Keep",
    "Kept",
    "Owned",
    "Recycler",
    "Seal",
    "Sealed",
    "Take",
    "in_place",
    "is_owned",
    "seal",
    "sealer",
]

PROTOCOL: Final = 5
LARGE: Final = 32 << 10  # bytes; a buffer of that size or more is kept outside of the pickle
RECYCLED: Final = 4  # buffers
LARGEST_RECYCLED: Final = 64 << 20  # bytes


class Kept(Protocol):
    """A large buffer of an item, kept outside of its pickle."""

    @property
    def view(self) -> memoryview:
        """Its bytes, read-only; they stay what they are until the item is committed."""
        ...


class Copied:
    """A copy of a buffer, in ordinary memory."""

    __slots__ = ("view",)

    def __init__(self, raw: bytes | memoryview) -> None:
        self.view = memoryview(bytes(raw))


# Keeps a buffer when its item is sealed: what happens to the object afterwards does not show in
# the copy.
Keep: TypeAlias = Callable[[memoryview], Kept]

# Gives an item a buffer when it is opened: a copy of its own, unless its job promises only to read.
Take: TypeAlias = Callable[[memoryview], object]

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


class Sealed:
    """One item, pickled: nothing can change it any more.

    `data` is the pickle, `buffers` are the large buffers beside it.
    """

    __slots__ = ("buffers", "data")

    def __init__(self, data: bytes, buffers: Sequence[Kept] = ()) -> None:
        self.data = data
        self.buffers = buffers

    @property
    def size(self) -> int:
        """How many bytes the item takes, its buffers included."""
        return sum([len(buffer.view) for buffer in self.buffers], len(self.data))

    def open(self, take: Take = bytearray) -> object:
        """Gives a new copy of the item; `take` gives it each large buffer.

        Raises `NotPicklable` if its pickle cannot be loaded here.
        """
        try:
            item: object = (
                pickle.loads(self.data, buffers=[take(buffer.view) for buffer in self.buffers])
                if self.buffers
                else pickle.loads(self.data)
            )
        except NotPicklable as error:  # its class could not be sent here, and this says why
            raise NotPicklable(f"an item cannot be unpickled: {error}") from error
        except Exception as error:
            raise NotPicklable(
                f"an item cannot be unpickled: {type(error).__name__}: {error}. "
                "Its class must be importable in the worker, or be defined in __main__ (not after "
                "the workers were started: close and open the pipeline then), and take its own "
                "pickle back."
            ) from error
        return item

    def __reduce__(self) -> tuple[Callable[..., Sealed], tuple[object, ...]]:
        """Pickles the item with its buffers: so it travels inside of something else, such as a dead
        letter."""
        return _sealed, (self.data, *(bytes(buffer.view) for buffer in self.buffers))


def _sealed(data: bytes, *buffers: bytes) -> Sealed:
    return Sealed(data, [Copied(raw) for raw in buffers])


class Bundle(Sealed):
    """A tuple of items of which some are sealed, as a zip makes it; it is opened part by part."""

    __slots__ = ("parts",)

    def __init__(self, parts: tuple[object, ...]) -> None:
        super().__init__(b"")
        self.parts = parts

    def open(self, take: Take = bytearray) -> object:
        return tuple(part.open(take) if isinstance(part, Sealed) else part for part in self.parts)

    def __reduce__(self) -> tuple[Callable[..., Sealed], tuple[object, ...]]:
        return Bundle, (self.parts,)


class Owned(Sealed):
    """A dict or a list of simple things to which nothing else refers: nothing can change it any
    more, though it is not pickled."""

    __slots__ = ("value",)

    def __init__(self, value: dict[object, object] | list[object]) -> None:
        self.buffers = ()
        self.value = value

    @property
    def data(self) -> bytes:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]  # made when asked for
        return pickle.dumps(self.value, PROTOCOL)

    def open(self, take: Take = bytearray) -> object:
        return self.value.copy()


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


def sealer(keep: Keep = Copied) -> Seal:
    """Makes a function that seals one item; `keep` keeps its large buffers.

    The function is for one thread only: it remembers whether the last item had a large buffer.  It
    raises `NotPicklable`, with the reason, for an item that cannot be pickled.
    """
    large: list[memoryview] = []

    def is_small(buffer: PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < LARGE:
            return True
        large.append(raw)
        return False

    # Only a large pickle can have a large buffer in it: a callback that is never called costs a
    # small item a quarter more.
    expected = False

    def seal(item: object) -> Sealed:
        nonlocal expected
        try:
            if not expected:
                data = pickle.dumps(item, PROTOCOL)
                if len(data) < LARGE:
                    return Sealed(data)
            data = pickle.dumps(item, PROTOCOL, buffer_callback=is_small)
        except Exception as error:
            large.clear()
            why = reason(item, error, lambda part: pickle.dumps(part, PROTOCOL), plain_parts_of)
            raise NotPicklable(
                f"{short_repr(item)} cannot be pickled: {why}. "
                "Items and results travel between processes by pickle; send something that can be "
                "pickled instead."
            ) from error
        kept = [keep(raw) for raw in large]
        expected = bool(kept) or len(data) >= LARGE
        large.clear()
        return Sealed(data, kept)

    return seal


def seal(item: object) -> Sealed:
    """Seals one item, with copies of its large buffers, such as those of arrays.

    >>> seal([1, 2]).open()
    [1, 2]
    """
    return sealer()(item)
