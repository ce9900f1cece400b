"""Forks that do not look at their items: to all lanes, or to the one where an item waits least.

Akka Streams calls them Broadcast (`ReplicatingFork`) and Balance (`BalancingFork`).
"""

from __future__ import annotations

from typing import Literal, overload

from conveyor.errors import TopologyError
from conveyor.signatures import OpensLanes, Width
from conveyor.stages.stage import UNSET, Stage, StageOptions, Unset, checked_count, checked_name

__all__ = ["BalancingFork", "Fork", "ReplicatingFork"]


class Fork(Stage):
    """One lane becomes several; `n` is None where that is decided at run time."""

    def __init__(self, n: int | None, name: str | None) -> None:
        self.n = n
        self.stage_options = StageOptions(name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'' if self.n is None else self.n})"


class ReplicatingFork(Fork, OpensLanes[Width]):
    """Every item goes to all n lanes, each lane with its own copy; to all at once or to none.

    >>> from conveyor import Pipeline, Processor, ReplicatingFork, Zip
    >>> pl = Pipeline[int]().add(ReplicatingFork(2)).add(Processor(abs), Processor(str))
    >>> pl.add(Zip(2)).simulate([-1, 2])
    [(1, '-1'), (2, '2')]
    """

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

    >>> from conveyor import BalancingFork, Join, Pipeline, Processor
    >>> pl = Pipeline[int]().add(BalancingFork()).add(Processor(abs)).add(Join(ordered=True))
    >>> pl.simulate([-1, 2, -3])
    [1, 2, 3]
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
