"""What works on several items at once: an event loop, or threads, in a worker.

This file knows asyncio and threads.  It must never know channels, or what becomes of an item that
is done.

Rule 1.  Everything but the jobs themselves happens in the worker's main thread.  It runs the event
         loop, too, where it would otherwise sleep.
Rule 2.  A coroutine whose time is over is cancelled here.  One that does not end then, or that
         keeps the event loop from it, ends with its worker: the parent sees since when it is
         overdue.
Rule 3.  The event loop and the threads live as long as the worker, so what jobs keep in them
         serves one run after the other.
Rule 4.  Before the stages give back what they hold, nothing is at work any more: what a thread is
         inside of is waited for, and whoever tells the worker to end kills it when that takes too
         long, as any worker that is at its job.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import perf_counter_ns
from typing import Final, cast

from conveyor.core.concurrent_node import AT, ConcurrentNode, Held
from conveyor.items.current_item import BESIDE
from conveyor.runtime.shm.control_block import NodeBlock
from conveyor.runtime.worker.link import ParentLink
from conveyor.runtime.worker.pauses import pause_before

__all__ = ["Crew", "EventLoop", "Threads", "WorkingHands"]

TO_CANCEL_S: Final = 0.3
LEAST_GRACE_S: Final = 1.0  # until a coroutine that was to be cancelled is overdue


class Crew(ABC):
    """What works on items, and how the worker sleeps meanwhile."""

    @abstractmethod
    def begin(self, node: ConcurrentNode, held: Held, done: Callable[[Held], None]) -> None:
        """Works on an item, and calls `done` then."""

    @abstractmethod
    def sleep(self, link: ParentLink) -> None:
        """Sleeps until notified or an item is done; raises `Stopped` if the worker is to end."""

    @abstractmethod
    def close(self) -> None:
        """Ends what is still at work."""


class EventLoop(Crew):
    """Coroutines of one event loop."""

    def __init__(self, link: ParentLink, block: NodeBlock) -> None:
        self.loop = asyncio.new_event_loop()
        self.link = link
        self.block = block
        self.overdue_since: dict[Held, int] = {}  # ns; the first of them is the first to be
        self.is_notified = False
        self.is_asleep = False
        self.tasks: set[asyncio.Task[None]] = set()
        self.loop.add_reader(link.own.read_fd, self.notified)

    def begin(self, node: ConcurrentNode, held: Held, done: Callable[[Held], None]) -> None:
        task = self.loop.create_task(self.work(node, held, done))
        self.tasks.add(task)  # the loop itself holds them weakly
        task.add_done_callback(self.tasks.discard)

    async def work(self, node: ConcurrentNode, held: Held, done: Callable[[Held], None]) -> None:
        """Tries the job on an item until it is done, or given up."""
        BESIDE.set(node)
        AT.set(held)
        limit = node.policy.timeout_s
        while not node.is_condemned(held):
            try:
                held.results = await self.attempt(node, held, limit)
            except BaseException as error:  # the item's own, whatever it is
                held.error = error
                if node.tries_again(error):
                    await asyncio.sleep(pause_before(held.attempt))
                    continue
            else:
                held.error = None
            break
        held.is_done = True
        done(held)
        self.wake()

    async def attempt(self, node: ConcurrentNode, held: Held, limit: float | None) -> list[object]:
        given = cast("Awaitable[object]", node.job(node.opened(held)))
        if limit is None:
            return node.results_of(held, await given)
        clock = asyncio.timeout(limit)
        self.has_begun(held, limit)
        try:
            async with clock:
                result = await given
        except TimeoutError:
            if clock.expired():
                raise node.out_of_time_after(held.attempt) from None
            raise
        finally:
            self.has_ended(held)
        return node.results_of(held, result)

    def has_begun(self, held: Held, limit: float) -> None:
        """An attempt begins that has a limit."""
        grace_ns = round(max(limit, LEAST_GRACE_S) * 1e9)
        self.overdue_since[held] = perf_counter_ns() + grace_ns
        if len(self.overdue_since) == 1:
            self.block.set_any_item(self.overdue_since[held])

    def has_ended(self, held: Held) -> None:
        is_first = next(iter(self.overdue_since)) is held
        del self.overdue_since[held]
        if is_first:
            self.block.set_any_item(next(iter(self.overdue_since.values()), 0))

    def notified(self) -> None:
        self.link.own.wait()
        self.is_notified = True
        self.wake()

    def wake(self) -> None:
        if self.is_asleep:
            self.is_asleep = False
            self.loop.stop()

    def sleep(self, link: ParentLink) -> None:
        if not self.is_notified:
            self.is_asleep = True
            self.loop.run_forever()
        self.is_notified = False
        link.check_stop()

    def close(self) -> None:
        loop = self.loop
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks, timeout=TO_CANCEL_S))
        loop.remove_reader(self.link.own.read_fd)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


class Threads(Crew):
    """Threads, started as they are needed, and no more than there are items in hand at once."""

    def __init__(self, link: ParentLink, most: int) -> None:
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

    def sleep(self, link: ParentLink) -> None:
        # A thread says that an item is done, and then looks whether this one sleeps; this one says
        # that it sleeps, and then looks: one of the two sees the other
        self.is_asleep = True
        if not self.is_news:
            link.sleep()
        self.is_asleep = self.is_news = False

    def close(self) -> None:
        with suppress(Empty):
            while True:
                self.todo.get_nowait()  # is not begun with
        for _ in self.started:
            self.todo.put(None)
        for thread in self.started:
            thread.join()


def serve(todo: SimpleQueue[Callable[[], None] | None]) -> None:
    while (call := todo.get()) is not None:
        call()


class WorkingHands:
    """Those that a crew lends to one run; `changed` is told how many items are in hand, `chose` of
    each that is done, out of its turn, which of those in hand it is."""

    def __init__(
        self,
        crew: Crew,
        node: ConcurrentNode,
        most: int,
        changed: Callable[[int], None],
        chose: Callable[[int], None] | None,
    ) -> None:
        self.crew = crew
        self.node = node
        self.most = most
        self.changed = changed
        self.chose = chose
        self.in_hand = 0
        self.ordered = node.stage.stage_options.ordered
        self.finished: deque[Held] = deque()
        self.told: Held | None = None  # of those the one that was given before all others

    def begin(self, held: Held) -> None:
        self.in_hand += 1
        self.changed(self.in_hand)
        self.crew.begin(self.node, held, self.finished.append)

    def is_done(self, only: Held | None) -> bool:
        if only is not None:
            return only.is_done
        if self.finished and self.finished[0] is self.told:
            self.finished.popleft()
        return bool(self.finished)

    def chosen(self, only: Held | None, answer: int, held: Sequence[Held]) -> list[Held]:
        if only is None:
            done = [self.finished.popleft() for _ in range(len(self.finished))]
            done = [each for each in done if each is not self.told]
            if self.chose is not None:
                left = [each.position for each in held]
                for each in done:
                    self.chose(left.index(each.position))
                    left.remove(each.position)
        elif self.ordered:
            done = [*self.first_done(held)]
            self.finished.clear()
        else:  # it is out in part; its thread may not have come to say that it is done
            done = [only]
            self.told = only
        self.in_hand -= len(done)
        self.changed(self.in_hand)
        return done

    def first_done(self, held: Sequence[Held]) -> list[Held]:
        at = next((at for at, each in enumerate(held) if not each.is_done), len(held))
        return list(held[:at])
