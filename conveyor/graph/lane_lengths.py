"""Whether the lanes of a zip can be equally long.

Knows: which stages give one item for each.  Must never know: what a lane carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeGuard

from conveyor.errors import TopologyError
from conveyor.graph.route import gives_to_one_lane
from conveyor.graph.row_checks import is_one_to_one
from conveyor.stages import AnyFork, Fork, Pipe, Stage, Zip

__all__ = ["check_lengths"]


class Port(Protocol):
    """One of the outputs of a place."""

    @property
    def place(self) -> int: ...


class Place(Protocol):
    """A stage where it was put."""

    @property
    def stage(self) -> Stage: ...
    @property
    def name(self) -> str: ...
    @property
    def sources(self) -> Sequence[Port | None]: ...


def check_lengths(
    places: Sequence[Place], zipped: Zip[Any], where: str, ports: Sequence[Port | None]
) -> None:
    """Raises `TopologyError` where two lanes share out the items of one fork between them, so that
    nothing makes them equally long."""
    shared: dict[int, int] = {}
    for number, port in enumerate(ports, 1):
        fork = sharing_fork(places, port)
        if fork is not None and fork in shared:
            name, stage = places[fork].name, places[fork].stage
            raise TopologyError(
                f"{where}: {zipped!r} takes one item of each lane in turn, but each item of "
                f"{name!r} goes to one of its lanes {shared[fork]} and {number} alone, so they are "
                f"not equally long. {type(stage).__name__} is closed by Join(n), or "
                "Join(n, ordered=True); a Zip closes a ReplicatingFork"
            )
        if fork is not None:
            shared[fork] = number


def is_fork(stage: Stage) -> TypeGuard[AnyFork]:
    return isinstance(stage, Fork)


def sharing_fork(places: Sequence[Place], port: Port | None) -> int | None:
    """The fork before a lane that gives each of its items to one lane, where as many come out of
    the lane as it was given."""
    while port is not None:
        place = places[port.place]
        stage = place.stage
        if is_fork(stage):
            return port.place if gives_to_one_lane(stage) else None
        if not (isinstance(stage, Pipe) or is_one_to_one(stage)):
            return None
        (port,) = place.sources
    return None
