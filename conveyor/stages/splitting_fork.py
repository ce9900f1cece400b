"""In two: what a predicate holds for, and what it does not."""

# Only so is it told by an argument of the class what the predicate gives.
# pyright: reportInvalidTypeVarUse=false, reportOverlappingOverload=false

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeGuard, Unpack, overload

from typing_extensions import TypeIs, TypeVar

from conveyor.signatures import Into, SelectsLanes
from conveyor.stages.callables import name_of
from conveyor.stages.selecting_fork import SelectingFork, function_of
from conveyor.stages.stage import OnError

if TYPE_CHECKING:
    from conveyor.signatures import ForPyright

__all__ = ["SplittingFork"]

In = TypeVar("In", contravariant=True, default=Any)
Opening = TypeVar("Opening", default=int)  # two lanes, or `Into`
Kept = TypeVar("Kept")
KeptOrIn = TypeVar("KeptOrIn", default=In)


class SplittingFork(SelectingFork, SelectsLanes[In, Opening]):
    """Two lanes: items for which `predicate` holds go to the first, the others to the second.

    A `TypeIs` or `TypeGuard` narrows the type of the first lane, and a `TypeIs` that of the second
    where that can be said.

    `predicate` runs in the worker before the fork, and is a pure function of the item.
    `on_error` says what becomes of an item on which the function fails: "raise" ends the run
    and names the fork and the item, "skip" leaves it out and counts it, "dead_letter" keeps it.

    >>> from conveyor import Join, Pipe, Pipeline, Processor, SplittingFork
    >>> pl = Pipeline[str]().add(SplittingFork(str.isdigit))
    >>> pl.add(Processor(int), Pipe()).add(Join(2, ordered=True)).simulate(["1", "a"])
    [1, 'a']
    """

    if TYPE_CHECKING:
        # For pyright, which lets a lambda in `__init__` know nothing of the type that is expected
        # where `self` has one of its own, and takes it for a guard; mypy goes by `__init__`.
        def __new__(  # pyright: ignore[reportGeneralTypeIssues]  # by default it is what it takes
            cls,
            predicate: Callable[[In], object]
            | Callable[[In], TypeGuard[KeptOrIn]]
            | Callable[[In], TypeIs[KeptOrIn]],
            *,
            name: str | None = None,
            on_error: OnError = "raise",
        ) -> SplittingFork[In, Into[KeptOrIn]]: ...

    @overload
    def __init__(
        self: SplittingFork[In, Into[Kept]],
        predicate: Callable[[In], TypeIs[Kept]],
        *,
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None: ...
    @overload
    def __init__(
        self: SplittingFork[In, Into[Kept]],
        predicate: Callable[[In], TypeGuard[Kept]],
        *,
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None: ...
    @overload
    def __init__(
        self: SplittingFork[In, Into[Kept]],
        predicate: Callable[[In], object],
        *,
        name: str | None = None,
        on_error: OnError = "raise",
        **only: Unpack[ForPyright],
    ) -> None: ...
    @overload
    def __init__(
        self: SplittingFork[In, Literal[2]],
        predicate: Callable[[In], object],
        *,
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None: ...
    def __init__(  # type: ignore[misc]  # `only` is for a checker
        self,
        predicate: Callable[[In], object],
        *,
        name: str | None = None,
        on_error: OnError = "raise",
    ) -> None:
        self._take(2, "predicate", predicate, name, on_error)

    def __repr__(self) -> str:
        return f"SplittingFork({name_of(function_of(self))})"
