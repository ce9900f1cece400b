"""What stands between jobs: pipes, joins and zips; and which kinds of forks there are.

`Join` is what Akka Streams calls Merge.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias, overload

from conveyor.signatures import ClosesLanes, PassesALane, Width, ZipsLanes
from conveyor.stages.forks import BalancingFork, ReplicatingFork
from conveyor.stages.partitioning_fork import PartitioningFork
from conveyor.stages.routing_fork import RoutingFork
from conveyor.stages.splitting_fork import SplittingFork
from conveyor.stages.stage import UNSET, Stage, StageOptions, Unset, checked_count, checked_name

__all__ = [
    "DEFAULT_CAPACITY",
    "AnyFork",
    "AnyFanIn",
    "AnySelectingFork",
    "ROUTERS",
    "Join",
    "FanIn",
    "Pipe",
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


class FanIn(Stage):
    """Several lanes become one; `n` is None where their number is decided at run time."""

    n: int | None


class Join(FanIn, ClosesLanes[Width]):
    """n lanes become one, first come first served, each lane in its own order.

    With `ordered=True` items come in the order in which the fork took them, then by lane, then by
    order of production. Without `n` it closes the lanes of a fork without a number.

    >>> from conveyor import BalancingFork, Join, Pipe, Pipeline, Processor
    >>> pl = Pipeline[int]().add(BalancingFork(2)).add(Processor(abs), Processor(abs))
    >>> pl.add(Join(2, ordered=True)).simulate([-1, 2, -3])
    [1, 2, 3]
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


class Zip(FanIn, ZipsLanes[Width]):
    """Takes one item from each of n lanes in turn and gives a tuple.

    Ends when a lane ends; what is left over in the other lanes is counted in the report.  Raises
    `TopologyError`, when it is added, behind a fork that gives each item to one lane.

    >>> from conveyor import Pipe, Pipeline, Processor, ReplicatingFork, Zip
    >>> pl = Pipeline[str]().add(ReplicatingFork(2)).add(Processor(len), Pipe()).add(Zip(2))
    >>> pl.simulate(["a", "few"])
    [(1, 'a'), (3, 'few')]
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
AnySelectingFork: TypeAlias = (
    PartitioningFork[Any, Any] | RoutingFork[Any, Any] | SplittingFork[Any, Any]
)
AnyFork: TypeAlias = ReplicatingFork[Any] | BalancingFork[Any] | AnySelectingFork
AnyFanIn: TypeAlias = Join[Any] | Zip[Any]
ROUTERS: Final = (
    *(Pipe, Join, Zip),
    *(ReplicatingFork, BalancingFork, PartitioningFork, RoutingFork, SplittingFork),
)
