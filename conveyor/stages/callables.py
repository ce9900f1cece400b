"""What can be a job: can something be called as its stage will call it, and does the call give what
the stage works with?

Knows: how callables of every kind are called.  Must never know: types, stages, lanes.

Rule 1.  What is judged is what the call will run: never the function that a decorator says it
         stands for.
Rule 2.  Only what no call could do is refused; where only the call can tell, it is left to tell.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable
from types import FunctionType, MethodType
from typing import Any, Final, TypeGuard

from typing_extensions import Format

from conveyor.errors import TopologyError

__all__ = [
    "LRU_CACHE",
    "can_be_called",
    "check_is_called",
    "check_takes",
    "check_takes_as_job",
    "is_async_function",
    "is_async_generator",
    "name_of",
    "near_misses",
]

LRU_CACHE: Final = type(functools.lru_cache(len))
# Since Python 3.14 annotations are evaluated when they are asked for, and may name what is not
# there yet.  What a function has them of, and what `inspect.signature` is told to accept that.
HINTS: Final = "__annotate__" if hasattr(lambda: None, "__annotate__") else "__annotations__"
UNEVALUATED: Final[dict[str, Any]] = (
    {"annotation_format": Format.FORWARDREF} if HINTS == "__annotate__" else {}
)


def can_be_called(thing: object) -> TypeGuard[Callable[..., object]]:
    return callable(thing)


def name_of(fn: object) -> str:
    """What a callable is called."""
    if isinstance(fn, functools.partial):
        return name_of(fn.func)
    name = getattr(fn, "__name__", None)
    return (
        type(fn).__name__ if not isinstance(name, str) else "lambda" if name == "<lambda>" else name
    )


def check_takes_as_job(what: str, fn: Callable[..., object], is_given_two: bool) -> None:
    """Raises `TopologyError` for what cannot be called with exactly one positional argument, or
    with two where `setup=` makes the second."""
    if is_given_two:
        words = "exactly two required arguments, the item and what setup makes"
        check_takes(what, fn, words, 2)
    else:
        check_takes(what, fn, "exactly one required argument, the item", 1)


def check_takes(what: str, fn: Callable[..., object], arguments: str, count: int) -> None:
    """Raises `TopologyError` for what cannot be called with exactly `count` positional arguments;
    `arguments` is the words for these."""
    try:
        signature = inspect.signature(_called(fn), follow_wrapped=False, **UNEVALUATED)
    except Exception:
        return  # a builtin without a signature, or annotations that raise: only the call can tell
    try:
        signature.bind(*[None] * count)
    except TypeError as error:
        raise TopologyError(
            f"{what}: the function must take {arguments}; "
            f"{name_of(fn)}{signature} does not ({error})"
        ) from None


def _called(fn: Callable[..., object]) -> Callable[..., object]:
    """The same callable, without what decorators wrote onto it about another one."""
    if isinstance(fn, MethodType):
        return MethodType(_called(fn.__func__), fn.__self__)
    if isinstance(fn, functools.partial):
        return functools.partial(_called(fn.func), *fn.args, **fn.keywords)
    if type(fn) is LRU_CACHE:
        return _called(getattr(fn, "__wrapped__", fn))  # it calls that with what it is given
    if not isinstance(fn, FunctionType) or not fn.__dict__:
        return fn
    bare = FunctionType(fn.__code__, fn.__globals__, fn.__name__, fn.__defaults__, fn.__closure__)
    bare.__kwdefaults__ = fn.__kwdefaults__
    setattr(bare, HINTS, getattr(fn, HINTS))  # not read: since Python 3.14 that evaluates them
    return bare


def check_is_called(
    what: str,
    fn: object,
    instead_of_a_generator: str | None,
    arguments: str = "",
    may_await: bool = False,
) -> None:
    """Raises `TopologyError` where a call would only make a coroutine, unless it `may_await`, or a
    generator if `instead_of_a_generator` is given.

    That says what to write in its place; `arguments` are those of the call.
    """
    name = name_of(fn)
    if not may_await and is_async_function(fn):
        raise TopologyError(
            f"{what}: {name} is an async function, and only those of a Processor, a FlatMap or a "
            f"Filter are awaited: write a function that runs it, such as "
            f"{f'lambda {arguments}'.strip()}: asyncio.run({name}({arguments}))"
        )
    if instead_of_a_generator is not None and _is_any_of(_ways_in(fn), inspect.isgeneratorfunction):
        raise TopologyError(f"{what}: {name} is a generator function; {instead_of_a_generator}")


def is_async_function(fn: object) -> bool:
    """Does a call make a coroutine, or an asynchronous generator?"""
    return _is_any_of(_ways_in(fn), inspect.iscoroutinefunction, inspect.isasyncgenfunction)


def is_async_generator(fn: object) -> bool:
    """Does a call make an asynchronous generator?"""
    return _is_any_of(_ways_in(fn), inspect.isasyncgenfunction)


def _ways_in(fn: object) -> list[object]:
    """What may run when it is called: itself, or the method of its class that makes it callable."""
    while isinstance(fn, functools.partial) or type(fn) is LRU_CACHE:
        fn = fn.func if isinstance(fn, functools.partial) else getattr(fn, "__wrapped__", None)
    return (
        [fn]
        if isinstance(fn, FunctionType | MethodType | type)
        else [fn, inspect.getattr_static(type(fn), "__call__", None)]
    )


def _is_any_of(things: Iterable[object], *tests: Callable[[object], bool]) -> bool:
    return any(test(thing) for thing in things for test in tests)


def near_misses(wanted: str, names: Iterable[str]) -> list[str]:
    """The names that may have been meant for another one, the nearest first."""
    return difflib.get_close_matches(wanted, sorted(names), n=2, cutoff=0.7)
