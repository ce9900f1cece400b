"""Which globals a function changes in a call.

This file knows what names the code of a function has.  It must never know stages, or schedules.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import cast

from conveyor.sim.determinism.likeness import glance

__all__ = ["GlobalChanges"]


class GlobalChanges:
    """Looks at the globals that a function names before and after it is at work; `changed` is told
    the name of each that is another then.

    It is made of the function as it is written, and put around what calls it.
    """

    def __init__(self, fn: Callable[..., object], changed: Callable[[str], object]) -> None:
        is_written = isinstance(fn, FunctionType)
        self.known: dict[str, object] = fn.__globals__ if is_written else {}
        self.names = [
            name
            for name in (fn.__code__.co_names if is_written else ())
            if is_data(self.known.get(name))
        ]
        self.changed = changed

    @contextmanager
    def told(self) -> Generator[None]:
        before = [glance(self.known.get(name)) for name in self.names]
        try:
            yield
        finally:
            for name, seen in zip(self.names, before, strict=True):
                if glance(self.known.get(name)) != seen:
                    self.changed(name)

    def of_call(self, job: Callable[[object], object]) -> Callable[[object], object]:
        def called(item: object) -> object:
            with self.told():
                return job(item)

        return called

    def of_awaited(self, job: Callable[[object], object]) -> Callable[[object], object]:
        """The same of a job that gives what is to be awaited, which runs to its end at once."""

        async def awaited(item: object) -> object:
            with self.told():
                return await cast("Awaitable[object]", job(item))

        return awaited

    def of_each(self, job: Callable[[object], object]) -> Callable[[object], object]:
        """The same of a job that gives an iterable: a generator is at work when it is asked for the
        next result."""

        def iterated(item: object) -> object:
            with self.told():
                results = job(item)
            if not isinstance(results, Iterable):
                return results
            return self.asked(iter(cast("Iterable[object]", results)))

        return iterated

    def asked(self, results: Iterator[object]) -> Iterator[object]:
        end = object()
        while True:
            with self.told():
                result = next(results, end)
            if result is end:
                return
            yield result


def is_data(value: object) -> bool:
    """Is it what a job may have changed, rather than something to be called or imported?"""
    return value is not None and not isinstance(value, ModuleType) and not callable(value)
