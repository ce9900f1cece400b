"""A type as one would write it in a message."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Literal, NewType, Union, cast, get_args, get_origin

from conveyor.typecheck.type_forms import is_bare_tuple

__all__ = ["words"]


def words(tp: object, *, full: bool = False) -> str:
    """The type as one would write it; `full`, with the modules of its classes.

    >>> from collections import abc
    >>> words(dict[str, int | None]), words(abc.Callable[[int], str])
    ('dict[str, int | None]', 'Callable[[int], str]')
    """
    if tp is None or tp is NoneType:
        return "None"
    if tp is ...:
        return "..."
    if isinstance(tp, list):
        listed = cast("list[object]", tp)
        return f"[{', '.join(words(part, full=full) for part in listed)}]"
    origin = get_origin(tp)
    if origin is Literal or (origin is None and not isinstance(tp, type | NewType)):
        return repr(tp).replace("typing.", "").removeprefix("~")
    if origin is Union or origin is UnionType:
        return " | ".join(words(member, full=full) for member in get_args(tp))
    if origin is None:
        return _class_name(tp, full)
    args = ", ".join(words(arg, full=full) for arg in get_args(tp))
    name = _class_name(origin, full)
    return (
        f"{name}[{args}]"
        if args
        else f"{name}[()]"
        if origin is tuple and not is_bare_tuple(tp)
        else name
    )


def _class_name(cls: object, full: bool) -> str:
    name = str(getattr(cls, "__name__", cls))
    module = getattr(cls, "__module__", "builtins")
    return (
        f"{module}.{getattr(cls, '__qualname__', name)}" if full and module != "builtins" else name
    )
