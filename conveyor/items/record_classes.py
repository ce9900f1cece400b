"""Which classes are records: their objects are nothing but values under names, and pickle by the
default way.

Knows: what `pickle` and `copyreg` ask of a class.  Must never know: what is done with the answer.

Rule 1.  A class is a record only where pickle takes its objects apart and puts them together again
         without calling any code of its own: then plain stores do the same, and cannot be noticed.
Rule 2.  What is not plainly so, or is not known here, is no record.
"""

from __future__ import annotations

import copyreg
import dataclasses
import pickle
import sys
from collections import namedtuple
from collections.abc import Callable
from enum import Enum, EnumMeta
from keyword import iskeyword
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any, Final, cast

__all__ = [
    "are_stored",
    "is_constant",
    "is_found",
    "keeps_a_dict",
    "setters",
    "state_names",
    "stores_plainly",
    "width_of_named_tuple",
]

PROTOCOL: Final = 5
MOST_NAMES: Final = 256

# Any of these, in a class or in one that it derives from, may have a say when pickle takes an
# object apart or makes it again.
HAVE_A_SAY: Final = frozenset(
    "__class__ __getattr__ __getattribute__ __getnewargs__ __getnewargs_ex__ __getstate__ __new__ "
    "__reduce__ __reduce_ex__ __setstate__".split()
)
STATE: Final = ("__getstate__", "__setstate__")

# Of these classes, by module and name, no method changes an object.
CONSTANTS: Final = frozenset(
    [
        *(("datetime", name) for name in ("date", "datetime", "time", "timedelta", "timezone")),
        *(
            (module, f"{pure}{system}Path")
            for module in ("pathlib", "pathlib._local")  # the second in Python 3.13
            for pure in ("Pure", "")
            for system in ("Posix", "Windows")
        ),
        ("decimal", "Decimal"),
        ("fractions", "Fraction"),
        ("uuid", "UUID"),
    ]
)

OF_DATACLASSES: Final = tuple(
    getattr(dataclasses, f"_dataclass_{name.strip('_')}", None) for name in STATE
)
OF_ATTRS: Final = tuple(("attr._make", f"slots_{name.strip('_')}") for name in STATE)


def written(kind: type[object], name: str) -> Any:
    """What a class, or the first that it derives from, has under a name, as it is written there;
    None if nothing."""
    return next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)


def having_a_say(kind: type[object]) -> set[str]:
    """The names under which a class has code that may have a say in how its objects pickle."""
    return {name for base in kind.__mro__[:-1] for name in HAVE_A_SAY.intersection(vars(base))}


def is_found(kind: type[object]) -> bool:
    """Does pickle know a class by its name, and nothing else of it?"""
    if kind in copyreg.dispatch_table or type(kind) in copyreg.dispatch_table:
        return False
    found: Any = sys.modules.get(kind.__module__)
    for name in kind.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is kind


def is_usual(kind: type[object]) -> bool:
    """Is it found, and can it be asked things without calling code of its metaclass?"""
    asked = ("__getattribute__", "__hash__", "__eq__")
    usual = all(written(type(kind), name) is written(type, name) for name in asked)
    return usual and is_found(kind)


def is_plain_name(name: object) -> bool:
    """Can an attribute of that name be written into code as it is?"""
    return (
        type(name) is str
        and name.isascii()
        and name.isidentifier()
        and not iskeyword(name)
        and not (name.startswith("__") and name.endswith("__"))
    )


def keeps_a_dict(kind: type[object]) -> bool:
    """Do the objects of a class have a `__dict__` as usual?"""
    return isinstance(written(kind, "__dict__"), GetSetDescriptorType)


def slots_in(kind: type[object]) -> int:
    """How many slots the objects of a class have, also those that no name reaches."""
    return sum(
        isinstance(each, MemberDescriptorType)
        for base in kind.__mro__
        for each in vars(base).values()
    )


def state_names(item: object) -> tuple[str, ...] | None:
    """The names under which pickle keeps the values of `item`, in order; None if it is no record.

    >>> from conveyor.items.atoms import ATOMS
    >>> from conveyor.report import Tally
    >>> state_names(Tally())[:2], state_names(ATOMS)
    (('items_in', 'items_out'), None)
    """
    kind = type(item)
    saying = having_a_say(kind)
    if not is_usual(kind) or (saying and not state_is_generated(kind, saying)):
        return None
    try:
        make, args, *parts = cast("Any", item.__reduce_ex__(PROTOCOL))
    except Exception:  # it cannot be pickled at all
        return None
    is_default = make is MAKE and args == (kind,) and parts[1:] in ([], [None, None])
    return names_in(kind, parts[0] if parts else None) if is_default else None


MAKE: Final = getattr(copyreg, "__newobj__")  # noqa: B009  # no name for checkers


def state_is_generated(kind: type[object], saying: set[str]) -> bool:
    """Has a class no more to say than what `dataclasses` or `attrs` give to one with slots, which
    keeps the values of these?"""
    if saying != set(STATE) or not all(name in vars(kind) for name in STATE):
        return False
    methods = [vars(kind)[name] for name in STATE]
    return tuple(methods) == OF_DATACLASSES or (
        all(isinstance(each, FunctionType) for each in methods)
        and tuple((each.__module__, each.__name__) for each in methods) == OF_ATTRS
    )


def names_in(kind: type[object], state: Any) -> tuple[str, ...] | None:
    """The names in the state of an object of a class, if that is all that there is of it."""
    names: tuple[str, ...] = ()
    told = cast("type[object]", type(state))
    if keeps_a_dict(kind):
        if slots_in(kind) or told not in (dict, type(None)):
            return None
        names = names_of(state or {})
    else:
        if told is list:  # of a dataclass
            names = tuple(each.name for each in dataclasses.fields(cast("Any", kind)))
        elif told is dict:  # of attrs
            names = names_of(state)
        elif told is tuple and kind.__setattr__ is object.__setattr__:
            names = names_of(state[1])
        are_slots = all(isinstance(written(kind, name), MemberDescriptorType) for name in names)
        if not are_slots or len(names) != slots_in(kind):
            return None
    return names if len(names) <= MOST_NAMES and all(map(is_plain_name, names)) else None


def names_of(state: dict[str, object]) -> tuple[str, ...]:
    return tuple(state)


def stores_plainly(kind: type[object], names: tuple[str, ...]) -> bool:
    """Does to set these attributes do nothing but to keep their values?"""
    return (
        kind.__setattr__ is object.__setattr__
        and kind.__delattr__ is object.__delattr__
        and are_stored(kind, names)
    )


def are_stored(kind: type[object], names: tuple[str, ...]) -> bool:
    """Is what an object has under these names what the class gives for them, too?"""
    return all(is_store(written(kind, name)) for name in names)


def is_store(there: object) -> bool:
    """Does what a class has under a name keep out of it when an attribute of that name is set?"""
    return isinstance(there, MemberDescriptorType) or not hasattr(type(there), "__set__")


def setters(kind: type[object], names: tuple[str, ...]) -> list[Callable[[object, object], None]]:
    """What stores a value in each slot of these names, whatever the class does when one is set."""
    slots = [written(kind, name) for name in names]
    return [each.__set__ for each in slots if isinstance(each, MemberDescriptorType)]


def width_of_named_tuple(kind: type[object]) -> int | None:
    """How many values an object of a class has that `namedtuple` made, or of one that adds no more
    than methods to that; None if it is another."""
    made = next((base for base in kind.__mro__ if "_fields" in vars(base)), None)
    if made is None or made.__bases__[0] is not tuple or keeps_a_dict(kind) or not is_usual(kind):
        return None
    fields = cast("tuple[str, ...]", vars(made)["_fields"])
    try:
        is_made = codes_of(made) == codes_of(namedtuple("_", fields))  # pyright: ignore[reportUntypedNamedTuple]  # by name
    except Exception:  # its fields or its methods have been changed
        return None
    others = [base for base in kind.__mro__[:-1] if base not in (made, tuple)]
    has_a_say = any(HAVE_A_SAY.intersection(vars(base)) for base in others)
    is_walked = all(written(kind, name) is vars(tuple)[name] for name in ("__iter__", "__len__"))
    return len(fields) if is_made and is_walked and not has_a_say else None


def codes_of(kind: type[object]) -> list[object]:
    """The code by which the objects of a named tuple's class are made, and taken apart."""
    return [cast("Any", kind).__new__.__code__, cast("Any", kind).__getnewargs__.__code__]


def is_constant(item: object) -> bool:
    """Is it an object of a class of which none ever changes?"""
    kind = type(item)
    if isinstance(item, Enum):
        return type(type(item)) is EnumMeta and is_usual_enum(type(item))
    return (kind.__module__, kind.__qualname__) in CONSTANTS and is_found(kind)


def is_usual_enum(kind: type[Enum]) -> bool:
    """Does pickle give each member back as itself, by code of the standard library alone?"""
    reduce = written(kind, "__reduce_ex__")
    if getattr(reduce, "__module__", None) != "enum" or not is_found(kind):
        return False
    try:
        return all(
            pickle.loads(pickle.dumps(each, PROTOCOL)) is each for each in kind.__members__.values()
        )
    except Exception:  # it cannot be pickled at all
        return False
