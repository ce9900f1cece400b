"""Where a record goes: the forks that one worker owns, as data.

Knows: trees of forks over the worker's outlets.  Must never know: how a lane is chosen, or what is
in a record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias, assert_never

from conveyor.stages import (
    AnyFork,
    BalancingFork,
    ReplicatingFork,
    SelectingFork,
)

__all__ = [
    "LANES_BY_DEFAULT",
    "Balance",
    "Leaf",
    "Replicate",
    "Route",
    "Select",
    "adaptive_forks",
    "balances",
    "balancing_forks",
    "gives_to_one_lane",
    "data_of_route",
    "fixed",
    "leaves",
    "nested_balances",
    "resolved",
    "route_of",
    "route_of_data",
    "route_text",
    "taken",
    "way_to",
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


@dataclass(frozen=True, slots=True)
class Select:
    """To the lane that a function says for each item, which is the node's `fork`.

    It is the outermost of a route: another one behind a fork has a node of its own.
    """

    name: str
    lanes: tuple[Route, ...]


Route: TypeAlias = Leaf | Replicate | Balance | Select


def route_of(fork: AnyFork, name: str, lanes: tuple[Route, ...]) -> Route:
    """What a fork of this name makes of the routes of its lanes."""
    match fork:
        case ReplicatingFork():
            return Replicate(name, lanes)
        case BalancingFork():
            adaptive = fork.n is None
            return Balance(name, lanes, adaptive, adaptive and fork.max_lanes is None)
        case SelectingFork():
            return Select(name, lanes)
        case _:
            assert_never(fork)


def gives_to_one_lane(fork: AnyFork) -> bool:
    """Does an item go to one lane of the fork, rather than to all?"""
    match fork:
        case ReplicatingFork():
            return False
        case BalancingFork() | SelectingFork():
            return True
        case _:
            assert_never(fork)


def fixed(route: Route) -> Route:
    """The same route with all lanes open: none of its forks adapts."""
    match route:
        case Leaf():
            return route
        case Balance():
            return Balance(route.name, tuple(map(fixed, route.lanes)))
        case Replicate() | Select():
            return replace(route, lanes=tuple(map(fixed, route.lanes)))


def route_text(route: Route) -> str:
    """A route in short: `+` between lanes that all take an item, `/` between those of which one
    does.

    >>> route_text(Replicate("fork", (Leaf(3), Balance("pool", (Leaf(4), Leaf(5))))))
    '(c3 + (c4 / c5))'
    """
    match route:
        case Leaf():
            return f"c{route.channel}"
        case Replicate():
            sign = " + "
        case Balance() | Select():
            sign = " / "
        case _:
            assert_never(route)
    return f"({sign.join(map(route_text, route.lanes))})"


def leaves(route: Route) -> list[int]:
    """The channels below a route, left to right.

    >>> leaves(Replicate("fork", (Leaf(3), Balance("pool", (Leaf(4), Leaf(5))))))
    [3, 4, 5]
    """
    match route:
        case Leaf():
            return [route.channel]
        case Replicate() | Balance() | Select():
            return [channel for lane in route.lanes for channel in leaves(lane)]
        case _:
            assert_never(route)


def nested_balances(
    route: Route | None, around: tuple[Balance, ...] = ()
) -> Iterator[tuple[Balance, tuple[Balance, ...]]]:
    """The balancing forks in a route, the outer ones first, each with those that it is inside
    of."""
    match route:
        case None | Leaf():
            return
        case Replicate() | Select():
            pass
        case Balance():
            yield route, around
            around = (*around, route)
        case _:
            assert_never(route)
    for lane in route.lanes:
        yield from nested_balances(lane, around)


def balancing_forks(route: Route | None) -> list[Balance]:
    """The balancing forks in a route, the outer ones first."""
    return [fork for fork, _ in nested_balances(route)]


def adaptive_forks(route: Route | None) -> list[Balance]:
    """The balancing forks in a route whose lanes are opened while the pipeline runs."""
    return [fork for fork in balancing_forks(route) if fork.adaptive]


def balances(route: Route | None) -> bool:
    """Is there a lane to be chosen for a record?"""
    return bool(balancing_forks(route))


def way_to(channel: int, route: Route) -> list[Replicate | Balance | Select] | None:
    """The forks between a worker and one of its channels, the outer ones first; None if the route
    does not lead there.

    >>> [fork.name for fork in way_to(4, Replicate("fork", (Leaf(3), Balance("pool", (Leaf(4),)))))]
    ['fork', 'pool']
    """
    match route:
        case Leaf():
            return [] if route.channel == channel else None
        case Replicate() | Balance() | Select():
            for lane in route.lanes:
                if (found := way_to(channel, lane)) is not None:
                    return [route, *found]
            return None
        case _:
            assert_never(route)


def resolved(route: Route, chosen: Sequence[int]) -> tuple[list[int], Sequence[int], int]:
    """The channels that a record goes to, by the lanes chosen at the forks where one is chosen; all
    that it may go to, where that is said for each item.

    Gives the channels, the choices that are left over, and, if a choice is missing, among how many
    lanes it has to be made.

    >>> route = Replicate("fork", (Leaf(3), Balance("pool", (Leaf(4), Leaf(5)))))
    >>> resolved(route, [1]), resolved(route, [])
    (([3, 5], [], 0), ([], (), 2))
    """
    match route:
        case Leaf():
            return [route.channel], chosen, 0
        case Replicate() | Select():
            lanes = route.lanes
        case Balance():
            if not chosen:
                return [], (), len(route.lanes)
            lanes, chosen = (route.lanes[chosen[0]],), chosen[1:]
        case _:
            assert_never(route)
    targets: list[int] = []
    for lane in lanes:
        found, chosen, missing = resolved(lane, chosen)
        if missing:
            return [], (), missing
        targets += found
    return targets, chosen, 0


def taken(route: Route, tails: Sequence[int]) -> int:
    """How many items a route has taken, from how many each of its channels has.

    So the ordinal that an ordered join needs is never stored: a restarted worker finds it where it
    was.

    >>> taken(Replicate("fork", (Balance("pool", (Leaf(0), Leaf(1))), Leaf(2))), [2, 3, 5])
    5
    """
    match route:
        case Leaf():
            return tails[0]
        case Replicate():  # each lane has taken them all, but for a record that is being copied
            lane = route.lanes[0]
            return taken(lane, tails[: len(leaves(lane))])
        case Balance() | Select():
            at = total = 0
            for lane in route.lanes:
                width = len(leaves(lane))
                total += taken(lane, tails[at : at + width])
                at += width
            return total
        case _:
            assert_never(route)


def data_of_route(route: Route) -> object:
    """A route as plain data: a channel is its number, a fork a dictionary.

    >>> data_of_route(Replicate("fork", (Leaf(3), Balance("pool", (Leaf(4), Leaf(5))))))
    {'replicate': 'fork', 'lanes': [3, {'balance': 'pool', 'lanes': [4, 5]}]}
    """
    match route:
        case Leaf():
            return route.channel
        case Replicate():
            return {"replicate": route.name, "lanes": [data_of_route(lane) for lane in route.lanes]}
        case Select():
            return {"select": route.name, "lanes": [data_of_route(lane) for lane in route.lanes]}
        case Balance():
            flags = {"adaptive": route.adaptive, "by_machine": route.by_machine}
            return {
                "balance": route.name,
                "lanes": [data_of_route(lane) for lane in route.lanes],
                **{name: flag for name, flag in flags.items() if flag},
            }
        case _:
            assert_never(route)


def route_of_data(data: Any) -> Route:
    """What `data_of_route` gives, as a route again."""
    if isinstance(data, int):
        return Leaf(data)
    lanes = tuple(map(route_of_data, data["lanes"]))
    if "replicate" in data:
        return Replicate(data["replicate"], lanes)
    if "select" in data:
        return Select(data["select"], lanes)
    flags = {"adaptive": False, "by_machine": False} | data
    return Balance(data["balance"], lanes, flags["adaptive"], flags["by_machine"])
