"""Can a value be given to what a stage takes?  Yes, no, or cannot tell.

Knows: how values and types go together.  Must never know: stages, lanes, worlds.

Rule 1.  Only what is certainly wrong is a no, as in `assignability`, which answers for the class of
         a value; here what is in it is looked at, too.
Rule 2.  Looking changes nothing: what could be used up by it, or could run code of the user's, is
         left alone.
Rule 3.  A value knows more of itself than its class: it may have been made to pass for something
         else.
"""

from __future__ import annotations

import collections
import inspect
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import (
    Any,
    Final,
    Literal,
    LiteralString,
    Never,
    NewType,
    NoReturn,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
)

from typing_extensions import get_protocol_members, is_typeddict

from conveyor.items.atoms import parts_of
from conveyor.typecheck.answers import Assignability, all_of, any_of
from conveyor.typecheck.assignability import assignability
from conveyor.typecheck.class_relations import is_protocol
from conveyor.typecheck.members import fields_of, is_callable
from conveyor.typecheck.type_forms import (
    args_as,
    elements_of_tuple,
    has_any_length,
    is_alias,
    is_bare_tuple,
    is_readable,
    members,
    origin_of,
    plain,
    value_of_alias,
)

__all__ = ["value_fits"]

DEEPEST: Final = 20
MOST: Final = 100  # elements of a container that are looked at

# Containers that can be looked into: to go through one uses nothing up.
MAPPINGS: Final = (dict, collections.OrderedDict, collections.defaultdict, collections.Counter)
OTHERS: Final = (list, set, frozenset, collections.deque, str, bytes, bytearray, range)
# numpy's own pass for them nearly everywhere, whatever a checker says.
NUMBERS: Final = (bool, int, float, complex)
CONTAINERS: Final[tuple[type, ...]] = (*MAPPINGS, *OTHERS, tuple)


def value_fits(value: object, taken: object) -> Assignability:
    """Says whether `value` can be given to what takes `taken`.

    >>> value_fits([1, 2], list[float]), value_fits([1, "2"], list[int])
    (<Assignability.YES: 'yes'>, <Assignability.NO: 'no'>)
    >>> value_fits(iter([1]), Iterable[str])
    <Assignability.UNSURE: 'cannot tell'>
    """
    try:
        return _fits(value, taken, DEEPEST)
    except Exception:  # annotations and values may raise anything when they are looked at
        return Assignability.UNSURE


def _fits(value: object, taken: object, depth: int) -> Assignability:
    if depth == 0:
        return Assignability.UNSURE
    if is_alias(taken):
        return _fits(value, value_of_alias(taken), depth - 1)
    taken = plain(taken)
    if taken is Any or taken is object:
        return Assignability.YES
    if not is_readable(taken):
        return Assignability.UNSURE
    if get_origin(taken) is not Literal and len(members(taken)) > 1:
        return any_of(_fits(value, member, depth - 1) for member in members(taken))
    if isinstance(taken, TypeVar):
        return _of_variable(value, taken, depth)
    if isinstance(taken, NewType):
        return _fits(value, taken.__supertype__, depth - 1)
    if get_origin(taken) is Union:  # of one
        return _fits(value, get_args(taken)[0], depth - 1)
    answer = _of_form(value, taken, depth)
    return Assignability.UNSURE if answer is Assignability.NO and is_in_disguise(value) else answer


def _of_form(value: object, taken: object, depth: int) -> Assignability:
    """The answer for a type that is made of no others at its top."""
    origin = origin_of(taken)
    if taken is Never or taken is NoReturn:
        return Assignability.NO
    if taken is LiteralString:
        return Assignability.YES if isinstance(value, str) else Assignability.NO
    if origin is Literal:
        return any_of(_is_literal(value, literal) for literal in get_args(taken))
    if origin is type and get_args(taken):
        return _of_class(value, get_args(taken)[0])
    if is_callable(taken):
        return Assignability.UNSURE if callable(value) else Assignability.NO
    if is_typeddict(origin):
        return _of_typed_dict(value, taken, depth)
    kind: type[object] = type(value)
    if origin is tuple and kind is tuple and not is_bare_tuple(taken):
        return _of_tuple(parts_of(value), taken, depth)
    if get_args(taken) and kind in CONTAINERS:
        return _of_container(value, taken, depth)
    return _of_its_class(value, taken)


def _of_variable(value: object, taken: TypeVar, depth: int) -> Assignability:
    if taken.__constraints__:
        return any_of(_fits(value, constraint, depth - 1) for constraint in taken.__constraints__)
    return (
        Assignability.YES if taken.__bound__ is None else _fits(value, taken.__bound__, depth - 1)
    )


def _is_literal(value: object, literal: object) -> Assignability:
    if type(value) is type(literal) and value == literal:
        return Assignability.YES
    return (
        Assignability.UNSURE
        if isinstance(value, type(literal)) and value == literal
        else Assignability.NO
    )


def _of_class(value: object, wanted: object) -> Assignability:
    if not isinstance(value, type):
        return Assignability.UNSURE if get_origin(value) is not None else Assignability.NO
    if is_protocol(wanted) or type(value) is not type:  # what a metaclass makes of it
        return Assignability.UNSURE
    return assignability(value, wanted)


def _of_typed_dict(value: object, taken: object, depth: int) -> Assignability:
    kind: type[object] = type(value)
    if kind is not dict:
        return Assignability.UNSURE if issubclass(kind, dict) else Assignability.NO
    known = cast("dict[object, object]", value)
    fields = fields_of(taken)
    if any(field.required and name not in known for name, field in fields.items()):
        return Assignability.NO
    return all_of(
        _fits(known[name], field.hint, depth - 1) for name, field in fields.items() if name in known
    )


def _of_tuple(value: tuple[object, ...], taken: object, depth: int) -> Assignability:
    elements = elements_of_tuple(taken)
    if has_any_length(taken):
        return all_of(_fits(each, elements[0], depth - 1) for each in value[:MOST])
    if any(
        getattr(element, "__unpacked__", False) or not is_readable(plain(element))
        for element in elements
    ):
        return Assignability.UNSURE
    if len(value) != len(elements):
        return Assignability.NO
    return all_of(
        _fits(each, element, depth - 1) for each, element in zip(value, elements, strict=True)
    )


def _of_container(value: object, taken: object, depth: int) -> Assignability:
    """A container of a class that says nothing of its elements, which are there to be looked at."""
    cls, origin = type(value), origin_of(taken)
    seen_as = args_as(cls, origin)
    if seen_as is None:
        return _of_its_class(value, taken)
    args = get_args(taken)
    if isinstance(value, Mapping):
        known = cast("Mapping[object, object]", value)
        keys, values = list(islice(known.keys(), MOST)), list(islice(known.values(), MOST))
        if cls is collections.Counter and len(args) == 1 and origin is collections.Counter:
            return _each(keys, args[0], depth)
        return all_of(
            _each(part, arg, depth) for part, arg in zip((keys, values), args, strict=False)
        )
    if len(args) != 1:
        return Assignability.UNSURE
    return _each(islice(cast("Iterable[object]", value), MOST), args[0], depth)


def _each(values: Iterable[object], taken: object, depth: int) -> Assignability:
    return all_of(_fits(value, taken, depth - 1) for value in values)


def _of_its_class(value: object, taken: object) -> Assignability:
    """By the class of the value; but it may have more than its class."""
    origin: Any = origin_of(taken)
    if not get_args(taken) and is_instance(value, origin):
        return Assignability.YES
    answer = assignability(type(value), taken)
    if answer is not Assignability.NO:
        return answer
    if is_protocol(taken):
        return Assignability.NO if lacks_a_member(value, origin) else Assignability.UNSURE
    return (
        Assignability.UNSURE
        if type(value).__module__ == "numpy" and origin in NUMBERS
        else Assignability.NO
    )


def is_instance(value: object, cls: object) -> bool:
    try:
        return isinstance(value, cls)  # type: ignore[arg-type]  # whatever it is, Python says
    except TypeError:
        return False


def is_in_disguise(value: object) -> bool:
    """Does it say that it is of another class than it is, as a mock does, or a proxy?"""
    return (
        value.__class__ is not type(value)
        or inspect.getattr_static(value, "__getattr__", None) is not None
    )


def lacks_a_member(value: object, protocol: type) -> bool:
    """Is there a member that it has neither by its class nor by itself?"""
    nothing = object()
    return any(
        inspect.getattr_static(value, name, nothing) in (nothing, None)
        for name in sorted(get_protocol_members(protocol))
    )
