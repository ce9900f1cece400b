"""What an event loop has done in a thread of its own, and what that thread has done in the loop.

Knows: one event loop and one thread.  Must never know: what is done.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import Final, NamedTuple, TypeAlias

from typing_extensions import TypeVar

__all__ = ["AsyncSource", "SideThread", "fail", "first_done", "settled"]

T = TypeVar("T")


class Outcome(NamedTuple):
    """What came of a call: a value, or what it raised."""

    value: object
    error: BaseException | None = None


END: Final = Outcome(None)
LOOKS_UP_S: Final = 0.25
Calls: TypeAlias = "SimpleQueue[Callable[[], object] | None]"


class SideThread:
    """A thread that makes calls one after the other, in a copy of the context of the task that
    began it, for the event loop of that task."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.get_running_loop()
        self.calls: Calls = SimpleQueue()
        # A daemon: a source that never comes back must not keep the program from ending
        threading.Thread(
            target=copy_context().run, args=(serve, self.calls), name=name, daemon=True
        ).start()

    def call(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Makes a call; the future has what comes of it."""
        future: asyncio.Future[T] = self.loop.create_future()
        self.calls.put(partial(self.answer, function, future))
        return future

    def post(self, function: Callable[[], object]) -> None:
        """Makes a call that nobody waits for; may be called in any thread."""
        self.calls.put(function)

    def answer(self, function: Callable[[], T], future: asyncio.Future[T]) -> None:
        try:
            self.soon(fulfil, future, function())
        except BaseException as error:  # raised again where the future is awaited
            self.soon(fail, future, error)

    def soon(self, function: Callable[..., object], *args: object) -> None:
        """Makes a call in the event loop; does nothing once that is closed, as nobody waits."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(function, *args)

    def end(self) -> None:
        """Ends the thread behind the calls that it has been given."""
        self.calls.put(None)


def serve(calls: Calls) -> None:
    while (call := calls.get()) is not None:
        call()
        del call  # else it would be kept until the next


def fulfil(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)


def fail(future: asyncio.Future[T], error: BaseException) -> None:
    """Has a future raise this, unless it has something already."""
    if not future.done():
        future.set_exception(error)
        future.exception()  # a reader that was cancelled does not come back for it


async def first_done(*futures: asyncio.Future[T]) -> None:
    """Waits for the first of them.

    The loop looks up now and then meanwhile: a signal handler that cancels the task, as that of
    Jupyter's kernel does, does not wake it.
    """
    while not any(future.done() for future in futures):
        await asyncio.wait(futures, timeout=LOOKS_UP_S, return_when=asyncio.FIRST_COMPLETED)


async def settled(*futures: asyncio.Future[T]) -> bool:
    """Waits for the first of them, even if the task is cancelled meanwhile; was it?"""
    cancelled = False
    while not any(future.done() for future in futures):
        try:
            await first_done(*futures)
        except asyncio.CancelledError:
            cancelled = True
    return cancelled


class AsyncSource(Iterator[object]):
    """The items of an asynchronous iterable, for a thread: each is awaited in the event loop, in
    one task, once the thread asks for it.

    The task has a copy of the context of the one that made it.
    """

    def __init__(self, items: AsyncIterable[object]) -> None:
        self.loop = asyncio.get_running_loop()
        self.wanted = asyncio.Event()
        self.given: SimpleQueue[Outcome] = SimpleQueue()
        self.ended = False
        self.task = self.loop.create_task(self.give(items), name="conveyor source")

    def __next__(self) -> object:
        if self.ended:
            raise StopIteration
        self.loop.call_soon_threadsafe(self.wanted.set)
        outcome = self.given.get()
        if outcome is END or outcome.error is not None:
            self.ended = True
            raise outcome.error or StopIteration
        return outcome.value

    async def give(self, items: AsyncIterable[object]) -> None:
        """Gives an item each time that one is wanted, and then the end, or what it was."""
        iterator: AsyncIterator[object] | None = None
        try:
            iterator = aiter(items)
            while True:
                await self.wanted.wait()
                self.wanted.clear()
                self.given.put(Outcome(await anext(iterator)))
        except StopAsyncIteration:
            self.given.put(END)
        except Exception as error:  # raised again in the thread
            self.given.put(Outcome(None, error))
        except BaseException as error:
            self.given.put(Outcome(None, error))
            raise
        finally:
            # What was raised keeps this frame: a generator that is left is to be closed now, as
            # one is where a loop leaves it, and not when the garbage is collected
            del items, iterator

    async def close(self) -> None:
        """Cancels what is awaited of the iterable, and waits until it has ended."""
        self.task.cancel()
        if await settled(self.task):
            raise asyncio.CancelledError

    def abandon(self) -> None:
        """Cancels what is awaited of the iterable; may be called in any thread."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.task.cancel)
