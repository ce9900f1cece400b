"""A run whose results are asked for, and whose items come from a thread of their own.

Knows: the two loops of the parent, one in the consumer's thread, one in the source's (beside this
file).  Must never know: how workers live.

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

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from time import perf_counter
from typing import Final

from conveyor.core.channel import Inlet
from conveyor.core.engine import RunOptions, StopToken
from conveyor.core.nodes import CollectNode
from conveyor.errors import RunStopped
from conveyor.items.remote_errors import add_note
from conveyor.monitor.snapshot import How
from conveyor.report import DeadLetter, Report
from conveyor.runtime.parent.program_ends import SinkCut
from conveyor.runtime.parent.recorder import Recorder
from conveyor.runtime.parent.run_tracer import RunTracer
from conveyor.runtime.parent.runner import Runner
from conveyor.runtime.parent.source_thread import SourceThread
from conveyor.runtime.process.deferral import interruptible
from conveyor.runtime.step.spin import Spin

__all__ = ["Streaming"]

GATHER_MS: Final = 1
SPIN_NS: Final = 400_000  # an item may have many workers to go through
IN_HAND_S: Final = 0.01


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
        self.acknowledging = options.acknowledging
        told = recorder or options.acknowledging
        self.give = None if told is None else told.gave
        stop.at_fork = results.clear
        run = runner.begin_run(recorder, tracer, stop)
        runner.watch(items, options)
        self.keeper = keeper = runner.keeper_of(options.keeping)
        self.source = source = SourceThread(runner, run, items, stop)
        inputs: list[Inlet] = [
            OnDemand(inlet, lambda: not results) for inlet in runner.ends.sink.inputs
        ]
        self.cut = AsTaken(runner.ends.smallest_result_capacity)
        extend = results.extend if self.acknowledging is None else self.came
        collect = CollectNode(options.take or extend)
        self.sink = sink = runner.ends.sink_loop(run, collect, inputs, self.cut)
        self.spin = Spin(SPIN_NS)
        runner.wait_reasons = runner.wait_reasons_of(source.wait_reason, sink)
        runner.supervisor.watch_source(False)
        runner.apart = (0,)
        runner.before_end = source.stop
        if keeper is not None:
            keeper.released = source.wakeup.notify
        if options.acknowledging is not None:
            results.extend(options.acknowledging.earlier)
        source.thread.start()

    def came(self, results: list[object]) -> None:
        assert self.acknowledging is not None
        self.acknowledging.take(results)
        self.results.extend(results)

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
            self.finish()
            return True
        self.cut.give(len(self.results))
        return False

    def finish(self) -> None:
        """All results have come: that is kept, too."""
        if self.keeper is not None and self.source_error is None:
            self.keeper.finish(self.letters())
            if self.acknowledging is not None:
                self.acknowledging.finish(self.report(), self.letters())

    def leave(self) -> None:
        """Goes on as far as a barrier, if what was acknowledged is not durable yet."""
        if self.keeper is not None and self.acknowledging is not None:
            with self.source.lock:
                self.source.left = True
            supervisor = self.runner.supervisor
            supervisor.stop = None  # it has been asked to end, and may go on for this
            supervisor.watch_source(True)
            interruptible(partial(self.keeper.leave, self.acknowledging, self.go_on))
            if self.sink.finished:
                self.runner.finish_run()
                if self.source_error is not None and self.acknowledging.lacks():
                    raise self.source_error
                self.finish()

    def abandon(self, error: BaseException) -> None:
        """Ends the workers of a run that goes on with others; the items and their iterator stay as
        they are.  Raises what an epoch failed with that was being made durable."""
        self.source.stop(interrupts=False)
        self.settle()
        self.runner.before_end = None
        self.runner.apart = ()
        self.runner.run_failed(How.FAILED, error)

    def settle(self) -> None:
        """Waits until nothing is being made durable; raises what that failed with."""
        if self.keeper is not None:
            self.keeper.settle_without_workers()

    def keep_what_came(self, error: BaseException | None) -> None:
        """Makes durable what can be of a run that does not go on."""
        if self.keeper is None or self.acknowledging is None:
            return
        try:
            self.keeper.keep_what_came(self.acknowledging)
        except Exception as second:
            if error is None:
                raise
            add_note(error, f"What was acknowledged could not be kept either: {second!r}")
        finally:
            self.acknowledging.over()

    def go_on(self) -> bool:
        """A step of a run whose results are kept, and not given any more; was it not the last?"""
        self.results.clear()
        if self.source.fault is not None:
            raise self.source.fault
        source, sink = self.source.loop, self.sink
        with self.source.lock:
            moved = source.step()
        if moved | sink.step():
            self.runner.supervisor.glance()
        elif not sink.finished:
            self.runner.wait([loop for loop in (source, sink) if not loop.finished])
        return not sink.finished

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
            self.keep_what_came(error)
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
