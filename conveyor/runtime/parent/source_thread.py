"""The thread in which the items of a stream are pulled, and published.

Knows: the source's loop, and when it may step.  Must never know: results, how workers live.

While it is inside the user's iterator it holds no lock, and the consumer's thread sends on what it
had gathered.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Iterable
from contextvars import copy_context
from traceback import format_exception_only
from typing import Final

from conveyor.core.engine import StopToken
from conveyor.items.remote_errors import add_note
from conveyor.items.sealing import sealer
from conveyor.runtime.parent.interrupt import Interruptible
from conveyor.runtime.parent.runner import Runner
from conveyor.runtime.shm.fence import fence
from conveyor.runtime.shm.record import Blob
from conveyor.runtime.shm.wakeup import Wakeup
from conveyor.runtime.step.contract import FOR_NOTHING, WaitReason
from conveyor.runtime.step.loop import DriveLoop
from conveyor.runtime.step.source import PushFeed

__all__ = ["SourceThread"]

MOMENT_S: Final = 0.02

OF_A_THREAD: Final = (
    "the source of a stream is iterated in a thread of its own, 'conveyor source'; run() iterates "
    "its source in the thread that calls it"
)


class SourceThread:
    """Pulls the items of a stream and publishes them."""

    def __init__(self, runner: Runner, run: int, items: Iterable[object], stop: StopToken) -> None:
        self.stop_token = stop
        ends, shared = runner.ends, runner.supervisor.shared
        self.puller = ends.puller(items)
        self.feed = PushFeed(ends.smallest_capacity)
        self.loop: DriveLoop[Blob] = ends.source_loop(run, self.feed)
        self.balancer = ends.balancer
        self.outlets = ends.source.outlets
        self.wakeup: Wakeup = shared.wakeups[0]
        self.consumer_wakeup: Wakeup = shared.consumer_wakeup
        self.poll = select.poll()
        self.poll.register(self.wakeup.read_fd, select.POLLIN)
        # A stream may be collected, and then stopped, anywhere, inside the lock too
        self.lock = threading.RLock()
        self.stopping = self.asleep = False
        self.keeper = ends.keeper
        self.left = False  # is it the consumer's thread alone that publishes?
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
                if self.stopping or self.left or self.stop_token.error is not None:
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
            if self.stopping or self.left:
                return
            self.feed.push(items)
            self.feed.closed = self.puller.exhausted or self.error is not None

    def send_on(self) -> None:
        """Called in the consumer's thread: publishes what has been gathered, or a barrier."""
        with self.lock:
            if not self.stopping and (self.feed.buffer or self.keeper is not None):
                had_finished = self.loop.finished
                self.loop.step()
                if self.loop.finished and not had_finished:
                    self.wakeup.notify()  # else the thread may sleep for ever, and is joined

    def stop(self, interrupts: bool = True) -> None:
        """Ends the thread; does nothing the second time.  Unless it `interrupts`, the program's
        iterator is left as it is, and may be asked for more."""
        with self.lock:
            if self.stopping:
                return
            self.stopping = True
        self.wakeup.notify()
        if interrupts:
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
