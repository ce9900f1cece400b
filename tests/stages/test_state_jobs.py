"""What the stages that keep a state give, in both worlds: compared with plain loops."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import reduce
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor import (
    Batch,
    PerKey,
    Pipe,
    Pipeline,
    Processor,
    Reduce,
    Scan,
    Tap,
    Tumbling,
    Unbatch,
    Window,
)
from conveyor.errors import TopologyError
from conveyor.stages import Stage
from tests.core.world import World, compiled
from tests.helpers import pipeline

items = st.lists(st.integers(-5, 5), max_size=12)
values = st.lists(
    st.one_of(st.none(), st.integers(), st.lists(st.integers(), max_size=2)), max_size=12
)
sizes = st.integers(1, 5)


def gives(stage: Callable[[], Stage], items: list[Any], slice_size: int = 3) -> list[Any]:
    """What comes out of the stage, in slices of a size; the same in a second run."""
    world = World(compiled([stage()], [Pipe(4)]), slices=lambda: slice_size)
    first = list(world.run(items, lambda options: 0))
    assert list(world.run(items, lambda options: 0)) == first
    pl: Any = Pipeline()
    assert pl.add(stage()).simulate(items) == first
    return first


# ------------------------------------------------------------------------------------------ batches


@given(values, sizes, sizes)
def test_batches_are_the_items_cut_into_lists(items: list[Any], n: int, slice_size: int) -> None:
    assert gives(lambda: Batch(n), items, slice_size) == [
        items[at : at + n] for at in range(0, len(items), n)
    ]


@given(st.lists(st.lists(st.none() | st.integers(), max_size=3), max_size=8), sizes)
def test_what_is_unbatched_are_the_items_of_each(items: list[list[Any]], slice_size: int) -> None:
    assert gives(Unbatch, items, slice_size) == [each for batch in items for each in batch]


def test_anything_iterable_can_be_unbatched() -> None:
    assert gives(Unbatch, [(1, 2), "ab", {3: 4}, []]) == [1, 2, "a", "b", 3]


@pytest.mark.processes
def test_what_is_not_iterable_ends_the_run_and_is_named() -> None:
    with pytest.raises(TypeError, match="not iterable") as failed:
        pipeline().add(Unbatch()).run([[1], 2])
    assert "in stage 'unbatch'" in failed.value.__notes__[0]
    assert failed.value.__notes__[0].endswith("item 1: 2")


# -------------------------------------------------------------------------------------------- folds


def total(state: int, item: int) -> int:
    return state + item


def appended(state: list[Any], item: Any) -> list[Any]:
    state.append(item)
    return state


@given(items, sizes)
def test_a_scan_gives_what_accumulate_gives(items: list[int], slice_size: int) -> None:
    sums = list(accumulate(items, initial=10))[1:]
    assert gives(lambda: Scan(total, 10), items, slice_size) == sums


@given(values, sizes)
def test_a_state_that_is_changed_in_place_is_given_as_it_was_then(
    items: list[Any], slice_size: int
) -> None:
    expected = [items[: end + 1] for end in range(len(items))]
    assert gives(lambda: Scan(appended, []), items, slice_size) == expected


@given(values)
def test_a_state_of_none_is_given_out_too(items: list[Any]) -> None:
    assert gives(lambda: Scan(lambda state, item: item, 0), items) == items
    assert gives(lambda: Reduce(lambda state, item: item, 0), items) == [[0, *items][-1]]


@given(items)
def test_a_reduce_gives_what_reduce_gives(items: list[int]) -> None:
    assert gives(lambda: Reduce(total, 10), items) == [reduce(total, items, 10)]


@pytest.mark.processes
def test_the_initial_state_is_not_shared_between_runs() -> None:
    initial: list[Any] = []
    stages: list[Any] = [Scan(appended, initial), Reduce(appended, initial)]
    for stage in stages:
        with pipeline().add(stage) as pl:
            assert pl.run([1, 2])[-1] == pl.simulate([1, 2])[-1] == [1, 2]
            assert pl.run([3])[-1] == pl.simulate([3])[-1] == [3]
    assert initial == []


@pytest.mark.processes
@pytest.mark.parametrize("item", [3, 0, 5])
def test_an_item_that_fails_leaves_the_state_as_it_was(item: int) -> None:
    def half_done(state: list[int], number: int) -> list[int]:
        state.append(number)
        if number == item:
            raise ValueError(number)
        return state

    left = [number for number in range(6) if number != item]
    for on_error in ("skip", "dead_letter"):
        pl = pipeline().add(
            Scan[int, list[int]](half_done, [], on_error=on_error, retries=1, name="kept")
        )
        for result in (pl.run(range(6)), pl.simulate(range(6))):
            assert result == [left[: end + 1] for end in range(5)]
            assert [letter.item for letter in result.dead_letters] == (
                [item] if on_error == "dead_letter" else []
            )
            told = result.report.stages["kept"]
            assert (told.passed, told.skipped + told.dead_lettered) == (5, 1)


@pytest.mark.processes
def test_another_attempt_begins_with_the_state_before_the_first() -> None:
    failed: list[int] = []

    def fails_once(state: list[int], number: int) -> list[int]:
        state.append(number)
        if number == 1 and not failed:
            failed.append(number)
            raise ValueError(number)
        return state

    assert pipeline().add(Reduce[int, list[int]](fails_once, [], retries=1)).run(range(3)) == [
        [0, 1, 2]
    ]


def test_a_state_that_cannot_be_sent_on_is_the_items_own_failure() -> None:
    def sometimes(state: object, item: int) -> object:
        return (lambda: item) if item == 1 else (state, item)

    assert pipeline().add(Scan[int, object](sometimes, 0, on_error="skip")).simulate([0, 1, 2]) == [
        (0, 0),
        ((0, 0), 2),
    ]


# --------------------------------------------------------------------------------- what is saved


class Last(Processor[int, int]):
    def process(self, item: int, /) -> int:
        self.item = item
        return item

    def snapshot(self) -> int:
        return self.item

    def restore(self, state: int, /) -> None:
        self.item = state


def same(item: Any) -> Any:
    return item


def tens(item: int) -> int:
    return item // 10


@pytest.mark.parametrize(
    "make",
    [
        lambda: PerKey(tens, Last),
        lambda: Window(Tumbling(10), time=same, key=tens, fold=total, initial=0, lateness_s=1e9),
        lambda: Batch(10**6),
    ],
    ids=["keys", "windows", "a batch"],
)
def test_only_what_has_changed_since_the_last_time_is_saved(make: Callable[[], Any]) -> None:
    def saved(items: range) -> int:
        for item in items:
            stage.process(item)
        return len(pickle.dumps(stage._changes()))

    stage = make()
    stage.setup()
    stage._begin()
    much = saved(range(100_000))
    assert much > 10_000
    assert saved(range(100_000, 100_001)) < 200
    assert len(pickle.dumps(stage.snapshot())) > much - 100


# --------------------------------------------------------------------------------------------- taps


@given(values, sizes)
def test_a_tap_passes_every_item_on(items: list[Any], slice_size: int) -> None:
    assert gives(lambda: Tap(bool), items, slice_size) == items


@pytest.mark.processes
def test_what_a_tap_does_to_its_item_is_seen_by_nobody() -> None:
    items = [[1], [2, 3]]
    pl = pipeline().add(Tap(emptied, name="tap")).add(Tap(emptied))
    assert pl.run(items) == pl.simulate(items) == items
    assert pl.run(items).report.stages["tap"].passed == 2


@pytest.mark.processes
def test_a_tap_that_only_reads_is_given_large_arrays_in_place() -> None:
    numpy = pytest.importorskip("numpy")

    def look(array: Any) -> None:
        assert not array.flags.writeable

    large = numpy.arange(100_000)
    [found] = pipeline().add(Processor(same)).add(Tap(look, read_only=True)).run([large])
    assert (found == large).all()
    with pytest.raises(AssertionError):  # else it has a copy of its own, to do with as it likes
        pipeline().add(Processor(same)).add(Tap(look)).run([large])


@pytest.mark.processes
def test_an_item_at_which_a_tap_fails_does_not_pass() -> None:
    def look(item: int) -> None:
        if item % 2:
            raise ValueError(item)

    for run in (
        pipeline().add(Tap(look, on_error="dead_letter")).run,
        pipeline().add(Tap(look, on_error="dead_letter")).simulate,
    ):
        result = run(range(4))
        assert result == [0, 2]
        assert [letter.item for letter in result.dead_letters] == [1, 3]
    with pytest.raises(ValueError, match="1"):
        pipeline().add(Tap(look)).run(range(4))


# ---------------------------------------------------------------------------------- what is refused


def emptied(items: list[Any]) -> None:
    items.clear()


async def later(state: object, item: object) -> object:
    return item


scan: Any = Scan  # so that mistakes can be made
fold: Any = Reduce
tap: Any = Tap
REFUSED: dict[str, Callable[[], Stage]] = {
    "Batch: n is 0; it must be a whole number, 1 or more": lambda: Batch(0),
    "Scan: fn is 3; it must be a function of two required arguments": lambda: scan(3, 0),
    "Reduce: fn: the function must take exactly two required arguments, the state and the item; "
    "len(obj, /) does not": lambda: fold(len, 0),
    "Scan: fn: later is an async function": lambda: scan(later, 0),
    "Tap(total): the function must take exactly one required argument": lambda: tap(total),
    "Tap takes a function of one item, not 3": lambda: tap(3),
    "Scan: on_error is 'ignore'": lambda: scan(total, 0, on_error="ignore"),
    "Reduce: retries is -1": lambda: Reduce(total, 0, retries=-1),
    "Unbatch: name is ''": lambda: Unbatch(name=""),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_cannot_be_meant_is_refused_when_it_is_written(text: str) -> None:
    with pytest.raises(TopologyError) as refused:
        REFUSED[text]()
    assert text in str(refused.value)


def pipeline_of_int() -> Any:
    return Pipeline[int]()


def takes_text(state: int, item: str) -> int:
    return state + len(item)


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([Scan(takes_text, 0)], "takes str, but the lane carries int"),
        ([Reduce(takes_text, 0)], "takes str, but the lane carries int"),
        ([Tap(str.upper)], "takes str, but the lane carries int"),
        ([Unbatch()], "but the lane carries int"),
        ([Batch(2), Tap(str.upper)], "takes str, but the lane carries list[int]"),
        ([Batch(2), Unbatch(), Tap(str.upper)], "takes str, but the lane carries int"),
        ([Scan(total, 0), Tap(str.upper)], "takes str, but the lane carries int"),
        ([Tap(print), Tap(str.upper)], "takes str, but the lane carries int"),
    ],
)
def test_what_a_lane_carries_is_followed_through_them(rows: list[Stage], text: str) -> None:
    with pytest.raises(TopologyError) as refused:
        reduce(lambda pl, row: pl.add(row), rows, pipeline_of_int())
    assert text in str(refused.value)
