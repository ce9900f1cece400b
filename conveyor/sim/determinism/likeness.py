"""What tells two values apart: their types and what they are worth, but neither addresses nor the
order of a set.

This file knows values, and what pickle would keep of them.  It must never know jobs or schedules.

To compare two values, each is turned into a *form*: a value with a hash, equal to the form of
another exactly if the two are alike.  So many outputs are told apart with one dictionary.

Rule 1.  Atoms are told apart by type and value: 1, 1.0 and True are three; a NaN is like any other
         of its type.
Rule 2.  Containers are told apart by their elements; sets and dicts have no order.  Of a dataclass
         the fields count that it compares itself by.
Rule 3.  Other values with a hash of their own compare as they say; all others by what pickle would
         keep of them.
Rule 4.  What pickle cannot keep is told apart by its repr without addresses: in doubt two values
         are alike.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import fields, is_dataclass
from enum import Enum
from hashlib import sha256
from itertools import islice
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Final, TypeAlias, cast

from typing_extensions import TypeVar

from conveyor.items.short_repr import short_repr
from conveyor.sim.interruption import pass_on

__all__ = ["Outputs", "alike", "glance", "plain_repr", "same_error"]

Out = TypeVar("Out", default=object)
Form: TypeAlias = object  # it has a hash, and is equal to that of a value which is alike

ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")
SIMPLE: Final = frozenset({int, str, bytes, bool, type(None)})
BY_NAME: Final = (type, FunctionType, BuiltinFunctionType, ModuleType)
A_FEW: Final = 8  # elements at either end
TRACEBACK: Final = "Traceback (most recent call last)"
LONG: Final = 1024  # bytes, as those of an array: a digest stands for more
PROTOCOL: Final = 4  # the last in which large buffers are kept inside


def alike(one: object, other: object) -> bool:
    """Could anything tell these two from one another?

    >>> alike([{1, 2}, object()], [{2, 1}, object()]), alike([1, 2], [2, 1])
    (True, False)
    >>> alike([float("nan")], [float("nan")])
    True
    """
    if one is other:
        return True
    try:
        if type(one) is type(other) and bool(one == other):
            return True
    except Exception as error:  # objects may compare as they like, or not at all
        pass_on(error)
    return form_of(one) == form_of(other)


class Outputs(tuple[Out, ...]):
    """The outputs of a run, as a member of a set: there, those that are alike are one.

    It is equal to a tuple of the same items, too, and found by it where these have a hash that
    tells their values.  Where they have no hash it is one of their reprs.

    >>> nan = float("nan")
    >>> len({Outputs([1]), Outputs([True]), Outputs([float("nan")]), Outputs([-nan])})
    3
    >>> (1,) in {Outputs([1])}
    True
    """

    outputs: tuple[object, ...]  # of which the tuple itself may show reprs
    number: int | None
    form: Form | None

    def __new__(cls, outputs: Iterable[Out]) -> Outputs[Out]:
        plain = tuple(outputs)
        made = super().__new__(
            cls, plain if has_hash(plain) else cast("Iterable[Out]", map(shown, plain))
        )
        made.outputs, made.number, made.form = plain, None, None
        return made

    def as_form(self) -> Form:
        if self.form is None:
            self.form = tuple(map(form_of, self.outputs))
        return self.form

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Outputs):
            return self is other or self.as_form() == cast("Outputs[object]", other).as_form()
        return self.outputs == other

    def __hash__(self) -> int:
        if self.number is None:
            if all(map(is_steady, self.outputs)):
                self.number = hash(self.outputs)
            else:
                self.number = hash(self.as_form())
                self.outputs = ()  # which may be large
        return self.number


def shown(value: object) -> str:
    """The repr of a value, or, where that raises, what it raised."""
    try:
        return repr(value)
    except Exception as error:
        pass_on(error)
        return short_repr(value)


def has_hash(value: object) -> bool:
    """Can the value be a key?  A `__hash__` of a user's class may raise anything."""
    try:
        hash(value)
    except Exception as error:
        pass_on(error)
        return False
    return True


def is_steady(value: object) -> bool:
    """Has every value that is alike the same hash?"""
    kind = type(value)
    if kind in SIMPLE:
        return True
    if not has_own_hash(kind):
        return False
    if isinstance(value, tuple | frozenset):
        return all(map(is_steady, cast("Iterable[object]", value)))
    if is_dataclass(value):
        return all(map(is_steady, compared(value)))
    return is_itself(value) and has_hash(value)


def has_own_hash(kind: Any) -> bool:
    return kind.__hash__ not in (None, object.__hash__)


def is_itself(value: object) -> bool:
    """Is it equal to itself, as what is no number is not?"""
    try:
        return bool(value == value)  # that is the question
    except Exception as error:  # as above
        pass_on(error)
        return False


def compared(value: Any) -> list[object]:
    """What a dataclass compares itself by."""
    return [getattr(value, field.name, None) for field in fields(value) if field.compare]


def form_of(value: object) -> Form:
    """The form of a value: one of a thing is equal to that of another exactly if the two are alike.

    >>> form_of({"a": {1, 2}}) == form_of({"a": {2, 1}}), form_of(1) == form_of(True)
    (True, False)
    """
    kind = type(value)
    if kind in SIMPLE:
        return kind, value
    try:
        return Forms().of(value)
    except Exception as error:
        # The graph is too deep, or an object does not let itself be looked at
        pass_on(error)
        return name_of(kind), plain_repr(value)


class Forms:
    """The forms of one value and of all that is in it; each object is looked at once."""

    def __init__(self) -> None:
        # By the id of a value, and with it, so that no other has that id meanwhile.
        self.known: dict[int, tuple[object, Form]] = {}

    def of(self, value: object) -> Form:
        kind = type(value)
        if kind in SIMPLE:
            return kind, value if kind is not bytes else short(cast("bytes", value))
        if id(value) not in self.known:
            # What is found where a value contains itself
            self.known[id(value)] = value, ("again", len(self.known))
            self.known[id(value)] = value, (name_of(kind), self.inside(value))
        return self.known[id(value)][1]

    def inside(self, value: object) -> Form:
        kind = type(value)
        if isinstance(value, list | tuple):
            return tuple(map(self.of, cast("Iterable[object]", value)))
        if isinstance(value, set | frozenset):
            return frozenset(map(self.of, cast("Iterable[object]", value)))
        if isinstance(value, dict):
            pairs = cast("Mapping[object, object]", value).items()
            return frozenset((self.of(key), self.of(each)) for key, each in pairs)
        if isinstance(value, BY_NAME) or (isinstance(value, float) and not is_itself(value)):
            return plain_repr(value)
        if isinstance(value, Enum):
            return value.name
        if is_dataclass(value) and "__eq__" in vars(kind):
            return tuple(map(self.of, compared(value)))
        if has_own_hash(kind) and is_itself(value) and has_hash(value):
            return value
        return self.kept(value)

    def kept(self, value: object) -> Form:
        """The form of what pickle would keep of a value."""
        reduce = cast("Callable[[int], object]", value.__reduce_ex__)
        try:
            parts = reduce(PROTOCOL)
        except Exception as error:  # it cannot be pickled
            pass_on(error)
            return plain_repr(value)
        if not isinstance(parts, tuple):
            return parts
        call, args, *others = cast("tuple[object, ...]", parts)
        state, items, pairs, *_ = *others, None, None, None
        listed = [*map(as_list, (items, pairs))]
        return tuple(map(self.of, (call, args, state, listed)))


def as_list(given: object) -> object:
    return list(cast("Iterable[object]", given)) if isinstance(given, Iterable) else None


def short(data: bytes) -> bytes:
    return data if len(data) <= LONG else sha256(data).digest()


def name_of(kind: type) -> str:
    """Classes of one name are alike: one that a function defines is another each time."""
    return f"{kind.__module__}.{kind.__qualname__}"


def glance(value: object, depth: int = 3) -> Form:
    """What can be seen of a value in next to no time, however large it is: it tells most changes of
    a thing, not all.

    >>> seen = list(range(10**6))
    >>> before = glance(seen)
    >>> seen.append(1)
    >>> glance(seen) == before
    False
    """
    if isinstance(value, str | bytes | int | float) or value is None:
        return id(value)
    if depth and isinstance(value, list | tuple | deque):
        elements = cast("list[object]", value)
        return (
            id(elements),
            len(elements),
            tuple(glance(elements[at], depth - 1) for at in ends(len(elements))),
        )
    if depth and isinstance(value, dict):
        held = cast("dict[object, object]", value)
        some = (*islice(held.items(), A_FEW), *islice(reversed(held.items()), A_FEW))
        return id(held), len(held), tuple((id(key), glance(each, depth - 1)) for key, each in some)
    if depth and hasattr(value, "__dict__"):
        return id(value), glance(vars(value), depth - 1)
    length = len(value) if isinstance(value, Sized) else 0
    return id(value), length, plain_repr(value) if length <= 2 * A_FEW else None


def ends(length: int) -> Iterable[int]:
    return range(length) if length <= 2 * A_FEW else (*range(A_FEW), *range(length - A_FEW, length))


def same_error(one: BaseException | None, other: BaseException | None) -> bool:
    """Are these two errors the same, or both none?  A traceback in their text says nothing: two
    runs have frames of their own.

    >>> same_error(KeyError({"a", "b"}), KeyError({"b", "a"}))
    True
    >>> same_error(KeyError("a"), KeyError("b"))
    False
    """
    if one is None or other is None:
        return one is other
    return name_of(type(one)) == name_of(type(other)) and (
        alike(one.args, other.args) or text_of(one) == text_of(other)
    )


def text_of(error: BaseException) -> str:
    return plain_repr(error).partition(TRACEBACK)[0]


def plain_repr(value: object) -> str:
    try:
        return without_addresses(repr(value))
    except Exception as error:
        pass_on(error)
        return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"


def without_addresses(text: str) -> str:
    return ADDRESS.sub("", text)
