"""The pipeline as checkers read it: what each row of stages makes of the types on the open lanes.

Knows: the states that a pipeline can be in for a checker.  Must never know: what adding a stage or
a run does.
"""

# The overloads of `add` overlap where a stage could be of two shapes, which none is.
# mypy: disable-error-code="overload-overlap"
# pyright: reportOverlappingOverload=false

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Never, Self, overload

from typing_extensions import TypeVar, TypeVarTuple, Unpack

from conveyor._rows import Rows
from conveyor.signatures import Undeclared

if TYPE_CHECKING:
    from conveyor._builder.checkpoint import Checkpoint
    from conveyor._builder.engine import AsyncStream, StartMethod, Stream
    from conveyor._builder.running import HowToRun
    from conveyor._builder.simulating import HowToExplore, HowToSimulate, Said
    from conveyor._rows import AnyStage
    from conveyor.core.engine import Engine
    from conveyor.report import Report, RunResult
    from conveyor.signatures import (
        B1,
        ClosesAsNeeded,
        ClosesLanes,
        JoinTheOpenLanesFirst,
        OpensLanes,
        RowDoesNotFitTheLanes,
        SelectsLanes,
        Stage,
        ZipsLanes,
    )
    from conveyor.sim.search.findings import Exploration
    from conveyor.sim.search.simulation import Simulation
    from conveyor.transfer.contract import Sink, Source

__all__ = ["AdaptivePipeline", "Pipeline", "StatementPipeline", "UncheckedPipeline", "WidePipeline"]

In = TypeVar("In", default=Undeclared)
Row = TypeVarTuple("Row", default=Unpack[tuple[Any, ...]])  # the open lanes, from left to right
Lane = TypeVar("Lane", default=Any)


class Pipeline(Rows[In, *Row], Generic[In, *Row]):
    """A pipeline: rows of stages, added one after the other, and run as often as wanted.

    `strict` holds the stricter rules of construction: it begins with a processor, and a pipe that
    is put in silently raises an `ImplicitPipeWarning`.  `start_method` is multiprocessing's;
    without it, what the environment variable CONVEYOR_START_METHOD says, or "forkserver".
    `initializer` is called once in each worker, before the `setup` of its stages; `preload` names
    modules that the fork server imports once for all workers.  Neither is used by the simulator.
    `engine` is where it runs unless a run says otherwise: this machine, or a cluster.  `name`
    stands before the names of its stages where it is added to another pipeline.

    >>> from conveyor import Filter, Processor
    >>> pl = Pipeline[int]().add(Processor(lambda x: x + 1)).add(Filter(lambda x: x % 2))
    >>> pl.run(range(5))
    [1, 3, 5]
    """

    if TYPE_CHECKING:

        def __new__(
            cls,
            *,
            strict: bool = False,
            start_method: StartMethod | None = None,
            initializer: Callable[[], object] | None = None,
            preload: Sequence[str] = (),
            name: str | None = None,
            engine: Engine | None = None,
        ) -> Pipeline[In, *tuple[()]]: ...

    # What mypy reads, which looks here before it looks at __new__; pyright reads __new__.
    def __init__(
        self: Pipeline[In, *tuple[()]],  # pyright: ignore[reportInvalidTypeVarUse]
        *,
        strict: bool = False,
        start_method: StartMethod | None = None,
        initializer: Callable[[], object] | None = None,
        preload: Sequence[str] = (),
        name: str | None = None,
        engine: Engine | None = None,
    ) -> None:
        super().__init__(
            strict=strict,
            start_method=start_method,
            initializer=initializer,
            preload=preload,
            name=name,
            engine=engine,
        )

    @overload
    def __enter__(self: Pipeline[Undeclared, *tuple[()]]) -> StatementPipeline[Any]: ...
    @overload
    def __enter__(self: Pipeline[In, *tuple[()]]) -> StatementPipeline[In]: ...
    @overload
    def __enter__(self) -> Self: ...
    def __enter__(self) -> object:
        return self._enter()


if TYPE_CHECKING:

    class StatementPipeline(Pipeline[Any, *tuple[Any, ...]], Generic[In]):
        """What `with Pipeline() as pl` gives: stages are added to one variable, whose type cannot
        follow them.

        Checkers accept any row here; the plugin for mypy follows it, and `add` itself checks it
        when the pipeline is built.
        """

        def _lane_(self, item: Never, /) -> Never:  # pyright: ignore[reportIncompatibleMethodOverride]
            raise NotImplementedError

        def add(self, *stages: AnyStage) -> StatementPipeline[In]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            raise NotImplementedError

        def run(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            self, items: Iterable[In], **options: Unpack[HowToRun]
        ) -> RunResult[Any]:
            raise NotImplementedError

        def stream(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            self,
            items: Source[In, Any] | Iterable[In],
            *,
            checkpoint: Checkpoint | None = None,
            **options: Unpack[HowToRun],
        ) -> Stream[Any]:
            raise NotImplementedError

        async def arun(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            self, items: Iterable[In] | AsyncIterable[In], **options: Unpack[HowToRun]
        ) -> RunResult[Any]:
            raise NotImplementedError

        def astream(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            self,
            items: Source[In, Any] | Iterable[In] | AsyncIterable[In],
            *,
            checkpoint: Checkpoint | None = None,
            **options: Unpack[HowToRun],
        ) -> AsyncStream[Any]:
            raise NotImplementedError

        def drain(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            self,
            source: Source[In, Any] | Iterable[In],
            *,
            into: Sink[Any],
            checkpoint: Checkpoint | None = None,
            **options: Unpack[HowToRun],
        ) -> Report:
            raise NotImplementedError

        def simulate(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            self, items: Iterable[In], **options: Unpack[HowToSimulate]
        ) -> Simulation[Any, In]:
            raise NotImplementedError

        def explore(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            self,
            items: Iterable[In],
            check: Callable[[Simulation[Any, In]], object] | None = None,
            **options: Unpack[HowToExplore],
        ) -> Exploration[Any]:
            raise NotImplementedError

        def replay(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            self, items: Iterable[In], schedule: Said
        ) -> Simulation[Any, In]:
            raise NotImplementedError

        def count(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            self, items: Iterable[In]
        ) -> int | None:
            raise NotImplementedError

        def __enter__(self) -> Self:  # pyright: ignore[reportIncompatibleMethodOverride]
            raise NotImplementedError

    class UncheckedPipeline(StatementPipeline[In], Generic[In]):
        """What the plugin for mypy makes of a pipeline that it follows no further."""

    class OpenLanes(Generic[In]):
        """What cannot be run before its lanes are joined."""

        def run(self, items: JoinTheOpenLanesFirst) -> RunResult[Any]:
            raise NotImplementedError

        def stream(self, items: JoinTheOpenLanesFirst) -> Stream[Any]:
            raise NotImplementedError

        async def arun(self, items: JoinTheOpenLanesFirst) -> RunResult[Any]:
            raise NotImplementedError

        def astream(self, items: JoinTheOpenLanesFirst) -> AsyncStream[Any]:
            raise NotImplementedError

        def drain(self, source: JoinTheOpenLanesFirst, *, into: Sink[Any]) -> Report:
            raise NotImplementedError

        def simulate(
            self, items: JoinTheOpenLanesFirst, **options: Unpack[HowToSimulate]
        ) -> Simulation[Any]:
            raise NotImplementedError

        def explore(
            self,
            items: JoinTheOpenLanesFirst,
            check: Callable[[Simulation[Any]], object] | None = None,
            **options: Unpack[HowToExplore],
        ) -> Exploration[Any]:
            raise NotImplementedError

        def replay(self, items: JoinTheOpenLanesFirst, schedule: Said) -> Simulation[Any]:
            raise NotImplementedError

        def count(self, items: JoinTheOpenLanesFirst) -> int | None:
            raise NotImplementedError

        def __enter__(self) -> StatementPipeline[In]:
            raise NotImplementedError

        def __exit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            trace: TracebackType | None,
        ) -> None:
            raise NotImplementedError

    class WidePipeline(OpenLanes[In], Generic[In, Lane]):
        """A pipeline with lanes of one type, of unknown number: behind a fork whose width is
        not a literal, or beyond 8."""

        @overload
        def add(self, join: ClosesLanes[Any], /) -> Pipeline[In, Lane]: ...
        @overload
        def add(self, zip: ZipsLanes[Any], /) -> Pipeline[In, tuple[Lane, ...]]: ...
        @overload
        def add(self, *stages: Stage[Lane, B1]) -> WidePipeline[In, B1]: ...
        @overload
        def add(
            self,
            *stages: Stage[Lane, Lane]
            | OpensLanes[Any]
            | SelectsLanes[Lane, Any]
            | ClosesLanes[Any],
        ) -> WidePipeline[In, Lane]: ...
        @overload
        def add(
            self, stage: RowDoesNotFitTheLanes, /, *stages: RowDoesNotFitTheLanes
        ) -> StatementPipeline[In]: ...
        def add(self, *stages: Any) -> Any:
            raise NotImplementedError

    class AdaptivePipeline(OpenLanes[In], Generic[In, Lane]):
        """A pipeline whose fork decides by itself how many lanes it has: what follows is written
        once, up to `Join()`."""

        @overload
        def add(self, join: ClosesAsNeeded, /) -> Pipeline[In, Lane]: ...
        @overload
        def add(self, *stages: Stage[Lane, B1]) -> AdaptivePipeline[In, B1]: ...
        # Two overloads, neither of which a single job fits: where its lane carries an Any, mypy
        # takes what fits more than one for a pipeline of Any.
        @overload
        def add(
            self,
            router: OpensLanes[Any] | SelectsLanes[Lane, Any] | ClosesLanes[Any],
            /,
            *stages: Stage[Lane, Lane]
            | OpensLanes[Any]
            | SelectsLanes[Lane, Any]
            | ClosesLanes[Any],
        ) -> AdaptivePipeline[In, Lane]: ...
        @overload
        def add(
            self,
            stage: Stage[Lane, Lane],
            other: Stage[Lane, Lane] | OpensLanes[Any] | SelectsLanes[Lane, Any] | ClosesLanes[Any],
            /,
            *stages: Stage[Lane, Lane]
            | OpensLanes[Any]
            | SelectsLanes[Lane, Any]
            | ClosesLanes[Any],
        ) -> AdaptivePipeline[In, Lane]: ...
        @overload
        def add(
            self, stage: RowDoesNotFitTheLanes, /, *stages: RowDoesNotFitTheLanes
        ) -> StatementPipeline[In]: ...
        def add(self, *stages: Any) -> Any:
            raise NotImplementedError

else:
    StatementPipeline = UncheckedPipeline = WidePipeline = AdaptivePipeline = Pipeline
