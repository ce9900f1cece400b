"""What one machine tells another of its memory: stores, in the order in which they are to be made.

This file knows places in the memory and what is stored there.  It must never know what a word
means.

Rule 1.  Each word and byte is written on one machine only, and copied to the others that read it.
Rule 2.  It is state that is copied, and not messages: what was not copied yet is copied later, and
         what is copied twice is the same.
Rule 3.  What was stored last is looked at first, and stored last again: so whatever a word speaks
         of is there before the word is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pickle import PickleBuffer
from typing import Final, TypeAlias

from conveyor.runtime.shm.fence import fence
from conveyor.runtime.shm.memory import PAGE, Memory

__all__ = ["Bytes", "Data", "News", "Store", "Summary", "copy_of", "stored"]

WORD: Final = 8  # bytes

# Bytes; or those of an extent, which stay as they are until the machine that they are for has given
# them up: a pickle may leave them where they are.
Data: TypeAlias = bytes | PickleBuffer
Bytes: TypeAlias = tuple[int, Data]  # where, and what
Store: TypeAlias = tuple[int, int | Data]  # a word, stored whole; or bytes, in any order


@dataclass(frozen=True, slots=True)
class Summary:
    """How the producer's side of a channel stands, for a machine that has neither of its ends: its
    newest record, and the position behind that, which only grows."""

    tail_at: int
    tail: int
    stores: tuple[Bytes, ...]


@dataclass(slots=True)
class News:
    """What has changed on one machine: `stores` in their order.

    `published` says of channels how many items were published, and whether their consumer is to be
    woken at any rate; `committed`, how many were given up; `wakes` are nodes to be woken.
    """

    stores: list[Store] = field(default_factory=list[Store])
    summaries: list[Summary] = field(default_factory=list[Summary])
    last: list[Store] = field(default_factory=list[Store])  # after all of that
    published: list[tuple[int, int, bool]] = field(default_factory=list[tuple[int, int, bool]])
    committed: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    wakes: list[int] = field(default_factory=list[int])

    def __bool__(self) -> bool:
        """Is there anything to store, or anybody to be woken?"""
        stores = self.stores or self.summaries or self.last
        return bool(stores or self.published or self.committed or self.wakes)


def stored(memory: Memory, stores: Sequence[Store], between: Callable[[], None] = fence) -> None:
    """Makes these stores, one after the other."""
    for at, what in stores:
        if isinstance(what, int):
            between()
            memory.view[at : at + WORD].cast("Q")[0] = what
            continue
        data = memoryview(what)
        if at < memory.size:
            memory.view[at : at + len(data)] = data
        else:
            memory.reserve(at // PAGE * PAGE, at + len(data))
            memory.write(at, data)


def copy_of(memory: Memory, at: int, size: int, last: bytes | None) -> bytes | None:
    """Some words as they stand together at one moment, though another process may be writing them.

    None if they are as they were `last`, or change too quickly to be read now.
    """
    words = bytes(memory.view[at : at + size])
    if words == last:
        return None
    fence()
    return words if words == bytes(memory.view[at : at + size]) else None
