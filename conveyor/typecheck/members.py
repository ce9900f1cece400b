"""What is in a type: how its values are called, what attributes they have, the fields of a
TypedDict.

Knows: functions, annotations and classes, as the interpreter keeps them.  Must never know: whether
one type is assignable to another.
"""

from __future__ import annotations

import collections.abc as abc
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Final, NotRequired, Required, get_args, get_origin, get_overloads

from typing_extensions import ReadOnly

from conveyor.items.forward_references import annotations_of
from conveyor.typecheck.scopes import hint_in, hints_in, scope_of_function
from conveyor.typecheck.type_forms import (
    UNKNOWN,
    ancestors,
    args_as,
    origin_of,
    parameters_of,
    substitute,
)

__all__ = [
    "CALLABLE",
    "attribute",
    "fields_of",
    "hint_of",
    "has_any_attribute",
    "is_callable",
    "is_descriptor",
    "is_wrapped",
    "names_in",
    "positional",
    "read_as",
    "callable_type_of",
    "callable_type_of_method",
    "variables_of",
]

CALLABLE: Final[object] = abc.Callable


def is_callable(tp: object) -> bool:
    return origin_of(tp) is CALLABLE


@dataclass(frozen=True, slots=True)
class CallableType:
    """The type of something that can be called.

    `params` are its parameters by position, None if it takes any; `needed` of them have no default.
    """

    params: tuple[object, ...] | None
    needed: int
    gives: object


def callable_type_of(tp: object) -> CallableType | None:
    """Gives how a value of the type is called; None if that cannot be told."""
    if not is_callable(tp):
        definer, member = attribute(origin_of(tp), "__call__")
        return (
            callable_type_of_method(member, 1, tp, definer)
            if isinstance(member, FunctionType) and definer
            else None
        )
    args = get_args(tp)
    params: Any = args[0] if args else ...
    gives = args[1] if args else UNKNOWN
    if params is ...:
        return CallableType(None, 0, gives)
    # Else a ParamSpec
    return CallableType(tuple(params), len(params), gives) if isinstance(args[0], list) else None


def callable_type_of_method(
    function: FunctionType, given: int, owner: object, definer: type
) -> CallableType | None:
    """Gives how a method of `owner` is called after its first `given` arguments; the class
    `definer` wrote it.  None if that cannot be told."""
    code = function.__code__
    odd = code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS) or code.co_kwonlyargcount
    if odd or is_wrapped(function) or get_overloads(function):
        return None
    known = variables_of(owner, definer)
    params = [substitute(hint_of(function, name), known) for name in positional(function)[given:]]
    gives = substitute(hint_of(function, "return"), known)
    return CallableType(tuple(params), len(params) - len(function.__defaults__ or ()), gives)


def variables_of(owner: object, definer: type) -> dict[object, object]:
    """What the type variables of a base stand for in `owner`."""
    return dict(zip(parameters_of(definer), args_as(owner, definer) or (), strict=False))


def is_wrapped(function: FunctionType) -> bool:
    """Has a decorator given it the annotations of another function, true or not?"""
    if hasattr(function, "__wrapped__"):
        return True
    return not annotations_of(function).keys() <= {"return", *function.__code__.co_varnames}


def positional(function: FunctionType) -> tuple[str, ...]:
    return function.__code__.co_varnames[: function.__code__.co_argcount]


def hint_of(function: FunctionType, name: str) -> object:
    """The annotation of a parameter, or of "return"; UNKNOWN if there is none or it cannot be
    read."""
    hint: object = annotations_of(function).get(name, UNKNOWN)
    if not isinstance(hint, type):
        try:
            hint = scope_of_function(function).evaluate(hint)
        except Exception:
            # NameError, SyntaxError, or whatever the evaluation of a string may raise
            return UNKNOWN
    if name == "return" and function.__code__.co_flags & inspect.CO_COROUTINE:
        return abc.Coroutine[Any, Any, hint]  # type: ignore[valid-type]  # made at run time
    return hint


def attribute(cls: object, name: str) -> tuple[type | None, object]:
    """Which class, of this one and its bases, has a name, and what it is there: `...` if it is data
    with an annotation."""
    for base in ancestors(cls):
        if name in annotations_of(base):
            return base, ...
        if name in vars(base):
            return base, vars(base)[name]
    return None, None


# What a checker takes to have any attribute, though nothing in the class says so.
ANY_ATTRIBUTE: Final = frozenset(
    "argparse.Namespace optparse.Values types.SimpleNamespace builtins.module "
    "multiprocessing.managers.Namespace _ctypes.Structure _ctypes.Union weakref.ProxyType "
    "weakref.CallableProxyType _thread._local _threading_local.local".split()
)


def has_any_attribute(cls: type) -> bool:
    """May a checker find an attribute of any name in the class?"""
    if attribute(cls, "__getattr__")[0] is not None or isinstance(
        attribute(cls, "__getattribute__")[1], FunctionType
    ):
        return True
    return any(f"{base.__module__}.{base.__name__}" in ANY_ATTRIBUTE for base in cls.__mro__)


def read_as(member: object, name: str, owner: object, definer: type) -> object:
    """The type of an attribute when it is read."""
    if isinstance(member, property):
        getter = (
            callable_type_of_method(member.fget, 1, owner, definer)
            if isinstance(member.fget, FunctionType)
            else None
        )
        return UNKNOWN if getter is None else getter.gives
    hint = hint_in(definer, name)
    return UNKNOWN if is_descriptor(hint) else substitute(hint, variables_of(owner, definer))


def is_descriptor(tp: object) -> bool:
    """Is an attribute of this type read, or written, as something else than it is?"""
    return any(attribute(origin_of(tp), name)[0] is not None for name in ("__get__", "__set__"))


def names_in(cls: type) -> list[str]:
    """Every name in the code of its methods: the attributes that they give to `self` are among
    them."""
    functions = [
        member
        for base in cls.__mro__
        for member in vars(base).values()
        if isinstance(member, FunctionType)
    ]
    return [name for function in functions for name in function.__code__.co_names]


@dataclass(frozen=True, slots=True)
class Field:
    hint: object
    required: bool
    read_only: bool


def fields_of(tp: object) -> dict[str, Field]:
    """The fields of a TypedDict."""
    cls: Any = origin_of(tp)
    known: dict[object, object] = dict(zip(parameters_of(cls), get_args(tp), strict=False))
    return {
        name: field_of(hint, name in cls.__required_keys__, known)
        for name, hint in hints_in(cls).items()
    }


def field_of(hint: object, required: bool, known: Mapping[object, object]) -> Field:
    """What its qualifiers say: those in a string are not in the class's own list of required
    keys."""
    read_only = False
    while (qualifier := get_origin(hint)) in (Required, NotRequired, ReadOnly):
        required = required if qualifier is ReadOnly else qualifier is Required
        read_only = read_only or qualifier is ReadOnly
        (hint,) = get_args(hint)
    return Field(substitute(hint, known), required, read_only)
