"""How items are pulled: never further than asked, and what goes wrong in the source comes at its
turn."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from conveyor.errors import NotPicklable
from conveyor.items.sealing import Sealed
from conveyor.items.slices import opened
from conveyor.runtime.step.source import LARGEST_BYTES, MOST_SEALED, SAMPLED, Puller


def two_and_then(error: BaseException) -> Iterator[int]:
    yield 1
    yield 2
    raise error


def test_what_came_before_an_error_of_the_source_is_given_first() -> None:
    puller = Puller(two_and_then(OSError("gone")))

    assert puller.pull(5) == [1, 2]
    with pytest.raises(OSError, match="gone"):
        puller.pull(5)


def test_an_interrupt_waits_for_nothing() -> None:
    puller = Puller(two_and_then(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        puller.pull(5)


@pytest.mark.parametrize(
    "items",
    [[1, 2, 3], (1, 2, 3), range(1, 4), iter([1, 2, 3])],
    ids=lambda items: type(items).__name__,
)
def test_items_come_in_slices_until_there_are_no_more(items: list[int]) -> None:
    puller = Puller(items)

    assert (puller.pull(2), puller.exhausted) == ([1, 2], False)
    assert (puller.pull(2), puller.exhausted) == ([3], True)


@dataclass
class Point:
    x: int
    y: object


class Pair(NamedTuple):
    left: int
    right: str


LOCKED = Point(1, threading.Lock())
KINDS: list[st.SearchStrategy[object]] = [
    st.integers(),
    st.tuples(st.integers(), st.text()),
    st.builds(Point, st.integers(), st.none() | st.lists(st.integers(), max_size=2)),
    st.builds(Pair, st.integers(), st.text()),
    st.fixed_dictionaries({"a": st.integers(), "b": st.text()}),
    st.just(bytearray(b"x")),
    st.just(LOCKED),
]
# As a rule a source gives many of one kind, one after the other.
runs_of_one_kind = st.lists(
    st.sampled_from(KINDS).flatmap(lambda kind: st.lists(kind, max_size=3 * SAMPLED)), max_size=4
).map(lambda runs: [item for run in runs for item in run])


def pulled(puller: Puller, n: int) -> tuple[list[list[object]], str]:
    """All slices, opened, with how many are tight; and what was said at the end."""
    slices: list[list[object]] = []
    try:
        while not puller.exhausted:
            items = puller.pull(n)
            sealed = [isinstance(item, Sealed) for item in items]
            assert all(sealed) or not any(sealed)
            slices.append([*opened(items)])
    except NotPicklable as error:
        return slices, "".join(error.__notes__)
    return slices, ""


@given(runs_of_one_kind, st.integers(1, 5 * SAMPLED))
@example([*[Point(1, None)] * SAMPLED, LOCKED], 2 * SAMPLED)
def test_a_list_is_pulled_as_an_iterator_over_it_is(items: list[object], n: int) -> None:
    at_once, one_by_one = pulled(Puller(items), n), pulled(Puller(iter(items)), n)

    assert [*filter(None, at_once[0])] == [*filter(None, one_by_one[0])]
    assert at_once[1] == one_by_one[1]


def test_a_slice_of_large_records_is_no_longer_than_it_must_be() -> None:
    items = [Point(number, "x" * LARGEST_BYTES) for number in range(10 * SAMPLED)]
    puller = Puller(items)

    assert len(puller.pull(len(items))) <= 2 * SAMPLED
    assert puller.to_come() >= 8 * SAMPLED


def test_a_slice_of_records_is_short_enough_for_others_to_begin_with_it() -> None:
    items = [Point(number, None) for number in range(2 * MOST_SEALED + 1)]
    puller = Puller(items)
    slices: list[list[object]] = []
    while not puller.exhausted:
        slices.append([*opened(puller.pull(len(items)))])

    assert [len(each) for each in slices] == [MOST_SEALED, MOST_SEALED, 1]
    assert [item for each in slices for item in each] == items
