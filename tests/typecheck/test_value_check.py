"""Does a value fit what a stage takes?  The answers are written by hand; what Hypothesis draws for
a type is never refused."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import fractions
import io
import pathlib
import re
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import (
    Callable,
    Collection,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    Reversible,
    Sequence,
    Sized,
)
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from types import SimpleNamespace
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    LiteralString,
    NamedTuple,
    Never,
    NewType,
    NotRequired,
    Protocol,
    SupportsFloat,
    SupportsIndex,
    SupportsInt,
    TypedDict,
    TypeVar,
)
from unittest.mock import Mock

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import TypeAliasType

from conveyor.typecheck.answers import Assignability
from conveyor.typecheck.builtin_types import of
from conveyor.typecheck.type_forms import union
from conveyor.typecheck.value_check import value_fits

YES, NO, UNSURE = Assignability.YES, Assignability.NO, Assignability.UNSURE

T = TypeVar("T")
Number = TypeVar("Number", int, float)
Bounded = TypeVar("Bounded", bound=str)
UserId = NewType("UserId", int)
Json = TypeAliasType("Json", "dict[str, Json] | list[Json] | str | float | bool | None")
Pair = TypeAliasType("Pair", tuple[T, T], type_params=(T,))


class Animal: ...


class Dog(Animal): ...


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Point(NamedTuple):
    x: int
    y: int


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


@dataclass
class Box(Generic[T]):
    content: T


class Named(Protocol):
    name: str


class Greets(Protocol):
    def greet(self) -> str: ...


class Greeter:
    def greet(self) -> str:
        return "hello"


class NamedInInit:
    def __init__(self) -> None:
        self.name = "x"


class Dynamic:
    def __getattr__(self, name: str) -> str:
        return name


class Numbers(list[int]): ...


def numbers() -> Iterator[int]:
    yield 1


LOOPS: list[Any] = []
LOOPS.append(LOOPS)

TABLE: list[tuple[object, object, Assignability]] = [
    (1, int, YES),
    (1, float, YES),
    (1, complex, YES),
    (1.0, int, NO),
    (1.0, complex, YES),
    (1j, float, NO),
    (True, int, YES),
    (1, bool, NO),
    ("1", int, NO),
    (1, str, NO),
    (b"1", str, NO),
    ("1", bytes, NO),
    (b"1", bytes, YES),
    (bytearray(b"1"), bytes, UNSURE),
    (None, None, YES),
    (0, None, NO),
    (None, int, NO),
    (1, object, YES),
    (1, Any, YES),
    (1, int | str, YES),
    ("1", int | str, YES),
    (1.5, int | str, NO),
    (None, int | None, YES),
    ("", int | None, NO),
    (1, Never, NO),
    (1, "Missing", UNSURE),
    (1, Annotated[int, "of a kind"], YES),
    ("1", Annotated[int, "of a kind"], NO),
    (UserId(1), UserId, YES),
    ("1", UserId, NO),
    (1, Literal[1, 2], YES),
    (3, Literal[1, 2], NO),
    ("a", Literal["a"], YES),
    ("b", Literal["a", None], NO),
    (None, Literal["a", None], YES),
    (True, Literal[1], UNSURE),
    (1, Literal["a"], NO),
    (Color.RED, Literal[Color.RED], YES),
    (Color.BLUE, Literal[Color.RED], NO),
    (Color.RED, Color, YES),
    (1, Color, NO),
    ("a", LiteralString, YES),
    (1, LiteralString, NO),
    ([], list[int], YES),
    ([1], list[int], YES),
    ([1, "2"], list[int], NO),
    ([1], list[float], YES),
    ([1], list, YES),
    ((1,), list[int], NO),
    ([1], Sequence[int], YES),
    ([1], Sequence[str], NO),
    ((1,), Sequence[int], YES),
    ((1,), Sequence[str], NO),
    ("ab", Sequence[str], YES),
    ("ab", Sequence[int], NO),
    (b"ab", Sequence[int], YES),
    (range(3), Sequence[int], YES),
    (range(3), list[int], NO),
    ([[1], ["2"]], list[list[int]], NO),
    ([1, None], list[int | None], YES),
    ({1}, set[int], YES),
    ({"1"}, set[int], NO),
    (frozenset({1}), AbstractSet[int], YES),
    (frozenset({1}), set[int], NO),
    ({1}, Sequence[int], NO),
    ({1}, Collection[int], YES),
    (deque([1]), Sequence[int], YES),
    (deque(["1"]), deque[int], NO),
    ({"a": 1}, dict[str, int], YES),
    ({"a": "1"}, dict[str, int], NO),
    ({1: 1}, dict[str, int], NO),
    ({"a": 1}, dict, YES),
    ({"a": 1}, Mapping[str, float], YES),
    ({"a": 1}, Mapping[str, str], NO),
    ({"a": 1}, Iterable[str], YES),
    ({"a": 1}, Iterable[int], NO),
    ([("a", 1)], dict[str, int], NO),
    (OrderedDict(a=1), MutableMapping[str, int], YES),
    (defaultdict(int, a=1), dict[str, str], NO),
    (Counter("aab"), Counter[str], YES),
    (Counter("aab"), Mapping[str, int], YES),
    (Counter("aab"), Counter[int], NO),
    (Counter("aab"), dict[str, str], NO),
    ((1, "a"), tuple[int, str], YES),
    ((1, 2), tuple[int, str], NO),
    ((1,), tuple[int, str], NO),
    ((), tuple[()], YES),
    ((1,), tuple[()], NO),
    ((1, 2, 3), tuple[int, ...], YES),
    ((1, "2"), tuple[int, ...], NO),
    ((), tuple[int, ...], YES),
    ((1, "2"), tuple, YES),
    ([1, 2], tuple[int, int], NO),
    (Point(1, 2), Point, YES),
    ((1, 2), Point, NO),
    (Point(1, 2), tuple[int, int], YES),
    (Point(1, 2), tuple[str, str], NO),
    ((1, 2), Pair[int], YES),
    ((1, "2"), Pair[int], NO),
    ({"title": "M"}, Movie, YES),
    ({"title": "M", "year": 1931}, Movie, YES),
    ({"title": 1}, Movie, NO),
    ({"year": 1}, Movie, NO),
    ({"title": "M", "year": "1931"}, Movie, NO),
    ([], Movie, NO),
    (OrderedDict(title="M"), Movie, UNSURE),
    ({"a": [1, {"b": None}]}, Json, YES),
    ({"a": [1, {"b": b""}]}, Json, NO),
    (1j, Json, NO),
    (LOOPS, Json, UNSURE),
    (len, Callable[[str], int], UNSURE),
    (Greeter, Callable[[], Greeter], UNSURE),
    (1, Callable[[str], int], NO),
    (len, Callable, UNSURE),
    (int, type[int], YES),
    (bool, type[int], YES),
    (str, type[int], NO),
    (1, type[int], NO),
    (int, type, YES),
    (1, type, NO),
    (Dog(), Animal, YES),
    (Animal(), Dog, NO),
    (Dog, type[Animal], YES),
    (Animal, type[Dog], NO),
    (1, Animal, NO),
    (Box(1), Box, YES),
    (Box(1), Box[int], UNSURE),
    (1, Box[int], NO),
    (Numbers([1]), list[int], YES),
    (Numbers([1]), Sequence[str], NO),
    (Greeter(), Greets, YES),
    (1, Greets, NO),
    (NamedInInit(), Named, UNSURE),
    (1, Named, NO),
    (SimpleNamespace(name="x"), Named, UNSURE),
    (Dynamic(), Named, UNSURE),
    (Dynamic(), Greets, UNSURE),
    (Dynamic(), int, UNSURE),
    (Mock(spec=Dog), Dog, YES),
    (Mock(), int, UNSURE),
    (1, Hashable, YES),
    ([], Hashable, NO),
    ([], Sized, YES),
    (1, Sized, NO),
    ([1], Reversible[int], YES),
    (1, SupportsInt, YES),
    ("1", SupportsInt, NO),
    (1.5, SupportsFloat, YES),
    (1.5, SupportsIndex, NO),
    (1, SupportsIndex, YES),
    (numbers(), Iterator[int], UNSURE),
    (numbers(), Iterable[str], UNSURE),
    (numbers(), Sequence[int], NO),
    (1, Iterable[int], NO),
    (1, T, YES),  # pyright: ignore[reportGeneralTypeIssues] ("a", Bounded, YES), (1, Bounded, NO), (1.5, Number, YES), ("a", Number, NO), ([1], list[T], YES),
    (datetime.datetime(2020, 1, 1), datetime.date, YES),
    (datetime.date(2020, 1, 1), datetime.datetime, NO),
    (pathlib.PurePosixPath("a"), pathlib.PurePath, YES),
    (pathlib.PurePosixPath("a"), str, NO),
    (decimal.Decimal(1), float, NO),
    (fractions.Fraction(1), int, NO),
    (re.compile("a"), re.Pattern[str], UNSURE),
    ("a", re.Pattern[str], NO),
    (io.StringIO(), str, NO),
    (np.int64(1), np.int64, YES),
    (np.int64(1), int, UNSURE),
    (np.float64(1), float, YES),
    (np.float64(1), int, UNSURE),
    (np.int64(1), str, NO),
    (np.zeros(2), npt.NDArray[np.float64], UNSURE),
    ([1.0], npt.NDArray[np.float64], NO),
    (np.zeros(2), list[float], NO),
    (np.zeros(2), str, NO),
]


@pytest.mark.parametrize(("value", "hint", "answer"), TABLE, ids=map(str, range(len(TABLE))))
def test_the_answers(value: object, hint: object, answer: Assignability) -> None:
    assert value_fits(value, hint) in ((answer, UNSURE) if answer is YES else (answer,))


def test_there_are_many_answers_of_each_kind() -> None:
    assert len(TABLE) > 150
    assert min(Counter(answer for _, _, answer in TABLE).values()) > 15


def test_a_yes_is_given_where_it_can_be_known() -> None:
    known = [value_fits(value, hint) for value, hint, answer in TABLE if answer is YES]
    assert known.count(YES) == len(known)


# Not SupportsInt and SupportsFloat: for Hypothesis text with a number in it is of these.
LEAVES: list[Any] = [
    *(
        int,
        str,
        float,
        complex,
        bool,
        bytes,
        datetime.date,
        datetime.datetime,
        decimal.Decimal,
        fractions.Fraction,
    ),
    *(
        Literal[1, "a", None],
        Literal[Color.RED],
        Color,
        Point,
        Movie,
        Dog,
        Animal,
        UserId,
        Hashable,
        Sized,
    ),
    *(
        type[int],
        Callable[[int], str],
        SupportsIndex,
        collections.Counter[str],
        range,
        bytearray,
        Annotated[int, 1],
    ),
]
hints = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        st.builds(
            of, st.sampled_from([list, Sequence, Iterable, Iterator, Collection, deque]), inner
        ),
        st.builds(of, st.just(tuple), inner, st.just(...)),
        st.builds(
            of, st.sampled_from([dict, Mapping, defaultdict]), st.sampled_from([str, int]), inner
        ),
        st.builds(of, st.just(tuple), inner, inner),
        st.tuples(inner, inner).map(union),
    ),
    max_leaves=4,
)


@settings(deadline=None, max_examples=60)
@given(hints, st.data())
def test_what_is_drawn_for_a_type_is_never_refused(hint: Any, data: st.DataObject) -> None:
    value = data.draw(st.from_type(hint))
    assert value_fits(value, hint) is not NO


@given(
    st.recursive(
        st.integers() | st.text() | st.binary() | st.none(),
        lambda inner: st.lists(inner) | st.tuples(inner, inner),
    )
)
def test_a_value_fits_its_own_class_and_no_other_of_these(value: object) -> None:
    answers = {cls: value_fits(value, cls) for cls in (int, str, bytes, type(None), list, tuple)}
    assert answers == {cls: YES if type(value) is cls else NO for cls in answers}


class Raises:
    @property  # type: ignore[misc]  # a trap
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]  # as above
        raise RuntimeError("leave me alone")


def test_whatever_happens_when_it_is_looked_at_is_no_answer() -> None:
    assert value_fits(Raises(), int) is UNSURE


def test_looking_uses_nothing_up() -> None:
    items = numbers()
    assert value_fits(items, Iterable[str]) is UNSURE
    assert list(items) == [1]
