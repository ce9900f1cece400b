"""What stands between jobs: pipes, forks, joins and zips.

The routers are what Akka Streams calls Broadcast (`ReplicatingFork`), Balance (`BalancingFork`) and
Merge (`Join`).
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias, overload

from conveyor.errors import TopologyError
from conveyor.signatures import ClosesLanes, OpensLanes, PassesALane, Width, ZipsLanes
from conveyor.stages.stage import UNSET, Stage, StageOptions, Unset, checked_count, checked_name

__all__ = [
    "DEFAULT_CAPACITY",
    "AnyFork",
    "AnyMerge",
    "BalancingFork",
    "Fork",
    "ROUTERS",
    "Join",
    "Merge",
    "Pipe",
    "ReplicatingFork",
    "Zip",
]

DEFAULT_CAPACITY: Final = 16384


class Pipe(Stage, PassesALane):
    """A bounded first-in-first-out buffer between two stages.

    `capacity` counts items: published by the stage before it and not yet done by the stage behind
    it.  Where no pipe is written one is put in; adjacent pipes are one, their capacities added.

    It costs no process.  A fork belongs to the stage before it, and a join or zip to the stage
    behind it, so a pipe between a processor and its fork, or between a join and the processor that
    reads it, is no buffer of its own: its capacity does not count.  Between a join or zip and a
    fork or another of these it does, and there another process passes the items on.
    """

    def __init__(self, capacity: int = DEFAULT_CAPACITY, *, name: str | None = None) -> None:
        self.capacity = checked_count("Pipe", "capacity", capacity)
        self.stage_options = StageOptions(checked_name("Pipe", name))

    def __repr__(self) -> str:
        return f"Pipe({self.capacity})"


class Fork(Stage):
    """One lane becomes several; `n` is None where that is decided at run time."""

    def __init__(self, n: int | None, name: str | None) -> None:
        self.n = n
        self.stage_options = StageOptions(name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'' if self.n is None else self.n})"


class ReplicatingFork(Fork, OpensLanes[Width]):
    """Every item goes to all n lanes, each lane with its own copy; to all at once or to none."""

    # The overloads of `ReplicatingFork` are generated: python tools/generate_signatures.py
    @overload
    def __init__(
        self: ReplicatingFork[Literal[1]], n: Literal[1], *, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: ReplicatingFork[Literal[2]], n: Literal[2], *, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: ReplicatingFork[Literal[3]], n: Literal[3], *, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: ReplicatingFork[Literal[4]], n: Literal[4], *, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: ReplicatingFork[Literal[5]], n: Literal[5], *, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: ReplicatingFork[Literal[6]], n: Literal[6], *, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: ReplicatingFork[Literal[7]], n: Literal[7], *, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: ReplicatingFork[Literal[8]], n: Literal[8], *, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(self: ReplicatingFork[int], n: int, *, name: str | None = None) -> None: ...
    # End of what is generated.
    def __init__(self, n: int, *, name: str | None = None) -> None:
        super().__init__(
            checked_count("ReplicatingFork", "n", n), checked_name("ReplicatingFork", name)
        )


class BalancingFork(Fork, OpensLanes[Width]):
    """Every item goes to one of n lanes: the one where it will wait least.

    Without `n` it has as many lanes as it needs, `max_lanes` at most (by default one for each
    physical core that the process may use): it starts with one, opens another while that one stalls
    it, and stops choosing one that idles.  The stages behind it are then written once and stand for
    every lane, up to `Join()`.
    """

    # The overloads of `BalancingFork` are generated: python tools/generate_signatures.py
    @overload
    def __init__(
        self: BalancingFork[Literal[1]], n: Literal[1], *, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: BalancingFork[Literal[2]], n: Literal[2], *, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: BalancingFork[Literal[3]], n: Literal[3], *, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: BalancingFork[Literal[4]], n: Literal[4], *, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: BalancingFork[Literal[5]], n: Literal[5], *, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: BalancingFork[Literal[6]], n: Literal[6], *, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: BalancingFork[Literal[7]], n: Literal[7], *, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: BalancingFork[Literal[8]], n: Literal[8], *, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(self: BalancingFork[int], n: int, *, name: str | None = None) -> None: ...
    @overload
    def __init__(
        self: BalancingFork[None], *, max_lanes: int | None = None, name: str | None = None
    ) -> None: ...
    # End of what is generated.
    def __init__(
        self, n: int | Unset = UNSET, *, max_lanes: int | None = None, name: str | None = None
    ) -> None:
        if n is not UNSET and max_lanes is not None:
            raise TopologyError(
                "BalancingFork: give either n, or max_lanes for a fork that adapts, not both"
            )
        width = None if n is UNSET else checked_count("BalancingFork", "n", n)
        super().__init__(width, checked_name("BalancingFork", name))
        self.max_lanes = (
            None if max_lanes is None else checked_count("BalancingFork", "max_lanes", max_lanes)
        )


class Merge(Stage):
    """Several lanes become one; `n` is None where their number is decided at run time."""

    n: int | None


class Join(Merge, ClosesLanes[Width]):
    """n lanes become one, first come first served, each lane in its own order.

    With `ordered=True` items come in the order in which the fork took them, then by lane, then by
    order of production. Without `n` it closes the lanes of a `BalancingFork()`.
    """

    # The overloads of `Join` are generated: python tools/generate_signatures.py
    @overload
    def __init__(
        self: Join[Literal[1]], n: Literal[1], *, ordered: bool = False, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: Join[Literal[2]], n: Literal[2], *, ordered: bool = False, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: Join[Literal[3]], n: Literal[3], *, ordered: bool = False, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: Join[Literal[4]], n: Literal[4], *, ordered: bool = False, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: Join[Literal[5]], n: Literal[5], *, ordered: bool = False, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: Join[Literal[6]], n: Literal[6], *, ordered: bool = False, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: Join[Literal[7]], n: Literal[7], *, ordered: bool = False, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: Join[Literal[8]], n: Literal[8], *, ordered: bool = False, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: Join[int], n: int, *, ordered: bool = False, name: str | None = None
    ) -> None: ...
    @overload
    def __init__(self: Join[None], *, ordered: bool = False, name: str | None = None) -> None: ...
    # End of what is generated.
    def __init__(
        self, n: int | Unset = UNSET, *, ordered: bool = False, name: str | None = None
    ) -> None:
        self.n = None if n is UNSET else checked_count("Join", "n", n)
        self.ordered = ordered
        self.stage_options = StageOptions(checked_name("Join", name))

    def __repr__(self) -> str:
        words = ([] if self.n is None else [str(self.n)]) + (
            ["ordered=True"] if self.ordered else []
        )
        return f"Join({', '.join(words)})"


class Zip(Merge, ZipsLanes[Width]):
    """Takes one item from each of n lanes in turn and gives a tuple.

    Ends when a lane ends; what is left over in the other lanes is counted in the report.
    """

    # The overloads of `Zip` are generated: python tools/generate_signatures.py
    @overload
    def __init__(self: Zip[Literal[1]], n: Literal[1], *, name: str | None = None) -> None: ...
    @overload
    def __init__(self: Zip[Literal[2]], n: Literal[2], *, name: str | None = None) -> None: ...
    @overload
    def __init__(self: Zip[Literal[3]], n: Literal[3], *, name: str | None = None) -> None: ...
    @overload
    def __init__(self: Zip[Literal[4]], n: Literal[4], *, name: str | None = None) -> None: ...
    @overload
    def __init__(self: Zip[Literal[5]], n: Literal[5], *, name: str | None = None) -> None: ...
    @overload
    def __init__(self: Zip[Literal[6]], n: Literal[6], *, name: str | None = None) -> None: ...
    @overload
    def __init__(self: Zip[Literal[7]], n: Literal[7], *, name: str | None = None) -> None: ...
    @overload
    def __init__(self: Zip[Literal[8]], n: Literal[8], *, name: str | None = None) -> None: ...
    @overload
    def __init__(self: Zip[int], n: int, *, name: str | None = None) -> None: ...
    # End of what is generated.
    def __init__(self, n: int, *, name: str | None = None) -> None:
        self.n = checked_count("Zip", "n", n)
        self.stage_options = StageOptions(checked_name("Zip", name))

    def __repr__(self) -> str:
        return f"Zip({self.n})"


# The kinds that there are: a graph is built of these and of classes derived from these.
AnyFork: TypeAlias = ReplicatingFork[Any] | BalancingFork[Any]
AnyMerge: TypeAlias = Join[Any] | Zip[Any]
ROUTERS: Final = (Pipe, ReplicatingFork, BalancingFork, Join, Zip)
