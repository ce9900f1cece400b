"""By number: what Akka Streams calls Partition."""

# Only so is the width told by an argument of the class; and a literal one is also an int.
# pyright: reportInvalidTypeVarUse=false, reportOverlappingOverload=false

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, overload

from typing_extensions import TypeVar

from conveyor.signatures import SelectsLanes
from conveyor.stages.callables import name_of
from conveyor.stages.selecting_fork import SelectingFork, function_of
from conveyor.stages.stage import OnError, checked_count

__all__ = ["RoutingFork"]

In = TypeVar("In", contravariant=True, default=Any)
Opening = TypeVar("Opening", default=int)  # how many lanes


class RoutingFork(SelectingFork, SelectsLanes[In, Opening]):
    """Every item goes to the one of n lanes that `lane` says: a number from 0 to n - 1.

    Anything else is an error of that item.

    `lane` runs in the worker before the fork, and is a pure function of the item.
    `on_error` says what becomes of an item on which the function fails: "raise" ends the run
    and names the fork and the item, "skip" leaves it out and counts it, "dead_letter" keeps it.

    >>> from conveyor import Join, Pipe, Pipeline, Processor, RoutingFork
    >>> pl = Pipeline[int]().add(RoutingFork(2, lane=lambda number: number % 2))
    >>> pl.add(Pipe(), Processor(lambda odd: -odd)).add(Join(2, ordered=True)).simulate([1, 2, 3])
    [-1, 2, -3]
    """

    # The overloads of `RoutingFork` are generated: python tools/generate_signatures.py
    if TYPE_CHECKING:

        @overload
        def __new__(
            cls,
            n: Literal[1],
            *,
            lane: Callable[[In], int],
            name: str | None = None,
            on_error: OnError = "raise",
        ) -> RoutingFork[In, Literal[1]]: ...
        @overload
        def __new__(
            cls,
            n: Literal[2],
            *,
            lane: Callable[[In], int],
            name: str | None = None,
            on_error: OnError = "raise",
        ) -> RoutingFork[In, Literal[2]]: ...
        @overload
        def __new__(
            cls,
            n: Literal[3],
            *,
            lane: Callable[[In], int],
            name: str | None = None,
            on_error: OnError = "raise",
        ) -> RoutingFork[In, Literal[3]]: ...
        @overload
        def __new__(
            cls,
            n: Literal[4],
            *,
            lane: Callable[[In], int],
            name: str | None = None,
            on_error: OnError = "raise",
        ) -> RoutingFork[In, Literal[4]]: ...
        @overload
        def __new__(
            cls,
            n: Literal[5],
            *,
            lane: Callable[[In], int],
            name: str | None = None,
            on_error: OnError = "raise",
        ) -> RoutingFork[In, Literal[5]]: ...
        @overload
        def __new__(
            cls,
            n: Literal[6],
            *,
            lane: Callable[[In], int],
            name: str | None = None,
            on_error: OnError = "raise",
        ) -> RoutingFork[In, Literal[6]]: ...
        @overload
        def __new__(
            cls,
            n: Literal[7],
            *,
            lane: Callable[[In], int],
            name: str | None = None,
            on_error: OnError = "raise",
        ) -> RoutingFork[In, Literal[7]]: ...
        @overload
        def __new__(
            cls,
            n: Literal[8],
            *,
            lane: Callable[[In], int],
            name: str | None = None,
            on_error: OnError = "raise",
        ) -> RoutingFork[In, Literal[8]]: ...
        @overload
        def __new__(
            cls,
            n: int,
            *,
            lane: Callable[[In], int],
            name: str | None = None,
            on_error: OnError = "raise",
        ) -> RoutingFork[In, int]: ...
        def __new__(cls, *arguments: Any, **options: Any) -> Any: ...

    @overload
    def __init__(
        self: RoutingFork[In, Literal[1]],
        n: Literal[1],
        *,
        lane: Callable[[In], int],
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None: ...
    @overload
    def __init__(
        self: RoutingFork[In, Literal[2]],
        n: Literal[2],
        *,
        lane: Callable[[In], int],
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None: ...
    @overload
    def __init__(
        self: RoutingFork[In, Literal[3]],
        n: Literal[3],
        *,
        lane: Callable[[In], int],
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None: ...
    @overload
    def __init__(
        self: RoutingFork[In, Literal[4]],
        n: Literal[4],
        *,
        lane: Callable[[In], int],
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None: ...
    @overload
    def __init__(
        self: RoutingFork[In, Literal[5]],
        n: Literal[5],
        *,
        lane: Callable[[In], int],
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None: ...
    @overload
    def __init__(
        self: RoutingFork[In, Literal[6]],
        n: Literal[6],
        *,
        lane: Callable[[In], int],
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None: ...
    @overload
    def __init__(
        self: RoutingFork[In, Literal[7]],
        n: Literal[7],
        *,
        lane: Callable[[In], int],
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None: ...
    @overload
    def __init__(
        self: RoutingFork[In, Literal[8]],
        n: Literal[8],
        *,
        lane: Callable[[In], int],
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None: ...
    @overload
    def __init__(
        self: RoutingFork[In, int],
        n: int,
        *,
        lane: Callable[[In], int],
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None: ...
    # End of what is generated.
    def __init__(
        self,
        n: int,
        *,
        lane: Callable[[In], int],
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None:
        self._take(checked_count("RoutingFork", "n", n), "lane", lane, name, on_error)

    @property
    def _said(self) -> str:
        return f"lane={name_of(function_of(self))}"
