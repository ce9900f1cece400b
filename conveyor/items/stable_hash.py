"""The hash of a key that is the same in every process, run and version of Python.

Knows: which types have one, and when two of their values are equal.  Must never know: what a hash
is used for.

Rule 1.  Keys that are equal hash alike, of whatever types they are: 1, 1.0, True, `Decimal(1)` and
         `Fraction(1)`, also inside of tuples.  So a key is told by what it is compared as: by the
         type whose `__eq__` its own type has.
Rule 2.  Nothing of a hash comes from Python's own `hash()`, which differs from run to run for
         strings, and from machine to machine for numbers.
Rule 3.  What has no such hash is refused, and never hashed by where it lies in memory.

A number is hashed as the standard library defines it for all numeric types ("Hashing of numeric
types"), with one modulus for all machines.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, Flag
from fractions import Fraction
from hashlib import blake2b
from itertools import chain
from typing import Any, Final, cast
from uuid import UUID

from conveyor.items.short_repr import short_repr

__all__ = ["KeyHasher", "stable_hash"]

MODULUS: Final = (1 << 61) - 1
INFINITE: Final = 314159
NOT_A_NUMBER: Final = b"nan"
IMAGINARY: Final = 1000003  # as in the standard library

TYPES: Final = (
    "None, bool, int, float, complex, str, bytes, Decimal, Fraction, a member of an Enum, UUID, "
    "date, datetime, or a tuple, frozenset, NamedTuple or frozen dataclass of those"
)

# How many keys a `KeyHasher` remembers at most.
REMEMBERED: Final = 1 << 16


def stable_hash(key: object) -> int:
    """Gives the hash of a key, from 0 to 2**64 - 1; raises `TypeError` for a key that has none.

    >>> stable_hash("user 7")
    10739982978856338647
    >>> stable_hash((1, "a")) == stable_hash((True, "a")) == stable_hash((1.0, "a"))
    True
    """
    return int.from_bytes(digest_of(key))


def digest_of(key: object) -> bytes:
    return blake2b(encoded(key), digest_size=8).digest()


def encoded(key: object) -> bytes:
    """A key as bytes: equal keys give the same, and others as a rule do not."""
    if key is None:
        return b"none"
    kind = type(key)
    # Python looks `__eq__` up in the type, too.
    encode = ENCODERS.get(kind.__eq__)
    if encode is not None:
        return encode(key)
    if isinstance(key, Enum) and kind.__eq__ is object.__eq__:
        # A member of a Flag may be several, and their name depends on the version of Python.
        what = key.value if isinstance(key, Flag) else key.name
        return b"enum" + of_parts([kind.__qualname__, what])
    if is_frozen_dataclass(kind):
        compared = [each.name for each in dataclasses.fields(cast("Any", key)) if each.compare]
        return b"data" + of_parts([kind.__qualname__, *(getattr(key, name) for name in compared)])
    raise TypeError(
        f"{short_repr(key)} is of type {kind.__qualname__}, which has no stable hash: a key can be "
        f"{TYPES}"
    )


def of_parts(parts: list[object]) -> bytes:
    return b"".join(map(digest_of, parts))


def of_number(number: Any) -> bytes:
    """An int, float, Fraction or Decimal."""
    if isinstance(number, Decimal):
        return of_decimal(number)
    if isinstance(number, float) and not math.isfinite(number):
        return of_residue(None if math.isnan(number) else INFINITE if number > 0 else -INFINITE)
    return of_residue(residue(*number.as_integer_ratio()))


def residue(numerator: int, denominator: int) -> int:
    if denominator % MODULUS:
        return numerator * pow(denominator, -1, MODULUS) % MODULUS
    return INFINITE if numerator > 0 else -INFINITE


def of_decimal(number: Decimal) -> bytes:
    """A Decimal may have any exponent, and must not be written out."""
    if number.is_nan():
        return of_residue(None)
    sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):  # it is infinite
        return of_residue(-INFINITE if sign else INFINITE)
    value = int("".join(map(str, digits))) * pow(10, exponent, MODULUS)
    return of_residue((-value if sign else value) % MODULUS)


def of_residue(value: int | None) -> bytes:
    return b"number" + (NOT_A_NUMBER if value is None else b"%d" % value)


def of_complex(number: complex) -> bytes:
    if number.imag == 0:
        return of_number(number.real)
    return b"complex" + of_parts([number.real, number.imag])


def of_str(text: str) -> bytes:
    return b"str" + text.encode("utf-8", "surrogatepass")


def of_bytes(data: bytes) -> bytes:
    return b"bytes" + data


def of_tuple(parts: tuple[object, ...]) -> bytes:
    return b"tuple" + of_parts([*parts])


def of_frozenset(parts: frozenset[object]) -> bytes:
    return b"set" + b"".join(sorted(map(digest_of, parts)))


def of_uuid(key: UUID) -> bytes:
    return b"uuid" + key.bytes


def of_date(day: date) -> bytes:
    return b"date%d" % day.toordinal()


def of_datetime(moment: datetime) -> bytes:
    """The moment in UTC, if it says one: datetimes of different zones can be equal.

    Two of one zone that differ in their `fold` alone are equal, though they are an hour apart.
    """
    moment = moment.replace(fold=0)
    offset = moment.utcoffset()
    wall = moment.replace(tzinfo=UTC) - datetime(1, 1, 1, tzinfo=UTC)
    since = wall if offset is None else wall - offset
    count = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return (b"naive%d" if offset is None else b"moment%d") % count


def is_frozen_dataclass(kind: type) -> bool:
    """Is it compared by its fields, as `dataclass(frozen=True)` has it compared?"""
    if not dataclasses.is_dataclass(kind):
        return False
    said = next(vars(each) for each in kind.__mro__ if "__dataclass_params__" in vars(each))
    params = said["__dataclass_params__"]
    # One that was written is kept by `dataclass`; what that makes itself stands in no file.
    code = getattr(kind.__eq__, "__code__", None)
    return bool(params.frozen and params.eq and code and code.co_filename == "<string>")


# With types that checkers need not work out.
ANY_TUPLE: Final[Any] = tuple
ANY_FROZENSET: Final[Any] = frozenset

# By what a type compares its values with.  A subclass that has the `__eq__` of its base is compared
# as one of those: members of an IntEnum, NamedTuples, True.
ENCODERS: Final[dict[object, Callable[[Any], bytes]]] = {
    int.__eq__: of_number,
    float.__eq__: of_number,
    Fraction.__eq__: of_number,
    Decimal.__eq__: of_number,
    complex.__eq__: of_complex,
    str.__eq__: of_str,
    bytes.__eq__: of_bytes,
    ANY_TUPLE.__eq__: of_tuple,
    ANY_FROZENSET.__eq__: of_frozenset,
    UUID.__eq__: of_uuid,
    date.__eq__: of_date,
    datetime.__eq__: of_datetime,
}


# What is equal to one of these hashes like it: so one that was hashed once may be found again by
# comparing.
SIMPLE: Final = frozenset({int, str, bytes, bool, float, type(None)})


class KeyHasher:
    """Gives what `of` makes of the hash of each key, and remembers that of simple keys, since they
    come again and again."""

    def __init__(self, of: Callable[[int], int]) -> None:
        self.of = of
        self.known = _Known(of)

    def all(self, keys: Sequence[object]) -> list[int]:
        """Raises `TypeError` for a key that has no stable hash.

        >>> KeyHasher(lambda hash: hash % 2).all(["a", "b", "a"])
        [0, 1, 0]
        """
        kinds = set(map(type, keys))
        if kinds == {tuple}:
            kinds = set(map(type, chain.from_iterable(cast("Sequence[tuple[object]]", keys))))
        if kinds <= SIMPLE:
            return list(map(self.known.__getitem__, keys))
        return [self.of(stable_hash(key)) for key in keys]


class _Known(dict[object, int]):
    def __init__(self, of: Callable[[int], int]) -> None:
        super().__init__()
        self.of = of

    def __missing__(self, key: object) -> int:
        if len(self) >= REMEMBERED:
            self.clear()
        found = self[key] = self.of(stable_hash(key))
        return found
