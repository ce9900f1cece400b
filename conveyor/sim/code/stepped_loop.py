"""An event loop that goes on where it is told: one item's task to its next await, then perhaps
another's.

Knows: asyncio's handles, tasks and timers.  Must never know: who decides which item goes on.

Rule 1.  What is to run next belongs to the item whose task asked for it, as the task's context
         tells.  So each item has a queue of its own, and a time of its own, which passes only where
         it has nothing else to do, and is not behind that of one that wakes it: how fast one is,
         beside another, is what is decided.
Rule 2.  A step of an item is one step of one of its tasks, and all that asyncio does before.
Rule 3.  Tasks of no item, begun in `setup`, go on by themselves behind each step, and their time
         passes where no item can go on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from contextvars import Context, copy_context
from heapq import heappop, heappush
from typing import Any, Final

from typing_extensions import TypeVar, TypeVarTuple, Unpack

from conveyor.core.concurrent_node import AT, Held
from conveyor.errors import NotSimulated
from conveyor.sim.code.virtual_loop import (
    LONGEST_S,
    SimulatedEventLoop,
    VirtualTime,
    alone,
    never_comes,
)

__all__ = ["SteppedLoop"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

PATIENCE: Final = 10_000  # turns of tasks of no item, while every item waits for them


async def finished(given: Awaitable[object]) -> object:
    return await given


class Strand:
    """What the tasks of one item, or those of none, are to do next, and their time."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.ready: deque[tuple[asyncio.Handle, bool]] = deque()  # is it a step of a task?
        self.timers: list[tuple[float, int, asyncio.TimerHandle]] = []

    def can_go_on(self) -> bool:
        self.forget_cancelled()
        return bool(self.ready or self.timers)

    def forget_cancelled(self) -> None:
        while self.ready and self.ready[0][0].cancelled():
            self.ready.popleft()
        while self.timers and self.timers[0][2].cancelled():
            heappop(self.timers)

    def next_at(self) -> float:
        """The moment at which it goes on next, if it can."""
        return self.now if self.ready else max(self.now, self.timers[0][0])

    def next(self) -> tuple[asyncio.Handle, bool] | None:
        """What is run next; if it is a timer, its time has passed."""
        self.forget_cancelled()
        if self.ready:
            return self.ready.popleft()
        if not self.timers:
            return None
        when, _, timer = heappop(self.timers)
        self.now = max(self.now, when)
        return timer, False


class SteppedLoop(SimulatedEventLoop, VirtualTime):
    """The event loop of one worker."""

    def begin(self, stage: str) -> None:
        super().begin(stage)
        self.stage = stage
        self.background = self.current = self.last = Strand(0.0)
        self.strands: dict[Held, Strand] = {}
        self.tasks: dict[Held, asyncio.Task[None]] = {}  # asyncio itself holds them weakly
        self.timers = 0  # that were set so far
        self.limits: dict[Held, asyncio.Timeout] = {}

    # ---------------------------------------------------------------------------
    # what asyncio asks of an event loop

    def time(self) -> float:
        return self.current.now

    def is_running(self) -> bool:
        return asyncio._get_running_loop() is self

    def call_soon(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        context = copy_context() if context is None else context
        handle = asyncio.Handle(callback, args, self, context)
        is_step = isinstance(getattr(callback, "__self__", None), asyncio.Task)
        strand = self.strand_of(context)
        strand.now = max(strand.now, self.current.now)
        strand.ready.append((handle, is_step))
        return handle

    def call_soon_threadsafe(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        context = copy_context() if context is None else context
        strand = self.strand_of(context)
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self.timers += 1
        heappush(strand.timers, (when + strand.now - self.current.now, self.timers, timer))
        return timer

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        task = super().create_task(coro, **options)
        # A worker that dies leaves its tasks as they are, and nobody is to be told of that
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        return task

    def strand_of(self, context: Context) -> Strand:
        held = context.get(AT)
        return self.background if held is None else self.strands.get(held, self.background)

    def limit(self, seconds: float) -> asyncio.Timeout:
        # By default who has the least time left goes on, whether it then runs out or not
        limit = asyncio.timeout(seconds)
        if (held := AT.get()) is not None:
            self.limits[held] = limit
        return limit

    # ---------------------------------------------------------------------------
    # steps

    def take(self, held: Held, work: Coroutine[Any, Any, None]) -> None:
        """Takes an item in hand, of which nothing is done yet."""
        self.strands[held] = Strand(self.last.now)
        self.tasks[held] = self.task_of(held, work)

    def task_of(self, held: Held | None, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        context = copy_context()
        context.run(AT.set, held)
        return self.create_task(work, context=context)

    def can_go_on(self, held: Held) -> bool:
        return self.strands[held].can_go_on()

    def next_at(self, held: Held) -> float:
        return self.strands[held].next_at()

    def step(self, held: Held) -> None:
        """Goes on with an item to its next await, or to its end."""
        strand = self.last = self.strands[held]
        with self.running(strand):
            while (found := strand.next()) is not None:
                handle, is_step = found
                if self.is_told and self.is_expiry(handle, held):
                    self.limits[held].reschedule(LONGEST_S)
                    continue
                handle._run()
                if is_step:
                    break
        if held.is_done:
            self.let_go(held)
        self.go_on_with_background()

    def let_go(self, held: Held) -> None:
        """What an item that is done has left behind goes on by itself."""
        strand, background = self.strands.pop(held), self.background
        self.limits.pop(held, None)
        del self.tasks[held]
        background.ready += strand.ready
        for when, number, timer in strand.timers:
            heappush(background.timers, (when - strand.now + background.now, number, timer))

    def run_out(self, held: Held) -> None:
        """The time of an item is over."""
        limit, strand = self.limits[held], self.strands[held]
        context = copy_context()
        context.run(AT.set, held)
        with self.running(strand):
            strand.now = max(strand.now, limit.when() or 0.0)
            context.run(limit.reschedule, strand.now)
            strand.ready.rotate(1)  # before all that it would have done

    def is_expiry(self, handle: asyncio.Handle, held: Held) -> bool:
        """Does the time of an item run out by itself?"""
        if held not in self.limits or not isinstance(handle, asyncio.TimerHandle):
            return False
        expiry: object = getattr(self.limits[held], "_on_timeout")  # noqa: B009  # asyncio's own
        return bool(expiry == getattr(handle, "_callback"))  # noqa: B009

    def has_limit(self, held: Held) -> bool:
        """Is the time of an item limited that is at its job?"""
        limit = self.limits.get(held)
        return limit is not None and limit.when() is not None and not limit.expired()

    def go_on_with_background(self) -> None:
        """Lets the tasks of no item go on, once each; until an item can, if none can."""
        self.sweep()
        for _ in range(PATIENCE):
            if not self.background.ready or any(map(self.can_go_on, self.strands)):
                return
            self.sweep()

    def sweep(self) -> None:
        with self.running(self.background):
            for _ in range(len(self.background.ready)):
                handle, _ = self.background.ready.popleft()
                if not handle.cancelled():
                    handle._run()

    def wait_for_background(self) -> bool:
        """Lets the time of the tasks of no item pass, until an item can go on: can one?"""
        for _ in range(PATIENCE):
            if any(map(self.can_go_on, self.strands)):
                return True
            if not self.turn_of_background():
                return False
        return False

    def turn_of_background(self) -> bool:
        with self.running(self.background):
            found = self.background.next()
            if found is not None:
                found[0]._run()
        return found is not None

    def run(self, given: Awaitable[object]) -> object:
        """What comes of what belongs to no item."""
        task = self.task_of(None, finished(given))
        while not task.done():
            if not self.turn_of_background():
                task.cancel()
                raise self.never_comes()
        return task.result()

    def never_comes(self) -> NotSimulated:
        return never_comes(self.stage)

    def abandon(self) -> None:
        """The worker is dead: nothing goes on."""
        for task in asyncio.all_tasks(self):
            work = task.get_coro()
            with suppress(Exception):  # of the job's, which has nobody to tell
                work.close()

    @contextmanager
    def running(self, strand: Strand) -> Generator[None]:
        before, self.current = self.current, strand
        with alone():
            asyncio._set_running_loop(self)
            try:
                yield
            finally:
                self.current = before
