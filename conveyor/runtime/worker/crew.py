"""What works on several items at once: an event loop, or threads, in a worker.

This file knows asyncio and threads.  It must never know channels, or what becomes of an item that
is done.

Rule 1.  Everything but the jobs themselves happens in the worker's main thread.  It runs the event
         loop, too, where it would otherwise sleep.
Rule 2.  A coroutine whose time is over is cancelled here.  One that does not end then, or that
         keeps the event loop from it, ends with its worker: the parent sees since when it is
         overdue.  So does what a thread is at, whose item the parent sees, too.
Rule 3.  The event loop and the threads live as long as the worker, so what jobs keep in them
         serves one run after the other.
Rule 4.  Before the stages give back what they hold, nothing is at work any more: no other attempt
         is made, what a thread is inside of is waited for, and whoever tells the worker to end
         kills it when that takes too long, as any worker that is at its job.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Generator, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from queue import Empty, SimpleQueue
from time import perf_counter_ns
from types import TracebackType
from typing import Any, Final, TypeAlias

from conveyor.core.concurrent_node import AT, ConcurrentNode, Held
from conveyor.core.job_node import ItemClock
from conveyor.core.timekeeper import pause_before
from conveyor.items.current_item import BESIDE
from conveyor.runtime.shm.control_block import NodeBlock
from conveyor.runtime.worker.link import ParentLink, Stopped

__all__ = ["Crew", "EventLoop", "Threads"]

TO_CANCEL_S: Final = 0.3
LEAST_GRACE_S: Final = 1.0  # until a coroutine that was to be cancelled is overdue

Work: TypeAlias = Coroutine[Any, Any, Any]


def in_hand() -> Held:
    """The item that is worked on in this thread, or task."""
    held = AT.get()
    assert held is not None
    return held


class Watch:
    """Since when items are at their jobs: the parent sees it of the one that is for the longest, as
    `tell` says.  Called in any thread."""

    def __init__(self, block: NodeBlock, tell: Callable[[Held, int], None]) -> None:
        self.block = block
        self.tell = tell
        self.lock = threading.Lock()
        self.since: dict[Held, int] = {}  # in ns; the first of them is the oldest
        self.newest = 0

    def begin(self, held: Held, after_ns: int = 0) -> None:
        """A job is at this item, and that counts from `after_ns` on."""
        with self.lock:
            # No two have begun at the same time: the parent tells them apart by that
            self.newest = max(perf_counter_ns() + after_ns, self.newest + 1)
            self.since[held] = self.newest
            if len(self.since) == 1:
                self.tell(held, self.newest)

    def end(self, held: Held) -> None:
        """It is at it no more."""
        with self.lock:
            is_oldest = next(iter(self.since)) is held
            del self.since[held]
            if not self.since:
                self.block.set_no_item()
            elif is_oldest:
                self.tell(*next(iter(self.since.items())))


class Crew(ABC):
    """What works on items, and how the worker sleeps meanwhile."""

    clock: ItemClock | None = None  # of jobs that are called, and not awaited

    def __init__(self) -> None:
        self.ending = threading.Event()

    @property
    def is_ending(self) -> bool:
        """Is all work on items to end?"""
        return self.ending.is_set()

    def pause(self, attempt: int) -> None:
        """Waits before an attempt, in a thread that holds up no other; raises `Stopped` if the work
        is to end."""
        if self.ending.wait(pause_before(attempt)):
            raise Stopped

    @abstractmethod
    def begin(self, node: ConcurrentNode, held: Held, done: Callable[[Held], None]) -> None:
        """Works on an item, and calls `done` then."""

    @abstractmethod
    def wait(self, link: ParentLink) -> None:
        """Sleeps until notified or an item is done; raises `Stopped` if the worker is to end."""

    @abstractmethod
    def note_steps(self, stepped: Callable[[Held], None] | None) -> None:
        """From now on `stepped` is told before each step of a task of which item it is."""

    @abstractmethod
    def cancel(self) -> None:
        """Ends the work on items."""


class EventLoop(Crew):
    """Coroutines of one event loop."""

    def __init__(self, link: ParentLink, block: NodeBlock) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.link = link
        self.overdue = Watch(block, lambda _, since: block.set_any_item(since))
        self.is_notified = False
        self.is_asleep = False
        self.tasks: set[asyncio.Task[None]] = set()
        self.threads = ThreadPoolExecutor()  # started as coroutines need them
        self.loop.set_default_executor(self.threads)
        self.loop.add_reader(link.own.read_fd, self.notified)

    def begin(self, node: ConcurrentNode, held: Held, done: Callable[[Held], None]) -> None:
        context = copy_context()
        context.run(AT.set, held)  # it is that of all tasks that its own begins, too
        task = self.loop.create_task(self.work(node, held, done), context=context)
        self.tasks.add(task)  # the loop itself holds them weakly
        task.add_done_callback(self.tasks.discard)

    async def work(self, node: ConcurrentNode, held: Held, done: Callable[[Held], None]) -> None:
        await node.work_async(held, self)
        done(held)
        self.wake()

    def sleep(self, seconds: float) -> Awaitable[None]:
        return asyncio.sleep(seconds)

    def limit(self, seconds: float) -> WatchedLimit:
        return WatchedLimit(self.overdue, seconds)

    def run(self, given: Awaitable[object]) -> object:
        """What comes of async code that belongs to no item; items in hand go on meanwhile."""
        return self.loop.run_until_complete(given)

    def note_steps(self, stepped: Callable[[Held], None] | None) -> None:
        if stepped is None:
            self.loop.set_task_factory(None)
            return

        def make(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
            return asyncio.Task(Noted(work, stepped), loop=loop, **options)

        self.loop.set_task_factory(make)

    def notified(self) -> None:
        self.link.own.wait()
        self.is_notified = True
        self.wake()

    def wake(self) -> None:
        if self.is_asleep:
            self.is_asleep = False
            self.loop.stop()

    def wait(self, link: ParentLink) -> None:
        if not self.is_notified:
            self.is_asleep = True
            try:
                self.loop.run_forever()
            finally:  # a task that exits ends it, too
                self.is_asleep = False
        self.is_notified = False
        link.check_stop()

    def cancel(self) -> None:
        self.ending.set()
        self.end(self.tasks)
        # What they have threads do is at work still; `teardown` may need other ones
        threads, self.threads = self.threads, ThreadPoolExecutor()
        self.loop.set_default_executor(self.threads)
        self.loop.run_until_complete(self.loop.run_in_executor(None, threads.shutdown))

    def close(self) -> None:
        """Ends what `setup` has begun, too, and all that is left."""
        loop = self.loop
        self.end(asyncio.all_tasks(loop))
        loop.remove_reader(self.link.own.read_fd)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    def end(self, tasks: Set[asyncio.Task[Any]]) -> None:
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.wait({*tasks}, timeout=TO_CANCEL_S))


class WatchedLimit:
    """The time limit of the item whose task is inside; the parent sees when it is overdue."""

    def __init__(self, overdue: Watch, seconds: float) -> None:
        self.overdue = overdue
        self.grace_ns = round(max(seconds, LEAST_GRACE_S) * 1e9)
        self.timeout = asyncio.timeout(seconds)
        self.expired = self.timeout.expired

    async def __aenter__(self) -> None:
        held = self.held = in_hand()
        self.overdue.begin(held, self.grace_ns)
        await self.timeout.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
        /,
    ) -> None:
        try:
            await self.timeout.__aexit__(kind, error, where)
        finally:
            self.overdue.end(self.held)


class Noted(Coroutine[Any, Any, Any]):
    """What a task runs; `stepped` is told of each of its steps."""

    def __init__(self, work: Work, stepped: Callable[[Held], None]) -> None:
        self.work = work
        self.stepped = stepped

    def note(self) -> None:
        if (held := AT.get()) is not None and not held.is_done:
            self.stepped(held)

    def send(self, value: Any) -> Any:
        self.note()
        return self.work.send(value)

    def throw(self, *raised: Any) -> Any:
        self.note()
        return self.work.throw(*raised)

    def close(self) -> None:
        self.work.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise AssertionError("a task steps it, and nobody awaits it")


class Threads(Crew):
    """Threads, started as they are needed, and no more than there are items in hand at once."""

    def __init__(self, link: ParentLink, block: NodeBlock, most: int) -> None:
        super().__init__()
        self.clock = self
        self.at_jobs = Watch(block, lambda held, since: block.set_oldest(held.position, since))
        self.link = link
        self.most = most
        self.started: list[threading.Thread] = []
        self.at_work = 0
        self.is_asleep = self.is_news = False
        self.todo: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def begin(self, node: ConcurrentNode, held: Held, done: Callable[[Held], None]) -> None:
        def work() -> None:
            BESIDE.set(node)
            node.work(held)
            done(held)
            self.at_work -= 1
            self.is_news = True
            if self.is_asleep:
                self.link.own.notify()

        self.at_work += 1
        self.todo.put(work)
        if len(self.started) < min(self.at_work, self.most):
            name = f"conveyor job {len(self.started) + 1}"
            # Daemons: a job that hangs must not keep its worker from ending
            thread = threading.Thread(target=serve, args=(self.todo,), name=name, daemon=True)
            thread.start()
            self.started.append(thread)

    def start(self, index: int) -> None:
        """The job begins with the item of this thread."""
        self.at_jobs.begin(in_hand())

    def stop(self) -> None:
        """The job has ended with it."""
        self.at_jobs.end(in_hand())

    def go_on(self, index: int) -> None:
        raise AssertionError("what comes of an item in a thread is gathered, so no job waits")

    def wait(self, link: ParentLink) -> None:
        # A thread says that an item is done, and then looks whether this one sleeps; this one says
        # that it sleeps, and then looks: one of the two sees the other
        self.is_asleep = True
        if not self.is_news:
            link.sleep()
        self.is_asleep = self.is_news = False

    def note_steps(self, stepped: Callable[[Held], None] | None) -> None:
        """Nothing: nobody steps them."""

    def cancel(self) -> None:
        self.ending.set()
        with suppress(Empty):
            while True:
                self.todo.get_nowait()  # is not begun with
        for _ in self.started:
            self.todo.put(None)
        for thread in self.started:
            thread.join()


def serve(todo: SimpleQueue[Callable[[], None] | None]) -> None:
    with suppress(Stopped):
        while (call := todo.get()) is not None:
            call()
