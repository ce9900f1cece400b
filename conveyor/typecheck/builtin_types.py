"""What a type checker knows of the builtin classes and the interpreter has forgotten: their bases
and their variances.
"""

from __future__ import annotations

import collections
import collections.abc as abc
from collections.abc import Mapping
from types import GenericAlias
from typing import Final, TypeAlias, TypeVar

__all__ = ["STRUCTURAL"]


T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")
W = TypeVar("W")


def of(cls: type, *args: object) -> object:
    """`cls[args]`, for a checker that does not know what the args are."""
    return GenericAlias(cls, args)


# The bases that a builtin class has for a checker; at run time it has forgotten them, or is
# registered with them.
_Bases: TypeAlias = tuple[tuple[TypeVar, ...], tuple[object, ...]]
BASES: Final[Mapping[object, _Bases]] = {
    abc.Iterator: ((T,), (of(abc.Iterable, T),)),
    abc.Reversible: ((T,), (of(abc.Iterable, T),)),
    abc.Collection: ((T,), (of(abc.Iterable, T), of(abc.Container, T), abc.Sized)),
    abc.Sequence: ((T,), (of(abc.Reversible, T), of(abc.Collection, T))),
    abc.MutableSequence: ((T,), (of(abc.Sequence, T),)),
    abc.Set: ((T,), (of(abc.Collection, T),)),
    abc.MutableSet: ((T,), (of(abc.Set, T),)),
    abc.Mapping: ((K, V), (of(abc.Collection, K),)),
    abc.MutableMapping: ((K, V), (of(abc.Mapping, K, V),)),
    abc.MappingView: ((), (abc.Sized,)),
    abc.KeysView: ((K,), (abc.MappingView, of(abc.Set, K))),
    abc.ValuesView: ((V,), (abc.MappingView, of(abc.Collection, V))),
    abc.ItemsView: ((K, V), (abc.MappingView, of(abc.Set, of(tuple, K, V)))),
    abc.Generator: ((T, V, W), (of(abc.Iterator, T),)),
    abc.Coroutine: ((T, V, W), (of(abc.Awaitable, W),)),
    abc.AsyncIterator: ((T,), (of(abc.AsyncIterable, T),)),
    abc.AsyncGenerator: ((T, V), (of(abc.AsyncIterator, T),)),
    list: ((T,), (of(abc.MutableSequence, T),)),
    collections.deque: ((T,), (of(abc.MutableSequence, T),)),
    set: ((T,), (of(abc.MutableSet, T),)),
    frozenset: ((T,), (of(abc.Set, T),)),
    dict: ((K, V), (of(abc.MutableMapping, K, V), of(abc.Reversible, K))),
    collections.defaultdict: ((K, V), (of(dict, K, V),)),
    collections.OrderedDict: ((K, V), (of(dict, K, V),)),
    collections.Counter: ((K,), (of(dict, K, int),)),
    collections.ChainMap: ((K, V), (of(abc.MutableMapping, K, V),)),
    tuple: ((T,), (of(abc.Sequence, T),)),
    str: ((), (of(abc.Sequence, str),)),
    bytes: ((), (of(abc.Sequence, int),)),
    bytearray: ((), (of(abc.MutableSequence, int),)),
    range: ((), (of(abc.Sequence, int),)),
    enumerate: ((T,), (of(abc.Iterator, of(tuple, int, T)),)),
    zip: ((T,), (of(abc.Iterator, T),)),
    map: ((T,), (of(abc.Iterator, T),)),
    filter: ((T,), (of(abc.Iterator, T),)),
    reversed: ((T,), (of(abc.Iterator, T),)),
}

# "+": a subclass of the argument will do; "-": a superclass; "=": only the same; "?": not known.
VARIANCES: Final[Mapping[object, str]] = {
    **dict.fromkeys(
        (
            abc.Iterable,
            abc.Iterator,
            abc.Reversible,
            abc.Container,
            abc.Collection,
            abc.Sequence,
            abc.Set,
            abc.KeysView,
            abc.ValuesView,
            abc.Awaitable,
            abc.AsyncIterable,
            abc.AsyncIterator,
            frozenset,
        ),
        "+",
    ),
    **dict.fromkeys(
        (list, collections.deque, set, collections.Counter, abc.MutableSequence, abc.MutableSet),
        "=",
    ),
    **dict.fromkeys(
        (
            dict,
            collections.defaultdict,
            collections.OrderedDict,
            collections.ChainMap,
            abc.MutableMapping,
        ),
        "==",
    ),
    abc.Mapping: "=+",
    abc.ItemsView: "++",
    abc.Generator: "+-+",
    abc.Coroutine: "+-+",
    abc.AsyncGenerator: "+-",
}

# Classes that a checker compares by their methods, and the interpreter too.
STRUCTURAL: Final[tuple[object, ...]] = (
    abc.Hashable,
    abc.Sized,
    abc.Iterable,
    abc.Iterator,
    abc.Reversible,
    abc.Container,
    abc.Collection,
    abc.Awaitable,
    abc.AsyncIterable,
    abc.AsyncIterator,
)
