"""What the stages that look at the time hold, and when that comes due, without a world around them:
the test is the clock."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor import Batch, PerKey, Processor, Throttle
from conveyor.errors import TopologyError
from conveyor.stages.timed import is_woken, timed
from tests.jobs import Gathered


def begun(stage: Any) -> Any:
    stage.setup()
    return stage


def successor(make: Callable[[], Any], state: object) -> Any:
    """What another worker has in its place."""
    stage = begun(make())
    stage.restore(pickle.loads(pickle.dumps(state)))
    return stage


def keys() -> Any:
    return PerKey(lambda item: item % 10, Gathered, idle_s=5.0)


def test_a_batch_is_due_within_seconds_of_its_first_item() -> None:
    batch = begun(Batch[int](3, within_s=2.0))
    assert batch._deadline() is None
    for now, item in [(10.0, 1), (11.5, 2)]:
        batch._now = now
        assert batch.process(item) is None
        assert batch._deadline() == 12.0

    batch._come_due()
    assert batch._is_due
    assert batch._deadline() is None
    assert [*batch._due()] == [[1, 2]]
    assert not batch._is_due
    assert [*batch.finish()] == []


def test_a_batch_that_is_full_is_no_longer_waited_for() -> None:
    batch = begun(Batch[int](2, within_s=2.0))
    batch.process(1)

    assert batch.process(2) == [1, 2]
    assert batch._deadline() is None


@pytest.mark.parametrize("is_due", [False, True])
def test_the_successor_of_a_batch_goes_on_by_the_same_deadline(is_due: bool) -> None:
    batch = begun(Batch[int](3, within_s=2.0))
    batch._now = 7.0
    batch.process(1)
    if is_due:
        batch._come_due()

    after = successor(lambda: Batch[int](3, within_s=2.0), batch.snapshot())

    assert after._deadline() == (None if is_due else 9.0)
    assert after._is_due is is_due
    assert [*after._due()] == [[1]]


def test_keys_come_due_in_the_order_of_their_last_items() -> None:
    stage = begun(keys())
    for now, item in [(0.0, 1), (1.0, 2), (2.0, 11), (3.0, 3)]:
        stage._now = now
        stage.process(item)

    seen: list[tuple[float, list[list[int]]]] = []
    while (by := stage._deadline()) is not None:
        stage._come_due()
        seen.append((by, [*stage._due()]))
    assert seen == [(6.0, [[2]]), (7.0, [[1, 11]]), (8.0, [[3]])]


@pytest.mark.parametrize("written", ["whole", "changes"])
def test_keys_that_are_due_are_not_lost_with_their_worker(written: str) -> None:
    stage = begun(keys())
    for item in (1, 2, 3):
        stage.process(item)
    before = pickle.dumps(stage.snapshot())
    stage._come_due()
    stage._come_due()

    if written == "whole":
        after = successor(keys, stage.snapshot())
        assert [*stage._due()] == [[1], [2]]
    else:
        after = successor(keys, pickle.loads(before))
        after._apply(pickle.loads(pickle.dumps(stage._changes())))
    assert after._is_due
    assert [*after._due()] == [[1], [2]]
    assert not after._is_due
    assert [*after.finish()] == [[3]]


steps = st.lists(st.tuples(st.floats(0, 3), st.integers(1, 4)), max_size=40)


@given(steps, st.integers(1, 5), st.sampled_from([0.1, 0.3, 1.0, 2.5]))
def test_no_span_holds_more_than_may_leave_in_it(
    steps: list[tuple[float, int]], n: int, per_s: float
) -> None:
    throttle = begun(Throttle[int](n, per_s))
    now = 1000.0
    left: list[float] = []
    for pause, wanted in steps:
        now += pause
        allowed = throttle._allowance(now)
        within = [at for at in left if at + per_s > now]
        assert allowed == n - len(within)  # no less than there may be, and no more
        if not allowed:
            throttle._now = now
            now = throttle._opens_at()
            assert now == within[0] + per_s
            allowed = throttle._allowance(now)
        throttle._left(min(allowed, wanted), now)
        left += [now] * min(allowed, wanted)
        throttle = successor(lambda: Throttle[int](n, per_s), throttle.snapshot())


def test_what_a_throttle_keeps_is_no_more_than_still_counts() -> None:
    throttle = begun(Throttle[int](3))
    for second in range(100):
        throttle._left(1, float(second))
        throttle._allowance(float(second))

    assert len(throttle.snapshot()) <= 3


def test_only_stages_that_were_told_of_a_time_look_at_it() -> None:
    assert timed(Batch(2)) is None
    assert timed(PerKey(abs, Gathered)) is None
    assert timed(Processor(abs)) is None
    assert timed(Throttle(2)) is not None
    assert [is_woken(each) for each in (Batch(2, within_s=1), keys(), Throttle(2))] == [
        True,
        True,
        False,
    ]


REFUSED: dict[str, Callable[[], object]] = {
    "Batch: within_s is 0; it must be a number of seconds above 0, or None": (
        lambda: Batch(2, within_s=0)
    ),
    "PerKey: idle_s is -1; it must be a number of seconds above 0, or None": (
        lambda: PerKey(abs, Gathered, idle_s=-1)
    ),
    "PerKey: idle_s is True; it must be a number of seconds above 0, or None": (
        lambda: PerKey(abs, Gathered, idle_s=True)
    ),
    "Throttle: n is 0; it must be a whole number, 1 or more": lambda: Throttle(0),
    "Throttle: per_s is nan; it must be a number of seconds above 0": (
        lambda: Throttle(1, float("nan"))
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_meant_is_refused_at_once(message: str) -> None:
    with pytest.raises(TopologyError) as caught:
        REFUSED[message]()
    assert str(caught.value) == message


def test_they_are_shown_as_they_were_written() -> None:
    assert repr(Throttle(5, per_s=0.5)) == "Throttle(5, per_s=0.5)"
    assert repr(Batch(5, within_s=2)) == "Batch(5, within_s=2)"
