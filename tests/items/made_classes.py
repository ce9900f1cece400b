"""Classes that Hypothesis makes up, of what a class may have that has a say in how its objects
pickle; and objects of them, with whatever may be in these.
"""

# Of objects whose classes are made up nothing is known that a checker could follow.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownLambdaType=false
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false

from __future__ import annotations

import dataclasses
import enum
import functools
import itertools
import sys
import types
from collections import OrderedDict, namedtuple
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from pathlib import Path, PurePosixPath
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID, SafeUUID
from zoneinfo import ZoneInfo

import attrs
from hypothesis import strategies as st

__all__ = ["Color", "Zone", "classes", "constants", "items", "known", "objects"]

NUMBERS = itertools.count()
HERE = sys.modules[__name__]


def known(kind: Any) -> Any:
    """A class, made known under a name of its own, so that pickle finds it."""
    kind.__module__ = __name__
    kind.__qualname__ = kind.__name__ = f"Made{next(NUMBERS)}"
    setattr(HERE, kind.__name__, kind)
    return kind


# ------------------------------------------------------------------------------------- the classes


def reduce(self: Any) -> Any:
    return restored, (type(self), [*state_of(self).items()][::-1])


def restored(kind: Any, state: Any) -> Any:
    made = object.__new__(kind)
    for name, value in state:
        object.__setattr__(made, name, value)
    return made


def state_of(thing: Any) -> dict[str, Any]:
    return {
        name: getattr(thing, name)
        for name in "abc"
        if name in getattr(thing, "__dict__", {}) or hasattr(type(thing), "__slots__")
        if hasattr(thing, name)
    }


def getstate(self: Any) -> Any:
    return {**state_of(self), "b": "from the state"}


def setstate(self: Any, state: Any) -> None:
    for name, value in state.items():
        object.__setattr__(self, name, value if name != "a" else ("set", value))


def setattr_twice(self: Any, name: str, value: Any) -> None:
    object.__setattr__(self, name, (name, value))


def refuse(self: Any, name: str, value: Any) -> None:
    raise AttributeError(name)


def new(kind: Any, *args: Any, **named: Any) -> Any:
    made = object.__new__(kind)
    object.__setattr__(made, "c", "new")
    return made


# What a class may have besides.
TRAITS: dict[str, dict[str, Any]] = {
    "none": {},
    "methods": {"method": lambda self: 1, "constant": 5, "a_property": property(lambda self: 1)},
    "hash": {"__hash__": lambda self: 1, "__eq__": lambda self, other: True},
    "repr": {
        "__repr__": lambda self: "made",
        "__len__": lambda self: 0,
        "__bool__": lambda s: False,
    },
    "cached": {"extra": functools.cached_property(lambda self: 1)},
    "reduce": {"__reduce__": reduce},
    "reduce_ex": {"__reduce_ex__": lambda self, protocol: reduce(self)},
    "getstate": {"__getstate__": getstate},
    "setstate": {"__setstate__": setstate},
    "both states": {"__getstate__": getstate, "__setstate__": setstate},
    "setattr": {"__setattr__": setattr_twice},
    "refusing setattr": {"__setattr__": refuse},
    "delattr": {"__delattr__": lambda self, name: None},
    "getattr": {"__getattr__": lambda self, name: restored if name == "zzz" else getattr((), name)},
    "getattribute": {"__getattribute__": lambda self, name: object.__getattribute__(self, name)},
    "new": {"__new__": new},
    "new args": {"__getnewargs__": lambda self: ()},
    "shadowed": {"b": property(lambda self: "shadow", lambda self, value: None)},
    "del": {"__del__": lambda self: None},
    "init subclass": {"__init_subclass__": classmethod(lambda cls: None)},
}


class Meta(type):
    def __call__(cls, *args: Any, **named: Any) -> Any:
        made = type.__call__(cls, *args, **named)
        object.__setattr__(made, "b", "of the metaclass")
        return made


class EqualMeta(type):
    def __eq__(cls, other: object) -> bool:
        return isinstance(other, EqualMeta)

    def __hash__(cls) -> int:
        return 1


T = TypeVar("T")


class Slotted:
    __slots__ = ("z",)


class WithDict:
    pass


GENERIC: Any = Generic
BASES: list[tuple[Any, ...]] = [(), (), (WithDict,), (Slotted,), (GENERIC[T],)]


def init(self: Any, a: Any = 1, b: Any = 2, c: Any = 3) -> None:
    for name, value in (("b", b), ("a", a), ("c", c)):
        object.__setattr__(self, name, value)


@st.composite
def classes(draw: st.DrawFn) -> Any:
    """A class whose objects can be made of three values or fewer."""
    how = draw(
        st.sampled_from(
            ["dataclass"] * 4
            + ["dict", "slots", "some slots", "named tuple", "NamedTuple", "attrs"]
        )
    )
    trait = TRAITS[draw(st.sampled_from(["none"] * 8 + [*TRAITS]))]
    if "tuple" in how.lower():
        return named_tuple(draw, how, trait)
    namespace: dict[str, Any] = {"__module__": __name__, **trait}
    bases = draw(st.sampled_from(BASES))
    meta = draw(st.sampled_from([type] * 8 + [Meta, EqualMeta]))
    if how in ("slots", "some slots"):
        names = ("a", "b", "c") if "b" not in trait else ("a", "c")
        weak = ("__weakref__",) if draw(st.booleans()) and WithDict not in bases else ()
        namespace["__slots__"] = (*names, *weak)
        if how == "some slots":
            namespace["__slots__"] = ("a",) if WithDict in bases else ("a", "__dict__")
    if how in ("dict", "slots", "some slots"):
        namespace["__init__"] = init
        return derived(draw, known(meta_made(meta, bases, namespace)), trait)
    namespace["__annotations__"] = dict.fromkeys("abc", object)
    defaults = draw(st.integers(0, 3))
    namespace |= {name: None for name in "abc"[3 - defaults :] if name not in trait}
    made = meta_made(meta, bases, namespace)
    frozen, slots = draw(st.booleans()), draw(st.booleans())
    try:
        if how == "attrs":
            return derived(draw, known(attrs.define(made, frozen=frozen, slots=slots)), trait)
        options = {"frozen": frozen, "slots": slots, "order": draw(st.booleans()), "eq": True}
        options["kw_only"] = draw(st.booleans())
        return derived(draw, known(dataclasses.dataclass(made, **options)), trait)
    except (TypeError, ValueError):  # it does not allow some of that together
        return known(dataclasses.dataclass(type("Plain", (), {"__annotations__": {"a": object}})))


def meta_made(meta: Any, bases: Any, namespace: Any) -> Any:
    return types.new_class(
        "Made", bases, {"metaclass": meta}, lambda names: names.update(namespace)
    )


def derived(draw: st.DrawFn, base: Any, trait: dict[str, Any]) -> Any:
    """The class, or one that inherits from it."""
    how = draw(st.sampled_from(["", "", "", "dict", "slots", "dataclass", "frozen"]))
    if not how:
        return base
    namespace: dict[str, Any] = {"__slots__": ()} if how == "slots" else {}
    made = known(meta_made(type(base), (base,), namespace))
    try:
        if how == "dataclass":
            made.__annotations__ = {"d": object}
            made.d = 5
            return known(dataclasses.dataclass(made))
        if how == "frozen":
            return known(dataclasses.dataclass(made, frozen=True))  # pyright: ignore[reportUnknownArgumentType]
    except TypeError:  # a frozen one of one that is not, or the other way round
        return base
    return made


def named_tuple(draw: st.DrawFn, how: str, trait: dict[str, Any]) -> Any:
    base: Any = (
        namedtuple("Made", "a b c")  # pyright: ignore[reportUntypedNamedTuple]  # that is the point
        if how == "named tuple"
        else NamedTuple("Made", [("a", object), ("b", object), ("c", object)])
    )
    known(base)
    if draw(st.booleans()):
        return base
    names: dict[str, Any] = {} if draw(st.booleans()) else {"__slots__": ()}
    if draw(st.booleans()):
        names |= {name: value for name, value in trait.items() if name != "__new__"}
    if draw(st.integers(0, 9)) == 0:
        names["__iter__"] = lambda self: iter("xyz")
    return known(type("Made", (base,), names))


class Color(enum.Enum):
    RED = 1
    GREEN = (2,)


class Number(enum.IntEnum):
    ONE = 1


class Access(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


class Odd(enum.Enum):
    ONE = 1

    def __reduce_ex__(self, protocol: Any) -> Any:
        return getattr, (Odd, "ONE")


class Text(str):
    """A text that somebody may hang something on."""


class Zone(tzinfo):
    def __init__(self, name: str = "here") -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Zone({self.name})"

    def utcoffset(self, dt: Any) -> timedelta:
        return timedelta(hours=1)

    def dst(self, dt: Any) -> timedelta:
        return timedelta(0)

    def tzname(self, dt: Any) -> str:
        return self.name


atoms = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=3)
    | st.binary(max_size=3)
)
zones = st.sampled_from([None, UTC, timezone(timedelta(hours=2), "two"), ZoneInfo("UTC"), Zone()])
constants = st.one_of(
    atoms,
    st.sampled_from([*Color, *Number, *Access, Access.READ | Access.WRITE, Odd.ONE]),
    st.builds(datetime, st.just(2026), st.just(3), st.integers(1, 28), tzinfo=zones),
    st.dates(),
    st.timedeltas(),
    st.builds(time, st.integers(0, 23), tzinfo=zones),
    st.decimals(allow_nan=False),
    st.fractions(),
    st.uuids(),
    st.sampled_from([UUID(int=5, is_safe=SafeUUID.safe), Path("/a/b"), PurePosixPath("c"), Path()]),
    st.frozensets(st.integers(), max_size=2),
)
odd = st.sampled_from([Text("a"), bytearray(b"ab"), OrderedDict(a=1), range(3), Ellipsis, int])
keys = (
    st.text("abc", max_size=1) | st.integers(0, 1) | st.booleans() | st.builds(Text, st.just("a"))
)


def things(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(parts, max_size=3),
        st.lists(parts, max_size=3).map(tuple),
        st.dictionaries(keys, parts, max_size=3),
        st.sets(st.integers(), max_size=2),
        objects(parts),
        st.lists(parts, min_size=1, max_size=2).map(lambda part: [*part, *part]),  # some twice
    )


@st.composite
def objects(draw: st.DrawFn, parts: st.SearchStrategy[Any]) -> Any:
    """An object of a class that was made up, perhaps changed since it was made, and perhaps not the
    first of its class."""
    kind = draw(classes())
    values = draw(st.lists(parts, min_size=3, max_size=3))
    arguments: dict[str, Any] = dict(zip("abc", values, strict=True))
    try:
        made = kind(**arguments)
    except (TypeError, AttributeError):
        arguments = {}
        try:
            made = kind()
        except (TypeError, AttributeError):
            return kind
    before = kind(**arguments) if draw(st.booleans()) else None
    change(made, draw(st.sampled_from(CHANGES)), values[0])
    return made if before is None else (before, made)


ODD_NAMES: list[str] = ["class", "a b", "ﬁ", "__reduce_ex__", Text("t")]
CHANGES = ["", "", "add", "remove", "order", "cycle", *ODD_NAMES]


def change(made: Any, how: str, value: object) -> None:
    """Changes an object, if that can be done."""
    try:
        match how:
            case "":
                pass
            case "add":
                object.__setattr__(made, "extra", value)
            case "remove":
                object.__delattr__(made, "b")
            case "order":
                object.__delattr__(made, "a")
                object.__setattr__(made, "a", value)
            case "cycle":
                object.__setattr__(made, "a", [made])
            case name:
                vars(made)[name] = 1
    except (AttributeError, TypeError):  # it has no such, or no place for it
        pass


items = (
    st.recursive(constants | odd, things, max_leaves=6)
    | objects(constants)
    | objects(objects(constants))
)
