"""What the user writes: the stages of a pipeline.

This folder knows what the user said, and whether it can be meant.  It must never know how a stage
runs.  Start with `Processor`; whether something can be a job at all is asked in `callables`.

The routers are what Akka Streams calls Broadcast (`ReplicatingFork`), Balance (`BalancingFork`) and
Merge (`Join`).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Literal,
    NamedTuple,
    Never,
    Protocol,
    TypeGuard,
    Unpack,
    overload,
    runtime_checkable,
)

from typing_extensions import TypeIs, TypeVar

from conveyor.errors import TopologyError
from conveyor.signatures import ClosesLanes, OpensLanes, PassesALane, TakesALane, Width, ZipsLanes
from conveyor.stages.callables import check_is_called, check_takes_one_item, name_of, near_misses

if TYPE_CHECKING:
    from conveyor.signatures import (
        AnyPartial,
        ForMypy,
        ForPyright,
        OpenPartial,
        Some,
        WhatThePartialLeavesOpen,
    )

__all__ = [
    "BalancingFork",
    "Filter",
    "FlatMap",
    "Job",
    "Join",
    "OnError",
    "Pipe",
    "Processor",
    "ReplicatingFork",
    "Stage",
    "Zip",
]

In = TypeVar(
    "In", contravariant=True, default=Any
)  # a lambda on its own says nothing of what it takes
Out = TypeVar("Out", covariant=True, default=Never)  # what gives nothing but None gives nothing
T = TypeVar("T", default=Any)
Kept = TypeVar("Kept", default=T)
Each = TypeVar("Each")

OnError = Literal["raise", "skip", "dead_letter"]

if TYPE_CHECKING:

    class OptionsForMypy(ForMypy, total=False):
        """The options of a job, where a `functools.partial` is told apart, which only mypy
        needs."""

        name: str | None
        on_error: OnError
        retries: int
        timeout_s: float | None
        read_only: bool


ON_ERROR: Final = ("raise", "skip", "dead_letter")
DEFAULT_CAPACITY: Final = 16384


class Unset(Enum):
    """Tells an argument that was left out from one that is None."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


class Said(NamedTuple):
    """What was said of a stage when it was made."""

    name: str | None = None
    fn: Callable[..., object] | None = None
    on_error: OnError = "raise"
    retries: int = 0
    timeout_s: float | None = None
    read_only: bool = False


class Stage:
    """Anything that can be added to a pipeline."""

    said = Said()  # all in one attribute, so that a subclass may use any other name for itself

    def default_name(self) -> str:
        """What the stage is called if nobody says: its kind, or the name of its function."""
        return "".join(f"_{c.lower()}" if c.isupper() else c for c in type(self).__name__).lstrip(
            "_"
        )


@runtime_checkable
class Restorable(Protocol):
    """A stateful processor that survives its worker."""

    def snapshot(self) -> object:
        """The state, as something that can be pickled."""
        ...

    def restore(self, state: Any, /) -> None:
        """Called behind `setup` in a new worker, with what `snapshot` gave last."""
        ...


class Job(Stage, TakesALane[In, Out]):
    """A stage that does work: in a real run it has a process of its own."""

    def _take(
        self,
        fn: Callable[..., object] | None,
        name: str | None,
        on_error: OnError,
        retries: object,
        timeout_s: object,
        read_only: object,
    ) -> None:
        kind = type(self).__name__
        if fn is None and type(self) in (Processor, FlatMap, Filter):
            raise TopologyError(
                f"{kind}() has nothing to do: give it a function, or subclass it and write process()"
            )
        if fn is not None:
            check_is_a_job(self, kind, fn)
        if on_error not in ON_ERROR:
            raise TopologyError(
                f"{kind}: on_error is {on_error!r}; it must be one of {', '.join(map(repr, ON_ERROR))}"
            )
        if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
            raise TopologyError(
                f"{kind}: retries is {retries!r}; it must be a whole number, 0 or more"
            )
        if callable(getattr(self, "snapshot", None)) != callable(getattr(self, "restore", None)):
            raise TopologyError(f"{kind}: write both snapshot() and restore(state), or neither")
        if not isinstance(read_only, bool):
            raise TopologyError(f"{kind}: read_only is {read_only!r}; it must be True or False")
        self.said = Said(
            checked_name(kind, name),
            fn,
            on_error,
            retries,
            checked_timeout(kind, timeout_s),
            read_only,
        )

    @property
    def is_stateful(self) -> bool:
        """Was this stage written as a class, whose state lives as long as its worker?"""
        return type(self) not in (Processor, FlatMap, Filter)

    @property
    def is_restorable(self) -> bool:
        """Can its state be saved, and given to another worker?"""
        return self.is_stateful and isinstance(self, Restorable)

    def default_name(self) -> str:
        return type(self).__name__ if self.said.fn is None else name_of(self.said.fn)

    def setup(self) -> None:
        """Called once in each worker process, before its first item."""

    def finish(self) -> Iterable[Out]:
        """Called at the end of every run; what it gives is sent on after all other outputs."""
        return ()

    def teardown(self) -> None:
        """Called once in each worker process, when it stops."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.default_name() if self.said.fn is not None else ''})"


class Processor(Job[In, Out]):
    """One item in, at most one out: a result of None is no output.

    `fn` is anything that can be called with exactly one item.  A stateful processor is a subclass
    that writes `process(self, item)` and, if wanted, `setup`, `finish` and `teardown`.  If its
    worker dies its state is lost, and the run fails; unless it also has `snapshot(self)`, which
    gives the state as something that can be pickled, and `restore(self, state)`, which another
    worker calls behind `setup`.

    `on_error` says what becomes of an item whose job raises, after `retries` further attempts:
    `"raise"` ends the run, `"skip"` drops the item and counts it, `"dead_letter"` keeps it in the
    result's `.dead_letters`.  Before the second attempt there is a wait of 10 ms, before each
    further one twice as long, a second at most.  An item that takes longer than `timeout_s` seconds
    fails, too, with `ItemTimeout`: its worker is killed and replaced.

    `read_only=True` promises that the job does not change its item and keeps no part of it once it
    has returned: large buffers (arrays) are then read in place, read-only, where they would else be
    copied.  It may return them, or parts.

    Raises `TopologyError` if `fn` cannot be called with one argument or an option is out of range.

    >>> Processor(len)
    Processor(len)
    """

    # A None that the function gives is not of `Out`.  Where mypy takes a None off it makes an
    # object of any union, so it alone has the first overload, for functions that give none.  The
    # third is for functions of which nothing is known before their lane is: mypy looks at each
    # stage once without it.  To mypy a partial can be called with anything: those that fit, and
    # those that do not, are told apart before.
    @overload
    def __init__(
        self: Processor[In, Some],  # pyright: ignore[reportInvalidTypeVarUse]
        fn: OpenPartial[In, Some],
        **options: Unpack[OptionsForMypy],
    ) -> None: ...
    @overload
    def __init__(  # pyright: ignore[reportOverlappingOverload]
        self, fn: OpenPartial[In, Out | None], **options: Unpack[OptionsForMypy]
    ) -> None: ...
    @overload
    def __init__(
        self: Processor[WhatThePartialLeavesOpen, Never],
        fn: AnyPartial,
        **options: Unpack[OptionsForMypy],
    ) -> None: ...
    @overload
    def __init__(
        self: Processor[In, Some],  # pyright: ignore[reportInvalidTypeVarUse]
        fn: Callable[[In], Some],
        *,
        name: str | None = None,
        on_error: OnError = "raise",
        retries: int = 0,
        timeout_s: float | None = None,
        read_only: bool = False,
        **only: Unpack[ForMypy],
    ) -> None: ...
    @overload
    def __init__(
        self,
        fn: Callable[[In], Out | None],
        *,
        name: str | None = None,
        on_error: OnError = "raise",
        retries: int = 0,
        timeout_s: float | None = None,
        read_only: bool = False,
    ) -> None: ...
    @overload
    def __init__(  # type: ignore[overload-cannot-match]  # pyright: ignore[reportOverlappingOverload]
        self,
        fn: Callable[[In], Out],
        *,
        name: str | None = None,
        on_error: OnError = "raise",
        retries: int = 0,
        timeout_s: float | None = None,
        read_only: bool = False,
    ) -> None: ...
    @overload
    def __init__(
        self,
        *,
        name: str | None = None,
        on_error: OnError = "raise",
        retries: int = 0,
        timeout_s: float | None = None,
        read_only: bool = False,
    ) -> None: ...
    def __init__(  # pyright: ignore[reportInconsistentOverload]
        self,
        fn: Callable[[In], object] | None = None,
        *,
        name: str | None = None,
        on_error: OnError = "raise",
        retries: int = 0,
        timeout_s: float | None = None,
        read_only: bool = False,
    ) -> None:
        self._take(fn, name, on_error, retries, timeout_s, read_only)

    def process(self, item: In, /) -> Out | None:
        """What a stateful processor does with one item; a processor made of a function calls
        that."""
        if self.said.fn is None:
            raise TopologyError(f"{type(self).__name__} has no process() method")
        result: Out | None = self.said.fn(item)  # type: ignore[assignment]  # __init__ took a Callable[[In], Out | None]
        return result


class FlatMap(Job[In, Out]):
    """One item in, any number out: `fn(item)` gives an iterable, which is taken lazily.

    >>> FlatMap(str.split)
    FlatMap(split)
    """

    @overload  # of a partial: as above
    def __init__(
        self, fn: OpenPartial[In, Iterable[Out]], **options: Unpack[OptionsForMypy]
    ) -> None: ...
    @overload
    def __init__(
        self: FlatMap[WhatThePartialLeavesOpen, Never],
        fn: AnyPartial,
        **options: Unpack[OptionsForMypy],
    ) -> None: ...
    @overload
    def __init__(
        self,
        fn: Callable[[In], Iterable[Out]] | None = None,
        *,
        name: str | None = None,
        on_error: OnError = "raise",
        retries: int = 0,
        timeout_s: float | None = None,
        read_only: bool = False,
    ) -> None: ...
    @overload  # of what gives the elements of any iterable, such as `iter`: mypy looks at it once without knowing its lane
    def __init__(
        self: FlatMap[Iterable[Each], Each],
        fn: Callable[[Iterable[Each]], Iterator[Each]],
        *,
        name: str | None = None,
        on_error: OnError = "raise",
        retries: int = 0,
        timeout_s: float | None = None,
        read_only: bool = False,
        **only: Unpack[ForMypy],
    ) -> None: ...
    def __init__(  # pyright: ignore[reportInconsistentOverload]
        self,
        fn: Callable[..., Iterable[object]] | None = None,
        *,
        name: str | None = None,
        on_error: OnError = "raise",
        retries: int = 0,
        timeout_s: float | None = None,
        read_only: bool = False,
    ) -> None:
        self._take(fn, name, on_error, retries, timeout_s, read_only)


class Filter(Job[T, Kept]):
    """Passes the items for which the predicate holds; behind one that gives a `TypeGuard` or a
    `TypeIs` they are of its type.

    >>> Filter(str.isdigit)
    Filter(isdigit)
    """

    @overload  # of a partial: as above
    def __init__(  # pyright: ignore[reportInvalidTypeVarUse]
        self: Filter[T, T],  # pyright: ignore[reportInvalidTypeVarUse]
        predicate: OpenPartial[T, object],
        **options: Unpack[OptionsForMypy],
    ) -> None: ...
    @overload
    def __init__(
        self: Filter[WhatThePartialLeavesOpen],
        predicate: AnyPartial,
        **options: Unpack[OptionsForMypy],
    ) -> None: ...
    @overload  # to mypy: a lambda with a mistake would pass for a guard, without a word; its plugin tells guards
    def __init__(
        self: Filter[T, T],  # pyright: ignore[reportInvalidTypeVarUse]
        predicate: Callable[[T], object] | None = None,
        *,
        name: str | None = None,
        on_error: OnError = "raise",
        retries: int = 0,
        timeout_s: float | None = None,
        read_only: bool = False,
        **only: Unpack[ForMypy],
    ) -> None: ...
    @overload
    def __init__(
        self,
        predicate: Callable[[T], object]
        | Callable[[T], TypeGuard[Kept]]
        | Callable[[T], TypeIs[Kept]]
        | None = None,
        *,
        name: str | None = None,
        on_error: OnError = "raise",
        retries: int = 0,
        timeout_s: float | None = None,
        read_only: bool = False,
        **only: Unpack[ForPyright],
    ) -> None: ...
    def __init__(  # type: ignore[misc]  # `only` is for a checker  # pyright: ignore[reportInconsistentOverload]
        self,
        predicate: Callable[[T], object] | None = None,
        *,
        name: str | None = None,
        on_error: OnError = "raise",
        retries: int = 0,
        timeout_s: float | None = None,
        read_only: bool = False,
    ) -> None:
        self._take(predicate, name, on_error, retries, timeout_s, read_only)


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
        self.said = Said(checked_name("Pipe", name))

    def __repr__(self) -> str:
        return f"Pipe({self.capacity})"


class Fork(Stage):
    """One lane becomes several; `n` is None where that is decided at run time."""

    def __init__(self, n: int | None, name: str | None) -> None:
        self.n = n
        self.said = Said(name)

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


class AnyJoin(Merge):
    """What a `Join` is, whatever the checkers know of its width."""

    ordered: bool


class AnyZip(Merge):
    """What a `Zip` is, whatever the checkers know of its width."""


class Join(AnyJoin, ClosesLanes[Width]):
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
        self.said = Said(checked_name("Join", name))

    def __repr__(self) -> str:
        words = ([] if self.n is None else [str(self.n)]) + (
            ["ordered=True"] if self.ordered else []
        )
        return f"Join({', '.join(words)})"


class Zip(AnyZip, ZipsLanes[Width]):
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
        self.said = Said(checked_name("Zip", name))

    def __repr__(self) -> str:
        return f"Zip({self.n})"


def name_wanted(stage: Stage) -> str:
    """What a stage is to be called."""
    return stage.said.name or stage.default_name()


def policy_of(job: Job[Any, Any]) -> tuple[OnError, int, float | None]:
    """What becomes of an item whose job fails, after how many attempts more, and how many seconds
    an attempt may take."""
    return job.said.on_error, job.said.retries, job.said.timeout_s


def is_plain(job: Job[Any, Any]) -> bool:
    """Was nothing said of how it is to be run, and of items that fail?"""
    return not job.is_stateful and job.said._replace(name=None, fn=None, read_only=False) == Said()


def only_reads(job: Job[Any, Any]) -> bool:
    """Does the job promise that it does not change its items, and keeps none?"""
    return job.said.read_only


def job_of(job: Job[Any, Any]) -> Callable[[object], object]:
    """What is called with each item."""
    if job.said.fn is not None:
        return job.said.fn
    process: Callable[[object], object] | None = getattr(job, "process", None)
    if process is None:
        raise TopologyError(f"{type(job).__name__} has no process() method")
    return process


NO_GENERATOR: Final[Mapping[str, str]] = {
    "Processor": "a Processor gives at most one item for each: FlatMap({}) gives all that it yields",
    "Filter": "a generator is always true: give a function that returns True or False",
}


def check_is_a_job(job: Job[Any, Any], kind: str, fn: object) -> None:
    """Raises `TopologyError` for what cannot be the function of a job."""
    if isinstance(fn, Stage):
        raise TopologyError(
            f"{kind}({fn!r}): {fn!r} is a stage already; add it as it is, without {kind} around it"
        )
    if inspect.isclass(fn) and issubclass(fn, Stage):
        raise TopologyError(
            f"{kind}({fn.__name__}): {fn.__name__} is a class of stages already; add one: {fn.__name__}(...)"
        )
    if not callable(fn):
        raise TopologyError(f"{kind} takes a function of one item, not {fn!r}")
    check_works(job, f"{kind}({name_of(fn)})", fn)


def check_works(job: Job[Any, Any], what: str, fn: Callable[..., object]) -> None:
    """Raises `TopologyError` for a function that cannot be called with one item, or would not work
    when it is."""
    check_takes_one_item(what, fn)
    base = next((each.__name__ for each in (Processor, Filter) if isinstance(job, each)), "")
    instead = NO_GENERATOR.get(base)
    check_is_called(what, fn, None if instead is None else instead.format(name_of(fn)))


def check_is_written(job: Job[Any, Any]) -> None:
    """Raises `TopologyError` for a class of jobs that does not say what to do with an item, or
    could not do it.

    It is asked when a stage is added: a class may have an `__init__` of its own that leaves out
    this one's.
    """
    if job.said.fn is not None:
        return
    cls, process = type(job), getattr(job, "process", None)
    if not callable(process) or getattr(process, "__func__", None) is Processor.process:
        meant = near_misses("process", set(dir(cls)) - set(dir(Processor)))
        hint = (
            f"; was it meant by {' or '.join(f'{name}()' for name in meant)}?"
            if meant
            else ": write process(self, item)"
        )
        raise TopologyError(f"{cls.__name__} has no process() method{hint}")
    check_works(job, f"{cls.__name__}.process", process)
    for name in ("setup", "finish", "teardown"):
        check_is_called(f"{cls.__name__}.{name}", getattr(job, name), None)


def checked_count(kind: str, what: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise TopologyError(f"{kind}: {what} is {value!r}; it must be a whole number, 1 or more")
    return value


def checked_timeout(kind: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise TopologyError(
            f"{kind}: timeout_s is {value!r}; it must be a number of seconds above 0, or None"
        )
    return float(value)


def checked_name(kind: str, name: object) -> str | None:
    if name is None or (isinstance(name, str) and name):
        return name
    raise TopologyError(f"{kind}: name is {name!r}; it must be a string that is not empty")
