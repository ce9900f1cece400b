"""Resolves a route for one record: to which of its worker's outlets the record goes.

Knows: the forks of a route, and the request to choose a lane.  Must never know: how a lane is
chosen, or what is in a record.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import assert_never

from conveyor.core.requests import ChooseLane
from conveyor.graph.route import Balance, Leaf, Replicate, Route, leaves

__all__ = ["Way", "ways"]


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
        case _:
            assert_never(route)
