"""Large buffers beside their pickles: who gets which memory, and who never does."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.errors import NotPicklable
from conveyor.items.sealing import (
    LARGE,
    Copied,
    Pickled,
    Recycler,
    Sealed,
    in_place,
    seal,
    sealer,
)

large = LARGE // 8


def array(*values: float) -> Any:
    return np.resize(np.array(values), large)


def same(one: Any, other: Any) -> bool:
    return bool(np.array_equal(one, other))


def test_a_large_array_is_kept_beside_its_pickle_and_a_small_one_in_it() -> None:
    assert len(seal(array(1.0)).buffers) == 1
    assert len(seal(array(1.0)).data) < 1000
    assert len(seal(np.zeros(large - 1)).buffers) == 0


def test_a_sealed_array_does_not_change_with_the_one_that_was_sealed() -> None:
    original = array(1.0, 2.0)
    sealed = seal(original)
    original[:] = 3.0

    assert same(sealed.open(), array(1.0, 2.0))


@pytest.mark.parametrize("take", [bytearray, Recycler()])
def test_whoever_opens_an_array_may_change_it_and_nobody_else_sees_it(
    take: Callable[[memoryview], object],
) -> None:
    sealed = seal(array(1.0))
    one: Any = sealed.open(take)
    one[:] = 2.0

    assert same(sealed.open(take), array(1.0))


def test_in_place_an_array_is_read_where_it_lies_and_cannot_be_changed() -> None:
    sealed = seal(array(1.0))
    opened: Any = sealed.open(in_place)

    assert np.shares_memory(opened, np.frombuffer(sealed.buffers[0].view))
    with pytest.raises(ValueError, match="read-only"):
        opened[0] = 2.0


def test_an_array_that_was_read_only_stays_so() -> None:
    original = array(1.0)
    original.flags.writeable = False

    opened: Any = seal(original).open()
    assert not opened.flags.writeable


@given(st.lists(st.tuples(st.sampled_from([large, large + 1]), st.integers(0, 6)), max_size=40))
def test_memory_is_never_used_again_while_somebody_still_has_it(
    steps: list[tuple[int, int]],
) -> None:
    recycler = Recycler()
    held: list[tuple[Any, float]] = []
    for number, (size, kept) in enumerate(steps):
        held.append((seal(np.full(size, float(number))).open(recycler), float(number)))
        del held[: max(0, len(held) - kept)]
        assert all((each == value).all() for each, value in held)


def test_memory_is_used_again_once_nobody_has_it() -> None:
    recycler = Recycler()
    places: set[int] = set()
    for number in range(10):
        opened: Any = seal(array(float(number))).open(recycler)
        places.add(opened.ctypes.data)
        del opened

    assert len(places) == 1


def test_a_part_of_an_array_keeps_its_memory() -> None:
    recycler = Recycler()
    opened: Any = seal(array(1.0)).open(recycler)
    part = opened[5:7]
    del opened
    seal(array(2.0)).open(recycler)

    assert (part == 1.0).all()


def test_what_cannot_be_pickled_leaves_nothing_behind() -> None:
    sealed = sealer()
    sealed(array(1.0))
    with pytest.raises(NotPicklable):
        sealed([array(2.0), lambda: None])

    assert len(sealed(array(3.0)).buffers) == 1
    assert same(sealed(array(3.0)).open(), array(3.0))


class Meanwhile:
    """Another thread seals something while this is pickled."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.work = work

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        thread = Thread(target=self.work)
        thread.start()
        thread.join()
        return int, (0,)


def test_threads_that_seal_at_once_do_not_take_one_anothers_buffers() -> None:
    sealed = sealer()
    sealed(array(1.0))
    others: list[Sealed] = []
    meanwhile = Meanwhile(lambda: others.append(sealed(array(2.0))))

    opened: Any = sealed([array(1.0), meanwhile, array(3.0)]).open()

    assert same(opened[0], array(1.0))
    assert same(opened[2], array(3.0))
    assert same(others[0].open(), array(2.0))


def test_the_size_of_an_item_counts_its_buffers() -> None:
    assert Pickled(b"123", [Copied(b"4567")]).size == 7
