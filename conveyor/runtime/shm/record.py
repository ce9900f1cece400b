"""What is in a record: a slice of items, encoded once for all the lanes it goes to.

This file knows how an item is told of in a record.  It must never know where a record lies.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import TypeAlias

from conveyor.runtime.shm.allocator import Extent

__all__ = ["Blob", "Part", "Where", "parts_of"]


class Blob:
    """A slice, encoded once for all the lanes it goes to; `kept` are the buffers of its items that
    lie in extents."""

    __slots__ = ("data", "extent", "form", "kept")

    def __init__(
        self, form: int, data: bytes, kept: Sequence[Extent] = (), extent: Extent | None = None
    ) -> None:
        self.form = form
        self.data = data
        self.kept = kept
        self.extent = extent  # where `data` lies, if it is too large for the ring

    def outside(self, largest: int) -> int:
        """How many bytes of it lie in extents, if a payload in the ring has at most `largest`."""
        size = len(self.data)
        return sum([extent.size for extent in self.kept], size if size > largest else 0)


# An item in a record: itself, if it is simple; its pickle; or its pickle and of each buffer where
# it lies, or what is in it.
Where: TypeAlias = tuple[int, int]
Part: TypeAlias = (
    dict[object, object] | list[object] | bytes | tuple[bytes, *tuple[bytes | Where, ...]]
)


def parts_of(payload: bytes | memoryview) -> list[Part]:
    parts: list[Part] = pickle.loads(payload)
    return parts
