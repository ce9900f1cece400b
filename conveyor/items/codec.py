"""What an item looks like between two processors.

Knows: which items may travel together, and how one travels alone.  Must never know: channels,
records, processes.

Rule 1.  An item leaves its job the moment it is returned or yielded.  What happens to the object
         afterwards must not show.
Rule 2.  An *atom* cannot change: int, float, complex, str, bytes, bool, None, and tuples of them.
         Atoms are carried as they are, and a whole slice of them is encoded at once.
Rule 3.  Anything else is *sealed*: pickled at once and alone, and opened again just before the next
         job sees it.  So every lane and every attempt opens a copy of its own, and an item that
         cannot be pickled is known by name. A dict or a list of simple things to which nobody
         refers but we is as good as sealed: opened, it is copied.
Rule 4.  A large buffer of a sealed item is kept beside the pickle, copied at once.  Whoever opens
         the item gets a copy again, or, having promised not to change it, the buffer itself,
         read-only, until the item is committed.

A slice, between a node and a channel, holds either sealed items only, or atoms only.  Within a
worker that runs several jobs it is *loose*: any of them, and, as they are, dicts and lists of
simple things to which nothing else refers; a job gets a copy.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import countOf
from pickle import PickleBuffer
from reprlib import Repr
from sys import getrefcount
from typing import Any, Final, Protocol, TypeAlias, cast

from conveyor.errors import NotPicklable
from conveyor.items.unpicklable import plain_parts_of, reason

__all__ = [
    "ATOMS",
    "Bundle",
    "Copied",
    "Keep",
    "Kept",
    "Owned",
    "Recycler",
    "Seal",
    "Sealed",
    "ShortRepr",
    "Take",
    "in_place",
    "kind_of_all",
    "is_atom",
    "is_owned",
    "is_simple",
    "opened",
    "opened_each",
    "opened_loose",
    "seal",
    "sealer",
    "tight",
    "uniform",
]

PROTOCOL: Final = 5


class ShortRepr(Repr):
    """As `reprlib` makes them, and quick for bytes, too, of which it would write out all before it
    cuts."""

    def repr_bytes(self, value: bytes | bytearray, level: int) -> str:
        most = self.maxother
        return (
            repr(value)
            if len(value) * 4 <= most
            else self.cut(repr(value[:most]), most, len(value) > most)
        )

    repr_bytearray = repr_bytes

    def cut(self, text: str, most: int, more: bool) -> str:
        return text if len(text) <= most and not more else f"{text[: most - 3]}..."


SHORT: Final = ShortRepr()
SHORT.maxstring = SHORT.maxother = SHORT.maxlong = 80
LARGE: Final = 32 << 10  # bytes from which on a buffer does better outside of the pickle
RECYCLED: Final = 4
LARGEST_RECYCLED: Final = 64 << 20
SIMPLE: Final = frozenset({int, float, complex, str, bytes, bool, type(None)})
DEEPEST: Final = 20  # tuples within one another, of an atom
ATOMS: Final = SIMPLE | {
    tuple
}  # what is in a slice that is not sealed; a tuple is one if its parts are


def is_atom(item: object) -> bool:
    """Is `item` of a type that nobody can change afterwards?  Tuples deep within one another go by
    themselves, as lists do.

    >>> is_atom((1, "a", None)), is_atom([1]), is_atom((1, [2]))
    (True, False, False)
    """
    kind = type(item)
    if kind in SIMPLE:
        return True
    if kind is not tuple:
        return False
    return SIMPLE.issuperset(map(type, parts_of(item))) or _is_of_atoms(parts_of(item), DEEPEST)


def _is_of_atoms(parts: tuple[object, ...], depth: int) -> bool:
    for part in parts:
        kind = type(part)
        if kind not in SIMPLE and (
            kind is not tuple or not depth or not _is_of_atoms(parts_of(part), depth - 1)
        ):
            return False
    return True


def parts_of(item: object) -> tuple[object, ...]:
    """`item`, which is a tuple, as the type checkers may know it."""
    return cast("tuple[object, ...]", item)


class Kept(Protocol):
    """A large buffer of an item, outside of its pickle."""

    @property
    def view(self) -> memoryview:
        """Its bytes, read-only; they stay what they are until the item is committed."""
        ...


class Copied:
    """A buffer that its item carries along."""

    __slots__ = ("view",)

    def __init__(self, raw: bytes | memoryview) -> None:
        self.view = memoryview(bytes(raw))


# How a buffer is kept when an item is sealed: whatever happens to the object afterwards, the copy
# stays as it is.
Keep: TypeAlias = Callable[[memoryview], Kept]
# What an item gets for a buffer when it is opened: a copy of its own, unless its job promises only
# to read.
Take: TypeAlias = Callable[[memoryview], object]
Seal: TypeAlias = "Callable[[object], Sealed]"


def in_place(view: memoryview) -> object:
    """The buffer itself, for a job that promises only to read."""
    return view


class Recycler:
    """Copies of buffers, in memory that is used again as soon as nothing refers to it: new pages
    cost more than the copy."""

    __slots__ = ("used",)

    def __init__(self) -> None:
        self.used: deque[bytearray] = deque(maxlen=RECYCLED)

    def __call__(self, view: memoryview) -> object:
        used = self.used
        for index in range(len(used)):
            # A view of it, such as an array, would be one more.
            if len(used[index]) == len(view) and getrefcount(used[index]) == ALONE:
                used[index][:] = view
                return used[index]
        copy = bytearray(view)
        if len(copy) <= LARGEST_RECYCLED:
            used.append(copy)
        return copy


class Sealed:
    """One item, pickled: nothing can change it any more, and each `open` gives a new copy."""

    __slots__ = ("buffers", "data")

    def __init__(self, data: bytes, buffers: Sequence[Kept] = ()) -> None:
        self.data = data
        self.buffers = buffers

    @property
    def size(self) -> int:
        return sum([len(buffer.view) for buffer in self.buffers], len(self.data))

    def open(self, take: Take = bytearray) -> object:
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
                "Its class must be importable in the worker, or be defined in __main__ (not after the workers were started: "
                "close and open the pipeline then), and take its own pickle back."
            ) from error
        return item

    def __reduce__(self) -> tuple[Callable[..., Sealed], tuple[object, ...]]:
        """As one travels inside of something else, a dead letter, say: its buffers go along."""
        return _sealed, (self.data, *(bytes(buffer.view) for buffer in self.buffers))


def _sealed(data: bytes, *buffers: bytes) -> Sealed:
    return Sealed(data, [Copied(raw) for raw in buffers])


class Bundle(Sealed):
    """A tuple of items of which some are sealed: what a zip gives.  It is opened part by part."""

    __slots__ = ("parts",)

    def __init__(self, parts: tuple[object, ...]) -> None:
        super().__init__(b"")
        self.parts = parts

    def open(self, take: Take = bytearray) -> object:
        return tuple(part.open(take) if isinstance(part, Sealed) else part for part in self.parts)

    def __reduce__(self) -> tuple[Callable[..., Sealed], tuple[object, ...]]:
        return Bundle, (self.parts,)


class Owned(Sealed):
    """A dict or a list of simple things that nobody else refers to: it cannot change any more,
    either, and needs no pickle."""

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
    if getrefcount(box[0]) != ALONE:
        return False
    item: Any = box[0]
    if type(item) is dict:
        return SIMPLE.issuperset(map(type, item)) and SIMPLE.issuperset(map(type, item.values()))
    return type(item) is list and SIMPLE.issuperset(map(type, item))


def is_simple(things: Iterable[object]) -> bool:
    """Are all of them atoms, and none a tuple?"""
    return SIMPLE.issuperset(map(type, things))


def _count(box: list[object]) -> int:
    return getrefcount(box[0])


ALONE: Final = _count([[]])  # what is counted of a thing to which only a list refers


def sealer(keep: Keep = Copied) -> Seal:
    """What seals items, one at a time: to be shared by those in one thread only.  `keep` says where
    large buffers go."""
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
                "Items and results travel between processes by pickle; send something that can be pickled instead."
            ) from error
        kept = [keep(raw) for raw in large]
        expected = bool(kept) or len(data) >= LARGE
        large.clear()
        return Sealed(data, kept)

    return seal


def seal(item: object) -> Sealed:
    """`item`, pickled on its own, its large buffers (of arrays, say) kept beside the pickle.

    >>> seal([1, 2]).open()
    [1, 2]
    """
    return sealer()(item)


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
    if isinstance(item, Sealed):
        return seal(item.open()) if isinstance(item, Bundle) else item
    return seal(item)


def opened(items: list[object], take: Take = bytearray) -> Iterable[object]:
    """The items of a slice as a job may see them, each opened when its turn comes."""
    return opened_each(items, take) if items and isinstance(items[0], Sealed) else items


def opened_each(items: Iterable[object], take: Take = bytearray) -> Iterator[object]:
    for item in items:
        yield item.open(take) if isinstance(item, Sealed) else item


def kind_of_all(items: list[object]) -> type[object] | None:
    """The type of all items of a slice, if it is one."""
    kind = type(items[0])
    return kind if countOf(map(type, items), kind) == len(items) else None


def opened_loose(
    items: list[object], cursor: Iterator[object], take: Take = bytearray
) -> Iterator[object]:
    """What a job may see of a loose slice, as `cursor` comes to it.

    >>> items = [{"a": 1}, seal([2]), 3]
    >>> seen = list(opened_loose(items, iter(items)))
    >>> seen, seen[0] is items[0]
    ([{'a': 1}, [2], 3], False)
    """
    kind = kind_of_all(items)  # as a rule they are alike, and then nothing is called for each
    if kind is dict:
        return map(dict[object, object].copy, cast("Iterator[dict[object, object]]", cursor))
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
    """A loose slice as it goes to a channel.

    >>> [type(item).__name__ for item in tight([1, {"a": 1}])]
    ['Sealed', 'Owned']
    """
    kinds = set(map(type, items))
    if not kinds.isdisjoint((dict, list)):
        items = [
            Owned(cast("list[object]", item)) if type(item) in (dict, list) else item
            for item in items
        ]
    return uniform(items) if Bundle not in kinds else all_sealed(items)


def short_repr(item: object, width: int = 80) -> str:
    """A repr that fits in a message, whatever `__repr__` does, and of large containers only the
    beginning.

    >>> short_repr(range(3)), short_repr([0] * 100)
    ('range(0, 3)', '[0, 0, 0, 0, 0, 0, ...]')
    """
    try:
        text = SHORT.repr(item)
    except Exception as error:
        text = f"<{type(item).__name__} whose repr raised {type(error).__name__}>"
    return text if len(text) <= width else text[: width - 3] + "..."
