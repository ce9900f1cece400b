"""What a job is given beside its item: made once in a worker, and closed at the worker's end.

Knows: how something is opened and closed.  Must never know: how a stage runs.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Final, cast

from conveyor.errors import TopologyError
from conveyor.stages.callables import (
    check_is_called,
    check_takes,
    is_async_generator,
    name_of,
)

__all__ = [
    "GivenTwo",
    "Resource",
    "checked_setup",
    "completed",
    "gathered",
    "is_opened_async",
    "opened_async",
]


class Resource:
    """What `setup` made in a worker: `value` is what the job is given.

    A context manager is entered, and left at the end; anything else is closed, if it can be.
    `end` is known of what was opened asynchronously.
    """

    def __init__(self, made: object, end: Callable[[], object] | None = None) -> None:
        self.value = made
        self.end = end
        if end is not None:
            return
        if isinstance(made, AbstractContextManager):
            entered = cast("AbstractContextManager[object]", made)
            self.end = partial(entered.__exit__, None, None, None)
            self.value = entered.__enter__()
        elif not isinstance(made, type | ModuleType):  # os.close is for something else
            close: Callable[[], object] | None = getattr(made, "close", None)
            self.end = close if callable(close) else None

    @property
    def is_to_be_closed(self) -> bool:
        """Does anything happen at its end?"""
        return self.end is not None

    def close(self) -> Awaitable[None] | None:
        """Leaves or closes what was made; does nothing the second time.

        Gives what is still to be awaited for that, if anything is.
        """
        end, self.end = self.end, None
        given = None if end is None else end()
        return given if inspect.isawaitable(given) else None


def is_opened_async(made: object, is_async: bool) -> bool:
    """Is what `setup=` made to be awaited, or closed asynchronously?  If it can be either, that
    depends on the job: is it async?"""
    if isinstance(made, type | ModuleType):
        return False
    if inspect.isawaitable(made):
        return True
    if is_async:
        return _async_end(made) is not None
    is_entered = hasattr(type(made), "__enter__") and hasattr(type(made), "__exit__")
    can_be_closed = is_entered or callable(getattr(made, "close", None))
    return not can_be_closed and _async_end(made) is not None


async def opened_async(made: object, is_async: bool) -> Resource:
    """What `setup=` made, awaited and entered."""
    if inspect.isawaitable(made):
        made = await made
        if not is_opened_async(made, is_async):
            return Resource(made)
    end = _async_end(made)
    if isinstance(made, AbstractAsyncContextManager):
        entered = cast("AbstractAsyncContextManager[object]", made)
        return Resource(await entered.__aenter__(), end)
    return Resource(made, end)


def _async_end(made: object) -> Callable[[], object] | None:
    """What is called, and awaited, at the end of what is closed asynchronously."""
    if isinstance(made, AbstractAsyncContextManager):
        return partial(
            cast("AbstractAsyncContextManager[object]", made).__aexit__, None, None, None
        )
    aclose: Callable[[], object] | None = getattr(made, "aclose", None)
    return aclose if callable(aclose) else None


def completed(given: object, awaits: Callable[[Awaitable[object]], object] | None) -> object:
    """What comes of a call that may be of an async function; `awaits` runs to its end what is to be
    awaited.  Of an asynchronous generator, a list of what it yields."""
    if isinstance(given, AsyncIterable):
        given = gathered(cast("AsyncIterable[object]", given))
    if not inspect.isawaitable(given):
        return given
    assert awaits is not None, "nothing runs what async code gives"
    return awaits(given)


async def gathered(given: AsyncIterable[object]) -> list[object]:
    """What an asynchronous generator yields."""
    return [each async for each in given]


@dataclass(frozen=True, slots=True)
class GivenTwo:
    """A function of an item and of what `setup` made; `call` is the job, of an item alone.

    A bound method, as a call of an object costs half as much again.
    """

    fn: Callable[..., object]
    made: object

    def call(self, item: object) -> object:
        return self.fn(item, self.made)


OPENS: Final = "decorate it with contextlib.contextmanager, and what it yields is given to the job"
OPENS_ASYNC: Final = OPENS.replace("contextmanager", "asynccontextmanager")


def checked_setup(
    kind: str, setup: Callable[[], object] | None, fn: object
) -> Callable[[], object] | None:
    """`setup`, if it can be called without arguments; raises `TopologyError` otherwise."""
    if setup is None:
        return None
    if fn is None:
        raise TopologyError(
            f"{kind}: setup= is for what a function is given beside its item; a class has a "
            "setup(self) of its own"
        )
    if not callable(setup):
        raise TopologyError(
            f"{kind}: setup is {setup!r}; it must be a function without arguments that makes what "
            "the job is given beside its item, such as lambda: sqlite3.connect(path)"
        )
    what = f"{kind}(setup={name_of(setup)})"
    check_takes(what, setup, "no required argument", 0)
    check_is_called(what, setup, OPENS, may_await=True)
    if is_async_generator(setup):
        raise TopologyError(
            f"{what}: {name_of(setup)} is an async generator function; {OPENS_ASYNC}"
        )
    return setup
