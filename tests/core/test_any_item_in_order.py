"""Any item, None too, comes out of an ordered join: stages that look at nothing, beside plain
recursion."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor import BalancingFork, Filter, FlatMap, Join, Pipe, ReplicatingFork
from tests.helpers import pipeline
from tests.model import side_by_side

json_like = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=3)
    | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=3,
)
items = st.lists(st.none() | json_like, max_size=8)


def every(item: Any) -> bool:
    return True


def some(item: Any) -> bool:
    return zlib.crc32(repr(item).encode()) % 3 > 0


def none_too(item: Any) -> list[Any]:
    return [item, None] if some(item) else [None]


@dataclass(frozen=True)
class Nest:
    """A fork of two lanes, and their ordered join."""

    fork: str
    lanes: tuple[Lane, Lane]


Lane: TypeAlias = "tuple[str | Nest, ...]"


@st.composite
def lanes(draw: st.DrawFn, depth: int = 2) -> Lane:
    parts = st.sampled_from(["pipe", "every", "some", "none_too"])
    found: list[str | Nest] = []
    for _ in range(draw(st.integers(1, 2))):
        found.append(draw(nests(depth - 1)) if depth and draw(st.booleans()) else draw(parts))
    return tuple(found)


@st.composite
def nests(draw: st.DrawFn, depth: int = 1) -> Nest:
    fork = draw(st.sampled_from(["balance", "replicate"]))
    first = draw(lanes(depth))
    return Nest(fork, (first, draw(lanes(depth)) if fork == "replicate" else first))


def rows(lane: Lane) -> list[list[Any]]:
    return [row for part in lane for row in rows_of(part)]


def rows_of(part: str | Nest) -> list[list[Any]]:
    if isinstance(part, Nest):
        fork = BalancingFork if part.fork == "balance" else ReplicatingFork
        return [
            [fork(2)],
            *side_by_side([rows(lane) for lane in part.lanes]),
            [Join(2, ordered=True)],
        ]
    made: dict[str, Any] = {
        "pipe": Pipe(3),
        "every": Filter(every),
        "some": Filter(some),
        "none_too": FlatMap(none_too),
    }
    return [[made[part]]]


def built(lane: Lane, pl: Any) -> Any:
    for row in rows(lane):
        pl.add(*row)
    return pl


def come_of(lane: Lane, item: Any) -> list[Any]:
    found = [item]
    for part in lane:
        found = [out for each in found for out in come_of_in(part, each)]
    return found


def come_of_in(part: str | Nest, item: Any) -> list[Any]:
    if isinstance(part, Nest):
        ways = part.lanes if part.fork == "replicate" else part.lanes[:1]
        return [out for lane in ways for out in come_of(lane, item)]
    gives = {
        "pipe": [item],
        "every": [item],
        "some": [item] if some(item) else [],
        "none_too": none_too(item),
    }
    return gives[part]


def expected(lane: Lane, given: Sequence[Any]) -> str:
    return repr([out for item in given for out in come_of(lane, item)])


@settings(deadline=None, max_examples=150)
@given(nests(), items, st.integers(0, 5))
def test_a_simulation_gives_any_item_back_in_the_order_of_the_fork(
    nest: Nest, given: list[Any], seed: int
) -> None:
    assert repr(list(built((nest,), pipeline()).simulate(given, seed=seed))) == expected(
        (nest,), given
    )


@pytest.mark.processes
@settings(deadline=None, max_examples=8)
@given(nests(depth=0), items)
def test_a_run_gives_any_item_back_in_the_order_of_the_fork(nest: Nest, given: list[Any]) -> None:
    assert repr(list(built((nest,), pipeline("fork")).run(given))) == expected((nest,), given)


@pytest.mark.processes
def test_an_item_that_is_none_passes_an_adapting_fork() -> None:
    pl = pipeline("fork").add(BalancingFork(max_lanes=2)).add(Filter(every)).add(Join(ordered=True))

    assert list(pl.run([None, 1, None, 2])) == [None, 1, None, 2]


def test_a_stream_gives_items_that_are_none() -> None:
    pl = pipeline("fork").add(BalancingFork(2)).add(Pipe(), Pipe()).add(Join(2, ordered=True))

    with pl.stream(iter([None, 0, None])) as stream:
        assert list(stream) == [None, 0, None]
