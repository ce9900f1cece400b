"""A pipeline at work, for real: run, streamed, opened, closed and stopped.

Knows: the session of the pipeline, and the engine as a protocol.  Must never know: how an engine
runs anything.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypedDict, overload

from typing_extensions import TypeVar, TypeVarTuple, Unpack

from conveyor._builder.drafting import Drafting
from conveyor._builder.engine import begun_by, engine_for, run_options
from conveyor.core.lifecycle import Call
from conveyor.errors import TopologyError
from conveyor.signatures import Undeclared

if TYPE_CHECKING:
    from conveyor._builder.checkpoint import Checkpoint
    from conveyor._builder.engine import AsyncStream, Placement, Stream
    from conveyor.core.engine import Engine, RunOptions
    from conveyor.progress import Progress, Tell
    from conveyor.report import RunResult
    from conveyor.signatures import A1, A2, AddAStageFirst, JoinTheOpenLanesFirst, Left
    from conveyor.transfer.contract import Source

    class HowToRun(TypedDict, total=False):
        """The options of `run`, `stream`, `arun` and `astream`, as they stand there."""

        placement: Placement | None
        record: str | PathLike[str] | None
        progress: bool | Callable[[Progress], object]
        monitor: str | None
        engine: Engine | None
        trace: str | PathLike[str] | None


__all__ = ["Running"]

In = TypeVar("In", default=Undeclared)
Row = TypeVarTuple("Row", default=Unpack[tuple[Any, ...]])  # the open lanes, from left to right
Out = TypeVar("Out")


BY_THE_CALLER = 3  # of the frames: the one that has called `run` or the like


class Running(Drafting[In, *Row], Generic[In, *Row]):
    """What runs the rows on an engine."""

    _looked_through: object = None  # the draft whose jobs were looked at

    @overload
    def run(
        self: Running[In, Out],
        items: Iterable[In],
        **options: Unpack[HowToRun],
    ) -> RunResult[Out]: ...
    @overload
    def run(
        self: Running[Undeclared, *tuple[()]], items: Iterable[Any], **options: Unpack[HowToRun]
    ) -> RunResult[Any]: ...
    @overload
    def run(self: Running[In, *tuple[()]], items: AddAStageFirst) -> RunResult[Any]: ...
    @overload
    def run(self: Running[In, A1, A2, *Left], items: JoinTheOpenLanesFirst) -> RunResult[Any]: ...
    def run(
        self,
        items: Any,
        *,
        placement: Placement | None = None,
        record: str | PathLike[str] | None = None,
        progress: bool | Callable[[Progress], object] = False,
        monitor: str | None = None,
        engine: Engine | None = None,
        trace: str | PathLike[str] | None = None,
    ) -> object:
        """Runs to the end of `items`, each processor in a process of its own, and gives all
        outputs.

        `placement` says which core a worker has and who shares one.  `progress`: True, for a table
        or lines on standard error, or a function that is told a `Progress` twice a second.
        `monitor`: the address of a page of the run, such as "127.0.0.1:0".  `record` and `trace`
        name files: what was decided, for `replay`, and what happened when, for Perfetto.  `engine`
        is where: on this machine, unless it or `Pipeline(engine=)` names another, such as
        `conveyor.cluster.Ray()`.

        Raises what a job or `items` raised, or a `RunError`; all workers are then gone.
        `LifecycleError` if another run is under way or the pipeline was opened before this process
        was forked, `TopologyError` if lanes are open.

        >>> from conveyor import Pipeline, Processor
        >>> result = Pipeline[str]().add(Processor(int, on_error="dead_letter")).run(["1", "b"])
        >>> result, [letter.item for letter in result.dead_letters]
        ([1], ['b'])
        """
        where, options = self._asked_for(
            "run()", engine, placement, record, progress, monitor, trace
        )
        self._warn("run()", items)
        try:
            return self._session.run(self._compiled_for, where, items, options)
        finally:
            del items  # an error that is kept keeps this frame

    @overload
    def stream(
        self: Running[In, Out],
        items: Source[In, Any] | Iterable[In],
        *,
        checkpoint: Checkpoint | None = None,
        **options: Unpack[HowToRun],
    ) -> Stream[Out]: ...
    @overload
    def stream(
        self: Running[Undeclared, *tuple[()]],
        items: Source[Any, Any] | Iterable[Any],
        *,
        checkpoint: Checkpoint | None = None,
        **options: Unpack[HowToRun],
    ) -> Stream[Any]: ...
    @overload
    def stream(self: Running[In, *tuple[()]], items: AddAStageFirst) -> Stream[Any]: ...
    @overload
    def stream(self: Running[In, A1, A2, *Left], items: JoinTheOpenLanesFirst) -> Stream[Any]: ...
    def stream(
        self,
        items: Any,
        *,
        placement: Placement | None = None,
        record: str | PathLike[str] | None = None,
        progress: bool | Callable[[Progress], object] = False,
        monitor: str | None = None,
        engine: Engine | None = None,
        trace: str | PathLike[str] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> object:
        """Runs lazily, with the options of `run`: an iterator over the outputs, which takes items
        only as fast as outputs are taken.

        `items` are iterated in a thread of their own, in a copy of the caller's context; they may
        be a `Source`, too.  Raises as `run` does, from the iterator; close it, or use it as a
        context manager, to end early.

        With `checkpoint` the run is kept there, and goes on from there when it is called again:
        behind what was marked by `Stream.acknowledge`, and with what was not.  Raises
        `CheckpointMismatch` for the checkpoint of another run, `TopologyError` for a stage or an
        engine that cannot be kept, `TypeError` for an iterator.
        """
        where, options = self._asked_for(
            "stream()", engine, placement, record, progress, monitor, trace
        )
        self._warn("stream()", items)
        try:
            items, where, options = self._streamed(
                "stream", items, checkpoint, where, record, options
            )
            return self._session.begin_stream(self._compiled_for, where, items, options)
        finally:
            del items

    @overload
    async def arun(
        self: Running[In, Out],
        items: Iterable[In] | AsyncIterable[In],
        **options: Unpack[HowToRun],
    ) -> RunResult[Out]: ...
    @overload
    async def arun(
        self: Running[Undeclared, *tuple[()]],
        items: Iterable[Any] | AsyncIterable[Any],
        **options: Unpack[HowToRun],
    ) -> RunResult[Any]: ...
    @overload
    async def arun(self: Running[In, *tuple[()]], items: AddAStageFirst) -> RunResult[Any]: ...
    @overload
    async def arun(
        self: Running[In, A1, A2, *Left], items: JoinTheOpenLanesFirst
    ) -> RunResult[Any]: ...
    async def arun(
        self,
        items: Any,
        *,
        placement: Placement | None = None,
        record: str | PathLike[str] | None = None,
        progress: bool | Callable[[Progress], object] = False,
        monitor: str | None = None,
        engine: Engine | None = None,
        trace: str | PathLike[str] | None = None,
    ) -> object:
        """Runs as `run` does, beside the event loop, which goes on meanwhile.

        `items` may be an asynchronous iterable, too, which is iterated in the event loop; another
        one is iterated in a thread of the run's own, in a copy of the caller's context.  If the
        task is cancelled the run is ended first.

        >>> import asyncio
        >>> from conveyor import Pipeline, Processor
        >>> asyncio.run(Pipeline[int]().add(Processor(abs)).arun([-1, 2]))
        [1, 2]
        """
        where, options = self._asked_for(
            "arun()", engine, placement, record, progress, monitor, trace
        )
        self._warn("arun()", items)
        try:
            return await self._session.arun(self._compiled_for, where, items, options)
        finally:
            del items

    @overload
    def astream(
        self: Running[In, Out],
        items: Source[In, Any] | Iterable[In] | AsyncIterable[In],
        *,
        checkpoint: Checkpoint | None = None,
        **options: Unpack[HowToRun],
    ) -> AsyncStream[Out]: ...
    @overload
    def astream(
        self: Running[Undeclared, *tuple[()]],
        items: Source[Any, Any] | Iterable[Any] | AsyncIterable[Any],
        *,
        checkpoint: Checkpoint | None = None,
        **options: Unpack[HowToRun],
    ) -> AsyncStream[Any]: ...
    @overload
    def astream(self: Running[In, *tuple[()]], items: AddAStageFirst) -> AsyncStream[Any]: ...
    @overload
    def astream(
        self: Running[In, A1, A2, *Left], items: JoinTheOpenLanesFirst
    ) -> AsyncStream[Any]: ...
    def astream(
        self,
        items: Any,
        *,
        placement: Placement | None = None,
        record: str | PathLike[str] | None = None,
        progress: bool | Callable[[Progress], object] = False,
        monitor: str | None = None,
        engine: Engine | None = None,
        trace: str | PathLike[str] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> object:
        """Runs lazily as `stream` does, beside the event loop: `async with` what this gives, and
        `async for` over it.

        `items` may be an asynchronous iterable, too, which is iterated in the event loop; but not
        with `checkpoint`, as it cannot be asked again.

        >>> import asyncio
        >>> from itertools import count
        >>> from conveyor import Pipeline, Processor
        >>> async def first(pl: Pipeline[int, int]) -> int:
        ...     async with pl.astream(count(5)) as stream:
        ...         async for result in stream:
        ...             return result
        ...     return 0
        >>> asyncio.run(first(Pipeline[int]().add(Processor(abs))))
        5
        """
        where, options = self._asked_for(
            "astream()", engine, placement, record, progress, monitor, trace
        )
        self._warn("astream()", items)
        try:
            items, where, options = self._streamed(
                "astream", items, checkpoint, where, record, options
            )
            return self._session.astream(self._compiled_for, where, items, options)
        finally:
            del items

    def _streamed(
        self,
        call: str,
        items: Any,
        checkpoint: Checkpoint | None,
        where: Engine | None,
        record: object,
        options: RunOptions,
    ) -> tuple[Any, Engine | None, RunOptions]:
        """What a stream is given, where it runs, and how it is kept, if it is to be."""
        if checkpoint is None:
            from conveyor.transfer.drain import items_of

            return items_of(items), where, options
        from conveyor._builder.kept_stream import kept_stream

        self._session.check(Call.START)
        engine = where or self._session.deployed_on or self._session.engine
        topology = self._compiled_for(engine)
        kept = kept_stream(call, topology, items, checkpoint, record, engine)
        options = options._replace(keeping=kept, acknowledging=kept)
        return kept.items(), kept.elsewhere(engine) or where, options

    def _asked_for(
        self,
        call: str,
        engine: Engine | None,
        placement: Placement | None,
        record: str | PathLike[str] | None,
        progress: bool | Tell,
        monitor: str | None,
        trace: str | PathLike[str] | None,
    ) -> tuple[Engine | None, RunOptions]:
        """What one run is to be on, None for what the pipeline is open on, and what is wanted of
        it."""
        self._draft.check_complete(call)
        chosen = engine or self._engine
        if chosen is not None and placement is not None:
            raise TopologyError(
                f"{call}: placement= names cores of this machine, and the pipeline runs on "
                f"{chosen!r}: leave it out, or let the engine say what goes where"
            )
        where = None if placement is None else engine_for(self._start, placement)
        if engine is not None:
            where = begun_by(engine, self._start)
        return where, run_options(record, progress, monitor, trace)

    def _warn(self, call: str, items: object) -> None:
        """Warns of what can be run and is hardly meant; of the jobs once for each draft."""
        if isinstance(items, str) or self._looked_through is not self._draft:
            from conveyor._builder.likely_mistakes import warn_of_letters, warn_of_lost_changes

            if isinstance(items, str):
                warn_of_letters(call, items, BY_THE_CALLER)
            if self._looked_through is not self._draft:
                self._looked_through = self._draft
                warn_of_lost_changes(self._draft, BY_THE_CALLER)

    def open(self) -> Self:
        """From now on the workers, which the first run starts, are kept for the next; until
        `close`.

        An open pipeline belongs to this process: in one that is forked from it any use but `close`
        is a `LifecycleError`.
        """
        self._draft.check_complete("open()")
        self._session.call(Call.OPEN)
        return self

    def close(self) -> None:
        """Ends the workers of an opened pipeline, and a stream that is open.

        `LifecycleError` if it is not open, or if another thread is in `run`: `stop()` ends that
        first.
        """
        self._session.close()

    def stop(self) -> None:
        """Ends the run or stream under way, which then raises `RunStopped`; does nothing if there
        is none.

        May be called from any thread, and from a signal handler; it does not wait.  The pipeline
        can be run again, inside `with` and after `open` with new workers.

        >>> from itertools import count
        >>> from conveyor import Pipeline, Processor
        >>> pl = Pipeline[int]().add(Processor(abs))
        >>> stream = pl.stream(count())
        >>> pl.stop()
        >>> next(stream)
        Traceback (most recent call last):
        conveyor.errors.RunStopped: the run was ended by stop()
        """
        self._session.stop()

    def _enter(self) -> Self:
        self._session.call(Call.ENTER)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session.exit()
