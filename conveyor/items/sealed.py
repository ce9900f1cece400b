"""What is sealed: an item that nothing can change any more, until the next job opens it.

Knows: what every sealed item can do, and an item that is a pickle.  Must never know: how an item
gets sealed (`sealing`), slices, channels.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeAlias

from conveyor.errors import NotPicklable
from conveyor.items.failures import OWN_FAILURES

__all__ = [
    "PROTOCOL",
    "Bundle",
    "Copied",
    "Keep",
    "Kept",
    "Pickled",
    "Sealed",
    "Take",
    "lost",
]

PROTOCOL: Final = 5


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


class Sealed:
    """One item that nothing can change any more."""

    __slots__ = ()

    @property
    def data(self) -> bytes:
        """The item as one pickle; where it is none yet, it is made when it is asked for."""
        return pickle.dumps(self.open(), PROTOCOL)

    @property
    def buffers(self) -> Sequence[Kept]:
        """Its large buffers, which are beside the pickle."""
        return ()

    @property
    def size(self) -> int:
        """About how many bytes the item takes, its buffers included."""
        return len(self.data)

    def open(self, take: Take = bytearray) -> object:
        """Gives a new copy of the item; `take` gives it each large buffer.

        Raises `NotPicklable` if it cannot be made here.
        """
        raise NotImplementedError

    def __reduce__(self) -> tuple[Callable[..., Sealed], tuple[object, ...]]:
        """Pickles the item as it is: so it travels inside of something else, such as a dead
        letter."""
        return Pickled, (self.data,)


class Pickled(Sealed):
    """A pickle, and the large buffers beside it."""

    __slots__ = ("buffers", "data")
    data: bytes  # pyright: ignore[reportIncompatibleVariableOverride]  # kept, and not made
    buffers: Sequence[Kept]  # pyright: ignore[reportIncompatibleVariableOverride]  # so, too

    def __init__(self, data: bytes, buffers: Sequence[Kept] = ()) -> None:
        self.data = data  # pyright: ignore[reportIncompatibleMethodOverride]  # as above
        self.buffers = buffers  # pyright: ignore[reportIncompatibleMethodOverride]  # as above

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
        except OWN_FAILURES as error:
            raise NotPicklable(f"an item cannot be unpickled: {why_unreadable(error)}") from error
        return item

    def __reduce__(self) -> tuple[Callable[..., Sealed], tuple[object, ...]]:
        return _pickled, (self.data, *(bytes(buffer.view) for buffer in self.buffers))


def _pickled(data: bytes, *buffers: bytes) -> Sealed:
    return Pickled(data, [Copied(raw) for raw in buffers])


class Lost:
    """In the place of an item of which nothing can be made here: it pickles, and says why when it
    is loaded."""

    def __init__(self, why: str) -> None:
        self.why = why

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return _not_found, (self.why,)


def _not_found(why: str) -> object:
    raise NotPicklable(why)


def lost(error: Exception) -> Pickled:
    """An item that came, and cannot be opened because of `error`.

    >>> lost(AttributeError("no such class")).open()
    Traceback (most recent call last):
    conveyor.errors.NotPicklable: an item cannot be unpickled: AttributeError: no such class. ...
    """
    return Pickled(pickle.dumps(Lost(why_unreadable(error)), PROTOCOL))


def why_unreadable(error: BaseException) -> str:
    if isinstance(error, NotPicklable):  # its class could not be sent here, and this says why
        return str(error)
    return (
        f"{type(error).__name__}: {error}. "
        "Its class must be importable in the worker, or be defined in __main__ (not after "
        "the workers were started: close and open the pipeline then), and take its own "
        "pickle back."
    )


class Bundle(Sealed):
    """A tuple of items of which some are sealed, as a zip makes it; it is opened part by part."""

    __slots__ = ("parts",)

    def __init__(self, parts: tuple[object, ...]) -> None:
        self.parts = parts

    def open(self, take: Take = bytearray) -> object:
        return tuple(part.open(take) if isinstance(part, Sealed) else part for part in self.parts)

    def __reduce__(self) -> tuple[Callable[..., Sealed], tuple[object, ...]]:
        return Bundle, (self.parts,)
