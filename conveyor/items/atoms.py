"""Which items cannot change: they travel as they are.

An *atom* is an int, float, complex, str, bytes, bool, None, or a tuple of atoms.  No job can change
one, so several may refer to the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from operator import countOf
from typing import Any, Final, cast

__all__ = ["ATOMS", "are_atoms", "is_atom"]

SIMPLE: Final = frozenset({int, float, complex, str, bytes, bool, type(None)})
DEEPEST: Final = 20  # tuples within one another, of an atom
ATOMS: Final = SIMPLE | {tuple}  # the types of atoms; a tuple is one if its parts are


def is_atom(item: object) -> bool:
    """Can nothing change this item any more?

    Tuples that are nested more than 20 deep are not looked into: they are no atoms.

    >>> is_atom((1, "a", None)), is_atom([1]), is_atom((1, [2]))
    (True, False, False)
    """
    kind = type(item)
    if kind in SIMPLE:
        return True
    if kind is not tuple:
        return False
    parts: Any = item  # without a call that only checkers need: it takes half as long as the rest
    return SIMPLE.issuperset(map(type, parts)) or _is_of_atoms(parts, DEEPEST)


def _is_of_atoms(parts: tuple[object, ...], depth: int) -> bool:
    for part in parts:
        kind = type(part)
        if kind not in SIMPLE and (
            kind is not tuple or not depth or not _is_of_atoms(parts_of(part), depth - 1)
        ):
            return False
    return True


def parts_of(item: object) -> tuple[object, ...]:
    """Gives `item`, which is a tuple, with a type that checkers can follow."""
    return cast("tuple[object, ...]", item)


def are_atoms(items: Sequence[object]) -> bool:
    """Is each of them an atom?  It calls no Python function for each where all are of one kind; of
    items of several kinds, or of tuples in tuples, it may say no.

    >>> are_atoms([1, 2.5]), are_atoms([(1, "a"), ()]), are_atoms([(1, []), (1, 2)])
    (True, True, False)
    """
    kind = type(items[0]) if items else int
    if countOf(map(type, items), kind) < len(items):
        return SIMPLE.issuperset(map(type, items))
    if kind is not tuple:
        return kind in SIMPLE
    tuples = cast("Sequence[tuple[object, ...]]", items)
    return SIMPLE.issuperset(map(type, chain.from_iterable(tuples)))
