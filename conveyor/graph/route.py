"""Where a record goes: the forks that one worker owns, as data.

Knows: trees of forks over the worker's outlets.  Must never know: how a lane is chosen, or what is
in a record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

__all__ = [
    "LANES_BY_DEFAULT",
    "Balance",
    "Leaf",
    "Replicate",
    "Route",
    "balances",
    "forks_of",
    "leaves",
    "taken",
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
    return (
        [route.channel]
        if isinstance(route, Leaf)
        else [c for lane in route.lanes for c in leaves(lane)]
    )


def balances(route: Route) -> bool:
    """Is there anything to choose?"""
    return isinstance(route, Balance) or (
        isinstance(route, Replicate) and any(map(balances, route.lanes))
    )


def forks_of(route: Route | None) -> list[Balance]:
    """The balancing forks in a route, the outer ones first."""
    if route is None or isinstance(route, Leaf):
        return []
    inner = [fork for lane in route.lanes for fork in forks_of(lane)]
    return [route, *inner] if isinstance(route, Balance) else inner


def taken(route: Route, tails: Sequence[int]) -> int:
    """How many items a route has taken, from how many each of its channels has.

    So the ordinal that an ordered join needs is never stored: a restarted worker finds it where it
    was.

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
