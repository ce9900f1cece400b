"""What is taken apart comes out as pickle would have given it, whatever its class is.

The model is pickle itself, on classes that are made up (`made_classes`).
"""

# Of objects whose classes are made up nothing is known that a checker could follow.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownLambdaType=false
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false

from __future__ import annotations

import copyreg
import enum
import pickle
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, make_dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from types import MemberDescriptorType
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conveyor import Pipeline, Processor
from conveyor.core.kernels import map_slice
from conveyor.errors import NotPicklable
from conveyor.items.forms import Row
from conveyor.items.rows import TAKERS
from conveyor.items.sealing import Pickled, Sealed, seal, sealer
from conveyor.runtime import Placement
from conveyor.runtime.shm.payload import items_from, opened_from, payload_of
from tests.items.made_classes import Color, Zone, items, known

# ---------------------------------------------------------------------------- what things are like


def shape_of(thing: Any, seen: dict[int, int] | None = None) -> object:
    """All that can be told of a thing: classes, values, the order of names, and what is the same
    thing."""
    seen = {} if seen is None else seen
    kind = type(thing)
    if isinstance(thing, enum.Enum):
        return kind, id(thing)
    if kind in (int, float, complex, str, bytes, bool, type(None)):
        return kind, repr(thing)
    if not isinstance(thing, tuple) and not is_value(thing):
        if id(thing) in seen:
            return "again", seen[id(thing)]
        seen[id(thing)] = len(seen)
    parts: list[object] = []
    if isinstance(thing, tuple | list):
        parts += (
            [shape_of(part, seen) for part in tuple.__iter__(thing)]
            if isinstance(thing, tuple)
            else [shape_of(part, seen) for part in thing]
        )
    elif isinstance(thing, dict):
        parts += [(shape_of(key, seen), shape_of(value, seen)) for key, value in thing.items()]
    elif isinstance(thing, set | frozenset):
        parts += sorted(map(repr, thing))
    elif is_value(thing):
        parts += [repr(thing)]
    if hasattr(kind, "__dictoffset__") and isinstance(getattr(thing, "__dict__", None), dict):
        parts += [
            (name, shape_of(value, seen))
            for name, value in object.__getattribute__(thing, "__dict__").items()
        ]
    for base in kind.__mro__:
        for name, slot in vars(base).items():
            if isinstance(slot, MemberDescriptorType) and base.__module__ == __name__:
                try:
                    parts.append((name, shape_of(slot.__get__(thing, kind), seen)))
                except AttributeError:
                    parts.append((name, "unset"))
    return kind, parts


def is_value(thing: object) -> bool:
    """Is it of a class of the standard library that has no parts which a test could look at?"""
    return isinstance(
        thing,
        date | time | timedelta | tzinfo | Decimal | Fraction | UUID | PurePosixPath | bytearray,
    )


def sent(*safe: Sealed) -> list[Sealed]:
    """Sealed items as they come out of a channel."""
    payload = payload_of([*safe], lambda item: item.data)
    found = items_from(payload, lambda part: Pickled(part[0]))
    assert all(isinstance(each, Sealed) for each in found)
    return [each for each in found if isinstance(each, Sealed)]


# --------------------------------------------------------------------------------------- the proof

many = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)


@given(items, st.lists(items, max_size=2))
@many
def test_what_comes_out_is_what_pickle_gives(item: Any, others: list[Any]) -> None:
    between = [seal(each) for each in others if can_be_sent(each)]
    try:
        data = pickle.dumps(item, 5)
    except Exception:
        with pytest.raises(NotPicklable):
            seal(item)
        return
    sealed = seal(item)
    come = sent(*between, sealed, *between)[len(between)]
    try:
        expected = shape_of(pickle.loads(data))
    except Exception:
        for each in (sealed, come):
            with pytest.raises(NotPicklable):
                each.open()
        with pytest.raises(NotPicklable):
            opened_at_once(sealed)
        return
    others_too = [each for each in between if can_be_opened(each)]
    assert shape_of(opened_at_once(*others_too, sealed, *others_too)[len(others_too)]) == expected
    for each in (sealed, come, *sent(sealed), *sent(*sent(sealed))):
        assert shape_of(each.open()) == expected
        assert shape_of(each.open()) == expected


def opened_at_once(*items: Sealed) -> list[Any]:
    """What a reader gets that takes each item once."""
    payload = payload_of(items, lambda item: item.data)
    return opened_from(payload, lambda part: Pickled(part[0]), bytearray)


def can_be_opened(item: Sealed) -> bool:
    try:
        item.open()
    except NotPicklable:
        return False
    return True


def can_be_sent(item: object) -> bool:
    try:
        seal(item)
    except NotPicklable:
        return False
    return True


@given(items)
@many
def test_what_happens_to_an_item_once_it_is_sealed_does_not_show(item: Any) -> None:
    try:
        sealed = seal(item)
        before = shape_of(sealed.open())
    except NotPicklable:
        return
    change(item)
    change(sealed.open())

    assert shape_of(sealed.open()) == before


def change(thing: Any, seen: dict[int, object] | None = None) -> None:
    """Does to a thing, and to what is in it, all that can be done to it."""
    seen = {} if seen is None else seen
    if id(thing) in seen or isinstance(thing, type | enum.Enum | tzinfo):
        return
    seen[id(thing)] = thing
    names = [*"abcdez", "extra"]
    parts: list[Any] = []
    for name in names:
        with suppress(AttributeError, TypeError):
            parts.append(object.__getattribute__(thing, name))
    if isinstance(thing, tuple | list | set | frozenset):
        parts += [*thing] if not isinstance(thing, tuple) else [*tuple.__iter__(thing)]
    elif isinstance(thing, dict):
        parts += [*thing, *thing.values()]
    for part in parts:
        change(part, seen)
    for name in names:
        with suppress(AttributeError, TypeError):
            object.__setattr__(thing, name, "changed")
    if isinstance(thing, list | bytearray):
        thing *= 2
    elif isinstance(thing, dict | set):
        thing.clear()


# -------------------------------------------------------------------------------- what is a record


@dataclass
class Plain:
    a: Any
    b: Any = None


@dataclass(frozen=True)
class Frozen:
    a: Any
    b: Any = None


@dataclass(slots=True)
class Slots:
    a: Any
    b: Any = None


@dataclass(frozen=True, slots=True)
class FrozenSlots:
    a: Any
    b: Any = None


@dataclass
class Checked(Plain):
    """One that inherits, and does something when it is made."""

    c: int = 5

    def __post_init__(self) -> None:
        self.d = [self.c]


class Named(NamedTuple):
    a: Any
    b: Any = None


class Written:
    def __init__(self, a: Any) -> None:
        self.a = a


class WrittenSlots:
    __slots__ = ("a",)

    def __init__(self, a: Any) -> None:
        self.a = a


class Reduced(Plain):
    def __reduce__(self) -> tuple[Callable[..., Reduced], tuple[object, ...]]:
        return Reduced, (self.a,)


RECORDS: list[Any] = [
    Plain(1, "b"),
    Frozen(1, "b"),
    Slots(1, "b"),
    FrozenSlots(1, "b"),
    Checked(1),
    Named(1),
    Written(1),
    WrittenSlots(1),
    {"a": 1, "b": 2},
    [1, 2],
    {1, 2},
    Color.RED,
    datetime(2026, 1, 2, 3, 4, 5, 6),
    date(2026, 1, 2),
    time(1, 2),
    timedelta(1, 2, 3),
    Decimal("1.5"),
    Fraction(1, 2),
    UUID(int=7),
    Path("/a/b"),
    (1, Color.RED),
    [Plain(Frozen([1]), {"a": FrozenSlots(Named(Slots(None)))})],
    Plain(Decimal(1), (1, UUID(int=5))),
]
OTHERS: list[Any] = [
    Reduced(1),
    bytearray(b"a"),
    datetime(2026, 1, 2, tzinfo=Zone()),
    [Plain(1), Reduced(1)],
    Plain(range(3)),
]


def name_of(item: object) -> str:
    return type(item).__name__


@pytest.mark.parametrize("item", RECORDS, ids=name_of)
def test_a_record_is_not_pickled(item: Any) -> None:
    assert isinstance(seal(item), Row)


def test_an_object_that_has_nothing_is_one_again() -> None:
    bare = object()  # as a mark for "no value" often is

    assert type(seal(bare).open()) is object
    for inside, expected in ([1, bare], (int, object)), ({"a": bare}, (object,)):
        opened: Any = seal(inside).open()
        values = opened.values() if isinstance(opened, dict) else opened
        assert tuple(map(type, values)) == expected


@pytest.mark.parametrize("item", OTHERS, ids=name_of)
def test_what_has_a_say_in_how_it_pickles_is_pickled(item: Any) -> None:
    assert type(seal(item)) is Pickled


@pytest.mark.parametrize("make", [Plain, Frozen, Slots, FrozenSlots, Named, lambda part: [part]])
def test_what_is_in_an_item_twice_is_pickled(make: Callable[[object], Any]) -> None:
    part = [1]

    assert type(seal([make(part), part])) is Pickled
    assert isinstance(seal([make([1]), [1]]), Row)


def test_what_is_nested_too_deep_is_pickled() -> None:
    item: Any = 1
    for _ in range(100):
        item = Plain(item)

    assert type(seal(item)) is Pickled
    assert seal(item).open() == item


def test_keys_that_are_only_equal_to_known_ones_keep_their_types() -> None:
    text = type("Key", (str,), {"__module__": __name__, "__qualname__": "Key"})
    setattr(sys.modules[__name__], "Key", text)  # noqa: B010  # pickle is to find it there
    for _ in range(3):
        seal({"x": 1, "y": 2})
    opened: Any = seal({text("x"): 1, "y": 2}).open()

    assert [type(key) for key in opened] == [text, str]


# ------------------------------------------------------------------------------ classes that change


def test_a_reduction_that_is_registered_later_counts_from_the_next_run_on() -> None:
    kind: Any = known(make_dataclass("Later", ["a"]))
    assert isinstance(sealer()(kind(1)), Row)
    copyreg.pickle(kind, lambda item: (kind, (item.a + 1,)))
    opened: Any = sealer()(kind(1)).open()

    assert opened.a == 2


def test_an_item_of_a_class_that_was_defined_again_cannot_be_sent() -> None:
    kind: Any = known(make_dataclass("Again", ["a"]))
    seal(kind(1))
    sealed = seal(kind(1))
    setattr(sys.modules[kind.__module__], kind.__name__, None)

    with pytest.raises(NotPicklable, match="not the same object"):
        sealer()(kind(1))
    with pytest.raises(NotPicklable, match="not the same object"):
        sent(sealed)


def test_what_an_object_has_is_not_taken_for_what_its_class_has() -> None:
    for make in (Plain, Frozen):
        whole, bare, more = make(1, 2), make(3), make(4)
        del vars(bare)["b"]  # and its class has a default
        vars(more)["c"] = 5
        for item in (whole, bare, more, make(6), make("7", 8.0)):
            assert vars(seal(item).open()) == vars(item)


def test_an_item_whose_class_is_not_found_is_refused_and_the_others_are_not() -> None:
    kind: Any = known(make_dataclass("Gone", ["a"]))
    payload = payload_of([seal(kind(1)), seal([1]), seal(kind(2))], lambda item: item.data)
    delattr(sys.modules[kind.__module__], kind.__name__)
    gone, there, also_gone = items_from(payload, lambda part: Pickled(part[0]))

    assert isinstance(there, Sealed)
    assert there.open() == [1]
    for each in (gone, also_gone):
        assert isinstance(each, Sealed)
        with pytest.raises(NotPicklable, match=r"cannot be unpickled.*must be importable"):
            each.open()


# ---------------------------------------------------------------------------------- in a real run


def test_a_loop_takes_apart_what_a_job_gives() -> None:
    out: list[Any] = []
    mixed = [Plain(1), Plain([2]), 3, (1,), (Color.RED,), Plain(4), None, Reduced(1), Plain(5)]
    progress = map_slice(lambda item: item, mixed, out, takers=TAKERS)
    given_back = [each.open() if isinstance(each, Sealed) else each for each in out]

    assert given_back == [each for each in mixed if each is not None]
    assert (progress.done, progress.sealed) == (9, 6)


@pytest.mark.processes
def test_records_go_through_workers() -> None:
    everything = [*RECORDS, *OTHERS]
    pipeline = Pipeline[Any]().add(Processor(lambda item: item)).add(Processor(lambda item: item))

    for item, result in zip(
        everything * 50, pipeline.run(everything * 50, placement=Placement(fuse=False)), strict=True
    ):
        assert shape_of(result) == shape_of(item)
