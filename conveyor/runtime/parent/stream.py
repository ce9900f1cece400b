"""The results of a run, taken one by one.

Knows: which thread may take, and which is told of the end.  Must never know: how results come.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final, Generic, NoReturn, Self, cast

from typing_extensions import TypeVar

from conveyor.core.engine import AcknowledgedRun, StreamedRun
from conveyor.core.keeping import Acknowledging
from conveyor.errors import LifecycleError, RunStopped
from conveyor.report import DeadLetter, Report
from conveyor.runtime.parent.halt import Halt
from conveyor.runtime.parent.tracebacks import let_go, shorten
from conveyor.runtime.process.deferral import Deferral

__all__ = ["Stream", "kept"]

Out = TypeVar("Out")

NOTHING: Final = object()


class Stream(Generic[Out]):
    """The results of a run as a lazy iterator, and a context manager that ends the run when it is
    left.

    Input is taken only as fast as results are, so it may be endless.  It is iterated in a thread of
    its own.  An exception in the source is raised behind the results before it; a failure in a
    worker at once.

    A stream may be handed from thread to thread, but only one takes from it at a time.  A thread
    that reads is told by `RunStopped` if another one closes the stream, or if the pipeline's
    `stop()` is called.
    """

    _run: StreamedRun | None = None  # until it has begun, and once it has ended
    # Where the run can be watched, with the token that this takes; None without `monitor=`.
    monitor_url: str | None = None
    _leaves = False  # is it closed, so that what was acknowledged is made durable?

    def __init__(
        self,
        run: StreamedRun,
        results: deque[object],
        halt: Halt,
        ended: Callable[[bool], None],
    ) -> None:
        self._halt = halt
        self._turn = threading.RLock()  # held by the thread that takes, or ends the run
        # Is a thread inside `next()`?  With the turn of its thread that may be a signal handler.
        self._inside = False
        self._reader = threading.get_ident()  # the thread that took last
        self._quietly = False  # is the end of the results all there is to say to the reader?
        self._ended = ended
        self._results = results
        self._give = run.give
        self._acknowledging: Acknowledging | None = None  # without `checkpoint=`
        if isinstance(run, AcknowledgedRun):
            self._acknowledging = run.acknowledging
        self._report = Report({}, 0.0)
        self._letters: tuple[DeadLetter, ...] = ()
        self._run = run

    def __iter__(self) -> Iterator[Out]:
        return self

    def __next__(self) -> Out:
        try:
            result = self._results.popleft()
        except IndexError:
            result = NOTHING
        if result is NOTHING:  # out here: what is raised has nothing to do with that error
            result = self._wait_for_result()
        if self._give is not None:
            self._give((result,))
        return cast("Out", result)  # the last stage gives nothing else

    def _wait_for_result(self) -> object:
        """The next result, from the workers."""
        self._take_turn()
        try:
            self._inside = self._halt.inside = True
            self._reader = threading.get_ident()
            while not self._results:
                if self._run is None:
                    raise self._end_as_told()
                self._advance()
            return self._results.popleft()
        finally:
            self._inside = self._halt.inside = False
            self._turn.release()

    def _take_turn(self) -> None:
        """Waits for a thread that is ending the run; raises `LifecycleError` if another one is
        taking from it."""
        is_ending = self._halt.error is not None
        if not self._halt.is_ours():
            self._halt.check()
        mine = self._turn.acquire(blocking=is_ending)
        if mine and not self._inside:
            return
        if mine:
            self._turn.release()
        raise LifecycleError(
            "next(): another thread is taking from this stream; only one may do so at a time"
        )

    def _end_as_told(self) -> Exception:
        """What a reader gets behind the last result."""
        error = self._halt.error
        return StopIteration() if error is None or self._quietly else error.with_traceback(None)

    def _advance(self) -> None:
        """Takes what has arrived, or waits for it; if that was all, or something has failed, ends
        the run."""
        try:
            if self._run is not None and self._run.advance():
                self._finish(self._run.source_error)
        except StopIteration as error:
            # Of a job or the source: here it would look like the end of the results
            self._end(failed=True, error=error)
            raise RuntimeError("a job or the source raised StopIteration") from error
        except BaseException as error:
            self._end(failed=True, error=error)
            let_go(error)
            if error is self._halt.error:
                raise self._end_as_told() from None
            shorten(error)
            raise

    def _finish(self, error: BaseException | None) -> None:
        """Ends a run that has given all its results; raises what its source raised behind them."""
        self._end(failed=False, error=error)
        if error is not None:
            raise error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def acknowledge(self) -> None:
        """Marks all results taken so far as done with, for a stream that has a checkpoint.

        It is durable with the next checkpoint, once the stream is closed, or, behind the end, at
        once; then they never come again.  May be called in any thread.  Raises `LifecycleError` if
        the stream has no checkpoint.

        >>> from tempfile import TemporaryDirectory
        >>> from conveyor import Checkpoint, Pipeline, Processor
        >>> pl = Pipeline[int]().add(Processor(abs))
        >>> def first(folder: str) -> int:
        ...     with pl.stream([-1, -2, -3], checkpoint=Checkpoint(folder)) as stream:
        ...         result = next(stream)
        ...         stream.acknowledge()
        ...     return result
        >>> with TemporaryDirectory() as folder:
        ...     print(first(folder), first(folder), first(folder))
        1 2 3
        """
        if not self._halt.is_ours():
            self._halt.check()
        acknowledging = kept(self._acknowledging)
        acknowledging.acknowledge(acknowledging.given)

    def close(self) -> None:
        """Ends the run, wherever it is; results not yet taken are gone.  Does nothing if it has
        ended.

        With a checkpoint, all that was acknowledged is durable then; what was not comes again when
        the run goes on.  For that the run may have to finish what it has in hand.

        Another thread that is taking from the stream, or does so afterwards, gets `RunStopped`.
        """
        self._leaves = True
        quietly = threading.get_ident() == self._reader
        self._leave(RunStopped("the stream was closed by another thread"), quietly)

    def stop(self) -> None:
        """Ends the run as `close` does; the thread that reads gets `RunStopped`."""
        self._leave(RunStopped("the run was ended by stop()"), quietly=False)

    def _leave(self, why: RunStopped, quietly: bool) -> None:
        if self._run is None or not self._halt.is_ours():
            return
        if self._halt.error is None:
            self._quietly = quietly
        self._halt.ask(why)
        with self._turn:
            # Else this is a signal handler, and what it came between ends the run
            if not self._inside:
                self._end(failed=True)

    def __del__(self) -> None:
        self._end(failed=True)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Stream cannot be copied or pickled: it is a run of this process")

    def _end(self, failed: bool, error: BaseException | None = None) -> None:
        with Deferral():
            self._end_once(failed, error)

    def _end_once(self, failed: bool, error: BaseException | None) -> None:
        run = self._run
        if run is None:
            return
        self._results.clear()
        self._quietly = self._quietly or not failed
        self._report, self._letters = run.report(), run.letters()
        try:
            if self._halt.is_ours():  # else it goes on in the process that this one was forked from
                self._report = self._end_of(run, failed, error)
        finally:
            self._run = None
            if self._halt.is_ours():
                self._ended(failed)

    def _end_of(self, run: StreamedRun, failed: bool, error: BaseException | None) -> Report:
        """Ends a run; one that is closed, and has not failed, makes durable what is to be."""
        is_whole = failed and (error is None or error is self._halt.error)
        is_left = self._acknowledging is not None and self._leaves and is_whole
        if is_left and isinstance(run, AcknowledgedRun):
            try:
                run.leave()
            except BaseException as failure:
                run.end(True, failure)
                raise
        return run.end(failed, error)

    @property
    def report(self) -> Report:
        """How the run went; until it has ended, how it goes."""
        return self._report if (run := self._run) is None else run.report()

    @property
    def dead_letters(self) -> tuple[DeadLetter, ...]:
        """The items that were given up so far, ordered by stage, then ordinal."""
        return self._letters if (run := self._run) is None else run.letters()


def kept(acknowledging: Acknowledging | None) -> Acknowledging:
    """Raises `LifecycleError` for a stream without a checkpoint."""
    if acknowledging is None:
        raise LifecycleError(
            "acknowledge(): nothing is kept of this stream; give it "
            "checkpoint=Checkpoint(directory), or leave out acknowledge()"
        )
    return acknowledging
