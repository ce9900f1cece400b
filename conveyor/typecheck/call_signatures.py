"""What a callable takes and gives when it is called with one item, or with what `setup` has made
beside it, as far as annotations tell.

Knows: how callables of every kind say what they take.  Must never know: stages.

Rule 1.  What cannot be read is UNKNOWN, and what is UNKNOWN refuses nothing.
Rule 2.  Annotations are believed only where they belong: not those that a decorator copied from
         another function.
Rule 3.  A function with overloads has several signatures: the first that fits is the one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import InitVar
from enum import Enum
from inspect import CO_VARARGS
from types import (
    BuiltinFunctionType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    WrapperDescriptorType,
)
from typing import Final, NewType, cast, get_args, get_origin, get_overloads

from conveyor.items.forward_references import annotations_of, same_hint
from conveyor.stages.callables import LRU_CACHE
from conveyor.typecheck.builtin_signatures import BUILTINS, Signature
from conveyor.typecheck.members import attribute, hint_of, is_descriptor, is_wrapped, positional
from conveyor.typecheck.scopes import annotation_in, fields_in, hint_in
from conveyor.typecheck.type_forms import UNKNOWN, substitute

__all__ = ["NOTHING_KNOWN", "made_by", "signatures_of"]


NOTHING_KNOWN: Final = (Signature(UNKNOWN, UNKNOWN),)


def signatures_of(fn: Callable[..., object], given: int = 0) -> Sequence[Signature]:
    """How it can be called with one item, behind so many other arguments; never empty.

    >>> signatures_of(str.upper)
    (Signature(takes=<class 'str'>, gives=<class 'str'>),)
    """
    return _signatures(fn, given) or NOTHING_KNOWN


def made_by(make: Callable[..., object]) -> object:
    """The type of what a function without arguments gives to a job; UNKNOWN if it does not say, or
    gives something that is entered first."""
    made = make if isinstance(make, type) else UNKNOWN
    if isinstance(make, FunctionType) and not is_wrapped(make):
        made = hint_of(make, "return")
    if get_origin(made) is Coroutine:  # it is awaited
        made = get_args(made)[2]
    kind = get_origin(made) or made
    return UNKNOWN if any(hasattr(kind, name) for name in ("__enter__", "__aenter__")) else made


def _signatures(fn: object, given: int) -> Sequence[Signature]:
    """`given`: how many positional arguments come before the item.  Empty if nothing can be
    told."""
    match fn:
        case FunctionType():
            return _of_function(fn, given)
        case MethodType():
            return _of_method(
                fn.__func__,
                given + 1,
                fn.__self__ if isinstance(fn.__self__, type) else type(fn.__self__),
            )
        case functools.partial():
            return _without(_signatures(fn.func, given + len(fn.args)), {}, UNKNOWN)
        case NewType():
            return (Signature(fn.__supertype__, fn),)
        case type():
            return _of_class(fn, given)
        case BuiltinFunctionType() | MethodDescriptorType() | WrapperDescriptorType():
            return _of_builtin(fn) if given == 0 else ()
        case _ if type(fn) is LRU_CACHE:
            return _signatures(getattr(fn, "__wrapped__", None), given)
        case _ if isinstance(get_origin(fn), type):
            return (Signature(UNKNOWN, fn),)  # list[int], called
        case _:
            return _of_method(attribute(type(fn), "__call__")[1], given + 1, type(fn))


def _of_function(fn: FunctionType, given: int) -> Sequence[Signature]:
    if is_wrapped(fn):
        return ()
    overloads = [
        over
        for over in get_overloads(fn)
        if isinstance(over, FunctionType) and _takes_one(over, given)
    ]
    return [Signature(_item_of(each, given), hint_of(each, "return")) for each in overloads or [fn]]


def _takes_one(fn: FunctionType, given: int) -> bool:
    """Can it be called with just one argument more?"""
    code, defaults = fn.__code__, len(fn.__defaults__ or ())
    needed = code.co_argcount - defaults
    optional = set(fn.__kwdefaults__ or ())
    names = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    enough = given < code.co_argcount or code.co_flags & CO_VARARGS
    return bool(enough) and needed <= given + 1 and optional.issuperset(names)


def _item_of(fn: FunctionType, given: int) -> object:
    """The annotation of the parameter that the item becomes."""
    code, names = fn.__code__, positional(fn)
    if given < len(names):
        return hint_of(fn, names[given])
    return (
        hint_of(fn, code.co_varnames[code.co_argcount + code.co_kwonlyargcount])
        if code.co_flags & CO_VARARGS
        else UNKNOWN
    )


def _of_method(function: object, given: int, cls: type) -> Sequence[Signature]:
    """A method: what the type variables of its class stand for is not known."""
    if not isinstance(function, FunctionType) and type(function) is not LRU_CACHE:
        return ()
    return _of_its_class(_signatures(function, given), cls)


def _of_its_class(signatures: Sequence[Signature], cls: type) -> Sequence[Signature]:
    parameters = [
        parameter for base in cls.__mro__ for parameter in getattr(base, "__parameters__", ())
    ]
    return _without(signatures, dict.fromkeys(parameters, UNKNOWN), None)


def _without(
    signatures: Sequence[Signature], known: Mapping[object, object], rest: object
) -> Sequence[Signature]:
    return [
        Signature(substitute(each.takes, known, rest), substitute(each.gives, known, rest))
        for each in signatures
    ]


def _of_class(cls: type, given: int) -> Sequence[Signature]:
    """A class that is called: what it gives is one of its own."""
    if cls in BUILTINS:
        return BUILTINS[cls] if given == 0 else ()
    if attribute(type(cls), "__call__")[0] is not type:
        return (Signature(UNKNOWN, cls),) if issubclass(cls, Enum) else ()
    definer, _ = attribute(cls, "__new__")
    maker: object = cls.__new__
    gives: object = UNKNOWN  # a __new__ may return what it likes
    if not isinstance(maker, FunctionType):
        maker, gives = getattr(cls, "__init__", None), cls
    elif "_fields" in vars(definer):  # a named tuple's
        gives = cls
    takes = _of_fields(maker, given + 1, cls) or _of_method(maker, given + 1, cls)
    return [Signature(each.takes, gives) for each in takes] or (Signature(UNKNOWN, gives),)


def _of_fields(maker: object, given: int, cls: type) -> Sequence[Signature]:
    """A constructor that a decorator wrote: its annotations are those of the fields, and stand in
    the body of a class."""
    if not isinstance(maker, FunctionType) or is_wrapped(maker) or given >= len(positional(maker)):
        return ()
    name = positional(maker)[given]
    if name not in fields_in(cls):
        return ()
    if not same_hint(annotation_in(cls, name)[1], annotations_of(maker).get(name)):
        return ()
    try:
        takes = hint_in(cls, name)
    except Exception:  # NameError, or whatever the evaluation of a string may raise
        takes = UNKNOWN
    if isinstance(takes, InitVar):
        takes = cast("object", takes.type)  # pyright: ignore[reportUnknownMemberType]
    return _of_its_class([Signature(UNKNOWN if is_descriptor(takes) else takes, cls)], cls)


def _of_builtin(fn: object) -> Sequence[Signature]:
    if fn in BUILTINS:
        return BUILTINS[fn]
    owner = getattr(fn, "__objclass__", None)
    return () if owner is None else (Signature(owner, UNKNOWN),)
