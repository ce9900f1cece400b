"""Resolves a route for one record: to which of its worker's outlets the record goes, or each of its
items.

Knows: the forks of a route, and the request to choose a lane.  Must never know: how a lane is
chosen, or what is in an item.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeAlias, assert_never

from typing_extensions import TypeVar

from conveyor.core.channel import Elsewhere, Outlet
from conveyor.core.requests import ChooseLane
from conveyor.core.stamp_columns import Column
from conveyor.core.stamps import Entries
from conveyor.graph.route import Balance, Leaf, Replicate, Route, Select, leaves

__all__ = ["Way", "parts_of", "ways"]

Blob = TypeVar("Blob")

# An outlet, how many items go there, and the items.
Copy: TypeAlias = tuple[Outlet[Blob], int, Blob]


class Way:
    """A route over the outlets of a worker: gives the lanes of a record as a bit mask over them.

    `mask` is the answer where there is nothing to choose.
    """

    __slots__ = ("choose", "mask", "ways")

    def __init__(self, mask: int | None, ways: Sequence[Way], choose: ChooseLane | None) -> None:
        self.mask = mask
        self.ways = ways
        self.choose = choose

    def resolve(self, out: list[object]) -> Generator[ChooseLane, int, int]:
        """The lanes of a record with these items; yields where a lane has to be chosen."""
        if self.mask is not None:
            return self.mask
        if self.choose is not None:
            self.choose.items = len(out)
            chosen = yield self.choose
            return (yield from self.ways[chosen].resolve(out))
        mask = 0
        for way in self.ways:
            mask |= yield from way.resolve(out)
        return mask


def dealt(out: list[object], lanes: Sequence[int], width: int) -> list[list[object]]:
    """What of a piece goes to each of so many lanes, with its stamps.

    >>> dealt(["a", "b", "c"], [1, 0, 1], 2)
    [['b'], ['a', 'c']]
    """
    parts: list[list[object]] = [[] for _ in range(width)]
    appends = [part.append for part in parts]
    for entry, lane in zip(out, lanes, strict=True):
        appends[lane](entry)
    if not isinstance(out, Entries):
        return parts
    columns: list[list[Column]] = []
    for column in out.stamps:
        own: list[list[int]] = [[] for _ in range(width)]
        for stamp, lane in zip(column, lanes, strict=True):
            own[lane].append(stamp)
        columns.append([*own])
    return [
        Entries(part, tuple(each[lane] for each in columns), out.has_marks)
        for lane, part in enumerate(parts)
    ]


def parts_of(
    out: list[object], lanes: Sequence[int], ways: Sequence[Way], outlets: Sequence[Outlet[Blob]]
) -> Generator[ChooseLane, int, tuple[int, list[Copy[Blob]]]]:
    """Parts a piece among the lanes of a fork, of which each has its own way: all outlets that get
    some of it, as a bit mask, and what goes into which, in the order in which it must go out.

    `lanes` says of each item to which lane it goes, in its last `len(out)` places.  The first copy
    is of the largest part, so that as little as may be is taken along.
    """
    parts: list[tuple[int, list[object]]] = []
    for way, part in zip(ways, dealt(out, lanes[len(lanes) - len(out) :], len(ways)), strict=True):
        if part:
            mask = way.mask
            if mask is None:
                mask = yield from way.resolve(part)
            parts.append((mask, part))
    parts.sort(key=lambda part: -len(part[1]))
    packed: list[Elsewhere[Blob]] = []
    copies: list[Copy[Blob]] = []
    union = 0
    for mask, items in parts:
        targets = [outlet for bit, outlet in enumerate(outlets) if mask >> bit & 1]
        blob = targets[0].pack(items)
        packed.append(Elsewhere(mask, len(items), blob))
        copies += [(target, len(items), blob) for target in targets]
        union |= mask
    if len(packed) > 1:
        first, count, blob = copies[0]
        copies[0] = first, count, first.carrying(blob, packed[1:])
    return union, copies


def ways(route: Route, first: int = 0) -> Way:
    """`route` over the outlets of its leaves, counted from `first`."""
    if isinstance(route, Leaf):
        return Way(1 << first, (), None)
    below: list[Way] = []
    lanes: list[range] = []
    for lane in route.lanes:
        below.append(ways(lane, first))
        lanes.append(range(first, first + len(leaves(lane))))
        first = lanes[-1].stop
    match route:
        case Replicate():
            masks = [way.mask for way in below if way.mask is not None]
            return Way(sum(masks) if len(masks) == len(below) else None, below, None)
        case Balance():
            return Way(None, below, ChooseLane(route.name, lanes, route.adaptive))
        case Select():
            return Way(None, below, None)
        case _:
            assert_never(route)
