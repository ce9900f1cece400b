"""Where a record goes: the forks that one worker owns, as data.

Knows: trees of forks over the worker's outlets.  Must never know: how a lane is chosen, or what is in a record.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from conveyor.decisions import Choose

__all__ = [
    "LANES_BY_DEFAULT",
    "Balance",
    "Leaf",
    "Replicate",
    "Route",
    "Way",
    "balances",
    "forks_of",
    "leaves",
    "taken",
    "ways",
]

LANES_BY_DEFAULT: Final = 2  # of a fork that adapts, in the simulator


@dataclass(frozen=True, slots=True)
class Leaf:
    """A channel, by its number in the topology."""

    channel: int


@dataclass(frozen=True, slots=True)
class Replicate:
    """To every lane."""

    name: str
    lanes: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class Balance:
    """To one lane; `adaptive` if lanes are opened while the pipeline runs.

    `by_machine`: it has as many lanes as the machine has cores, since no number was asked for.
    """

    name: str
    lanes: tuple[Route, ...]
    adaptive: bool = False
    by_machine: bool = False


Route: TypeAlias = Leaf | Replicate | Balance


def leaves(route: Route) -> list[int]:
    """The channels below a route, left to right.

    >>> leaves(Replicate("fork", (Leaf(3), Balance("pool", (Leaf(4), Leaf(5))))))
    [3, 4, 5]
    """
    return [route.channel] if isinstance(route, Leaf) else [c for lane in route.lanes for c in leaves(lane)]


def balances(route: Route) -> bool:
    """Is there anything to choose?"""
    return isinstance(route, Balance) or (isinstance(route, Replicate) and any(map(balances, route.lanes)))


def forks_of(route: Route | None) -> list[Balance]:
    """The balancing forks in a route, the outer ones first."""
    if route is None or isinstance(route, Leaf):
        return []
    inner = [fork for lane in route.lanes for fork in forks_of(lane)]
    return [route, *inner] if isinstance(route, Balance) else inner


def taken(route: Route, tails: Sequence[int]) -> int:
    """How many items a route has taken, from how many each of its channels has.

    So the ordinal that an ordered join needs is never stored: a restarted worker finds it where it was.

    >>> taken(Replicate("fork", (Balance("pool", (Leaf(0), Leaf(1))), Leaf(2))), [2, 3, 5])
    5
    """
    if isinstance(route, Leaf):
        return tails[0]
    at = 0
    counts: list[int] = []
    for lane in route.lanes:
        width = len(leaves(lane))
        counts.append(taken(lane, tails[at : at + width]))
        at += width
    return sum(counts) if isinstance(route, Balance) else counts[0]


class Way:
    """A route over the outlets of a worker: gives the lanes of a record as a bit mask over them.

    `mask` is the answer where there is nothing to choose.
    """

    __slots__ = ("choose", "mask", "ways")

    def __init__(self, mask: int | None, ways: Sequence[Way], choose: Choose | None) -> None:
        self.mask = mask
        self.ways = ways
        self.choose = choose

    def resolve(self, items: int) -> Generator[Choose, int, int]:
        if self.mask is not None:
            return self.mask
        if self.choose is not None:
            self.choose.items = items
            chosen = yield self.choose
            return (yield from self.ways[chosen].resolve(items))
        mask = 0
        for way in self.ways:
            mask |= yield from way.resolve(items)
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
    if isinstance(route, Balance):
        return Way(None, below, Choose(route.name, lanes, route.adaptive))
    masks = [way.mask for way in below if way.mask is not None]
    return Way(sum(masks) if len(masks) == len(below) else None, below, None)
