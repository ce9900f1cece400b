"""The forms that a type takes at run time: how to take one apart and put it together.

Knows: unions, aliases, type variables, and the bases of classes.  Must never know: whether one type
can be assigned to another, stages, lanes, values.

Types are what annotations are: any object.  `UNKNOWN`, which is `Any`, is the type of what nothing
is known about.
"""

from __future__ import annotations

import collections.abc as abc
import functools
from collections.abc import Iterable, Mapping, Sequence
from types import NoneType, UnionType
from typing import (  # noqa: UP035
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    LiteralString,
    Never,
    NewType,
    NoReturn,
    Protocol,
    Tuple,  # the object that old annotations hold
    TypeGuard,
    TypeVar,
    Union,
    get_args,
    get_origin,
)

from typing_extensions import TypeIs, get_original_bases, is_typeddict

from conveyor.items.forward_references import annotations_of
from conveyor.typecheck.builtin_types import BASES, VARIANCES, of
from conveyor.typecheck.scopes import hints_in, scope_of_alias

__all__ = [
    "UNKNOWN",
    "ancestors",
    "args_as",
    "bind",
    "element_of",
    "elements_of_tuple",
    "has_any_length",
    "is_alias",
    "is_bare_tuple",
    "is_readable",
    "members",
    "origin_of",
    "parameters_of",
    "plain",
    "substitute",
    "union",
    "value_of_alias",
    "variances",
    "without_none",
]


UNKNOWN: Final[object] = Any


def is_alias(tp: object) -> bool:
    """Is it a name for a type, by `type X = ...` or `TypeAliasType`?"""
    return type(tp).__name__ == "TypeAliasType" or type(get_origin(tp)).__name__ == "TypeAliasType"


def value_of_alias(tp: object) -> object:
    """What the name stands for."""
    alias: Any = get_origin(tp) or tp
    # Before Python 3.12, what contains itself does so in a string.
    value = scope_of_alias(alias).evaluate(alias.__value__)
    return substitute(value, dict(zip(alias.__type_params__, get_args(tp), strict=False)))


def plain(tp: object) -> object:
    """The type without what says nothing about it."""
    if tp is None:
        return NoneType
    while (origin := get_origin(tp)) is Annotated:
        tp = get_args(tp)[0]
    if origin is Literal and get_args(tp) == (None,):
        return NoneType
    return bool if origin is TypeGuard or origin is TypeIs else tp


def origin_of(tp: object) -> object:
    """`list` of `list[int]`, and of `list`."""
    return get_origin(tp) or tp


def members(tp: object) -> tuple[object, ...]:
    """The members of a union, and of a Literal with several values; anything else is its only
    member.

    >>> members(int | None)
    (<class 'int'>, <class 'NoneType'>)
    """
    origin = get_origin(tp)
    if origin is Union or origin is UnionType:
        return get_args(tp)
    if origin is Literal:
        return tuple(NoneType if value is None else Literal[value] for value in get_args(tp))
    return (tp,)


def union(types: Sequence[object]) -> object:
    """The type of what is of one of these types."""
    known = [tp for tp in types if tp is not Never and tp is not NoReturn]
    either: object = Union[tuple(known)] if known else Never  # noqa: UP007  # of a tuple there is no other way to write it
    return either


def without_none(tp: object) -> object:
    """The type of what is left when None is left out.

    >>> without_none(int | None)
    <class 'int'>
    """
    every = unfolded(tp)
    kept = [member for member in every if member is not NoneType]
    return tp if len(kept) == len(every) else union(kept)


def unfolded(tp: object) -> list[object]:
    """The members of a union, and of those that have a name of their own."""
    tp = plain(value_of_alias(tp) if is_alias(tp) else tp)
    parts = members(tp)
    if len(parts) == 1 and not is_alias(tp):
        return [tp]
    return [member for part in parts for member in unfolded(part)]


def is_readable(tp: object) -> bool:
    """Is it one of the forms that are understood here?"""
    if (
        isinstance(tp, type | TypeVar | NewType)
        or tp is Never
        or tp is NoReturn
        or tp is LiteralString
    ):
        return True
    origin = get_origin(tp)
    return (isinstance(origin, type) or origin is Union or origin is Literal) and not getattr(
        tp, "__unpacked__", False
    )


def substitute(tp: object, known: Mapping[Any, object], rest: object = UNKNOWN) -> object:
    """The type with its type variables replaced; those not in `known` become `rest`, or stay if
    that is None."""
    if isinstance(tp, TypeVar):
        return known.get(tp, tp if rest is None else rest)
    generic: Any = tp
    parameters = () if isinstance(tp, type) else getattr(tp, "__parameters__", ())
    if not parameters:
        return tp
    if not all(isinstance(parameter, TypeVar) for parameter in parameters):
        return UNKNOWN
    replaced: object = generic[
        tuple(substitute(parameter, known, rest) for parameter in parameters)
    ]
    return replaced


def args_as(tp: object, target: object) -> tuple[object, ...] | None:
    """The type arguments of `target`, seen from a subclass; none if they are not known, None if it
    is no subclass.

    >>> args_as(dict[str, int], abc.Iterable)
    (<class 'str'>,)
    """
    origin = origin_of(tp)
    if origin is target:
        return get_args(tp)
    if origin is tuple:
        elements = elements_of_tuple(tp)
        return args_as(
            of(abc.Sequence, UNKNOWN if UNKNOWN in elements else union(elements)), target
        )
    template = _template(origin, target) if isinstance(origin, type) else None
    if not template:
        return template
    known = dict(zip(parameters_of(origin), get_args(tp), strict=False))
    return tuple(substitute(arg, known) for arg in template)


@functools.lru_cache(maxsize=512)  # classes and their bases do not change, and it is a long way up
def _template(cls: type, target: object) -> tuple[object, ...] | None:
    """The type arguments of `target` in terms of the parameters of `cls`."""
    for base in bases_of(cls):
        args = args_as(base, target)
        if args is not None:
            return args
    return None


def parameters_of(cls: object) -> tuple[object, ...]:
    """The type variables of a generic class."""
    forgotten = BASES.get(cls)
    return forgotten[0] if forgotten else getattr(cls, "__parameters__", ())


def bases_of(cls: type) -> Sequence[object]:
    """The bases of a class, with their type arguments."""
    if is_typeddict(cls):
        return (of(abc.Mapping, str, object),)
    if is_named_tuple(cls):
        return (of(tuple, *hints_in(cls).values()),)
    if cls in BASES:
        return BASES[cls][1]
    return [base for base in get_original_bases(cls) if get_origin(base) not in (Generic, Protocol)]


def ancestors(cls: object) -> Iterable[type]:
    """The class and all its bases, those included that the interpreter has forgotten."""
    bases: tuple[type, ...] = getattr(cls, "__mro__", ())
    yield from bases
    for base in bases:
        for forgotten in BASES[base][1] if base in BASES else ():
            yield from ancestors(origin_of(forgotten))


def is_named_tuple(cls: type) -> bool:
    """Was it written as a `typing.NamedTuple`, with a type for each field?"""
    return "_fields" in vars(cls) and tuple in cls.__bases__ and bool(annotations_of(cls))


def is_bare_tuple(tp: object) -> bool:
    """`tuple`, and not `tuple[()]`, which has no arguments either."""
    return tp is tuple or tp is Tuple  # noqa: UP006


def elements_of_tuple(tp: object) -> tuple[object, ...]:
    """The types of a tuple's elements, one each; for a tuple of any length the one type of all of
    them."""
    if is_bare_tuple(tp):
        return (UNKNOWN,)
    return tuple(arg for arg in get_args(tp) if arg is not ...)


def has_any_length(tp: object) -> bool:
    return is_bare_tuple(tp) or get_args(tp)[1:] == (...,)


def element_of(tp: object) -> object:
    """What iterating over it gives.

    >>> element_of(str), element_of(dict[int, str] | range)
    (<class 'str'>, <class 'int'>)
    """
    found: list[object] = []
    for member in unfolded(tp):
        args = args_as(member, abc.Iterable)
        found.append(args[0] if args else UNKNOWN)
    return union(found)


def bind(taken: object, carried: object) -> dict[Any, object]:
    """What the type variables in `taken` stand for when it is given `carried`; those that are left
    out are not known.

    >>> from conveyor.typecheck.builtin_types import T
    >>> bind(abc.Iterable[T], list[int])[T]
    <class 'int'>
    """
    known: dict[Any, object] = {}
    _bind(plain(taken), plain(carried), known)
    return known


def _bind(taken: object, carried: object, known: dict[Any, object]) -> None:
    if isinstance(taken, TypeVar):
        again = known.get(taken, carried) != carried
        known[taken] = UNKNOWN if again or taken.__constraints__ else carried
        return
    origin = get_origin(taken)
    if not isinstance(origin, type) or origin.__name__ == "Callable" or is_alias(taken):
        return  # a union, say: which of its members it will be is for a checker to find out
    wanted, given = get_args(taken), args_as(carried, origin)
    if (
        given is None
        or len(given) != len(wanted)
        or (origin_of(carried) is tuple and len(members(given[0])) > 1)
    ):
        return
    for want, have in zip(wanted, given, strict=True):
        _bind(plain(want), plain(have), known)


def variances(cls: type, count: int) -> str:
    """How each of the type arguments of a class varies."""
    known = VARIANCES.get(cls) or "".join(map(_variance, getattr(cls, "__parameters__", ())))
    return known if len(known) == count else "?" * count


def _variance(parameter: object) -> str:
    if getattr(parameter, "__infer_variance__", False) or not isinstance(parameter, TypeVar):
        return "?"
    return "+" if parameter.__covariant__ else "-" if parameter.__contravariant__ else "="
