"""What can be told of items without keeping them: how many there were, and a checksum of some.

Knows: how to turn an item into bytes that are the same in every process.  Must never know: files,
processes, or what is compared with what.

Rule 1.  Items that are equal and of one type have the same print, in whatever process, order of a
         set or of a dict.
Rule 2.  Of a long run a sample is looked at: the first 256 items, and then one in thousands, by
         their ordinals alone.
Rule 3.  A digest says besides which stretches of items were looked at, every item of them; a
         checksum stands for those.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Final, NamedTuple, cast
from zlib import crc32

from conveyor.items.atoms import SIMPLE, is_atom
from conveyor.items.sealing import Sealed

__all__ = ["Digest", "Fingerprint", "print_of"]

FIRST: Final = 256
EVERY: Final = 4096
RARELY: Final = 1 << 16  # where more than a sample is looked at
DEEPEST: Final = 12
HEAD_OF_LIST: Final = 5  # bytes before the first item of a list, in that format
WITHOUT_REFERENCES: Final = 2  # a format of marshal in which equal atoms are equal bytes


def print_of(item: object) -> int:
    """A checksum of what an item is worth.

    >>> print_of({"a": {1, 2}, "b": []}) == print_of({"b": [], "a": {2, 1}})
    True
    >>> print_of(1) == print_of(1.0)
    False
    """
    if type(item) in SIMPLE:
        return crc32(marshal.dumps(cast("int", item), WITHOUT_REFERENCES))
    return crc32(canonical(item, 0))


def canonical(item: object, depth: int) -> bytes:
    """The same bytes for the same value; of what nothing is known, its class alone."""
    kind = type(item)
    if kind in SIMPLE:
        return marshal.dumps(cast("int", item), WITHOUT_REFERENCES)
    name = f"<{kind.__module__}.{kind.__qualname__}>".encode()
    if depth >= DEEPEST:
        return name
    if isinstance(item, Mapping):
        pairs = cast("Mapping[object, object]", item).items()
        return name + b"".join(sorted(canonical(pair, depth + 1) for pair in pairs))
    if isinstance(item, AbstractSet):
        return name + b"".join(
            sorted(canonical(each, depth + 1) for each in cast("AbstractSet[object]", item))
        )
    if isinstance(item, list | tuple):
        parts = [canonical(each, depth + 1) for each in cast("Sequence[object]", item)]
        return name + len(parts).to_bytes(8, "little") + b"".join(parts)
    if isinstance(item, Enum):
        return name + item.name.encode()
    return name + inside(item, depth)


def inside(item: object, depth: int) -> bytes:
    """What an object holds: a buffer, the arguments of an exception, its attributes."""
    try:
        with memoryview(item) as view:  # type: ignore[arg-type]  # that it has no buffer is what is tried
            return repr((view.format, view.shape)).encode() + view.tobytes()
    except (TypeError, ValueError, BufferError):
        pass
    held: dict[str, object] = {"args": item.args} if isinstance(item, BaseException) else {}
    held |= getattr(item, "__dict__", {})
    for base in type(item).__mro__:
        slots: object = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else cast("Iterable[str]", slots):
            if hasattr(item, name):
                held[name] = getattr(item, name)
    return canonical(held, depth + 1) if held else b""


class Fingerprint:
    """A fingerprint of items that come slice by slice.

    `prints` are two bytes of each item that was looked at.
    """

    def __init__(self, every: int = EVERY) -> None:
        self.every = every
        self.count = 0
        self.sum = 0
        self.prints = bytearray()

    def add(self, items: Sequence[object]) -> None:
        """The next items, as they are in a slice or as they are."""
        first, self.count = self.count, self.count + len(items)
        if first >= FIRST and -first % self.every >= len(items):
            return
        total, prints = self.sum, self.prints
        for ordinal in sampled(first, self.count, self.every):
            item = items[ordinal - first]
            found = print_of(item.open() if isinstance(item, Sealed) else item).to_bytes(
                4, "little"
            )
            total = crc32(found, total)
            prints += found[:2]
        self.sum = total

    def first_difference(self, other: Fingerprint) -> int | None:
        """The ordinal of the first item looked at that the other has otherwise, if it is among
        those that both have."""
        for index, ordinal in enumerate(sampled(0, min(self.count, other.count), self.every)):
            place = slice(2 * index, 2 * index + 2)
            if self.prints[place] != other.prints[place]:
                return ordinal
        return None


class Stretches(NamedTuple):
    """What was looked at of the items up to an ordinal: how many were left out, how many were
    looked at, and so on in turn; and the checksum of all that were looked at by then."""

    upto: int
    lengths: tuple[int, ...]
    sum: int


class Digest:
    """A checksum of items that come slice by slice, and a sample of them.

    All items of a slice are looked at, or none; the sample is taken in any case.
    """

    def __init__(self) -> None:
        self.sample = Fingerprint(RARELY)
        self.told: list[Stretches] = []
        self.sum = 0
        self.lengths = [0, 0]

    @property
    def count(self) -> int:
        return self.sample.count

    def add(self, items: Sequence[object], look: bool) -> None:
        """The next items, as they are in a slice."""
        self.sample.add(items)
        lengths, found = self.lengths, len(items)
        if not look:
            if lengths[-1]:
                lengths += (found, 0)
            else:
                lengths[-2] += found
            return
        lengths[-1] += found
        if found and not isinstance(items[0], Sealed):
            # Atoms, all at once: that is what each gives, one behind the other.
            whole = memoryview(marshal.dumps(cast("list[int]", items), WITHOUT_REFERENCES))
            self.sum = crc32(whole[HEAD_OF_LIST:], self.sum)
        else:
            for item in items:
                self.sum = crc32(
                    encoded(item.open() if isinstance(item, Sealed) else item), self.sum
                )

    def tell(self) -> Stretches:
        """What was looked at since this was asked the last time."""
        self.told.append(Stretches(self.count, tuple(self.lengths), self.sum))
        self.lengths = [0, 0]
        return self.told[-1]

    def first_difference(self, items: Sequence[object]) -> range | None:
        """Among which ordinals the first item is that cannot have been given, as far as there are
        items."""
        found = Fingerprint(RARELY)
        found.add(items[: self.count])
        ordinal = self.sample.first_difference(found)
        if ordinal is not None:
            return range(ordinal, ordinal + 1)
        at = total = 0
        for upto, lengths, told in self.told:
            first = at
            if upto > len(items):
                break
            for left_out, looked_at in zip(lengths[::2], lengths[1::2], strict=True):
                at += left_out
                for item in items[at : at + looked_at]:
                    total = crc32(encoded(item), total)
                at += looked_at
            if total != told:
                return range(first, upto)
        return None


def encoded(item: object) -> bytes:
    return (
        marshal.dumps(cast("int", item), WITHOUT_REFERENCES)
        if is_atom(item)
        else canonical(item, 0)
    )


def sampled(first: int, end: int, every: int) -> Sequence[int]:
    """The ordinals in [first, end) that are looked at.

    >>> [*sampled(254, 260, 4096)], [*sampled(260, 9000, 4096)]
    ([254, 255], [4096, 8192])
    """
    if first >= FIRST:
        return range(-(-first // every) * every, end, every)
    return [*range(first, min(end, FIRST)), *range(every, end, every)]
