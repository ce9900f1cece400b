"""What a stage takes and what it gives, as far as annotations tell.

Knows: how callables of every kind say what they take.  Must never know: where in a pipeline a stage
is, how it runs.

Rule 1.  Nothing here raises: what cannot be read is UNKNOWN, and what is UNKNOWN refuses nothing.
Rule 2.  Annotations are believed only where they belong: not those that a decorator copied from
         another function.
Rule 3.  A function with overloads has several signatures: the first that fits is the one.
"""

from __future__ import annotations

import builtins
import collections.abc as abc
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass
from enum import Enum
from inspect import CO_VARARGS
from types import (
    BuiltinFunctionType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    NoneType,
    WrapperDescriptorType,
)
from typing import (
    Any,
    Final,
    NewType,
    Protocol,
    SupportsAbs,
    SupportsComplex,
    SupportsFloat,
    SupportsIndex,
    SupportsInt,
    TypeGuard,
    TypeVar,
    assert_never,
    cast,
    get_args,
    get_origin,
    get_overloads,
)

from typing_extensions import Buffer, TypeIs

from conveyor.stages import AnyStage, Fork, Gives, Job, Join, Pipe, Zip, gives_of, job_of
from conveyor.stages.callables import LRU_CACHE
from conveyor.typecheck.assignability import Fit, fits
from conveyor.typecheck.members import attribute, hint_of, is_descriptor, is_wrapped, positional
from conveyor.typecheck.scopes import annotation_in, fields_in, hint_in
from conveyor.typecheck.type_forms import (
    UNKNOWN,
    args_as,
    bind,
    element_of,
    members,
    of,
    plain,
    substitute,
    union,
    without_none,
    words,
)

__all__ = ["Passage", "Signature", "declared_input", "pass_through", "signatures_of", "taken_by"]


@dataclass(frozen=True, slots=True)
class Signature:
    """One way to call something with one item."""

    takes: object
    gives: object


@dataclass(frozen=True, slots=True)
class Passage:
    """What a lane carries behind a stage, or why the stage refuses it."""

    gives: object
    refusal: str | None = None


NOTHING_KNOWN: Final = (Signature(UNKNOWN, UNKNOWN),)
NOT_SAID: Final = Passage(UNKNOWN)


# --------------------------------------------------------------------------------------------------------------
# stages


def pass_through(stage: AnyStage, carried: Sequence[object]) -> Passage:
    """What comes out of a stage whose lanes carry these types.

    >>> from conveyor.stages import Processor
    >>> pass_through(Processor(len), [str])
    Passage(gives=<class 'int'>, refusal=None)
    >>> pass_through(Processor(len), [int]).refusal
    'takes Sized, but the lane carries int'
    """
    try:
        match stage:
            case Job():
                return _through_job(stage, carried[0])
            case Zip():
                return Passage(of(tuple, *carried))
            case Pipe() | Fork() | Join():
                return Passage(union(carried))
            case _:
                assert_never(stage)
    except (
        Exception
    ):  # annotations are anybody's objects, and may do anything when they are looked at
        return NOT_SAID


def _through_job(job: Job[Any, Any], carried: object) -> Passage:
    signatures = _signatures_of_job(job)
    found = _called_with(signatures, carried)
    if not found:
        return Passage(
            UNKNOWN, _misfit(carried, union([signature.takes for signature in signatures]))
        )
    (gives,) = found
    kind = gives_of(job)
    match kind:
        case Gives.RESULT:
            return Passage(without_none(plain(gives)))
        case Gives.ITEM:
            return Passage(kept(gives, carried))
        case Gives.EACH:
            return Passage(gives) if _declared(job)[1] is not UNKNOWN else _elements(job, gives)
        case _:
            assert_never(kind)


def _elements(job: Job[Any, Any], gives: object) -> Passage:
    if fits(gives, abc.Iterable) is Fit.NO:
        return Passage(
            UNKNOWN, f"must give an iterable, but {job.default_name()} gives {words(gives)}"
        )
    return Passage(element_of(gives))


def kept(verdict: object, carried: object) -> object:
    """What a filter lets pass, by what its predicate gives: all that comes, or what a `TypeGuard`
    or `TypeIs` says."""
    return get_args(verdict)[0] if get_origin(verdict) in (TypeGuard, TypeIs) else carried


def _misfit(carried: object, taken: object) -> str:
    full = words(carried) == words(taken)
    return f"takes {words(taken, full=full)}, but the lane carries {words(carried, full=full)}"


def _called_with(signatures: Sequence[Signature], carried: object) -> tuple[object, ...]:
    """The type of the result, by the first signature that fits; empty if none does."""
    for signature in signatures:
        fit = fits(carried, signature.takes)
        if fit is Fit.YES or (fit is Fit.UNSURE and len(signatures) == 1):
            return (substitute(signature.gives, bind(signature.takes, carried)),)
        if fit is Fit.UNSURE:
            return (UNKNOWN,)  # this one, or one of those after it
    kinds = members(carried)
    if len(kinds) == 1 or len(signatures) == 1:
        return ()
    results = [_called_with(signatures, kind) for kind in kinds]
    return (union([kind for result in results for kind in result]),) if all(results) else ()


def _declared(job: Job[Any, Any]) -> tuple[object, object]:
    """The type arguments of a job: `Processor[int, str](f)`, or `class Parse(Processor[int,
    str])`."""
    said: object = getattr(job, "__orig_class__", type(job))
    if not job.is_stateful and said is type(job):
        return UNKNOWN, UNKNOWN
    takes, gives = args_as(said, Job) or (UNKNOWN, UNKNOWN)
    return substitute(takes, {}), substitute(gives, {})


def _signatures_of_job(job: Job[Any, Any]) -> Sequence[Signature]:
    takes, gives = _declared(job)
    if takes is not UNKNOWN and gives is not UNKNOWN:
        return (Signature(takes, gives),)
    signatures = signatures_of(job_of(job))
    if (
        attribute(type(job), "finish")[0] is not Job and gives is UNKNOWN
    ):  # then it gives more than its process() does
        signatures = [Signature(found.takes, UNKNOWN) for found in signatures]
    if takes is not UNKNOWN:
        return [Signature(takes, found.gives) for found in signatures[:1]]
    return (
        signatures if gives is UNKNOWN else [Signature(found.takes, gives) for found in signatures]
    )


def taken_by(job: Job[Any, Any]) -> object:
    """The type of what a job can be given; UNKNOWN if it does not say.

    >>> from conveyor.stages import Processor
    >>> taken_by(Processor(str.upper)), taken_by(Processor(lambda item: item))
    (<class 'str'>, typing.Any)
    """
    try:
        taken = [signature.takes for signature in _signatures_of_job(job)]
        return UNKNOWN if UNKNOWN in taken else union(taken)
    except Exception:  # as above
        return UNKNOWN


def declared_input(pipeline: object, kind: type) -> object:
    """`int` of a `Pipeline[int]()`; UNKNOWN of a `Pipeline()`, whatever the variable that it is put
    in was declared as."""
    try:
        args = args_as(getattr(pipeline, "__orig_class__", type(pipeline)), kind)
        return substitute(args[0], {}) if args else UNKNOWN
    except Exception:  # as above
        return UNKNOWN


# -----------------------------------------------------------------------------------------------------------
# callables


def signatures_of(fn: Callable[..., object]) -> Sequence[Signature]:
    """How it can be called with one item; never empty.

    >>> signatures_of(str.upper)
    (Signature(takes=<class 'str'>, gives=<class 'str'>),)
    """
    return _signatures(fn, 0) or NOTHING_KNOWN


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
    if name not in fields_in(cls) or annotation_in(cls, name)[1] is not maker.__annotations__.get(
        name
    ):
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


# ------------------------------------------------------------------------------------------------------------
# builtins

T = TypeVar("T")


class SupportsRound(Protocol):
    def __round__(self) -> object: ...


class SupportsTrunc(Protocol):
    def __trunc__(self) -> object: ...


class SupportsFloor(Protocol):
    def __floor__(self) -> object: ...


class SupportsCeil(Protocol):
    def __ceil__(self) -> object: ...


class SupportsNext(Protocol):
    def __next__(self) -> object: ...


NUMBER: Final = union([SupportsFloat, SupportsIndex])
ITEMS: Final = of(abc.Iterable, T)

# Of overloads those that take one argument, in the order of typeshed.
_TABLE: Final[Mapping[object, Sequence[tuple[object, object]]]] = {
    len: [(abc.Sized, int)],
    abs: [(int, int), (float, float), (complex, float), (SupportsAbs, UNKNOWN)],
    round: [(int, int), (float, int), (SupportsRound, UNKNOWN)],
    sum: [(of(abc.Iterable, int), int), (of(abc.Iterable, float), float), (abc.Iterable, UNKNOWN)],
    int: [(union([str, Buffer, SupportsInt, SupportsIndex, SupportsTrunc]), int)],
    float: [(union([str, Buffer, SupportsFloat, SupportsIndex]), float)],
    complex: [(union([str, complex, SupportsComplex, SupportsFloat, SupportsIndex]), complex)],
    ord: [(union([str, bytes, bytearray]), int)],
    range: [(SupportsIndex, range)],
    next: [(of(abc.Iterator, T), T), (SupportsNext, UNKNOWN)],
    sorted: [(ITEMS, of(list, T))],
    list: [(ITEMS, of(list, T))],
    set: [(ITEMS, of(set, T))],
    frozenset: [(ITEMS, of(frozenset, T))],
    tuple: [(ITEMS, of(tuple, T, ...))],
    enumerate: [(ITEMS, of(enumerate, T))],
    dict: [(UNKNOWN, dict)],
    bytes: [(UNKNOWN, bytes)],
    bytearray: [(UNKNOWN, bytearray)],
    type: [],
    str.encode: [(str, bytes)],
    bytes.decode: [(bytes, str)],
    bytes.hex: [(bytes, str)],
    int.bit_length: [(int, int)],
    float.is_integer: [(float, bool)],
    math.floor: [(float, int), (union([NUMBER, SupportsFloor]), UNKNOWN)],
    math.ceil: [(float, int), (union([NUMBER, SupportsCeil]), UNKNOWN)],
    math.trunc: [(float, int), (SupportsTrunc, UNKNOWN)],
    math.modf: [(NUMBER, of(tuple, float, float))],
    math.frexp: [(NUMBER, of(tuple, float, int))],
    math.fsum: [(of(abc.Iterable, NUMBER), float)],
}

# The same for many at once: what they take, what they give, in which module or class, and their
# names.
_MANY: Final[Sequence[tuple[object, object, object, str]]] = (
    (object, str, builtins, "str repr ascii format input"),
    (object, int, builtins, "hash id"),
    (object, bool, builtins, "bool callable"),
    (object, NoneType, builtins, "print"),
    (SupportsIndex, str, builtins, "chr hex oct bin"),
    (of(abc.Iterable, object), bool, builtins, "any all"),
    (ITEMS, T, builtins, "max min"),
    (
        NUMBER,
        float,
        math,
        "sqrt cbrt exp exp2 expm1 log log2 log10 log1p fabs degrees radians gamma lgamma erf erfc ulp",
    ),
    (NUMBER, float, math, "sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh"),
    (NUMBER, bool, math, "isnan isinf isfinite"),
    (SupportsIndex, int, math, "factorial isqrt"),
    (
        str,
        str,
        str,
        "upper lower strip lstrip rstrip title capitalize casefold swapcase expandtabs",
    ),
    (str, of(list, str), str, "split rsplit splitlines"),
    (
        str,
        bool,
        str,
        "isalnum isalpha isascii isdecimal isdigit isidentifier islower isnumeric isprintable isspace isupper",
    ),
    (bytes, bytes, bytes, "upper lower strip lstrip rstrip title capitalize"),
    (bytes, of(list, bytes), bytes, "split rsplit splitlines"),
    (bytes, bool, bytes, "isalnum isalpha isascii isdigit islower isspace isupper"),
)

BUILTINS: Final[Mapping[object, tuple[Signature, ...]]] = {
    **{fn: tuple(Signature(takes, gives) for takes, gives in ways) for fn, ways in _TABLE.items()},
    **{
        getattr(owner, name): (Signature(takes, gives),)
        for takes, gives, owner, names in _MANY
        for name in names.split()
    },
}
