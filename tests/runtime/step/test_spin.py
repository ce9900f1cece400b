"""How long somebody looks again and again before going to sleep, by a clock that the test sets."""

from itertools import pairwise

import pytest

from conveyor.runtime.step import spin
from conveyor.runtime.step.spin import MOST_SKIPPED, Spin

LONG = 1000


class Clock:
    """Goes on by a tick with each look at it."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        self.now += 10
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(spin, "perf_counter_ns", made)
    return made


def test_what_comes_soon_is_seen_without_sleep(clock: Clock) -> None:
    wait = Spin(LONG)
    assert wait(lambda: clock.now > LONG // 2)
    assert clock.now < LONG


def test_nobody_looks_for_longer_than_that(clock: Clock) -> None:
    assert not Spin(LONG)(lambda: False)
    assert LONG <= clock.now <= LONG + 50


def test_what_never_comes_soon_is_looked_for_less_and_less_often(clock: Clock) -> None:
    wait = Spin(LONG)
    tries: list[int] = []
    for number in range(2000):
        before = clock.now
        assert not wait(lambda: False)
        if clock.now > before:
            tries.append(number)
    pauses = [later - earlier for earlier, later in pairwise(tries)]

    assert pauses == sorted(pauses)
    assert pauses[:4] == [2, 4, 8, 16]
    assert pauses[-1] == MOST_SKIPPED + 1


def test_once_it_comes_soon_again_every_wait_begins_with_a_look(clock: Clock) -> None:
    wait = Spin(LONG)
    for _ in range(1000):
        wait(lambda: False)
    seen = [wait(lambda: True) for _ in range(2 * MOST_SKIPPED + 20)]

    assert all(seen[-10:])
