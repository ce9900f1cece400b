"""A run whose results are asked for, and whose items come from a thread of their own.

Knows: the two loops of the parent, one in the consumer's thread, one in the source's.  Must never
know: how workers live.

Rule 1.  The consumer's thread alone watches the workers: whenever it waits for a result, and
         between two slices of results, which are what the consumer takes in some 10 ms.  While it
         does something else for longer, they are not watched.
Rule 2.  The source's thread publishes by itself and pulls only into free room, but for one item in
         hand; while it is inside the user's iterator it holds no lock, and the consumer's thread
         sends on what it had gathered.
Rule 3.  A result is committed when the one after it is asked for, so results that are not taken
         stop the pipeline.
"""

from __future__ import annotations

import select
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import copy_context
from time import perf_counter
from traceback import format_exception_only
from typing import Final

from conveyor.core.channel import Inlet
from conveyor.core.engine import RunOptions, StopToken
from conveyor.core.nodes import CollectNode
from conveyor.errors import RunStopped
from conveyor.items.remote_errors import add_note
from conveyor.items.sealing import sealer
from conveyor.monitor.snapshot import How
from conveyor.report import DeadLetter, Report
from conveyor.runtime.parent.interrupt import Interruptible
from conveyor.runtime.parent.program_ends import SinkCut
from conveyor.runtime.parent.recorder import Recorder
from conveyor.runtime.parent.run_tracer import RunTracer
from conveyor.runtime.parent.runner import Runner
from conveyor.runtime.shm.fence import fence
from conveyor.runtime.shm.record import Blob
from conveyor.runtime.shm.wakeup import Wakeup
from conveyor.runtime.step.contract import FOR_NOTHING, WaitReason
from conveyor.runtime.step.loop import Loop
from conveyor.runtime.step.source import PushFeed
from conveyor.runtime.step.spin import Spin

__all__ = ["Streaming"]

GATHER_MS: Final = 1
SPIN_NS: Final = 400_000  # an item may have many workers to go through
IN_HAND_S: Final = 0.01
MOMENT_S: Final = 0.02

OF_A_THREAD: Final = (
    "the source of a stream is iterated in a thread of its own, 'conveyor source'; run() iterates "
    "its source in the thread that calls it"
)


class OnDemand:
    """An inlet that shows nothing until it is wanted, and commits only then what was taken
    before."""

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

    def look(self, n: int) -> list[object]:
        return self.inlet.look(n)

    def position(self, n: int) -> int:
        return self.inlet.position(n)

    def commit(self, upto: int) -> None:
        self.due = upto


class AsTaken(SinkCut):
    """As many results at once as the consumer takes in 10 ms, so that the workers are looked after
    between them."""

    def __init__(self, most: int) -> None:
        super().__init__(1)
        self.most = most
        self.given = 0
        self.at = 0.0

    def give(self, results: int) -> None:
        """So many results are with the consumer now."""
        self.given, self.at = results, perf_counter()

    def taken(self) -> None:
        """The consumer has taken all that it was given."""
        if self.given:
            in_a_moment = int(self.given * IN_HAND_S / max(perf_counter() - self.at, 1e-9))
            self.n = max(1, min(in_a_moment, 2 * self.n, self.most))


class SourceThread:
    """Pulls the items of a stream and publishes them."""

    def __init__(self, runner: Runner, run: int, items: Iterable[object], stop: StopToken) -> None:
        self.stop_token = stop
        ends, shared = runner.ends, runner.supervisor.shared
        self.puller = ends.puller(items)
        self.feed = PushFeed(ends.smallest_capacity)
        self.loop: Loop[Blob] = ends.source_loop(run, self.feed)
        self.balancer = ends.balancer
        self.outlets = ends.source.outlets
        self.wakeup: Wakeup = shared.wakeups[0]
        self.consumer_wakeup: Wakeup = shared.consumer_wakeup
        self.poll = select.poll()
        self.poll.register(self.wakeup.read_fd, select.POLLIN)
        # A stream may be collected, and then stopped, anywhere, inside the lock too
        self.lock = threading.RLock()
        self.stopping = self.asleep = False
        self.interruptible = Interruptible()
        # Of the source: raised behind the results before it.
        self.error: BaseException | None = None
        self.fault: BaseException | None = None  # of ours: raised at once
        context = copy_context()  # of the caller: what a source reads from it is not the thread's
        self.thread = threading.Thread(
            target=context.run, args=(self.work,), name="conveyor source", daemon=True
        )

    def work(self) -> None:
        try:
            with self.interruptible:
                while self.publish():
                    self.take()
        except BaseException as fault:  # raised again in the consumer's thread
            self.fault = fault
            self.consumer_wakeup.notify()

    def publish(self) -> bool:
        """Sends on what is gathered, and waits until there is room for more; is there more to
        do?"""
        while True:
            with self.lock:
                if self.stopping or self.stop_token.error is not None:
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
                self.wakeup.clear()
            with self.lock:
                self.loop.is_awake()

    def wants_more(self) -> bool:
        """Is there room for another item, or is one asked for to see whether the end has come?

        Not while what has been gathered waits for room, be it only for its bytes.
        """
        if self.feed.closed:
            return False
        if self.balancer.room() <= len(self.feed.buffer):
            return not self.feed.buffer and not self.puller.knows_more()
        return not self.feed.is_full() or self.loop.able()

    def wait_reason(self) -> WaitReason:
        """What the thread waits for, as the consumer's sees it."""
        return self.loop.wait_reason() if self.asleep else FOR_NOTHING

    def is_time_to_send(self) -> bool:
        """Is a worker idle, or enough gathered?  If not, the consumer's thread sends it on before
        long."""
        gathered = len(self.feed.buffer)
        if self.feed.closed or self.feed.is_full() or gathered >= self.balancer.room():
            return True
        if any(outlet.queued() == 0 for outlet in self.outlets):
            return True
        if gathered == 1:
            self.consumer_wakeup.notify()
        return False

    def take(self) -> None:
        """Pulls what there is room for: of an iterator one item, since the next may be long in
        coming."""
        room = self.balancer.room() - len(self.feed.buffer)
        n = min(self.feed.n, room) if self.puller.sequence is not None else 1
        self.interruptible.inside = True
        items: list[object] = []
        try:
            if room > 0:
                items = self.puller.pull(n)
            else:
                self.puller.look_ahead()
        except BaseException as error:
            if "thread" in "".join(format_exception_only(error)):
                add_note(error, OF_A_THREAD)
            self.error = error
        with self.lock:
            self.interruptible.inside = False
            if self.stopping:
                return
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
        self.wakeup.notify()
        self.interruptible.interrupt()
        # It may not have been started
        if self.thread is not threading.current_thread() and self.thread.is_alive():
            self.thread.join(MOMENT_S)
            while self.thread.is_alive() and not self.interruptible.inside:
                self.thread.join(MOMENT_S)
        if self.thread.is_alive():
            self.let_go()

    def let_go(self) -> None:
        """Inside the user's iterator it may be for ever, unless that sleeps as a source does; it
        then ends by itself, and has nothing of the run any more."""
        with self.lock:
            del self.loop, self.feed, self.balancer, self.outlets
            self.puller.seal = sealer()


class Streaming:
    """One such run; what has arrived is in `results`."""

    def __init__(
        self,
        runner: Runner,
        items: Iterable[object],
        stop: StopToken,
        options: RunOptions,
        recorder: Recorder | None,
        tracer: RunTracer | None,
        results: deque[object],
    ) -> None:
        self.started = perf_counter()
        self.runner = runner
        self.results = results
        self.recorder = recorder
        self.give = None if recorder is None else recorder.gave
        stop.at_fork = results.clear
        run = runner.begin_run(recorder, tracer, stop)
        runner.watch(items, options)
        self.source = source = SourceThread(runner, run, items, stop)
        inputs: list[Inlet] = [
            OnDemand(inlet, lambda: not results) for inlet in runner.ends.sink.inputs
        ]
        self.cut = AsTaken(runner.ends.smallest_result_capacity)
        collect = CollectNode(results.extend)
        self.sink = sink = runner.ends.sink_loop(run, collect, inputs, self.cut)
        self.spin = Spin(SPIN_NS)
        runner.wait_reasons = runner.wait_reasons_of(source.wait_reason, sink)
        runner.supervisor.watch_source(False)
        runner.apart = (0,)
        runner.before_end = source.stop
        source.thread.start()

    @property
    def source_error(self) -> BaseException | None:
        """What the source raised; it is raised again behind the results before it."""
        return self.source.error

    def advance(self) -> bool:
        """Takes what has arrived, or waits for it; was it the last?"""
        source, sink, supervisor = self.source, self.sink, self.runner.supervisor
        self.cut.taken()
        if source.fault is not None:
            raise source.fault
        if self.recorder is not None:
            self.recorder.drain()
        if sink.step():
            supervisor.glance()
        else:
            source.send_on()
            if self.spin(sink.able):
                return False
            gathers = source.feed.buffer and source.interruptible.inside
            self.runner.wait([sink], timeout_ms=GATHER_MS if gathers else None)
        if sink.finished and not self.results:
            source.thread.join()
            self.runner.finish_run()
            supervisor.look_around()
            return True
        self.cut.give(len(self.results))
        return False

    def report(self) -> Report:
        """How the run goes."""
        return self.runner.report(perf_counter() - self.started)

    def letters(self) -> tuple[DeadLetter, ...]:
        """The items that were given up so far."""
        return self.runner.letters()

    def end(self, failed: bool, error: BaseException | None) -> Report:
        """Ends the run, and the workers if it failed; gives how it went."""
        runner = self.runner
        watching = None
        was_failure = error is not None and not isinstance(error, RunStopped)
        how = How.FAILED if was_failure else How.STOPPED if failed else How.DONE
        try:
            self.source.stop()
            runner.before_end = None
            runner.record_end(how.value, error)
            report = self.report()
            watching = runner.last_look(how, error)
            runner.apart = ()
            runner.supervisor.watch_source(True)
            runner.run_over()
        finally:
            if failed:
                runner.end(failed=True)
        log, number = runner.supervisor.engine_log, runner.supervisor.run
        if error is not None:
            log.failed(number, how.value, error)
        else:
            log.ended(number, report, how.value)
        if watching is not None:
            watching.finish(error)
        return report
