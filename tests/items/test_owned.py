"""Plain things to which nobody else refers go on without a pickle; whatever somebody may still
change does not."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.core.kernels import map_slice
from conveyor.items.codec import Owned, Sealed, is_atom, seal, whole

simple = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
)
plain = st.lists(simple) | st.dictionaries(st.text() | st.integers(), simple)


def given_by(job: Callable[[Any], object], *items: object) -> list[Any]:
    out: list[object] = []
    map_slice(job, items or (0,), out)
    return out


class Record(dict[str, int]):
    pass


class Keeper:
    """Has many ways to get at what it gave."""

    def __init__(self) -> None:
        self.kept: Any = None

    def itself(self, item: int) -> object:
        self.kept = {"a": item}
        return self.kept

    def view(self, item: int) -> object:
        made = {"a": item}
        self.kept = made.values()
        return made

    def iterator(self, item: int) -> object:
        made = [item, item]
        self.kept = iter(made)
        return made

    def closure(self, item: int) -> object:
        made = {"a": item}
        self.kept = lambda: made
        return made

    def method(self, item: int) -> object:
        made = [item]
        self.kept = made.append
        return made

    def attributes(self, item: int) -> object:
        self.kept = item
        return self.__dict__

    def of_a_generator(self, item: int) -> object:
        def each() -> Any:
            made = {"a": item}
            yield made

        self.kept = each()
        return next(self.kept)


WAYS = [name for name in vars(Keeper) if not name.startswith("_")]


@pytest.mark.parametrize("way", WAYS)
def test_what_somebody_can_still_get_at_is_pickled(way: str) -> None:
    (out,) = given_by(getattr(Keeper(), way))

    assert type(out) is Sealed


NOT_SIMPLE: list[Callable[[object], object]] = [
    lambda _: {"a": [1]},
    lambda _: [[1]],
    lambda _: {"a": object},
    lambda _: Record(a=1),
    lambda _: {1, 2},
    lambda _: bytearray(b"a"),
    lambda _: [True, (1, 2)],
]


@pytest.mark.parametrize(
    "job",
    NOT_SIMPLE,
    ids=range(7),
)
def test_what_has_parts_that_can_change_or_is_no_plain_dict_or_list_is_pickled(
    job: Callable[[Any], object],
) -> None:
    (out,) = given_by(job)

    assert type(out) is Sealed


@given(plain)
def test_a_plain_thing_that_is_new_is_not_pickled_and_opens_as_it_is(value: Any) -> None:
    (out,) = given_by(lambda _: value.copy())

    assert type(out) is Owned
    assert out.open() == value
    assert type(out.open()) is type(value)
    assert pickle.loads(out.data) == value


def test_an_item_that_is_given_back_is_not_pickled() -> None:
    def change(item: Any) -> Any:
        item["b"] = 2
        return item

    out: list[object] = []
    map_slice(change, (each.open() for each in [seal({"a": 1})]), out)

    assert [type(each) for each in out] == [Owned]


def test_each_opening_gives_a_copy_of_its_own() -> None:
    (out,) = given_by(lambda _: {"a": 1})
    one = out.open()
    one["a"] = 2

    assert out.open() == {"a": 1}
    assert whole(out) is out


@given(st.lists(plain, max_size=4), st.lists(st.integers(0, 5), max_size=8))
def test_a_job_that_gives_the_same_thing_again_and_changes_it_is_not_seen_to_do_so(
    things: list[Any], picks: list[int]
) -> None:
    """The model: each result is copied when it is given."""
    seen: list[Any] = []

    def job(pick: int) -> Any:
        thing: Any = things[pick % len(things)] if things else [pick]
        if hasattr(thing, "append"):
            thing.append(pick)
        else:
            thing[pick] = pick
        seen.append(thing.copy())
        return thing

    out = given_by(job, *picks) if picks else []

    assert [each.open() for each in out] == seen
    assert not any(is_atom(each) for each in out)
