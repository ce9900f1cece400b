"""Two values are alike if nothing that lasts tells them apart; an exploration counts outcomes by
that."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor import Join, Pipeline, Processor, ReplicatingFork
from conveyor.sim.code.perturbed import reordered
from conveyor.sim.determinism.likeness import Outputs, alike, glance, same_error

WORDS = ("to", "be", "or", "not", "that", "is", "the", "question")
NAN = float("nan")
OTHERWISE = reordered(set(WORDS))


class Plain:
    def __init__(self, value: object) -> None:
        self.value = value


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


@dataclass
class Record:
    value: object
    note: object = field(default=None, compare=False)


@dataclass(frozen=True)
class Frozen:
    value: object


class Named(NamedTuple):
    value: object
    tags: frozenset[str] = frozenset(WORDS)


class Cyclic:
    def __init__(self) -> None:
        self.words = set(WORDS)
        self.me = [self]


def keyed(value: object) -> object:
    return {"key": value}


def listed(value: object) -> object:
    return [value]


WRAPPERS: list[Any] = [Plain, Slotted, Record, Frozen, Named, keyed, listed]
PAIRS: list[tuple[Any, Any]] = [
    (np.arange(5000), np.where(np.arange(5000) == 2500, 0, np.arange(5000))),
    (np.arange(3), np.arange(3.0)),
    (np.array([1.0, NAN]), np.array([NAN, 1.0])),
    (set(WORDS), {*WORDS, "more"}),
    (NAN, 1.0),
    (1, True),
    (1, 1.0),
    ("1", b"1"),
    ((1,), [1]),
]


@pytest.mark.parametrize("wrap", WRAPPERS)
@pytest.mark.parametrize("pair", PAIRS)
def test_a_copy_is_the_same_outcome_and_another_value_is_not_wherever_it_stands(
    wrap: Any, pair: tuple[Any, Any]
) -> None:
    one, other = pair
    copy = pickle.loads(pickle.dumps(one))
    assert alike(wrap(one), wrap(copy))
    assert len({Outputs([wrap(one)]), Outputs([wrap(copy)]), Outputs([wrap(other)])}) == 2


atoms = (
    st.integers()
    | st.booleans()
    | st.floats()
    | st.text(max_size=3)
    | st.binary(max_size=3)
    | st.none()
)
hashables = st.recursive(
    atoms, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=6
)
values = st.recursive(
    hashables,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(hashables, inner, max_size=3)
        | st.sets(hashables, max_size=3)
        | st.builds(Plain, inner)
        | st.builds(Slotted, inner)
        | st.builds(Record, inner)
        | st.builds(Named, inner)
    ),
    max_leaves=8,
)


@given(st.lists(values, max_size=4))
def test_an_outcome_and_its_copy_are_one(outputs: list[object]) -> None:
    copy: list[object] = pickle.loads(pickle.dumps(outputs))
    assert alike(outputs, copy)
    assert len({Outputs(outputs), Outputs(copy)}) == 1


@given(
    st.lists(st.integers() | st.text(max_size=3) | st.tuples(st.integers(), st.none()), max_size=4)
)
def test_an_outcome_is_found_by_a_tuple(outputs: list[object]) -> None:
    assert tuple(outputs) in {Outputs(outputs)}
    assert {Outputs(outputs)} == {tuple(outputs)}


def test_frozen_items_find_their_outcome_too() -> None:
    assert (Frozen(1), Decimal("1.5")) in {Outputs([Frozen(1), Decimal("1.5")])}


def test_what_contains_itself_is_alike() -> None:
    assert alike(Cyclic(), Cyclic())
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    assert alike(deep, deep[:])


def test_what_does_not_count_does_not_tell_apart() -> None:
    assert alike([Record(NAN, note=1)], [Record(NAN, note=2)])
    assert alike(OrderedDict([(1, NAN)]), OrderedDict([(1, NAN)]))
    assert alike({"a": 1, "b": set(WORDS)}, {"b": OTHERWISE, "a": 1})
    assert alike([lambda: 1], [lambda: 1])


def test_errors_are_told_apart_by_class_and_what_they_say() -> None:
    assert same_error(KeyError(set(WORDS)), KeyError(OTHERWISE))
    assert not same_error(KeyError("a"), ValueError("a"))
    assert not same_error(KeyError("a"), None)
    assert same_error(None, None)
    traced = "x\nTraceback (most recent call last):\n line "
    assert same_error(ValueError(f"{traced}1"), ValueError(f"{traced}2"))


COUNTS: dict[str, tuple[Any, Any, int]] = {
    "what can be told apart": ("a", "b", 6),
    "1 and True": (1, True, 6),
    "1 and 1.0": (1, 1.0, 6),
    "no numbers": (NAN, float("nan"), 1),
    "a number and none": (NAN, 1.0, 6),
    "objects that are alike": (Plain(1), Plain(1), 1),
    "objects that are not": (Plain(1), Plain(2), 6),
    "records of no numbers": (Record(NAN), Record(float("nan")), 1),
    "frozen records of no numbers": (Frozen(NAN), Frozen(float("nan")), 1),
    "sets": (set(WORDS), OTHERWISE, 1),
    "dicts": ({"a": 1, "b": 2}, {"b": 2, "a": 1}, 1),
    "large arrays": (*PAIRS[0], 6),
    "large arrays that are alike": (np.arange(5000), np.arange(5000), 1),
}


def given_back(value: object, item: int) -> object:
    return value


@pytest.mark.parametrize("case", COUNTS)
def test_an_exploration_counts_what_can_be_told_apart(case: str) -> None:
    first, second, orders = COUNTS[case]
    lanes = [
        Processor(partial(given_back, each), name=name)
        for name, each in (("one", first), ("two", second))
    ]
    pl: Any = Pipeline[int]().add(ReplicatingFork(2)).add(*lanes).add(Join(2))
    found = pl.explore([1, 2], strategy="exhaustive")
    assert (found.failure, found.classes, len(found.outputs)) == (None, 6, orders)


LARGE: Any = list(range(10**5))
TABLE: Any = dict.fromkeys(range(10**5), 0)
MEMBERS: Any = set(range(10**5))
INNER: Any = [3]
SMALL: Any = {1: 1}
ARRAY: Any = np.zeros(3)
CHANGES: list[tuple[Any, Any]] = [
    (LARGE, partial(LARGE.append, 1)),
    (TABLE, partial(TABLE.update, {-1: 0})),
    (SMALL, partial(SMALL.update, {1: 2})),
    ([1, [2, INNER]], partial(INNER.append, 4)),
    (Plain(INNER), partial(INNER.append, 5)),
    (ARRAY, partial(ARRAY.fill, 1)),
    (MEMBERS, partial(MEMBERS.add, -1)),
]


@pytest.mark.parametrize(("thing", "change"), CHANGES)
def test_a_change_is_seen_at_a_glance(thing: Any, change: Any) -> None:
    before = glance(thing)
    assert glance(thing) == before
    change()
    assert glance(thing) != before


class RefusesToBeAKey:
    def __hash__(self) -> int:
        raise ValueError("no key")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RefusesToBeAKey)


def test_an_item_whose_hash_raises_whatever_it_likes_can_be_searched() -> None:
    pl = Pipeline[RefusesToBeAKey]().add(Processor(lambda item: [item]))
    found = pl.explore([RefusesToBeAKey(), RefusesToBeAKey()], lambda run: len(run) == 2)
    assert found.failure is None


class ShowsNothing(RefusesToBeAKey):
    """Neither a key nor to be written out."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __repr__(self) -> str:
        raise RuntimeError("nothing to see")


def test_results_that_cannot_be_written_out_either_are_told_apart_by_what_they_hold() -> None:
    pl = (
        Pipeline[int]()
        .add(ReplicatingFork(2))
        .add(Processor(ShowsNothing), Processor(lambda item: ShowsNothing(-item)))
        .add(Join(2))
    )

    found = pl.explore([1, 2], strategy="exhaustive")

    assert found.failure is None
    assert (found.classes, len(found.outputs)) == (6, 6)
