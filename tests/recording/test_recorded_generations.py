"""A class that has several items in hand and a state that is saved gives what it has when no other
item is there: others may go on for that, so a recording says where it did."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Semaphore
from types import SimpleNamespace
from typing import Any, overload

import pytest

from conveyor import Join, Pipe, Processor, ReplicatingFork
from conveyor.recording.reader import Recording
from conveyor.sim.schedule import Decision
from conveyor.sim.world.endings import SaidEndings
from tests.helpers import pipeline

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")

HANDS = 3
TOGETHER = 4 * HANDS  # so many are given together in any case


class CountByThrees(Processor[int, tuple[int, int]]):
    """Waits until three items are in hand, and loses updates."""

    def setup(self) -> None:
        self.total = 0
        self.three = asyncio.Barrier(HANDS)

    async def process(self, item: int) -> tuple[int, int]:
        seen = self.total
        await self.three.wait()
        self.total = seen + 1
        return item, self.total

    def snapshot(self) -> int:
        return self.total

    def restore(self, state: int) -> None:
        self.total = state


def later(item: int) -> int:
    time.sleep(0.03)  # so that the other lane comes first, in most runs
    return item


def beside_a_short_pipe() -> Any:
    lanes = pipeline().add(ReplicatingFork(2)).add(Pipe(), Pipe(2))
    lanes = lanes.add(CountByThrees(concurrency=HANDS, name="count"), Processor(later))
    return lanes.add(Pipe(), Pipe(2)).add(Join(2))


def given_by_threes(pl: Any, items: int, path: Path) -> list[object]:
    """Records a run whose next three items come when the last three are out of both lanes."""
    may_come = Semaphore(HANDS)

    def source() -> Iterator[int]:
        for item in range(items):
            assert may_come.acquire(timeout=60)
            yield item

    found: list[object] = []
    with pl.stream(source(), record=path) as stream:
        for result in stream:
            found.append(result)
            if len(found) % (2 * HANDS) == 0:
                may_come.release(HANDS)
    return found


def test_a_replay_gives_what_it_has_where_the_recorded_run_did(tmp_path: Path) -> None:
    pl, path, items = beside_a_short_pipe(), tmp_path / "run.cvd", range(15)
    found = given_by_threes(pl, len(items), path)

    again = pl.replay(items, path)

    assert list(again) == found
    assert list(pl.replay(items, again.schedule)) == found
    # Every three items, and where `TOGETHER` are there that goes without saying
    saves = Recording.read(path.read_bytes(), "it").saves
    assert saves == {"count": [3, 6, 9, 15]}
    said = str(again.schedule)
    assert [at for at in range(16) if f"count~saves.{at}=1" in said] == [3, 6, 9, 15]


class Looked(Sequence[int]):
    """Numbers that count how often one of them was looked at."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self.numbers = numbers
        self.looks = 0

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[int]: ...
    def __getitem__(self, at: int | slice) -> int | Sequence[int]:
        self.looks += 1
        return self.numbers[at]


def test_a_replay_does_not_look_at_all_ends_of_a_recording_at_each_of_them() -> None:
    said, noted = Looked(range(2, 2002, 2)), list[Decision]()
    world: Any = SimpleNamespace(scheduler=SimpleNamespace(saves={"x": said}), note=noted.append)
    endings = SaidEndings(world, "x", None)

    for items in range(2001):
        expected = items // 2 * 2 + 2
        assert endings.next(items) == (expected if expected <= 2000 else None)
        endings.ended(items)

    assert [each.ordinal for each in noted] == [*said.numbers]
    assert said.looks < 2001 * 2 * 12  # a thousand are halved ten times
