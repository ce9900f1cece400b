"""A thread that does the work of a run while the thread that runs is inside its source of items.

Knows: whose turn it is to step the loops and to watch the workers.  Must never know: what a failure
is.

Rule 1.  A source is iterated in the thread that called `run`, as a `for` loop would iterate it.
Rule 2.  Loops and workers are touched only by the thread that has the turn.  The calling thread has
         it, but while it is inside its source; then, after a moment, the other one takes it, and
         sends on what the source has given so far.
Rule 3.  A failure that is found meanwhile ends the workers at once.  The calling thread is
         interrupted if it is the main thread, or if its source sleeps as a source does; any other
         raises the failure as soon as its source comes back; so does it after one that the run
         outlives.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import perf_counter_ns
from typing import Final, Protocol

from conveyor.core.engine import StopToken
from conveyor.runtime.parent.interrupt import Interruptible
from conveyor.runtime.process.deferral import Deferral
from conveyor.runtime.shm.record import Blob
from conveyor.runtime.step.batching import LARGEST_SLICE, SLICE_NS, WakeupCoalescing
from conveyor.runtime.step.contract import FOR_NOTHING, WaitReason
from conveyor.runtime.step.loop import DriveLoop
from conveyor.runtime.step.source import GivenFeed, Puller

__all__ = ["Intake", "Relief"]

MOMENT_S: Final = 0.05
MOMENT_MS: Final = 20


class Intake:
    """Pulls the items of a source between two steps of its loop: a slice at a time, and no more
    than `room()`.

    `n` is how much it pulls at once: it doubles while pulling is quick and halves while it is slow.
    """

    def __init__(self, puller: Puller, feed: GivenFeed, room: Callable[[], int]) -> None:
        self.puller = puller
        self.feed = feed
        self.room = room
        self.n = 1
        self.most = min(feed.n, LARGEST_SLICE)

    def wants_more(self) -> bool:
        """Is there room for another item, or is one asked for to see whether the end has come?"""
        if self.feed.closed or self.feed.buffer:
            return False
        return self.room() > 0 or not self.puller.knows_more()

    def take(self) -> list[object]:
        """The next items.  Raises what the source raises."""
        room = self.room()
        if room <= 0:
            self.puller.look_ahead()
            return []
        started = perf_counter_ns()
        items = self.puller.take(min(room, self.n))
        quick = perf_counter_ns() - started < SLICE_NS
        self.n = min(2 * self.n, self.most) if quick else max(1, self.n // 2)
        return items

    def push(self, items: list[object]) -> None:
        """They go to the loop, which may then have all."""
        self.puller.tell(items)
        self.feed.push(items)
        self.feed.closed = self.puller.exhausted

    def push_what_is_there(self) -> None:
        """In another thread, while `take` waits for more: what it has got goes to the loop."""
        if self.room() > len(self.feed.buffer) and (items := self.puller.taken_so_far()):
            self.puller.tell(items)
            self.feed.push(items)


class Host(Protocol):
    """What steps loops, sleeps and ends workers."""

    def step(self, source: DriveLoop[Blob], sink: DriveLoop[Blob]) -> bool: ...
    def wait(
        self,
        loops: list[DriveLoop[Blob]],
        results: int,
        timeout_ms: int | None,
        wants_more: Callable[[], bool] | None,
    ) -> None: ...
    def wake(self) -> None: ...
    def fail(self, error: BaseException) -> None: ...
    def goes_on(self, error: BaseException) -> bool: ...


class Relief:
    """The calling thread and the one that stands in for it, in one run."""

    def __init__(
        self,
        host: Host,
        stop: StopToken,
        intake: Intake,
        source: DriveLoop[Blob],
        sink: DriveLoop[Blob],
        coalescing: WakeupCoalescing,
    ) -> None:
        self.host = host
        self.stop = stop
        self.intake = intake
        self.source = source
        self.sink = sink
        self.coalescing = coalescing
        self.turn = threading.Lock()
        self.inside = False  # the source
        self.pulls = self.seen = 0
        self.wanted = False  # back, by the calling thread
        self.error: BaseException | None = None
        self.over = threading.Event()
        self.interruptible = Interruptible()
        self.thread = threading.Thread(target=self.work, name="conveyor relief", daemon=True)

    def run(self) -> None:
        """In the calling thread: all items, to the end."""
        try:
            with Deferral():  # a thread that is half started would be neither there nor not
                self.begin()
            while not (self.source.finished and self.sink.finished):
                moved = self.host.step(self.source, self.sink)
                if self.intake.wants_more():
                    self.pull()
                elif not moved:
                    loops = [loop for loop in (self.source, self.sink) if not loop.finished]
                    self.host.wait(loops, self.coalescing.next(), None, self.intake.wants_more)
        finally:
            with Deferral():
                self.end()

    def begin(self) -> None:
        self.interruptible.__enter__()
        self.turn.acquire()
        self.thread.start()

    def end(self) -> None:
        """Ends the thread, wherever it is; the calling thread has the turn for good."""
        self.interruptible.__exit__(None, None, None)
        # A child that the source has forked: it has neither that thread nor its locks
        if not self.stop.is_ours():
            return
        self.over.set()
        self.wanted = True
        self.host.wake()
        if self.thread.ident is not None:
            self.thread.join()

    def wait_reason(self) -> WaitReason:
        """What the source waits for, as far as it can be seen."""
        return FOR_NOTHING if self.inside else self.source.wait_reason()

    def pull(self) -> None:
        """Takes the next items.  Raises what the source raises, or what ended the run meanwhile."""
        raised: BaseException | None = None
        items: list[object] = []
        self.pulls += 1
        try:
            try:
                self.inside = self.interruptible.inside = True
                self.turn.release()
                items = self.intake.take()
            finally:
                # First of all: a late interrupt is caught below, and there is no second one.
                self.interruptible.inside = False
        except BaseException as error:
            raised = error
        if not self.stop.is_ours():
            self.stop.check()
        self.take_back()
        self.stop.check()
        if self.error is not None:
            raise self.error
        if raised is not None:
            raise raised
        self.intake.push(items)

    def take_back(self) -> None:
        if not self.turn.acquire(blocking=False):
            self.wanted = True
            self.host.wake()
            self.turn.acquire()
        self.inside = self.wanted = False

    def work(self) -> None:
        while not self.over.wait(MOMENT_S):
            self.interruptible.insist()
            if self.inside and self.pulls == self.seen and self.turn.acquire(blocking=False):
                try:
                    self.stand_in()
                finally:
                    self.turn.release()
            self.seen = self.pulls

    def stand_in(self) -> None:
        """Runs until the calling thread comes out of its source, or something fails."""
        try:
            while self.inside and not self.wanted and self.error is None:
                self.intake.push_what_is_there()
                if not self.host.step(self.source, self.sink):
                    loops = [self.source, self.sink] if self.intake.feed.buffer else [self.sink]
                    self.host.wait(loops, self.coalescing.next(), MOMENT_MS, None)
        except BaseException as error:  # raised again in the calling thread
            self.error = error
            if not self.host.goes_on(error):  # else the source will be asked for more
                self.interruptible.interrupt()
            self.host.fail(error)
