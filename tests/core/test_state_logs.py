"""The log of a large state, which is written in parts between slices: whenever its worker dies,
what the next one reads is what the stage had when it was saved last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from conveyor import PerKey, Processor, Session, Sliding, Tumbling, Window
from conveyor.core import snapshots
from conveyor.core.snapshots import StateLog
from conveyor.stages import Batch
from tests.helpers import PROVE

Event = tuple[int, int]  # a key and a time, or a value

PART = 60  # bytes: less than two keys
SLICES = 40


@pytest.fixture(autouse=True, scope="module")
def small_parts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "PART", PART)
        patch.setattr(snapshots, "FEW", 0)
        yield


class Values(Processor[Event, Event]):
    """Keeps what came for a key."""

    def setup(self) -> None:
        self.values: list[int] = []

    def process(self, item: Event, /) -> Event:
        self.values.append(item[1])
        return item

    def snapshot(self) -> list[int]:
        return [*self.values]

    def restore(self, state: list[int]) -> None:
        self.values = state


def key_of(item: Event) -> int:
    return item[0]


def time_of(item: Event) -> int:
    return item[1]


def more(total: int, item: Event) -> int:
    return total + item[1]


def windows(over: Any) -> Any:
    return Window(over, time=time_of, key=key_of, fold=more, initial=0, lateness_s=4)


STAGES: dict[str, Callable[[], Any]] = {
    "a state a key": lambda: PerKey(key_of, Values),
    "of three keys at the most": lambda: PerKey(key_of, Values, max_keys=3),
    "keys whose items may fail": lambda: PerKey(key_of, Values, max_keys=3, on_error="skip"),
    "windows": lambda: windows(Tumbling(3)),
    "windows that overlap": lambda: windows(Sliding(6, 2)),
    "sessions, which keep their items": lambda: windows(Session(2)),
    "a list": lambda: Batch(7),
}


def made(make: Callable[[], Any]) -> Any:
    stage = make()
    stage.setup()
    return stage


def rest_of(stage: Any) -> list[object]:
    """What it gives for some more items, and at the end."""
    given = [stage.process(item) for item in [(0, SLICES), (5, SLICES + 3), (1, SLICES)]]
    return [*given, [*stage.finish()]]


def known_by(stage: Any) -> object:
    """What a stage knows, which nothing but its state says."""
    if isinstance(stage, PerKey):
        stage._revive()  # pyright: ignore[reportPrivateUsage]  # nothing else makes its keys
        keys = {key: (it.number, it.used, it.snapshot()) for key, it in stage.live.items()}
        return stage.number, stage.time, keys
    if isinstance(stage, Window):
        rows = {number: each.row(0) for number, each in stage.open.by_number.items()}
        return stage.kind, stage.top, stage.came, stage.open.number, rows
    return stage.items


@pytest.mark.parametrize("name", STAGES)
def test_what_is_read_is_what_was_saved_last(name: str) -> None:
    for seed in range(60 if PROVE else 4):
        random, stage = Random(seed), made(STAGES[name])
        log, data, ahead = StateLog(stage, name), b"", b""
        data, ahead = log.entry(False).written(data, ahead)
        for now in range(SLICES):
            for _ in range(random.randint(0, 4)):
                stage.process((random.randrange(6), now + random.randrange(5)))
            data, ahead = log.entry(False).written(data, ahead)

            again = made(STAGES[name])
            StateLog(again, name).read(data)
            assert known_by(again) == known_by(stage), (seed, now)
            if now == SLICES - 1:
                assert rest_of(again) == rest_of(stage)


def test_no_entry_is_large_of_however_large_a_state() -> None:
    stage, large = made(STAGES["a state a key"]), 0
    log = StateLog(stage, "large")
    log.entry(False)
    begun = completed = 0
    for n in range(4_000):
        stage.process((n % 200, n))
        entry = log.entry(False)
        begun, completed = begun + entry.begins, completed + entry.is_whole
        large = max(large, len(entry.changes) + len(entry.part))
    assert log.whole is not None
    assert begun > 3
    assert completed > 3
    one_key = 200
    assert large < 2 * one_key + PART + one_key
    assert log.whole > 10 * large


def test_little_more_is_written_than_twice_what_changes() -> None:
    stage = made(STAGES["a state a key"])
    log, changes, all_ = StateLog(stage, "large"), 0, 0
    for n in range(4_000):
        stage.process((n % 200, n))
        entry = log.entry(False)
        changes += len(entry.changes)
        all_ += len(entry.changes) + len(entry.part)
    assert all_ < 3 * changes
