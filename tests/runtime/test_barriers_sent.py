"""How far the source of a kept run may go ahead, on a clock that the test sets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from conveyor import Processor
from conveyor.core.channel import UNBOUNDED
from conveyor.core.keeping import Windows
from conveyor.runtime.parent import keeper
from conveyor.runtime.parent.keeper import Keeper
from conveyor.runtime.step.source import GivenFeed
from tests.core.world import compiled

EVERY_S, THROUGH_S, WINDOW = 8.0, 1.0, 10


class Kept:
    """What the keeper tells of an epoch, which is durable once `may_end` is set."""

    every_s = EVERY_S
    windows = Windows(WINDOW, 1, UNBOUNDED, THROUGH_S, THROUGH_S)
    manifest = None
    in_memory = False

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.told: list[str] = []

    def complete(self, *_: object) -> None:
        assert self.may_end.wait(60)
        self.told.append("complete")

    def mark(self) -> None: ...
    def hold(self) -> None:
        self.told.append("hold")

    def go_on(self) -> None:
        self.told.append("go on")


class Notes:
    """Hosts on which no node has noted anything."""

    def ask_noted(self, number: int) -> None: ...
    def noted(self, waits: bool = False) -> dict[int, Any]:
        return {}


class Run:
    """A source that sends all that it may, and a sink at which barriers come."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        patch.setattr(keeper, "monotonic", lambda: self.now)
        self.kept = Kept()
        topology = compiled([Processor(abs)])
        crew: Any = Notes()
        kept: Any = self.kept
        self.keeper = Keeper(kept, topology, crew, tuple, lambda: None)
        self.feed = GivenFeed(1 << 20)
        self.feed.push([*range(100_000)])
        self.gate = self.keeper.gate(self.feed)
        self.passed = 0

    def sends(self, most: int = 1 << 30) -> int:
        """How many items go out now, where the pipes have room for so many."""
        before = self.feed.head
        while (is_more := self.gate.pending()) or self.gate.is_at_barrier:
            if is_more:
                left = before + most - self.feed.head
                if not left:
                    break
                self.feed.commit(self.feed.head + len(self.gate.peek(left)))
            else:
                self.gate.passed = self.feed.barrier
        return self.feed.head - before

    def comes_through(self, within: float) -> None:
        """The barrier that is under way comes to the sink."""
        assert self.feed.barrier == self.passed + 1
        self.passed += 1
        self.now += within
        self.keeper.whole(self.passed)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    run = Run(monkeypatch)
    yield run
    run.kept.may_end.set()
    run.keeper.end()


def test_a_window_is_sent_and_a_second_behind_the_barrier(run: Run) -> None:
    assert run.sends() == 2 * WINDOW
    assert run.sends() == 0
    run.comes_through(within=0.1)
    assert run.sends() > WINDOW


def steady(run: Run, per_s: float, room: int) -> None:
    """Items come through as fast as that, and pipes hold so few that no window holds them up."""
    for _ in range(2000):
        run.sends(room)
        if run.feed.barrier > run.passed:
            assert run.feed.head < run.keeper.limit
            run.comes_through(within=room / per_s)
        else:
            run.now += room / per_s


def test_windows_grow_to_what_comes_through_in_time_where_pipes_hold_less(run: Run) -> None:
    """Else so few items were between two barriers that these took part of the workers' time."""
    steady(run, per_s=1000, room=5)
    assert THROUGH_S / 2 < 2 * run.keeper.window / 1000 <= THROUGH_S


def test_they_do_not_where_twice_as_many_would_not_come_through_in_time(run: Run) -> None:
    steady(run, per_s=30, room=2)
    assert run.keeper.window == WINDOW


def saved(run: Run) -> int:
    """A run that is being saved now; how large its windows are."""
    run.sends()
    run.comes_through(within=THROUGH_S / 2)
    run.now += EVERY_S
    run.sends()
    run.comes_through(within=THROUGH_S / 2)
    assert run.kept.told == ["hold"]
    return run.keeper.window


def test_while_an_epoch_is_saved_the_source_goes_on_but_not_for_ever(run: Run) -> None:
    window = saved(run)
    barrier, at = run.feed.barrier, run.feed.barrier_at
    run.sends()
    for seconds in (1, 2, 5):
        run.now += THROUGH_S * seconds
        assert window * seconds <= run.sends() <= 3 * window * seconds
    run.now += 100 * EVERY_S
    run.sends()
    assert run.feed.head - at <= 2 * window * (1 + EVERY_S / THROUGH_S)
    run.now += 100 * EVERY_S
    assert run.sends() == 0
    assert run.feed.barrier == barrier

    run.kept.may_end.set()
    assert run.keeper.saving is not None
    assert run.keeper.saving.over.wait(60)
    assert run.sends() > 0
    assert run.feed.barrier == barrier + 1
    assert run.kept.told == ["hold", "complete", "go on"]


def test_how_long_what_was_sent_meanwhile_takes_says_nothing_of_a_window(run: Run) -> None:
    window = saved(run)
    run.now += THROUGH_S
    run.sends()
    run.kept.may_end.set()
    assert run.keeper.saving is not None
    assert run.keeper.saving.over.wait(60)
    run.sends()
    run.comes_through(within=3 * THROUGH_S)
    assert run.keeper.window == window
    run.sends()
    run.comes_through(within=2 * THROUGH_S)
    assert run.keeper.window < window
