"""A run whose results are taken one by one, and whose items come from a thread of their own.

Knows: the two loops of the parent, one in the consumer's thread, one in the source's.  Must never know: how workers live.

Rule 1.  The consumer's thread alone watches the workers: whenever it waits for a result, and between two slices of results,
         which are what the consumer takes in some 10 ms.  While it does something else for longer, nobody does.
Rule 2.  The source's thread publishes by itself and pulls only into free room, but for one item in hand; while it is inside the
         user's iterator it holds no lock, and the consumer's thread sends on what it had gathered.
Rule 3.  A result is committed when the one after it is asked for, so results that nobody takes stop the pipeline.
"""

from __future__ import annotations

import select
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from time import perf_counter
from types import TracebackType
from typing import Final, Generic, NoReturn, Self, cast

from typing_extensions import TypeVar

from conveyor.channel import Inlet
from conveyor.errors import LifecycleError, RunStopped
from conveyor.nodes import CollectNode
from conveyor.report import DeadLetter, Report
from conveyor.runtime.bell import Bell
from conveyor.runtime.board import FOR_NOTHING, Lack
from conveyor.runtime.deferral import Deferral
from conveyor.runtime.halt import Halt
from conveyor.runtime.loop import Loop
from conveyor.runtime.recorder import Recorder
from conveyor.runtime.ring import fence
from conveyor.runtime.runner import Runner, SinkCut
from conveyor.runtime.source import PushFeed
from conveyor.runtime.spin import Spin

__all__ = ["Stream"]

Out = TypeVar("Out")

GATHER_MS: Final = 1
SPIN_NS: Final = 400_000  # an item may have many workers to go through
IN_HAND_S: Final = 0.01


class OnDemand:
    """An inlet that shows nothing until it is wanted, and commits only then what was taken before."""

    def __init__(self, inlet: Inlet, wanted: Callable[[], bool]) -> None:
        self.inlet = inlet
        self.wanted = wanted
        self.due: int | None = None

    @property
    def head(self) -> int:
        return self.inlet.head

    def start(self, run: int) -> None:
        self.inlet.start(run)

    def settled(self) -> bool:
        """Is the inlet wanted?  Then nothing that was taken from it is in hand any more."""
        if not self.wanted():
            return False
        if self.due is not None:
            self.inlet.commit(self.due)
            self.due = None
        return True

    def pending(self) -> bool:
        return self.settled() and self.inlet.pending()

    def ended(self) -> bool:
        return self.settled() and self.inlet.ended()

    def peek(self, n: int) -> list[object]:
        return self.inlet.peek(n)

    def position(self, n: int) -> int:
        return self.inlet.position(n)

    def commit(self, upto: int) -> None:
        self.due = upto


class AsTaken(SinkCut):
    """As many results at once as the consumer takes in a moment, so that somebody looks after the workers between them."""

    def __init__(self, most: int) -> None:
        super().__init__(1)
        self.most = most
        self.given = 0
        self.at = 0.0

    def give(self, results: int) -> None:
        """The consumer has these now."""
        self.given, self.at = results, perf_counter()

    def taken(self) -> None:
        """And has taken them all."""
        if self.given:
            in_a_moment = int(self.given * IN_HAND_S / max(perf_counter() - self.at, 1e-9))
            self.n = max(1, min(in_a_moment, 2 * self.n, self.most))


class SourceThread:
    """Pulls the items of a stream and publishes them."""

    def __init__(self, runner: Runner, run: int, items: Iterable[object], halt: Halt) -> None:
        self.halt = halt
        self.puller = runner.puller(items)
        self.feed = PushFeed(runner.smallest_capacity)
        self.loop: Loop = runner.source_loop(run, self.feed)
        self.lanes = runner.lanes
        self.outlets = runner.source_ends.outlets
        self.bell: Bell = runner.crew.bells[0]
        self.consumer_bell: Bell = runner.crew.bells[len(runner.topology.nodes) - 1]
        self.poll = select.poll()
        self.poll.register(self.bell.read_fd, select.POLLIN)
        self.lock = threading.RLock()  # a stream may be collected, and then stopped, anywhere, inside the lock too
        self.stopping = self.asleep = False
        self.inside_iterator = False
        self.error: BaseException | None = None  # of the source: raised behind the results before it
        self.fault: BaseException | None = None  # of ours: raised at once
        context = copy_context()  # of the caller: what a source reads from it is not the thread's
        self.thread = threading.Thread(target=context.run, args=(self.work,), name="conveyor source", daemon=True)

    def work(self) -> None:
        try:
            while self.publish():
                self.take()
        except BaseException as fault:  # raised again in the consumer's thread
            self.fault = fault
            self.consumer_bell.ring()

    def publish(self) -> bool:
        """Sends on what is gathered, and waits until there is room for more; is there more to do?"""
        while True:
            with self.lock:
                if self.stopping or self.halt.error is not None:
                    return False
                if self.is_time_to_send():
                    self.loop.step()
                if self.loop.finished:
                    return False
                if self.wants_more():
                    return True
                self.loop.sleeps()
                fence()
                waiting = not (self.loop.able() or self.wants_more())
            if waiting:
                self.asleep = True
                self.poll.poll()
                self.asleep = False
                self.bell.silence()
            with self.lock:
                self.loop.is_awake()

    def wants_more(self) -> bool:
        """Is there room for another item, or is one asked for to see whether the end has come?

        Not while what has been gathered waits for room, be it only for its bytes.
        """
        if self.feed.closed:
            return False
        if self.lanes.room() <= len(self.feed.buffer):
            return not self.feed.buffer and not self.puller.knows_more()
        return not self.feed.is_full() or self.loop.able()

    def lack(self) -> Lack:
        """What the thread waits for, as the consumer's sees it."""
        return self.loop.lack() if self.asleep else FOR_NOTHING

    def is_time_to_send(self) -> bool:
        """Is somebody idle, or enough gathered?  Else the consumer's thread sends it on before long."""
        gathered = len(self.feed.buffer)
        if self.feed.closed or self.feed.is_full() or gathered >= self.lanes.room():
            return True
        if any(outlet.queued() == 0 for outlet in self.outlets):
            return True
        if gathered == 1:
            self.consumer_bell.ring()
        return False

    def take(self) -> None:
        """Pulls what there is room for: of an iterator one item, since the next may be long in coming."""
        room = self.lanes.room() - len(self.feed.buffer)
        n = min(self.feed.n, room) if self.puller.sequence is not None else 1
        self.inside_iterator = True
        items: list[object] = []
        try:
            if room > 0:
                items = self.puller.pull(n)
            else:
                self.puller.look_ahead()
        except BaseException as error:
            self.error = error
        self.inside_iterator = False
        with self.lock:
            self.feed.push(items)
            self.feed.closed = self.puller.exhausted or self.error is not None

    def send_on(self) -> None:
        """Called in the consumer's thread: publishes what has been gathered."""
        with self.lock:
            if not self.stopping and self.feed.buffer:
                self.loop.step()

    def stop(self) -> None:
        """Ends the thread; does nothing the second time."""
        with self.lock:
            if self.stopping:
                return
            self.stopping = True
        self.bell.ring()
        # Inside the user's iterator it may be for ever; it then ends by itself, and touches nothing any more.
        while self.thread.is_alive() and not self.inside_iterator and self.thread is not threading.current_thread():
            self.thread.join(0.01)


class Stream(Generic[Out]):
    """The results of a run as a lazy iterator, and a context manager that ends the run when it is left.

    Input is taken only as fast as results are, so it may be endless.  It is iterated in a thread of its own.  An exception in
    the source is raised behind the results before it; a failure in a worker at once.

    A stream may be handed from thread to thread, but only one takes from it at a time.  A thread that reads is told by
    `RunStopped` if another one closes the stream, or if the pipeline's `stop()` is called.
    """

    _begun = False

    def __init__(
        self,
        runner: Runner,
        items: Iterable[object],
        halt: Halt,
        ended: Callable[[bool], None],
        recorder: Recorder | None = None,
    ) -> None:
        self._seconds: float | None = None
        self._runner = runner
        self._halt = halt
        self._turn = threading.RLock()  # held by the thread that takes, or ends the run
        self._inside = False  # is a thread inside `next()`?  With the turn of its thread that may be a signal handler
        self._reader = threading.get_ident()  # the thread that took last
        self._quietly = False  # has the reader itself ended the run?
        self._ended = ended
        self._results: deque[object] = deque()
        self._started = perf_counter()
        self._report: Report | None = None
        self._letters: tuple[DeadLetter, ...] = ()
        results = self._results
        self._recorder = recorder
        halt.at_fork = results.clear
        run = runner.begin_run(recorder, halt)
        self._source = SourceThread(runner, run, items, halt)
        inputs: list[Inlet] = [OnDemand(inlet, lambda: not results) for inlet in runner.sink_ends.inputs]
        self._cut = AsTaken(runner.smallest_result_capacity)
        self._sink = runner.sink_loop(run, CollectNode(results.extend), inputs, self._cut)
        self._spin = Spin(SPIN_NS)
        last = len(runner.topology.nodes) - 1
        source, sink = self._source, self._sink  # not the stream: nobody may keep it alive but who takes its results
        runner.lacks = lambda: {0: source.lack(), last: sink.lack()}
        runner.crew.watch_source(False)
        runner.apart = (0,)
        runner.before_end = self._source.stop
        self._source.thread.start()
        self._begun = True

    def __iter__(self) -> Iterator[Out]:
        return self

    def __next__(self) -> Out:
        try:
            result = self._results.popleft()
        except IndexError:
            result = self._wait_for_result()
        if self._recorder is not None:
            self._recorder.gave((result,))
        return cast("Out", result)  # the last stage gives nothing else

    def _wait_for_result(self) -> object:
        """The next result, from the workers."""
        self._take_turn()
        try:
            self._inside = self._halt.busy = True
            self._reader = threading.get_ident()
            while not self._results:
                if self._seconds is not None:
                    raise self._end_as_told()
                self._advance_or_end()
            return self._results.popleft()
        finally:
            self._inside = self._halt.busy = False
            self._turn.release()

    def _take_turn(self) -> None:
        """Waits for a thread that is ending the run; raises `LifecycleError` if another one is taking from it."""
        is_ending = self._halt.error is not None
        if is_ending and not self._runner.is_ours():
            self._halt.check()
        mine = self._turn.acquire(blocking=is_ending)
        if mine and not self._inside:
            return
        if mine:
            self._turn.release()
        raise LifecycleError("next(): another thread is taking from this stream; only one may do so at a time")

    def _end_as_told(self) -> Exception:
        """What a reader gets behind the last result."""
        error = self._halt.error
        return StopIteration() if error is None or self._quietly else error.with_traceback(None)

    def _advance_or_end(self) -> None:
        try:
            self._advance()
        except StopIteration as error:  # of a job or the source: here it would look like the end of the results
            self._end(failed=True, error=error)
            raise RuntimeError("a job or the source raised StopIteration") from error
        except BaseException as error:
            self._end(failed=True, error=error)
            if error is self._halt.error:
                raise self._end_as_told() from None
            raise

    def _advance(self) -> None:
        """Takes what has arrived, or waits for it; at the end, ends the run."""
        source, crew = self._source, self._runner.crew
        self._cut.taken()
        if source.fault is not None:
            raise source.fault
        if self._recorder is not None:
            self._recorder.drain()
        if self._sink.step():
            crew.glance()
        else:
            source.send_on()
            if self._spin(self._sink.able):
                return
            self._runner.wait([self._sink], timeout_ms=GATHER_MS if source.feed.buffer and source.inside_iterator else None)
        if self._sink.finished and not self._results:
            source.thread.join()
            self._runner.finish_run()
            crew.look_around()
            self._end(failed=False, error=source.error)
            if source.error is not None:
                raise source.error
        self._cut.give(len(self._results))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends the run, wherever it is; results not yet taken are gone.  Does nothing if it has ended.

        Another thread that is taking from the stream, or does so afterwards, gets `RunStopped`.
        """
        quietly = threading.get_ident() == self._reader
        self._leave(RunStopped("the stream was closed by another thread"), quietly)

    def stop(self) -> None:
        """Ends the run as `close` does, and whoever reads is told of it."""
        self._leave(RunStopped("the run was ended by stop()"), quietly=False)

    def _leave(self, why: RunStopped, quietly: bool) -> None:
        if self._seconds is not None or not self._runner.is_ours():
            return
        if self._halt.error is None:
            self._quietly = quietly
        self._halt.ask(why)
        with self._turn:
            if not self._inside:  # else this is a signal handler, and what it came between ends the run
                self._end(failed=True)

    def __del__(self) -> None:
        self._end(failed=True)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Stream cannot be copied or pickled: it is a run of this process")

    def _end(self, failed: bool, error: BaseException | None = None) -> None:
        with Deferral():
            self._end_once(failed, error)

    def _end_once(self, failed: bool, error: BaseException | None) -> None:
        if self._seconds is not None or not self._begun:
            return
        self._seconds = perf_counter() - self._started
        self._results.clear()
        if not self._runner.is_ours():  # in a child that was forked: the run goes on in the other process
            return
        try:
            self._source.stop()
            self._runner.before_end = None
            was_failure = error is not None and not isinstance(error, RunStopped)
            self._runner.record_end("failed" if was_failure else "stopped" if failed else "done", error)
            self._report = self._runner.report(self._seconds)
            self._letters = self._runner.letters()
            self._runner.apart = ()
            self._runner.crew.watch_source(True)
            self._runner.run_over()
        finally:
            if failed:
                self._runner.end(failed=True)
            self._ended(failed)

    @property
    def report(self) -> Report:
        """How the run went; until it has ended, how it goes."""
        return self._report if self._report is not None else self._runner.report(perf_counter() - self._started)

    @property
    def dead_letters(self) -> tuple[DeadLetter, ...]:
        """The items that were given up so far, ordered by stage, then ordinal."""
        return self._letters if self._seconds is not None else self._runner.letters()
