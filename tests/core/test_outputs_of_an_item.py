"""What comes out of a flat-map is the same whether its job gives a generator, a list or a tuple, of
which it takes many outputs at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.core.job_node import ALONE, JobNode
from conveyor.core.nodes import node_for
from conveyor.core.stamps import MARK
from conveyor.items.sealing import Sealed
from conveyor.stages import FlatMap
from tests.lingers import Told

outputs = st.lists(
    st.integers(0, 3)
    | st.none()
    | st.text(max_size=2)
    | st.tuples(st.integers())
    | st.lists(st.integers(), max_size=2)
    | st.fixed_dictionaries({"a": st.integers()}),
    max_size=40,
) | st.lists(st.integers(), max_size=40)
FORMS = (list, tuple, iter)


def node_of(job: Any, late: list[bool] | None = None, rooms: Sequence[int] = (1_000,)) -> JobNode:
    """A node of a flat-map; `rooms`: for how many outputs there is room, each time that it asks."""
    linger, room = None if late is None else Told(late), cycle(rooms)
    around = ALONE._replace(linger=linger, room=lambda: next(room))
    return node_for(FlatMap(job), "stage", print, around)


def plain(out: Iterable[object]) -> list[Any]:
    return [each.open() if isinstance(each, Sealed) else each for each in out]


def one_by_one(given: list[Any]) -> Iterator[Any]:
    yield from given


@given(
    st.lists(outputs, min_size=1, max_size=4),
    st.sampled_from(FORMS),
    st.integers(1, 50),
    st.integers(0, 40),
    st.booleans(),
)
def test_a_list_is_cut_as_a_generator_of_the_same_outputs(
    items: list[list[Any]], form: Any, limit: int, skip: int, keeps_marks: bool
) -> None:
    skip = min(skip, len(items[0]))
    by_generator, at_once = node_of(one_by_one), node_of(form)
    if keeps_marks:
        by_generator.keep_marks()
        at_once.keep_marks()

    expected = [(plain(out), *ends) for out, *ends in by_generator(list(items), skip, limit)]
    there = list(at_once(list(items), skip, limit))

    assert [(plain(out), *ends) for out, *ends in there] == expected
    assert at_once.tally == by_generator.tally
    for out, *_ in there:
        kinds = {isinstance(each, Sealed) for each in out if each is not None or not keeps_marks}
        assert len(kinds) < 2, "sealed and not, in one slice"


@given(
    st.lists(outputs, min_size=1, max_size=4),
    st.sampled_from(FORMS),
    st.integers(1, 50),
    st.none() | st.lists(st.booleans(), max_size=12),
    st.lists(st.integers(0, 50), min_size=1, max_size=4),
    st.booleans(),
)
def test_each_piece_says_how_far_it_comes_however_late_it_is_and_whatever_room_there_is(
    items: list[list[Any]],
    form: Any,
    limit: int,
    late: list[bool] | None,
    rooms: list[int],
    keeps_marks: bool,
) -> None:
    node = node_of(form, late, rooms)
    if keeps_marks:
        node.keep_marks()
    expected = [one or [MARK] for one in items] if keeps_marks else items
    given_out: list[object] = []
    for out, done, extra in node(list(items), 0, limit):
        given_out += plain(out)
        assert len(out) <= limit
        assert given_out == [each for one in expected[:done] for each in one] + (
            expected[done][:extra] if extra else []
        )
    assert given_out == [each for one in expected for each in one]


@pytest.mark.parametrize("count", [3, 30])
def test_a_generator_that_changes_what_it_gave_has_given_what_it_was(count: int) -> None:
    def job(item: int) -> Iterator[list[int]]:
        there: list[int] = []
        for number in range(item):
            there.append(number)
            yield there

    ((out, _, _),) = node_of(job)([count], 0, 100)

    assert plain(out) == [list(range(number + 1)) for number in range(count)]


def test_one_list_given_thirty_times_is_thirty_lists() -> None:
    def job(item: list[int]) -> list[list[int]]:
        return [item] * 30

    ((out, _, _),) = node_of(job)([[1]], 0, 100)

    opened = plain(out)
    assert opened == [[1]] * 30
    assert len(set(map(id, opened))) == 30


@pytest.mark.parametrize("form", FORMS)
def test_what_cannot_be_pickled_fails_behind_the_outputs_before_it(form: Any) -> None:
    given: list[Any] = [*range(20), print, lambda: 0, 1]
    pieces = node_of(form)([given], 0, 100)
    assert isinstance(pieces, Iterator)

    out, done, extra = next(pieces)
    assert (len(out), done, extra) == (21, 0, 21)
    with pytest.raises(Exception, match="item 0"):
        next(pieces)


def test_a_job_that_is_left_in_the_middle_is_closed_and_not_gone_on_with() -> None:
    closed: list[int] = []

    def job(item: int) -> Iterator[int]:
        try:
            for _ in range(5):
                yield item
        finally:
            closed.append(item)

    node = node_of(job)
    pieces = node([1], 0, 2)
    assert isinstance(pieces, Iterator)
    next(pieces)
    getattr(pieces, "close")()  # noqa: B009

    assert closed == [1]
    assert [plain(out) for out, *_ in node([2], 0, 5)] == [[2] * 5]
