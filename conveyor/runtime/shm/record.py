"""What is in a record: a slice of items, encoded once for all the lanes it goes to.

This file knows what an ordered join must know of items, in front of them.  It must never know where
a record lies.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from struct import Struct
from typing import Final, TypeAlias, TypeVar

from conveyor.core.stamp_columns import Column, Groups, Stamps, run_of
from conveyor.core.stamps import MARK, Entries, marks_of
from conveyor.items.sealed import PROTOCOL
from conveyor.runtime.shm.allocator import Extent
from conveyor.runtime.shm.ring import STAMPED

__all__ = [
    "Blob",
    "Unread",
    "carried_in",
    "items_in",
    "marks_in",
    "stamps_in",
    "unread",
    "with_carried",
    "with_stamps",
    "without_carried",
]


class Blob:
    """A slice, encoded once for all the lanes it goes to; `kept` are the buffers of its items that
    lie in extents."""

    __slots__ = ("carries", "data", "extent", "form", "kept")

    def __init__(
        self, form: int, data: bytes, kept: Sequence[Extent] = (), extent: Extent | None = None
    ) -> None:
        self.form = form
        self.data = data
        self.kept = kept
        self.extent = extent  # where `data` lies, if it is too large for the ring
        self.carries = 0  # items that go to other lanes

    def outside(self, largest: int) -> int:
        """How many bytes of it lie in extents, if a payload in the ring has at most `largest`."""
        size = len(self.data)
        return sum([extent.size for extent in self.kept], size if size > largest else 0)


# In front of the items of a stamped record: how long what stands there is; then whether there are
# marks, or among sealed items their places (among atoms they are None, as in the slice); and the
# columns of stamps.  A column that is a range is its origin and its length, one of groups is its
# origin and where they end.
LENGTH: Final = Struct("Q")


Marks: TypeAlias = "list[int] | bool"


def marks_in(entries: Entries, is_sealed: bool) -> Marks:
    """What a record says of the marks among these entries."""
    return marks_of(entries) if is_sealed and entries.has_marks else entries.has_marks


def with_stamps(blob: Blob, marks: Marks, stamps: Stamps) -> Blob:
    """Puts the marks and stamps of entries in front of their items."""
    front = pickle.dumps((marks, [column_packed(each) for each in stamps]), PROTOCOL)
    blob.data = LENGTH.pack(len(front)) + front + blob.data
    blob.form |= STAMPED
    return blob


Packed: TypeAlias = "tuple[int, int | list[int]] | list[int]"


def column_packed(column: Column) -> Packed:
    if isinstance(column, range):
        return column.start >> 1, len(column)
    return (column.origin, column.ends) if isinstance(column, Groups) else [*column]


def column_from(packed: Packed) -> Column:
    if isinstance(packed, list):
        return packed
    origin, entries = packed
    return run_of(origin, entries) if isinstance(entries, int) else Groups(origin, entries)


def items_in(payload: memoryview | bytes, form: int) -> memoryview | bytes:
    """The part of a payload that is its items."""
    if not form & STAMPED:
        return payload
    return payload[LENGTH.size + LENGTH.unpack_from(payload)[0] :]


def stamps_in(payload: memoryview | bytes) -> tuple[Marks, Stamps]:
    """What a stamped payload says of the marks, and the stamps."""
    marks: Marks
    columns: list[Packed]
    marks, columns = pickle.loads(payload[LENGTH.size :])
    return marks, tuple([column_from(each) for each in columns])


class Unread(Entries):
    """A slice as it lies in a record, for a node that passes it on as it is.

    How many entries it has is known, and their stamps; a mark stands for each of them, as nobody
    is to look at it.  `data` are the items, and may be a view of the record.
    """

    __slots__ = ("data", "form", "marks")

    def __init__(
        self, count: int, form: int, data: memoryview | bytes, marks: Marks, stamps: Stamps
    ) -> None:
        super().__init__([MARK] * count, stamps, bool(marks))
        self.form = form
        self.data = data
        self.marks = marks

    def inside(self, column: Column) -> Unread:
        stamps = (*self.stamps, column)
        return Unread(len(self), self.form | STAMPED, self.data, self.marks, stamps)

    def packed(self) -> Blob:
        """Gives the slice as it goes into another record."""
        blob = Blob(self.form & ~STAMPED, bytes(self.data))
        return with_stamps(blob, self.marks, self.stamps) if self.stamps else blob


def unread(payload: memoryview | bytes, count: int, form: int) -> Unread:
    """The slice in a payload, not decoded."""
    marks, stamps = stamps_in(payload) if form & STAMPED else (False, ())
    return Unread(count, form, items_in(payload, form), marks, stamps)


# Behind the items of a record there may be parts of it that go elsewhere, pickled, and how many
# bytes these are.
Carried: TypeAlias = list[tuple[int, int, int, bytes]]
"""Of each: the lanes, as bits, how many items, their form, and the items."""


Data = TypeVar("Data", bytes, memoryview)


def with_carried(data: bytes, parts: Carried) -> bytes:
    behind = pickle.dumps(parts, PROTOCOL)
    return b"".join([data, behind, LENGTH.pack(len(behind))])


def without_carried(data: Data) -> Data:
    return data[: len(data) - LENGTH.size - _length(data)]


def carried_in(data: bytes) -> Carried:
    end = len(data) - LENGTH.size
    parts: Carried = pickle.loads(data[end - _length(data) : end])
    return parts


def _length(data: bytes | memoryview) -> int:
    length: int = LENGTH.unpack_from(data, len(data) - LENGTH.size)[0]
    return length
