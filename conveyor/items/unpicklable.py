"""Why something cannot be pickled: the way to what cannot.

Knows: what functions, classes and objects are made of.  Must never know: what is sent, or where.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import CellType, FunctionType, MethodType
from typing import Any, Final, NamedTuple, TypeAlias, cast

from conveyor.items.forward_references import annotations_of

__all__ = ["Reason", "parts_of", "plain_parts_of", "reason"]

Dump: TypeAlias = Callable[[Any], object]
Member: TypeAlias = tuple[str, object]

SIMPLE: Final = (int, float, complex, str, bytes, bool, type(None))
MOST_TRIED: Final = 20_000
DEEPEST: Final = 30


class Reason(NamedTuple):
    """The parts that lead to what cannot be pickled, from the outermost, and the error that says
    so."""

    way: tuple[str, ...]
    error: BaseException

    @property
    def words(self) -> str:
        """What the error says; with its type where its words are not about pickling."""
        return (
            str(self.error)
            if "pickle" in str(self.error)
            else f"{type(self.error).__name__}: {self.error}"
        )

    def __str__(self) -> str:
        return " -> ".join(self.way) + (": " if self.way else "") + self.words


def reason(
    value: object, error: BaseException, dump: Dump, parts: Callable[[object], Iterator[Member]]
) -> Reason:
    """Looks for the innermost part of `value` that `dump` refuses; `error` is why it refused the
    whole.

    `parts` says what `dump` comes to behind something.

    >>> import pickle, threading
    >>> class Table: pass
    >>> table = Table(); table.rows = [{"lock": threading.Lock()}]
    >>> print(reason(table.rows, TypeError(), pickle.dumps, plain_parts_of))
    [0] -> ['lock']: cannot pickle '_thread.lock' object
    """
    way: list[str] = []
    seen = {id(value)}
    left = iter(range(MOST_TRIED))
    while len(way) < DEEPEST:
        tried = (
            (name, part)
            for name, part in parts(value)
            if type(part) not in SIMPLE and id(part) not in seen
        )
        found = (
            (name, part, refused)
            for (name, part), _ in zip(tried, left, strict=False)
            if (refused := refusal(part, dump))
        )
        innermost = next(found, None)
        if innermost is None:
            break
        name, value, error = innermost
        way += [name] if name else []
        seen.add(id(value))
    return Reason(tuple(way), error)


def refusal(value: object, dump: Dump) -> Exception | None:
    try:
        dump(value)
    except Exception as error:
        return error
    return None


def parts_of(value: object) -> Iterator[Member]:
    """What pickle would come to behind `value`, each with what it is called."""
    match value:
        case FunctionType():
            yield from parts_of_function(value)
        case MethodType():
            yield from (("", value.__func__), ("its object", value.__self__))
        case functools.partial():
            partial = cast("functools.partial[object]", value)
            yield "", partial.func
            yield from ((f"argument {at}", each) for at, each in enumerate(partial.args))
            yield from ((f"argument {name!r}", each) for name, each in partial.keywords.items())
        case property():
            yield from (("", each) for each in (value.fget, value.fset, value.fdel))
        case staticmethod() | classmethod():
            yield "", cast("staticmethod[..., object]", value).__func__
        case CellType():
            yield from contents(value, "")
        case type():
            yield from parts_of_class(cast("type[object]", value))
        case dict():
            for key, each in cast("dict[object, object]", value).items():
                yield f"key {key!r}", key
                yield f"[{key!r}]", each
        case list() | tuple():
            yield from ((f"[{at}]", each) for at, each in enumerate(cast("list[object]", value)))
        case set() | frozenset():
            yield from (("an element", each) for each in sorted(cast("set[object]", value), key=id))
        case _:
            yield from parts_of_object(value)


def plain_parts_of(value: object) -> Iterator[Member]:
    """The parts of a value, where functions and classes are pickled by their names."""
    return iter(()) if isinstance(value, FunctionType | type) else parts_of(value)


def parts_of_function(function: FunctionType) -> Iterator[Member]:
    from conveyor.items.by_name import globals_of, is_found, is_of_each_process

    if is_found(function):
        return
    yield from (
        (f"global {name!r}", each)
        for name, each in globals_of(function)
        if not is_of_each_process(each)
    )
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield from contents(cell, f"variable {name!r}")
    yield from ((f"default {each!r}", each) for each in function.__defaults__ or ())
    yield from (
        (f"default of {name!r}", each) for name, each in (function.__kwdefaults__ or {}).items()
    )
    yield from ((f"attribute {name!r}", each) for name, each in vars(function).items())
    yield from (
        (f"annotation of {name!r}", each) for name, each in annotations_of(function).items()
    )


def contents(cell: CellType, name: str) -> Iterator[Member]:
    try:
        yield name, cell.cell_contents
    except ValueError:  # it is empty yet
        return


def parts_of_class(of: type[object]) -> Iterator[Member]:
    from conveyor.items.by_name import by_value, is_of_each_process
    from conveyor.items.class_pickling import attributes_of

    if by_value(of):
        yield from ((f"base {each.__name__!r}", each) for each in of.__bases__)
        own = ((f"attribute {name!r}", each) for name, each in attributes_of(of).items())
        yield from ((name, each) for name, each in own if not is_of_each_process(each))


def parts_of_object(value: object) -> Iterator[Member]:
    """By its own reduction: its class, its arguments, its state, what it holds."""
    try:
        reduced: Any = value.__reduce_ex__(5)
    except Exception:  # this is what cannot be pickled
        return
    if isinstance(reduced, str):
        return
    found: list[Any] = [*reduced, None, None, None]
    make, args, state, items, pairs = found[:5]
    yield from (("", each) for each in (make, *args))
    states = (
        cast("tuple[object, ...]", state) if isinstance(state, tuple) else (cast("object", state),)
    )
    for each in states:
        named = cast("dict[object, object]", each) if isinstance(each, dict) else {}
        yield from ((f"attribute {name!r}", part) for name, part in named.items())
        yield from [] if named else [("its state", each)]
    yield from ((f"[{at}]", each) for at, each in enumerate(items or ()))
    yield from ((f"[{key!r}]", each) for key, each in pairs or ())
