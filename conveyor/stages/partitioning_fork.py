"""By key: what Flink calls keyBy."""

# Only so is the width told by an argument of the class; and a literal one is also an int.
# pyright: reportInvalidTypeVarUse=false, reportOverlappingOverload=false

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, overload

from typing_extensions import TypeVar

from conveyor.errors import TopologyError
from conveyor.signatures import SelectsLanes
from conveyor.stages.callables import name_of
from conveyor.stages.selecting_fork import SelectingFork, function_of
from conveyor.stages.stage import UNSET, OnError, Unset, checked_count

__all__ = ["PartitioningFork"]

In = TypeVar("In", contravariant=True, default=Any)
Opening = TypeVar("Opening", default=int)  # how many lanes


class PartitioningFork(SelectingFork, SelectsLanes[In, Opening]):
    """Every item with the same key goes to the same one of n lanes, in order.

    `key` gives the key of an item: None, a bool, int, float, complex, str, bytes, Decimal,
    Fraction, member of an Enum, UUID, date or datetime, or a tuple, frozenset, NamedTuple or frozen
    dataclass of those.  Keys that are equal share a lane.  Which lane that is depends on nothing
    but the key and the number of lanes: it is the same in every process and run, and with every
    version of Python.

    `key` runs in the worker before the fork, and is a pure function of the item.
    `on_error` says what becomes of an item on which the function fails: "raise" ends the run
    and names the fork and the item, "skip" leaves it out and counts it, "dead_letter" keeps it.

    Without `n` there are as many lanes as the process may use physical cores, at most `max_lanes`,
    and that number is fixed for the run: 2 in the simulator, in a replay what the recorded run had.
    The stages behind it are then written once and stand for every lane, up to `Join()`.

    >>> from conveyor import Join, Pipe, PartitioningFork, Pipeline
    >>> pl = Pipeline[str]().add(PartitioningFork(2, key=str.lower)).add(Pipe(), Pipe())
    >>> pl.add(Join(2, ordered=True)).simulate(["a", "B", "A"])
    ['a', 'B', 'A']
    """

    # The overloads of `PartitioningFork` are generated: python tools/generate_signatures.py
    if TYPE_CHECKING:

        @overload
        def __new__(
            cls,
            n: Literal[1],
            *,
            key: Callable[[In], object],
            name: str | None = None,
            on_error: OnError = "raise",
        ) -> PartitioningFork[In, Literal[1]]: ...
        @overload
        def __new__(
            cls,
            n: Literal[2],
            *,
            key: Callable[[In], object],
            name: str | None = None,
            on_error: OnError = "raise",
        ) -> PartitioningFork[In, Literal[2]]: ...
        @overload
        def __new__(
            cls,
            n: Literal[3],
            *,
            key: Callable[[In], object],
            name: str | None = None,
            on_error: OnError = "raise",
        ) -> PartitioningFork[In, Literal[3]]: ...
        @overload
        def __new__(
            cls,
            n: Literal[4],
            *,
            key: Callable[[In], object],
            name: str | None = None,
            on_error: OnError = "raise",
        ) -> PartitioningFork[In, Literal[4]]: ...
        @overload
        def __new__(
            cls,
            n: Literal[5],
            *,
            key: Callable[[In], object],
            name: str | None = None,
            on_error: OnError = "raise",
        ) -> PartitioningFork[In, Literal[5]]: ...
        @overload
        def __new__(
            cls,
            n: Literal[6],
            *,
            key: Callable[[In], object],
            name: str | None = None,
            on_error: OnError = "raise",
        ) -> PartitioningFork[In, Literal[6]]: ...
        @overload
        def __new__(
            cls,
            n: Literal[7],
            *,
            key: Callable[[In], object],
            name: str | None = None,
            on_error: OnError = "raise",
        ) -> PartitioningFork[In, Literal[7]]: ...
        @overload
        def __new__(
            cls,
            n: Literal[8],
            *,
            key: Callable[[In], object],
            name: str | None = None,
            on_error: OnError = "raise",
        ) -> PartitioningFork[In, Literal[8]]: ...
        @overload
        def __new__(
            cls,
            n: int,
            *,
            key: Callable[[In], object],
            name: str | None = None,
            on_error: OnError = "raise",
        ) -> PartitioningFork[In, int]: ...
        @overload
        def __new__(
            cls,
            *,
            key: Callable[[In], object],
            max_lanes: int | None = None,
            name: str | None = None,
            on_error: OnError = "raise",
        ) -> PartitioningFork[In, None]: ...
        def __new__(cls, *arguments: Any, **options: Any) -> Any: ...

    @overload
    def __init__(
        self: PartitioningFork[In, Literal[1]],
        n: Literal[1],
        *,
        key: Callable[[In], object],
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None: ...
    @overload
    def __init__(
        self: PartitioningFork[In, Literal[2]],
        n: Literal[2],
        *,
        key: Callable[[In], object],
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None: ...
    @overload
    def __init__(
        self: PartitioningFork[In, Literal[3]],
        n: Literal[3],
        *,
        key: Callable[[In], object],
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None: ...
    @overload
    def __init__(
        self: PartitioningFork[In, Literal[4]],
        n: Literal[4],
        *,
        key: Callable[[In], object],
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None: ...
    @overload
    def __init__(
        self: PartitioningFork[In, Literal[5]],
        n: Literal[5],
        *,
        key: Callable[[In], object],
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None: ...
    @overload
    def __init__(
        self: PartitioningFork[In, Literal[6]],
        n: Literal[6],
        *,
        key: Callable[[In], object],
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None: ...
    @overload
    def __init__(
        self: PartitioningFork[In, Literal[7]],
        n: Literal[7],
        *,
        key: Callable[[In], object],
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None: ...
    @overload
    def __init__(
        self: PartitioningFork[In, Literal[8]],
        n: Literal[8],
        *,
        key: Callable[[In], object],
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None: ...
    @overload
    def __init__(
        self: PartitioningFork[In, int],
        n: int,
        *,
        key: Callable[[In], object],
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None: ...
    @overload
    def __init__(
        self: PartitioningFork[In, None],
        *,
        key: Callable[[In], object],
        max_lanes: int | None = None,
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None: ...
    # End of what is generated.
    def __init__(
        self,
        n: int | Unset = UNSET,
        *,
        key: Callable[[In], object],
        max_lanes: int | None = None,
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None:
        if n is not UNSET and max_lanes is not None:
            raise TopologyError(
                "PartitioningFork: give either n, or max_lanes for a fork with as many lanes as "
                "there are cores, not both"
            )
        width = None if n is UNSET else checked_count("PartitioningFork", "n", n)
        self.max_lanes = (
            None if max_lanes is None else checked_count("PartitioningFork", "max_lanes", max_lanes)
        )
        self._take(width, "key", key, name, on_error)

    @property
    def _said(self) -> str:
        return f"key={name_of(function_of(self))}"
