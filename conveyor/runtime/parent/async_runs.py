"""Runs of programs that are asynchronous themselves.

Knows: tasks, and the thread that runs in the place of their event loop.  Must never know: how a run
goes on.

Rule 1.  All that may take long is done in a thread of the run's own, and awaited: to start workers,
         to wait for results and to open them, to end.
Rule 2.  A task that is cancelled ends its run, and is let go when that has ended.
Rule 3.  The thread is inside a stream only while the next result is waited for; results that are
         there are taken in the event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Final, Generic, NoReturn, Protocol, Self, TypeAlias, cast, final

from typing_extensions import TypeVar

from conveyor.core.engine import StreamedRun
from conveyor.core.keeping import Acknowledging
from conveyor.errors import LifecycleError, RunStopped
from conveyor.report import DeadLetter, Report, RunResult
from conveyor.runtime.parent.halt import Halt
from conveyor.runtime.parent.side_thread import (
    AsyncSource,
    SideThread,
    fail,
    first_done,
    settled,
)
from conveyor.runtime.parent.stream import Stream, kept

__all__ = ["AsyncStream", "run_beside"]

Out = TypeVar("Out")
Make: TypeAlias = Callable[
    [StreamedRun, deque[object], Halt, Callable[[bool], None]], Stream[object]
]


class Run(Protocol):
    """A run from its beginning to its end, in the calling thread; the halt may end it early."""

    def __call__(self, items: Iterable[object], halt: Halt, /) -> RunResult[object]: ...


class Begin(Protocol):
    """Begins a run whose results are taken one by one from what `make` makes."""

    def __call__(self, items: Iterable[object], halt: Halt, make: Make, /) -> object: ...


async def run_beside(
    run: Run, items: Iterable[object] | AsyncIterable[object]
) -> RunResult[object]:
    """All results of a run, which goes on beside the event loop.

    Items of an iterable are taken in the thread of the run, of an asynchronous one in the loop.  If
    the task is cancelled the run is ended first; a source that blocks is not waited for.
    """
    halt = Halt()
    thread = SideThread("conveyor run")
    source: AsyncSource | None = None
    if isinstance(items, AsyncIterable):
        items = source = AsyncSource(items)
    ended: asyncio.Future[RunResult[object]] = thread.loop.create_future()
    halt.when_released = partial(thread.soon, fail, ended)
    try:
        running = thread.call(partial(run, items, halt))
        thread.end()
        del items  # an error that is kept keeps this frame
        try:
            await first_done(running, ended)
        except asyncio.CancelledError:
            halt.ask(RunStopped("the task that awaited the run was cancelled"))
            if source is not None:
                source.abandon()
            await settled(running, ended)
            raise
        return (running if running.done() else ended).result()
    finally:
        if source is not None:
            await source.close()
        del source


END: Final = object()


class StreamBeside(Stream[object]):
    """A stream that a thread reads for an event loop."""

    def __init__(
        self,
        thread: SideThread,
        run: StreamedRun,
        results: deque[object],
        halt: Halt,
        ended: Callable[[bool], None],
    ) -> None:
        self.thread = thread
        super().__init__(run, results, halt, ended)

    def take(self) -> object:
        """The next result; raises `IndexError` if it is not there yet."""
        result = self._results.popleft()
        if self._give is not None:
            self._give((result,))
        return result

    def leaves(self) -> None:
        """It is about to be closed, which the thread may be told before it is."""
        self._leaves = True

    def end(self) -> None:
        """In the thread: ends the run, wherever it is."""
        super().close()

    def close(self) -> None:
        """In any other thread: ends the run, and waits until it has ended."""
        if self._run is not None:
            self.leaves()
            self._halt.ask(RunStopped("the stream was ended by the end of its pipeline"))
            self.thread.post(self.end)
            self._halt.over.wait()

    def stop(self) -> None:
        """In any other thread: lets the run end; whoever reads gets `RunStopped`."""
        self._halt.ask(RunStopped("the run was ended by stop()"))
        self.thread.post(self.end)


class Reading:
    """What the thread does; the event loop only asks for it."""

    stream: StreamBeside | None = None

    def __init__(
        self, begin: Begin, items: Iterable[object], halt: Halt, thread: SideThread
    ) -> None:
        self.begin_run = begin
        self.items = items
        self.halt = halt
        self.thread = thread

    def begin(self) -> StreamBeside:
        """The stream, whose run has begun."""
        if self.stream is None:
            items, self.items = self.items, ()
            self.begin_run(items, self.halt, self.made)
        assert self.stream is not None
        return self.stream

    def made(
        self,
        run: StreamedRun,
        results: deque[object],
        halt: Halt,
        ended: Callable[[bool], None],
    ) -> StreamBeside:
        self.stream = StreamBeside(self.thread, run, results, halt, ended)
        return self.stream

    def next(self) -> object:
        """The next result, or `END`."""
        return next(self.begin(), END)

    def end(self) -> None:
        """Ends the run, wherever it is."""
        if self.stream is not None:
            self.stream.end()


@final
class AsyncStream(Generic[Out]):
    """The results of a run as an asynchronous iterator, and a context manager that ends the run
    when it is left.

    The run begins when the context is entered, or with the first result.  Input is taken only as
    fast as results are: of an iterable in a thread of its own, of an asynchronous one in the event
    loop.  An exception in the source is raised behind the results before it; a failure in a worker
    at once.

    One task takes at a time; if its waiting is cancelled no result is lost.  It is told by
    `RunStopped` if another one closes the stream, or if the pipeline's `stop()` is called.
    """

    _thread: SideThread | None = None  # until the run begins
    _reading: Reading | None = None
    _source: AsyncSource | None = None
    _waiting: asyncio.Future[object] | None = None  # for the next result
    _closing: asyncio.Future[None] | None = None
    _over = False

    def __init__(
        self,
        begin: Begin,
        items: Iterable[object] | AsyncIterable[object],
        acknowledging: Acknowledging | None = None,
    ) -> None:
        self._begin = begin
        self._acknowledging = acknowledging
        self._taken = 0  # before the result that is waited for
        self._items: Iterable[object] | AsyncIterable[object] = items
        self._halt = Halt()
        self._is_taking = False
        self._reader: asyncio.Task[object] | None = None  # the task that took last
        self._quietly = False  # is the end of the results all there is to say to the reader?

    def __aiter__(self) -> AsyncIterator[Out]:
        return self

    async def __anext__(self) -> Out:
        stream = None if self._reading is None else self._reading.stream
        if stream is not None and self._waiting is None:
            with suppress(IndexError):
                return cast("Out", stream.take())  # the last stage gives nothing else
        if self._is_taking:
            raise LifecycleError(
                "anext(): another task is taking from this stream; only one may do so at a time"
            )
        self._is_taking, self._reader = True, asyncio.current_task()
        try:
            return cast("Out", await self._next())
        finally:
            self._is_taking = False

    async def _next(self) -> object:
        """The next result, from the thread."""
        if self._over:
            raise self._end_as_told()
        if not self._halt.is_ours():
            self._halt.check()
        if self._waiting is None:
            thread, reading = self._beside()
            if self._acknowledging is not None:
                self._taken = self._acknowledging.given
            self._waiting = thread.call(reading.next)
        await first_done(self._waiting)
        waiting, self._waiting = self._waiting, None
        try:
            result = waiting.result()
        except BaseException:
            await self._leave()
            raise
        if result is END:
            await self._leave()
            raise StopAsyncIteration
        return result

    def _end_as_told(self) -> Exception:
        """What a reader gets behind the last result."""
        error = self._halt.error
        return StopAsyncIteration() if error is None or self._quietly else error

    def _beside(self) -> tuple[SideThread, Reading]:
        """The thread, and what it does; both are made by the first call."""
        if self._thread is None or self._reading is None:
            items, self._items = self._items, ()
            if isinstance(items, AsyncIterable):
                items = self._source = AsyncSource(items)
            self._thread = SideThread("conveyor stream")
            self._reading = Reading(self._begin, items, self._halt, self._thread)
        return self._thread, self._reading

    async def __aenter__(self) -> Self:
        thread, reading = self._beside()
        try:
            beginning = thread.call(reading.begin)
            await first_done(beginning)
            beginning.result()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def acknowledge(self) -> None:
        """Marks all results taken so far as done with, for a stream that has a checkpoint.

        It is durable with the next checkpoint, once the stream is closed, or, behind the end, at
        once; then they never come again.  Raises `LifecycleError` if it has no checkpoint.
        """
        if not self._halt.is_ours():
            self._halt.check()
        acknowledging = kept(self._acknowledging)
        # The thread may have been given the result that is waited for, and no task has it yet.
        is_waiting = self._waiting is not None
        acknowledging.acknowledge(self._taken if is_waiting else acknowledging.given)

    async def aclose(self) -> None:
        """Ends the run, wherever it is; results not yet taken are gone.  Does nothing if it has
        ended.

        With a checkpoint, all that was acknowledged is durable then, as with `Stream.close`.

        Another task that is taking from the stream, or does so afterwards, gets `RunStopped`.
        """
        if self._thread is None or self._reading is None or self._over:
            self._over = self._quietly = True
            return
        if self._halt.error is None:
            self._quietly = self._reader in (None, asyncio.current_task())
        if self._reading.stream is not None:
            self._reading.stream.leaves()
        self._halt.ask(RunStopped("the stream was closed by another task"))
        if self._source is not None:
            self._source.abandon()
        self._closing = closing = self._closing or self._thread.call(self._reading.end)
        was_cancelled = await settled(closing)
        await self._leave()
        if was_cancelled:
            raise asyncio.CancelledError
        closing.result()

    async def _leave(self) -> None:
        """The run has ended; so do the thread, and what the source awaits."""
        self._over = True
        if self._thread is not None:
            self._thread.end()
        if self._source is not None:
            await self._source.close()

    def __del__(self) -> None:
        if self._thread is not None and self._reading is not None and not self._over:
            self._halt.ask(RunStopped("nothing refers to the stream any more"))
            self._thread.post(self._reading.end)
            self._thread.end()
            if self._source is not None:
                self._source.abandon()

    def __reduce__(self) -> NoReturn:
        raise TypeError("an AsyncStream cannot be copied or pickled: it is a run of this process")

    @property
    def monitor_url(self) -> str | None:
        """Where the run can be watched, with the token that this takes; None without `monitor=`,
        and until the run begins."""
        stream = None if self._reading is None else self._reading.stream
        return None if stream is None else stream.monitor_url

    @property
    def report(self) -> Report:
        """How the run went; until it has ended, how it goes."""
        stream = None if self._reading is None else self._reading.stream
        return Report({}, 0.0) if stream is None else stream.report

    @property
    def dead_letters(self) -> tuple[DeadLetter, ...]:
        """The items that were given up so far, ordered by stage, then ordinal."""
        stream = None if self._reading is None else self._reading.stream
        return () if stream is None else stream.dead_letters
