"""What can be said of two classes that are not related by their bases, and what a protocol asks
for.

In doubt there is no answer: classes may be registered with one another, and mypy has promotions of
its own.
"""

from __future__ import annotations

import collections.abc as abc
import functools
from collections.abc import Mapping
from typing import IO, BinaryIO, Final, TextIO

from typing_extensions import Buffer, get_protocol_members

from conveyor.typecheck.answers import Assignability
from conveyor.typecheck.builtin_types import STRUCTURAL
from conveyor.typecheck.members import attribute
from conveyor.typecheck.type_forms import origin_of

__all__ = ["is_protocol"]


# What mypy once took for bytes, too.
OLD_PROMOTIONS: Final[Mapping[object, frozenset[type]]] = {
    bytes: frozenset((bytearray, memoryview))
}

# C's names of number types: a class of its own on some machines, for a checker another name of
# int64 and the like.
NUMPY_C_NAMES: Final = frozenset(
    "intc uintc long ulong longlong ulonglong longdouble clongdouble".split()
)

# For a checker the bases of what open() gives.
FILES: Final[tuple[object, ...]] = (IO, TextIO, BinaryIO)


def unrelated(have: type[object], want: type[object], has_args: bool) -> Assignability:
    """What is to be said of classes if neither the bases nor the table say that one is a kind of
    the other."""
    if not OLD_PROMOTIONS.get(want, frozenset()).isdisjoint(have.__mro__):
        return Assignability.UNSURE
    if "numpy" == module_of(have) == module_of(want) and NUMPY_C_NAMES & {
        have.__name__,
        want.__name__,
    }:
        return Assignability.UNSURE
    if have in FILES or (
        any(want is base for base in (*FILES, Buffer)) and module_of(have) != "builtins"
    ):
        return Assignability.UNSURE
    if want is abc.Hashable:
        return hashable(have)
    if not issubclass(have, want):
        return Assignability.NO
    if want in STRUCTURAL and not has_args and module_of(have) != "numpy":
        return Assignability.YES
    return Assignability.UNSURE  # registered, perhaps


def hashable(cls: type) -> Assignability:
    """For mypy a class that has lost its hash, by an __eq__, still has one; a protocol has none."""
    definer, method = attribute(cls, "__hash__")
    if method is None:
        return (
            Assignability.NO
            if module_of(definer) in ("builtins", "collections")
            else Assignability.UNSURE
        )
    return (
        Assignability.UNSURE
        if is_protocol(cls) or module_of(cls) == "collections.abc" or issubclass(cls, type)
        else Assignability.YES
    )


def is_protocol(tp: object) -> bool:
    return getattr(origin_of(tp), "_is_protocol", False) is True


@functools.lru_cache(maxsize=256)
def members_of(protocol: type) -> list[str]:
    return sorted(get_protocol_members(protocol))


def module_of(tp: object) -> str:
    return str(getattr(tp, "__module__", ""))
