"""Values and pipelines of unusual size: ranges beyond any index, tuples deep within one another,
hundreds of stages."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor import Processor
from conveyor.core.kernels import quick_loop
from conveyor.items.atoms import is_atom
from tests.helpers import pipeline
from tests.jobs import same

HUGE = 2**63


@pytest.mark.parametrize(
    "items",
    [
        range(HUGE - 1),
        range(HUGE),
        range(-1, 2**70),
        range(0, -(2**70), -(2**3)),
        range(HUGE, 2**64),
    ],
)
def test_a_range_may_be_longer_than_any_index(items: range) -> None:
    with pipeline().add(Processor(same)).stream(items) as stream:
        first: list[object] = [next(stream) for _ in range(5)]
    assert first == list(items[:5])


def test_a_short_range_of_large_numbers_is_a_range() -> None:
    items = range(2**70, 2**70 + 2**68, 2**65)

    assert pipeline().add(Processor(same)).run(items) == list(items)


def plus_one(number: Any) -> object:
    return number + 1


def increment(number: int) -> int:
    return number + 1


def increment_or_drop(number: int) -> int | None:
    return number + 1 or None


def nested(depth: int) -> object:
    item: object = ()
    for _ in range(depth):
        item = (item,)
    return item


def depth_of(item: tuple[object, ...]) -> int:
    depth = 0
    while item:
        (item,) = item  # type: ignore[assignment]  # it is a tuple, too
        depth += 1
    return depth


@pytest.mark.parametrize("depth", [5, 19, 20, 21, 22, 100, 480])
def test_tuples_may_lie_deep_in_one_another_as_lists_may(depth: int) -> None:
    for run in (pipeline().add(Processor(same)).run, pipeline().add(Processor(same)).simulate):
        (result,) = run([nested(depth)])
        assert depth_of(result) == depth


def test_a_tuple_without_a_list_in_it_is_an_atom_as_long_as_it_is_not_deep() -> None:
    assert is_atom(nested(10))
    assert is_atom((1, (2, ("a", (None,)))))
    assert not is_atom((1, (2, [3])))
    assert not is_atom(nested(10**5))


@given(st.integers(1, 400), st.lists(st.integers(), max_size=5))
def test_any_number_of_slight_jobs_is_one_loop(jobs: int, items: list[int]) -> None:
    loop = quick_loop(*[plus_one] * jobs)

    assert loop is not None
    assert loop([*items]) == [item + jobs for item in items]


def test_hundreds_of_slight_jobs_share_a_worker() -> None:
    pl = pipeline()
    for _ in range(260):
        pl.add(Processor(increment))

    assert pl.run([0, 1]) == [260, 261]


def test_hundreds_of_jobs_that_may_drop_an_item_share_a_worker() -> None:
    pl = pipeline()
    for _ in range(260):
        pl.add(Processor(increment_or_drop))

    assert pl.run([0, -100]) == [260]
