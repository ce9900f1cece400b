"""The processors of keys: one each, made by what the user gave for that."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterable
from dataclasses import fields, is_dataclass
from typing import Any, TypeGuard, cast

from conveyor.errors import TopologyError
from conveyor.stages.callables import check_is_called, check_takes, name_of
from conveyor.stages.job import Out, job_of
from conveyor.stages.job_class import check_awaits_nothing, check_is_written
from conveyor.stages.jobs import Processor
from conveyor.stages.stage import StageOptions

__all__ = ["Keyed", "check_key", "finished", "made_by", "set_up"]


class Keyed:
    """The processor of one key: `number` orders them by their first item, `used` by their last,
    which was there at the moment `at`."""

    __slots__ = ("at", "call", "job", "key", "number", "snapshot", "used")

    def __init__(self, key: Hashable, number: int, job: Processor[Any, Any]) -> None:
        self.key = key
        self.number = number
        self.used = 0
        self.at = 0.0
        self.take(job)

    def take(self, job: Processor[Any, Any]) -> None:
        self.job = job
        self.call = job_of(job)
        self.snapshot: Callable[[], object] = getattr(job, "snapshot", no_snapshot)


def no_snapshot() -> object:
    raise NotImplementedError


def is_maker(make: object) -> bool:
    """Can it be called for a processor?"""
    return callable(make) and (not isinstance(make, type) or issubclass(make, Processor))


def set_up(job: Processor[Any, Any]) -> None:
    """Raises what `setup` raises, and `TopologyError` for what would have to be awaited."""
    opening: object = job.setup()
    if inspect.isawaitable(opening):
        close = getattr(opening, "close", None)
        if callable(close):
            close()  # a coroutine, which would else say that nobody has awaited it
        raise TopologyError(
            f"PerKey: what setup() of {type(job).__name__} makes is opened asynchronously, and "
            "what PerKey makes is not awaited: make something that is not async"
        )


def finished(job: Processor[Any, Out]) -> Iterable[Out]:
    """What the processor gives at its end; none of those here are async (`made_by`)."""
    return cast("Iterable[Out]", job.finish())


def check_key(key: object) -> None:
    """Raises `ValueError` for a key that is not equal to itself: each item would have its own.

    >>> check_key(("ann", 1.5))
    >>> check_key(("ann", float("nan")))
    Traceback (most recent call last):
    ...
    ValueError: ('ann', nan) cannot be a key: it is not equal to itself
    """
    if not is_itself(key):
        raise ValueError(f"{key!r} cannot be a key: it is not equal to itself")


def is_itself(key: object) -> bool:
    """Is a key equal to itself, also where another item, or another worker, has made it anew?

    Of what is in a tuple Python does not ask that, as long as it is the same object.
    """
    if isinstance(key, (tuple, frozenset)):
        return all(is_itself(each) for each in cast("Iterable[object]", key))
    if is_dataclass(key) and not isinstance(key, type):
        return all(is_itself(getattr(key, each.name)) for each in fields(key) if each.compare)
    return bool(key == key)  # nan is not


def is_processor(made: object) -> TypeGuard[Processor[Any, Any]]:
    return isinstance(made, Processor)


def made_by(make: Any) -> Processor[Any, Any]:
    """What `make` gives; raises `TopologyError` for what does not make processors."""
    name = name_of(make)
    if not is_maker(make):
        raise TopologyError(
            f"PerKey: make is {make!r}; it must be a subclass of Processor, or a function without "
            "arguments that makes one"
        )
    check_takes(f"PerKey: {name}", make, "no arguments", 0)
    check_is_called(f"PerKey: {name}", make, "write a function that returns a processor")
    try:
        made: object = make()
    except Exception as error:
        raise TopologyError(f"PerKey: {name}() raised {type(error).__name__}: {error}") from error
    if not is_processor(made):
        raise TopologyError(f"PerKey: {name}() gave {made!r}, which is no Processor")
    job = made
    check_is_written(job)
    check_awaits_nothing(job, f"PerKey: {name}")
    if (
        job.stage_options._replace(name=None, fn=None, read_only=False, setup=None)
        != StageOptions()
    ):
        raise TopologyError(
            f"PerKey: {name}() makes processors with options of their own: give on_error and "
            "retries to PerKey"
        )
    return job
