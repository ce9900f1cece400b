"""What builtin functions and classes take and give, as typeshed says it.

They have no annotations of their own.
"""

from __future__ import annotations

import builtins
import collections.abc as abc
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import (
    Final,
    Protocol,
    SupportsAbs,
    SupportsComplex,
    SupportsFloat,
    SupportsIndex,
    SupportsInt,
    TypeVar,
)

from typing_extensions import Buffer

from conveyor.typecheck.builtin_types import of
from conveyor.typecheck.type_forms import UNKNOWN, union

__all__ = ["Signature"]


@dataclass(frozen=True, slots=True)
class Signature:
    """One way to call something with one item."""

    takes: object
    gives: object


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
        "sqrt cbrt exp exp2 expm1 log log2 log10 log1p fabs degrees radians gamma lgamma erf erfc "
        "ulp",
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
        "isalnum isalpha isascii isdecimal isdigit isidentifier islower isnumeric isprintable "
        "isspace isupper",
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
