"""Arrays through real pipelines: each job has its own, or looks at it in place, and none is lost on
any way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
import pytest

from conveyor import BalancingFork, Filter, FlatMap, Join, Pipe, Processor, ReplicatingFork, Zip
from tests.helpers import eventually, pipeline

pytestmark = pytest.mark.processes

LARGE = 10_000  # numbers; 80 kB
ITEMS = 60


def numbered(item: int) -> Any:
    return np.full(LARGE, float(item))


def add_one_in_place(array: Any) -> Any:
    array += 1.0
    return array


def copied(array: Any) -> Any:
    return array.copy()


def first(array: Any) -> float:
    assert (array == array[0]).all()
    return float(array[0])


def sum_of_pair(pair: tuple[Any, Any]) -> float:
    return first(pair[0]) + first(pair[1])


def halves(array: Any) -> Iterator[Any]:
    yield array[: LARGE // 2]
    yield array[LARGE // 2 :]


class SameArrayAgain(Processor[Any, Any]):
    """Gives one array for every item, which it changes after it has given it."""

    def setup(self) -> None:
        self.array = np.zeros(LARGE)

    def process(self, item: Any, /) -> Any:
        self.array[:] = first(item)
        return self.array


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("start_method", ["fork", "forkserver", "spawn"])
def test_arrays_come_out_as_they_went_in(start_method: str, read_only: bool) -> None:
    pl = (
        pipeline(start_method)
        .add(Processor(abs, read_only=read_only))
        .add(Filter(np.any, read_only=read_only))
        .add(Pipe())
    )

    assert [first(array) for array in pl.run(map(numbered, range(ITEMS)))] == list(range(1, ITEMS))


def test_a_lane_that_changes_its_array_is_not_seen_in_another() -> None:
    pl = (
        pipeline()
        .add(ReplicatingFork(2))
        .add(Processor(add_one_in_place), Processor(first, read_only=True))
    )
    pl.add(Processor(first), Pipe()).add(Zip(2))

    assert pl.run(map(numbered, range(ITEMS))) == [(item + 1.0, item) for item in range(ITEMS)]


def test_an_array_that_is_changed_after_it_was_given_stays_as_it_was_given() -> None:
    pl = pipeline().add(SameArrayAgain()).add(Processor(first, read_only=True))

    assert pl.run(map(numbered, range(ITEMS))) == list(range(ITEMS))


def test_an_array_in_place_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        pipeline().add(Processor(add_one_in_place, read_only=True)).run([numbered(1)])


@pytest.mark.parametrize("fork", [ReplicatingFork, BalancingFork])
def test_arrays_keep_their_order_through_an_ordered_join(fork: Any) -> None:
    pl = (
        pipeline()
        .add(fork(2))
        .add(Processor(add_one_in_place), Processor(add_one_in_place))
        .add(Join(2, ordered=True))
    )
    times = 2 if fork is ReplicatingFork else 1

    assert list(map(first, pl.run(map(numbered, range(ITEMS))))) == [
        item + 1 for item in range(ITEMS) for _ in range(times)
    ]


def test_arrays_are_zipped_and_sent_on_in_pairs() -> None:
    pl = pipeline().add(ReplicatingFork(2)).add(Processor(add_one_in_place), Pipe()).add(Zip(2))
    pl.add(ReplicatingFork(2)).add(
        Processor(sum_of_pair), Processor(sum_of_pair, read_only=True)
    ).add(Zip(2))

    assert pl.run(map(numbered, range(ITEMS))) == [
        (2 * item + 1.0, 2 * item + 1.0) for item in range(ITEMS)
    ]


@pytest.mark.parametrize("read_only", [False, True])
def test_parts_of_an_array_go_on_as_items_of_their_own(read_only: bool) -> None:
    pl = pipeline().add(FlatMap(halves, read_only=read_only)).add(Processor(first))

    assert pl.run(map(numbered, range(ITEMS))) == [item for item in range(ITEMS) for _ in range(2)]


def test_an_array_that_is_larger_than_all_the_memory_for_arrays_goes_through_by_itself() -> None:
    pl = pipeline().add(Processor(copied, read_only=True)).add(Processor(len, read_only=True))

    assert pl.run([np.zeros(20_000_000), np.zeros(5)]) == [20_000_000, 5]


def test_an_item_is_pickled_once_for_all_lanes() -> None:
    class Counted:
        pickled = 0

        def __reduce__(self) -> tuple[type[int], tuple[int]]:
            Counted.pickled += 1
            return int, (7,)

    pl = pipeline().add(ReplicatingFork(3)).add(Pipe(), Pipe(), Pipe()).add(Zip(3))

    assert pl.run([Counted()] * 5) == [(7, 7, 7)] * 5
    assert Counted.pickled == 5


def test_arrays_that_nobody_takes_stop_the_source() -> None:
    pulled = 0

    def source() -> Iterator[Any]:
        nonlocal pulled
        for number in count():
            pulled = number
            yield np.full(1 << 17, float(number))  # 1 MiB

    with pipeline().add(Processor(copied)).add(Processor(copied)).stream(source()) as stream:
        assert [first(next(stream)) for _ in range(5)] == [0, 1, 2, 3, 4]

        def has_stopped() -> bool:
            before = pulled
            time.sleep(0.2)
            return pulled == before

        eventually(has_stopped)  # the number of items alone would let 16,000 in

    assert pulled < 5 + 3 * 64 + 10
