"""The kinds of jobs: `Processor`, `FlatMap` and `Filter`."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Never, TypedDict, TypeGuard, Unpack, overload

from typing_extensions import TypeIs, TypeVar

from conveyor.errors import TopologyError
from conveyor.signatures import MayAwait
from conveyor.stages.job import Gives, In, Job, Out, job_of
from conveyor.stages.stage import OnError

if TYPE_CHECKING:
    from conveyor.signatures import (
        AnyPartial,
        ForMypy,
        ForPyright,
        GivesEach,
        Makes,
        MakesAwaited,
        MakesEntered,
        OpenPartial,
        Some,
        WhatThePartialLeavesOpen,
    )

    class Options(TypedDict, total=False):
        """The options of a job, as they stand there."""

        name: str | None
        on_error: OnError
        retries: int
        timeout_s: float | None
        read_only: bool
        cores: int
        concurrency: int | None
        ordered: bool

    class OptionsForMypy(ForMypy, Options, total=False):
        """The same, where a `functools.partial` is told apart, which only mypy needs."""


__all__ = ["Filter", "FlatMap", "Processor"]

T = TypeVar("T", default=Any)
Kept = TypeVar("Kept", default=T)
Each = TypeVar("Each")
Made = TypeVar("Made")  # what `setup` makes


class Processor(MayAwait[In, Out], Job[In, Out]):
    """One item in, at most one out: a result of None is no output.

    `fn` is anything that can be called with exactly one item; with `setup`, which is called once in
    each worker before its first item, `fn` is given what that makes as its second argument.  A
    context manager is entered there, and left when the worker stops; anything else is closed then,
    if it has a `close`.  A worker that dies is replaced, and the next one makes its own.

    A stateful processor is a subclass that writes `process(self, item)` and, if wanted, `setup`,
    `finish` and `teardown`.  If its worker dies its state is lost, and the run fails; unless it
    also has `snapshot(self)`, which gives the state as something that can be pickled, and
    `restore(self, state)`, which another worker calls behind `setup`.

    `on_error` says what becomes of an item whose job raises, after `retries` further attempts:
    `"raise"` ends the run, `"skip"` drops the item and counts it, `"dead_letter"` keeps it in the
    result's `.dead_letters`.  Before the second attempt there is a wait of 10 ms, before each
    further one twice as long, a second at most.  An item that takes longer than `timeout_s` seconds
    fails, too, with `ItemTimeout`: its worker is killed and replaced.

    `read_only=True` promises that the job does not change its item and keeps no part of it once it
    has returned: large buffers (arrays) are then read in place, read-only, where they would else be
    copied.  It may return them, or parts.

    `cores=n` is for a job that uses several cores at once, by threads of its own (BLAS, pyarrow,
    joblib): its worker has `n` of them while there are so many, and numeric libraries are told to
    start `n` threads in it, where they would else be told to start one.

    With `concurrency=n` one worker has up to n items in hand at once: in n threads, or, of an
    `async def`, as coroutines of one event loop (64, unless said).  What comes of them leaves in
    the order of the items; with `ordered=False`, as they are done.

    Raises `TopologyError` if `fn` cannot be called so or an option is out of range.

    >>> Processor(len)
    Processor(len)
    >>> Processor(lambda key, table: table.get(key), setup=lambda: {"a": 1})
    Processor(lambda)
    """

    _stage_gives: ClassVar[Gives | None] = Gives.RESULT

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
    # Of async functions, which are awaited: what they give is what comes of that.  For mypy; to
    # pyright a lane tells so.
    @overload
    def __init__(
        self: Processor[In, Some],  # pyright: ignore[reportInvalidTypeVarUse]
        fn: Callable[[In], Coroutine[Any, Any, Some]],
        **options: Unpack[OptionsForMypy],
    ) -> None: ...
    @overload
    def __init__(  # pyright: ignore[reportOverlappingOverload]
        self,
        fn: Callable[[In], Coroutine[Any, Any, Out | None]],
        **options: Unpack[OptionsForMypy],
    ) -> None: ...
    @overload
    def __init__(
        self: Processor[In, Some],  # pyright: ignore[reportInvalidTypeVarUse]
        fn: Callable[[In], Some],
        **options: Unpack[OptionsForMypy],
    ) -> None: ...
    @overload
    def __init__(self, fn: Callable[[In], Out | None], **options: Unpack[Options]) -> None: ...
    @overload
    def __init__(  # type: ignore[overload-cannot-match]  # pyright: ignore[reportOverlappingOverload]
        self, fn: Callable[[In], Out], **options: Unpack[Options]
    ) -> None: ...
    @overload  # of an async function where `Processor[int, str]` says what comes of it
    def __init__(  # type: ignore[overload-cannot-match]  # pyright: ignore[reportOverlappingOverload]
        self, fn: Callable[[In], Coroutine[Any, Any, Out | None]], **options: Unpack[Options]
    ) -> None: ...
    @overload
    def __init__(self, **options: Unpack[Options]) -> None: ...
    # With what `setup` makes; of a context manager, what it gives when it is entered.  Here mypy
    # makes an object of a union: a type variable beside those of the class would have it look at
    # lambdas only before it knows what they are given.
    @overload
    def __init__(
        self,
        fn: Callable[[In, Made], Coroutine[Any, Any, Out | None]],
        *,
        setup: MakesEntered[Made],
        **options: Unpack[OptionsForMypy],
    ) -> None: ...
    @overload
    def __init__(
        self,
        fn: Callable[[In, Made], Coroutine[Any, Any, Out | None]],
        *,
        setup: MakesAwaited[Made],
        **options: Unpack[OptionsForMypy],
    ) -> None: ...
    @overload
    def __init__(
        self,
        fn: Callable[[In, Made], Coroutine[Any, Any, Out | None]],
        *,
        setup: Makes[Made],
        **options: Unpack[OptionsForMypy],
    ) -> None: ...
    @overload
    def __init__(
        self,
        fn: Callable[[In, Made], Out | None],
        *,
        setup: MakesEntered[Made],
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self,
        fn: Callable[[In, Made], Out | None],
        *,
        setup: MakesAwaited[Made],
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self,
        fn: Callable[[In, Made], Out | None],
        *,
        setup: Makes[Made],
        **options: Unpack[Options],
    ) -> None: ...
    def __init__(  # pyright: ignore[reportInconsistentOverload]
        self,
        fn: Callable[..., object] | None = None,
        *,
        setup: Callable[[], object] | None = None,
        name: str | None = None,
        on_error: OnError = "raise",
        retries: int = 0,
        timeout_s: float | None = None,
        read_only: bool = False,
        cores: int = 1,
        concurrency: int | None = None,
        ordered: bool = True,
    ) -> None:
        self._take(
            fn, name, on_error, retries, timeout_s, read_only, setup, cores, concurrency, ordered
        )

    def process(self, item: In, /) -> Out | Awaitable[Out | None] | None:
        """What a stateful processor does with one item, as a function or as an async one; a
        processor made of a function calls that."""
        if self.stage_options.fn is None:
            raise TopologyError(f"{type(self).__name__} has no process() method")
        result: Out | None = job_of(self)(item)  # type: ignore[assignment]  # __init__ took a Callable[[In], Out | None]
        return result


class FlatMap(Job[In, Out]):
    """One item in, any number out: `fn(item)` gives an iterable, which is taken lazily; with
    `setup`, as of a `Processor`, `fn(item, made)`.

    >>> FlatMap(str.split)
    FlatMap(split)
    """

    _stage_gives: ClassVar[Gives | None] = Gives.EACH

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
        **options: Unpack[Options],
    ) -> None: ...
    @overload  # of an async function, or an async generator function
    def __init__(
        self,
        fn: Callable[[In], Coroutine[Any, Any, Iterable[Out]]],
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self, fn: Callable[[In], AsyncIterable[Out]], **options: Unpack[Options]
    ) -> None: ...
    # Of what gives the elements of any iterable, such as `iter`: mypy looks at it once without
    # knowing its lane.
    @overload
    def __init__(
        self: FlatMap[Iterable[Each], Each],
        fn: Callable[[Iterable[Each]], Iterator[Each]],
        **options: Unpack[OptionsForMypy],
    ) -> None: ...
    @overload  # with what `setup` makes: as above
    def __init__(
        self, fn: GivesEach[In, Made, Out], *, setup: MakesEntered[Made], **options: Unpack[Options]
    ) -> None: ...
    @overload
    def __init__(
        self, fn: GivesEach[In, Made, Out], *, setup: MakesAwaited[Made], **options: Unpack[Options]
    ) -> None: ...
    @overload
    def __init__(
        self, fn: GivesEach[In, Made, Out], *, setup: Makes[Made], **options: Unpack[Options]
    ) -> None: ...
    def __init__(  # pyright: ignore[reportInconsistentOverload]
        self,
        fn: Callable[..., object] | None = None,
        *,
        setup: Callable[[], object] | None = None,
        name: str | None = None,
        on_error: OnError = "raise",
        retries: int = 0,
        timeout_s: float | None = None,
        read_only: bool = False,
        cores: int = 1,
        concurrency: int | None = None,
        ordered: bool = True,
    ) -> None:
        self._take(
            fn, name, on_error, retries, timeout_s, read_only, setup, cores, concurrency, ordered
        )


class Filter(Job[T, Kept]):
    """Passes the items for which the predicate holds; behind one that gives a `TypeGuard` or a
    `TypeIs` they are of its type.  With `setup`, as of a `Processor`, `predicate(item, made)`.

    >>> Filter(str.isdigit)
    Filter(isdigit)
    """

    _stage_gives: ClassVar[Gives | None] = Gives.ITEM

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
    # For mypy: a lambda with a mistake would pass for a guard, without a word; its plugin tells
    # guards.
    @overload
    def __init__(
        self: Filter[T, T],  # pyright: ignore[reportInvalidTypeVarUse]
        predicate: Callable[[T], object] | None = None,
        **options: Unpack[OptionsForMypy],
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
        cores: int = 1,
        concurrency: int | None = None,
        ordered: bool = True,
        **only: Unpack[ForPyright],
    ) -> None: ...
    @overload  # with what `setup` makes: as above
    def __init__(
        self: Filter[T, T],  # pyright: ignore[reportInvalidTypeVarUse]
        predicate: Callable[[T, Made], object],
        *,
        setup: MakesEntered[Made],
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: Filter[T, T],  # pyright: ignore[reportInvalidTypeVarUse]
        predicate: Callable[[T, Made], object],
        *,
        setup: MakesAwaited[Made],
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: Filter[T, T],  # pyright: ignore[reportInvalidTypeVarUse]
        predicate: Callable[[T, Made], object],
        *,
        setup: Makes[Made],
        **options: Unpack[Options],
    ) -> None: ...
    def __init__(  # type: ignore[misc]  # `only` is for a checker  # pyright: ignore[reportInconsistentOverload]
        self,
        predicate: Callable[..., object] | None = None,
        *,
        setup: Callable[[], object] | None = None,
        name: str | None = None,
        on_error: OnError = "raise",
        retries: int = 0,
        timeout_s: float | None = None,
        read_only: bool = False,
        cores: int = 1,
        concurrency: int | None = None,
        ordered: bool = True,
    ) -> None:
        self._take(
            predicate,
            name,
            on_error,
            retries,
            timeout_s,
            read_only,
            setup,
            cores,
            concurrency,
            ordered,
        )
