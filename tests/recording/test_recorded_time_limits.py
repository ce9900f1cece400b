"""Coroutines whose time runs out: a recording says whose, and when that was among their awaits."""

from __future__ import annotations

import asyncio
import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conveyor import BalancingFork, Join, Processor, context
from conveyor.errors import ItemTimeout, ScheduleMismatch
from conveyor.recording.crash_points import Timeout
from conveyor.recording.reader import Recording
from tests.helpers import pipeline
from tests.jobs import same

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")

ITEMS = range(20)
STUCK = [3, 8, 13, 18]


def is_stuck(item: int) -> bool:
    return item in STUCK and context().attempt == 1


async def fetch(item: int) -> tuple[int, int]:
    await asyncio.sleep(0.001 * (item % 3))
    if is_stuck(item):
        await asyncio.Event().wait()
    return item, context().attempt


async def at_once(item: int) -> int:
    return item


async def fetch_and_die(item: int) -> tuple[int, int]:
    found = await fetch(item)
    if item == 9 and context().attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return found


class Count(Processor[int, tuple[int, int, int]]):
    """Loses updates between two awaits; and has work to do where it is cancelled."""

    total = 0

    async def process(self, item: int) -> tuple[int, int, int]:
        seen = self.total
        try:
            await asyncio.sleep(0.001 * (item % 3))
            if is_stuck(item):
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.total += 100
            await asyncio.sleep(0)
            self.total += 1000
            raise
        self.total = seen + 1
        await asyncio.sleep(0)
        return item, self.total, context().attempt


class KeptCount(Count):
    async def process(self, item: int) -> tuple[int, int, int]:
        found = await super().process(item)
        if item == 9 and context().attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    def snapshot(self) -> int:
        return self.total

    def restore(self, state: int) -> None:
        self.total = state


def made_of(function: Any, **options: Any) -> Any:
    stage: Any = Processor
    return stage(function, **options)


STAGES: dict[str, Any] = {
    "a function": partial(made_of, fetch),
    "a function whose worker dies": partial(made_of, fetch_and_die),
    "a class": Count,
    "a class whose worker dies": KeptCount,
}


def limited(kind: str, **options: Any) -> Any:
    given_up: dict[str, Any] = {"timeout_s": 0.2, "on_error": "dead_letter", "name": "x"}
    return pipeline().add(STAGES[kind](concurrency=4, **given_up, **options))


def told(run: Any) -> tuple[list[Any], list[Any]]:
    letters = [(each.item, each.attempts, str(each.exception)) for each in run.dead_letters]
    return list(run), letters


@pytest.mark.parametrize(("ordered", "retries"), [(True, 1), (False, 0)])
@pytest.mark.parametrize("kind", STAGES)
def test_a_recording_says_whose_time_ran_out_and_its_replay_does_the_same(
    kind: str, ordered: bool, retries: int, tmp_path: Path
) -> None:
    pl = limited(kind, ordered=ordered, retries=retries)
    path = tmp_path / "run.cvd"
    run = pl.run(ITEMS, record=path)

    again = pl.replay(ITEMS, path)

    assert told(again) == told(run)
    once_more = pl.replay(ITEMS, again.schedule)
    assert told(once_more) == told(run)
    came = {each[0] for each in run}
    assert came | {each.item for each in run.dead_letters} == {*ITEMS}
    assert all(isinstance(each.exception, ItemTimeout) for each in run.dead_letters)
    assert "dies" in kind or retries or came.isdisjoint(STUCK)


def test_a_step_is_counted_behind_a_death_whatever_lanes_a_fork_has_chosen(tmp_path: Path) -> None:
    """How much stands of what its fork had decided says nothing of the steps."""
    pl = limited("a class whose worker dies", retries=1)
    pl.add(BalancingFork(2)).add(Processor(same), Processor(same)).add(Join(2))
    path, items = tmp_path / "run.cvd", [*range(20, 110), *ITEMS]  # much is out before it dies
    run = pl.run(items, record=path)

    assert told(pl.replay(items, path)) == told(run)


def test_each_time_that_ran_out_is_told_once(tmp_path: Path) -> None:
    """Of a function by the item, of a class by the step that was cancelled."""
    path = tmp_path / "run.cvd"
    limited("a function").run([3, 8], record=path)
    recording = Recording.read(path.read_bytes(), "it")
    assert sorted(recording.timeouts) == [Timeout("x", 0, 0), Timeout("x", 0, 1)]

    limited("a class").run([3], record=path)
    # It goes on to its first await, and to its second; the third step is where it is cancelled
    assert Recording.read(path.read_bytes(), "it").timeouts == (Timeout("x", None, 2),)


def test_a_replay_without_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.cvd"
    limited("a function").run([3, 1], record=path)
    unlimited = pipeline().add(Processor(at_once, concurrency=4, name="x"))
    with pytest.raises(ScheduleMismatch, match="the time of its item 0 of input 0 runs out"):
        unlimited.replay([3, 1], path)
