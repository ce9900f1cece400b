"""Keys that are equal hash alike, whatever types they are of; and what a hash is never changes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, Flag, IntEnum, IntFlag, StrEnum
from fractions import Fraction
from itertools import combinations
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.items.stable_hash import KeyHasher, stable_hash


class Color(Enum):
    RED = 1
    GREEN = 2
    CRIMSON = RED  # another name of the same


class Level(IntEnum):
    LOW = 1


class Word(StrEnum):
    A = "a"


class Text(str, Enum):  # noqa: UP042  # as it was written before there was StrEnum
    A = "a"


class Rate(Decimal, Enum):
    HALF = "0.5"


class Right(Flag):
    READ = 1
    WRITE = 2


class Bits(IntFlag):
    ONE = 1
    TWO = 2


class Point(NamedTuple):
    x: object
    y: object


@dataclass(frozen=True)
class Place:
    country: object
    town: object
    note: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Slotted:
    value: object


@dataclass(frozen=True)
class Folded:
    """Equal by its own rule, which nothing else knows."""

    name: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Folded) and self.name.lower() == other.name.lower()

    def __hash__(self) -> int:
        return hash(self.name.lower())


@dataclass
class Loose:
    value: int


class Own(int):
    """Not compared as other ints are."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


class Summer(tzinfo):
    """One hour is there twice: at 2 o'clock clocks go back to 1."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        assert moment is not None
        is_second = moment.fold or moment.hour >= 2
        return timedelta(hours=0 if is_second else 1)

    def dst(self, moment: datetime | None) -> timedelta:
        return timedelta(0)

    def tzname(self, moment: datetime | None) -> str:
        return "summer"


SUMMER = Summer()
THERE = timezone(timedelta(hours=14))
TWICE = datetime(2024, 10, 27, 1, 30, tzinfo=SUMMER)

# What is in one row is equal, and what is in two is not.
EQUAL: list[list[Any]] = [
    [None],
    [1, 1.0, True, Decimal(1), Decimal("1.00"), Fraction(1), 1 + 0j, Level.LOW, Bits.ONE],
    [0, 0.0, -0.0, False, Decimal("-0"), Decimal("0E+99999"), Fraction(0), 0j, complex(-0.0, -0.0)],
    [0.5, Fraction(1, 2), Decimal("0.5"), Decimal("5E-1"), complex(0.5), Rate.HALF],
    [-1, -1.0, Decimal(-1), Fraction(-1)],
    [-2],
    [0.1, Fraction(0.1), Decimal.from_float(0.1)],
    [Decimal("0.1"), Fraction(1, 10)],
    [2**62 + 5, Decimal(2**62 + 5), Fraction(2**62 + 5)],
    [10**400, Decimal("1E+400"), Fraction(10**400)],
    [2**1023, 2.0**1023],
    [float("inf"), Decimal("Infinity"), complex(float("inf"))],
    [-float("inf"), Decimal("-Infinity")],
    [1j, complex(0, 1), complex(-0.0, 1)],
    ["", ""],
    ["a", Word.A, Text.A],
    ["1"],
    ["\udcff"],  # as a file name may be that is not UTF-8
    [b""],
    [b"a", bytes([97])],
    [Color.RED, Color.CRIMSON],
    [Color.GREEN],
    [Right.READ | Right.WRITE, Right.WRITE | Right.READ],
    [3, Bits.ONE | Bits.TWO],
    [UUID(int=1), UUID("00000000-0000-0000-0000-000000000001")],
    [date(2024, 10, 27)],
    [datetime(2024, 10, 27), datetime(2024, 10, 27, fold=1)],
    [datetime(2024, 10, 27, tzinfo=UTC), datetime(2024, 10, 27, 14, tzinfo=THERE)],
    [TWICE, TWICE.replace(fold=1)],
    [datetime.min.replace(tzinfo=THERE)],
    [()],
    [(1, "a"), (1.0, "a"), (True, Word.A), Point(1, "a"), Point(Decimal(1), "a")],
    [("a", 1)],
    [((1,), 2), (Point(1, 2)[:1], 2)],
    [(1, (2,))],
    [frozenset(), frozenset(())],
    [frozenset({1, "a"}), frozenset({"a", 1.0}), frozenset([Word.A, True])],
    [frozenset({(1, 2), (3,)}), frozenset({(3.0,), (1, 2)})],
    [Place("fr", 1), Place("fr", 1.0, note="of another")],
    [Place(1, "fr")],
    [Slotted(1), Slotted(True)],
]  # fmt: skip


@pytest.mark.parametrize(
    "row", EQUAL, ids=lambda row: type(row[0]).__name__
)  # a repr of a set differs
def test_keys_that_are_equal_hash_alike(row: list[Any]) -> None:
    for one, other in combinations(row, 2):
        assert one == other, "or the table is wrong"
        assert stable_hash(one) == stable_hash(other), (one, other)


def test_and_those_that_are_not_hash_differently_as_a_rule() -> None:
    hashes = [stable_hash(row[0]) for row in EQUAL]

    assert len(set(hashes)) == len(EQUAL)


def numbers() -> st.SearchStrategy[list[Any]]:
    """One number, as all types that can hold it."""

    def forms(number: Fraction) -> list[Any]:
        found: list[Any] = [number]
        if number.denominator == 1:
            found.append(number.numerator)
        if abs(number) < 2**1000 and Fraction(float(number)) == number:
            found += [float(number), complex(float(number)), Decimal(float(number))]
        return found

    powers = st.integers(-80, 80).map(lambda power: Fraction(2) ** power)

    def forms_of(number: Fraction, power: Fraction) -> Any:
        return forms(number * power)

    return st.builds(forms_of, st.integers().map(Fraction), powers) | st.fractions().map(forms)


leaves = (
    numbers()
    | st.text().map(lambda text: [text])
    | st.binary().map(lambda data: [data])
    | st.just([None])
    | st.uuids().map(lambda key: [key, UUID(int=key.int)])
    | st.datetimes(
        min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29), timezones=st.just(UTC)
    ).map(lambda moment: [moment, moment.astimezone(THERE), moment.astimezone(SUMMER)])
    | st.dates().map(lambda day: [day, date.fromordinal(day.toordinal())])
)


def nested(parts: st.SearchStrategy[list[Any]]) -> st.SearchStrategy[list[Any]]:
    """Several keys that are equal, of parts that are."""

    def widths(rows: list[list[Any]]) -> Iterator[list[Any]]:
        for number in range(max(map(len, rows), default=1)):
            yield [row[number % len(row)] for row in rows]

    rows = st.lists(parts, max_size=3)
    return (
        rows.map(lambda rows: [tuple(each) for each in widths(rows)])
        | rows.map(lambda rows: [frozenset(reversed(each)) for each in widths(rows)])
        | st.tuples(parts, parts).map(lambda rows: [Point(*each) for each in widths([*rows])])
        | st.tuples(parts, parts).map(lambda rows: [Place(*each) for each in widths([*rows])])
    )


@given(st.recursive(leaves, nested, max_leaves=8))
def test_any_keys_that_are_equal_hash_alike(row: list[Any]) -> None:
    for each in row[1:]:
        assert (each == row[0]) <= (stable_hash(each) == stable_hash(row[0]))


@given(st.lists(st.recursive(leaves, nested, max_leaves=4), min_size=1, max_size=5))
def test_a_hasher_that_remembers_gives_the_same_in_any_order(rows: list[list[Any]]) -> None:
    keys = [key for row in rows for key in row]
    hasher = KeyHasher(lambda hash: hash)

    expected = list(map(stable_hash, keys))
    assert hasher.all(keys) == expected
    assert hasher.all(keys[::-1]) == expected[::-1]
    assert [hasher.all([key]) for key in keys] == [[each] for each in expected]


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ([1], "list"),
        ((1, [2]), "list"),
        ({1: 2}, "dict"),
        ({1}, "set"),
        (object(), "object"),
        (timedelta(1), "timedelta"),
        (time(1), "time"),
        (Loose(1), "Loose"),
        (Folded("a"), "Folded"),
        (Own(1), "Own"),
        (len, "builtin_function_or_method"),
        (Place(1, [2]), "list"),
    ],
)
def test_a_key_without_one_is_an_error_that_says_which_types_have_one(key: Any, kind: str) -> None:
    with pytest.raises(TypeError) as caught:
        stable_hash(key)

    assert f"of type {kind}, which has no stable hash" in str(caught.value)
    assert "None, bool, int, float, complex, str, bytes, Decimal, Fraction" in str(caught.value)
    with pytest.raises(TypeError, match="no stable hash"):
        KeyHasher(lambda hash: hash).all(["good", key])


def test_what_is_no_number_has_one_place() -> None:
    nan = float("nan")

    assert len({stable_hash(each) for each in (nan, -nan, Decimal("nan"), Decimal("sNaN"))}) == 1
    assert KeyHasher(lambda hash: hash).all([nan, float("nan")]) == [stable_hash(nan)] * 2


# Written down once: a lane must not change with a version, a machine or a seed.
VECTORS: dict[Any, int] = {
    None: 5433467440488275451,
    True: 9276332426035017935,
    -7: 7362550590551115458,
    2**70: 6284905127037445931,
    0.1: 16857366742135314788,
    2.5 + 1j: 12022591174393900255,
    "": 11384039203789038975,
    "user 7": 10739982978856338647,
    "Grüße": 14208676879187299712,
    b"\x00\xff": 8885183480767372904,
    Decimal("12.34"): 3719906972535728346,
    Fraction(1, 3): 9152448826271937322,
    UUID(int=7): 11759048135863244548,
    date(2024, 2, 29): 14929479231003532389,
    datetime(2024, 2, 29, 12, 30): 976086956200729934,
    datetime(2024, 2, 29, 12, 30, tzinfo=UTC): 6184194535611616177,
    (): 3107043316775285586,
    (1, "a", None): 4182796806825720774,
    frozenset({1, 2, 3}): 975113651822610315,
    Color.GREEN: 5076823041837239829,
    Point(1, 2): 13273652359634081676,
    Place("fr", 75): 9903119513557372602,
}


@pytest.mark.parametrize("key", VECTORS, ids=lambda key: type(key).__name__)
def test_a_hash_is_what_it_has_always_been(key: Any) -> None:
    assert stable_hash(key) == VECTORS[key]


@pytest.mark.processes
@pytest.mark.parametrize("seed", ["0", "1", "random"])
def test_it_is_the_same_with_every_hash_seed(seed: str) -> None:
    code = (
        "from conveyor.items.stable_hash import stable_hash\n"
        "print([stable_hash(key) for key in ('a', ('a', 1), frozenset('abc'), 2**70, 0.1)])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )

    keys: list[Any] = ["a", ("a", 1), frozenset("abc"), 2**70, 0.1]
    assert told.stdout == f"{[stable_hash(key) for key in keys]}\n"
