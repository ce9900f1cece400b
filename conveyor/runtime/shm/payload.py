"""How sealed items are told of in a record.

This file knows rows, pickles, and the buffers beside these.  It must never know where a record
lies, or what else is in it.

Items that are alike are told of together: rows of one form, and pickles.  A group of rows is a
pickle inside of the pickle, so where it cannot be loaded the other items can, and where buffers lie
can be read without it.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

from conveyor.items.columns import (
    decoded,
    form_in,
    group_encoded,
    grouped,
    merged,
    opened_at_once,
)
from conveyor.items.forms import Row
from conveyor.items.sealed import PROTOCOL, Pickled, Sealed, Take, lost
from conveyor.items.sealing import pickled

__all__ = ["StoredPickle", "Where", "items_from", "opened_from", "payload_of", "wheres_in"]

# Of a buffer beside a pickle: where it lies, or what is in it.
Where: TypeAlias = tuple[int, int]
# An item that is a pickle: that, or that and its buffers.
StoredPickle: TypeAlias = bytes | tuple[bytes, *tuple[bytes | Where, ...]]
WithBuffers: TypeAlias = Callable[[tuple[bytes, *tuple[bytes | Where, ...]]], Sealed]
# How many rows, and the pickle of all; or pickles.
Group: TypeAlias = tuple[int, bytes] | list[StoredPickle]


def payload_of(items: Sequence[object], stored: Callable[[Sealed], StoredPickle]) -> bytes:
    """The payload of a slice of sealed items; `stored` gives what stands for a pickle.

    Raises `NotPicklable` for a row whose class is not found any more.
    """
    order, groups = grouped(items, form_in)
    return pickle.dumps((order, [group_of(group, stored) for group in groups]), PROTOCOL)


def group_of(items: Sequence[Any], stored: Callable[[Sealed], StoredPickle]) -> Group:
    if isinstance(items[0], Row):
        try:
            return len(items), pickle.dumps(group_encoded(items), PROTOCOL)
        except Exception:
            items = [pickled(row.open()) for row in items]
    return [item.data if not item.buffers else stored(item) for item in items]


def groups_in(payload: bytes | memoryview) -> tuple[list[int] | None, list[Group]]:
    groups: tuple[list[int] | None, list[Group]] = pickle.loads(payload)
    return groups


def items_from(payload: bytes | memoryview, with_buffers: WithBuffers) -> list[object]:
    """The items of a payload; `with_buffers` makes one that has buffers beside its pickle."""
    order, groups = groups_in(payload)
    return [*merged(order, [items_of(group, with_buffers) for group in groups])]


def items_of(group: Group, with_buffers: WithBuffers) -> Sequence[object]:
    if isinstance(group, list):
        return [Pickled(part) if isinstance(part, bytes) else with_buffers(part) for part in group]
    count, data = group
    try:
        return decoded(pickle.loads(data))
    except Exception as error:
        return [lost(error)] * count


def opened_from(payload: bytes | memoryview, with_buffers: WithBuffers, take: Take) -> list[object]:
    """The items of a payload, opened, for who wants each once; raises `NotPicklable` for one that
    cannot be made here."""
    order, groups = groups_in(payload)
    return [*merged(order, [opened_of(group, with_buffers, take) for group in groups])]


def opened_of(group: Group, with_buffers: WithBuffers, take: Take) -> Sequence[object]:
    if isinstance(group, list):
        alone = cast("Sequence[Sealed]", items_of(group, with_buffers))
        return [item.open(take) for item in alone]
    _, data = group
    try:
        return opened_at_once(pickle.loads(data))
    except Exception as error:
        return [lost(error).open()]  # which raises


def wheres_in(payload: bytes | memoryview) -> list[Where]:
    """Where the buffers of the items of a payload lie."""
    _, groups = groups_in(payload)
    return [
        each
        for group in groups
        if isinstance(group, list)
        for part in group
        if isinstance(part, tuple)
        for each in part
        if isinstance(each, tuple)
    ]
