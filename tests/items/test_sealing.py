"""What an item looks like between two processors."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.errors import NotPicklable
from conveyor.items.atoms import is_atom
from conveyor.items.sealing import Bundle, Sealed, seal
from conveyor.items.short_repr import message_of, short_repr
from conveyor.items.slices import all_sealed, opened, uniform, whole

simple = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text()
    | st.binary()
)


def tuples_of(items: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(items, max_size=3).map(tuple)


class Number(int):
    """A number that somebody may hang something on."""


class Unloadable:
    """Goes into a pickle, and never comes back."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return int, ("no number",)


class Shy:
    def __repr__(self) -> str:
        raise ValueError("not seen")


def nested(item: object, depth: int) -> object:
    """An item inside of so many tuples."""
    for _ in range(depth):
        item = (item,)
    return item


def kind_of(item: object) -> str:
    return type(item).__name__


BARE: list[object] = [
    [],
    {},
    set(),
    frozenset({1}),
    bytearray(b"a"),
    object(),
    Number(1),
    range(3),
    int,
]
CHANGEABLE: list[object] = [*BARE, *((1, item) for item in BARE), nested([], 4)]


@given(
    simple
    | tuples_of(simple)
    | tuples_of(tuples_of(simple))
    | tuples_of(simple | tuples_of(tuples_of(simple)))
)
def test_what_cannot_change_is_an_atom(item: object) -> None:
    assert is_atom(item)


@pytest.mark.parametrize("item", CHANGEABLE, ids=kind_of)
def test_what_can_change_or_might_is_none(item: object) -> None:
    assert not is_atom(item)


@pytest.mark.parametrize("depth", range(8))
def test_tuples_are_looked_into_however_deep_they_are(depth: int) -> None:
    assert is_atom(nested(1, depth))
    assert not is_atom(nested([], depth))


def test_each_opening_gives_a_copy_of_its_own() -> None:
    item = [1, [2]]
    sealed = seal(item)
    item.append(3)
    one, other = sealed.open(), sealed.open()

    assert one == other == [1, [2]]
    assert one is not other


def test_what_cannot_be_pickled_is_shown() -> None:
    with pytest.raises(
        NotPicklable,
        match=r"<function .*<lambda> at .*cannot be pickled.*send something that can be",
    ):
        seal(lambda: None)


def test_what_cannot_be_unpickled_says_why() -> None:
    with pytest.raises(
        NotPicklable, match="cannot be unpickled: ValueError: invalid literal"
    ) as failed:
        seal(Unloadable()).open()

    assert isinstance(failed.value.__cause__, ValueError)


@given(st.lists(simple | st.lists(simple, max_size=2).map(seal), max_size=6))
def test_a_slice_has_sealed_items_only_or_none(items: list[object]) -> None:
    made = uniform(items)

    assert len({isinstance(item, Sealed) for item in made}) < 2
    assert [repr(each) for each in opened(made)] == [
        repr(x.open() if isinstance(x, Sealed) else x) for x in items
    ]


def test_a_slice_that_is_uniform_stays_the_same_list() -> None:
    atoms: list[object] = [1, 2]
    sealed: list[object] = [seal([1]), seal([2])]

    assert uniform(atoms) is atoms
    assert uniform(sealed) is sealed
    assert uniform([]) == []


def test_a_bundle_opens_part_by_part() -> None:
    bundle = Bundle((1, seal([2]), "c"))
    one: Any = bundle.open()
    one[1].append(3)

    assert bundle.open() == (1, [2], "c")


def test_a_bundle_travels_as_one_item() -> None:
    bundle = Bundle((1, seal([2])))

    assert type(whole(bundle)) is not Bundle
    assert pickle.loads(whole(bundle).data) == (1, [2])
    assert [each.open() for each in map(whole, all_sealed([bundle, 5, seal("x")]))] == [
        (1, [2]),
        5,
        "x",
    ]


def test_items_are_opened_when_their_turn_comes() -> None:
    items = iter(opened([seal([1]), seal(Unloadable())]))

    assert next(items) == [1]
    with pytest.raises(NotPicklable):
        next(items)


def test_atoms_are_not_touched() -> None:
    items: list[object] = [1, 2]

    assert opened(items) is items
    assert list(opened([])) == []
    assert list(opened([seal(1), 2])) == [1, 2]


def test_a_repr_is_cut_to_fit_a_message() -> None:
    assert short_repr("a" * 78) == repr("a" * 78)
    assert all(
        len(short_repr(item)) <= 80
        for item in ("a" * 1000, [["b"] * 1000] * 1000, 10**5000, object())
    )
    assert short_repr([1, 2, 3], 6) == "[1,..."


class Leaving(Exception):
    """An error whose words would leave the program."""

    def __str__(self) -> str:
        raise SystemExit(3)

    __repr__ = __str__


def test_a_repr_that_raises_says_so() -> None:
    assert "Shy" in short_repr(Shy())


def test_words_that_would_leave_the_program_are_told_as_what_they_raise() -> None:
    assert short_repr(Leaving()) == "<Leaving whose repr raised SystemExit>"
    assert message_of(Leaving()) == "<Leaving whose str raised SystemExit>"
