"""Stages that look at the time, in real runs: what they hold is given out although no item comes,
what they hold up leaves no sooner than it may, and nothing waits that is to end.

No test waits for time to be right: each holds however slow the machine is, and one that would wait
for ever is ended by the limit of the whole suite.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest

from conveyor import (
    Batch,
    Join,
    PerKey,
    Pipe,
    Pipeline,
    Processor,
    ReplicatingFork,
    Simulation,
    Throttle,
    Zip,
)
from conveyor.errors import Deadlock, RunStopped
from tests.helpers import eventually, pipeline
from tests.jobs import Gathered

pytestmark = pytest.mark.timeout(120)

HOUR: float = 3600.0
HELD_S = 0.01


def waits_for(given: threading.Event, numbers: range) -> Iterator[int]:
    """Gives the last number only once the event is set."""
    yield from numbers[:-1]
    assert given.wait(60)
    yield numbers[-1]


# ------------------------------------------------------------------------------- given out by time


def test_a_batch_comes_while_the_source_has_nothing_more_to_give() -> None:
    given = threading.Event()
    pl = Pipeline[int]().add(Batch(100, within_s=0.02))
    seen: list[list[int]] = []
    with pl.stream(waits_for(given, range(4))) as stream:
        while sum(map(len, seen)) < 3:
            seen.append(next(stream))
        given.set()
        seen += stream

    assert [*chain.from_iterable(seen)] == [0, 1, 2, 3]
    assert seen[-1] == [3]


def test_without_a_time_it_would_not() -> None:
    assert Pipeline[int]().add(Batch(100)).run(range(4)) == [[0, 1, 2, 3]]


def test_a_key_that_is_idle_is_let_go_of_while_no_item_comes() -> None:
    given = threading.Event()
    pl = Pipeline[int]().add(PerKey(lambda item: item % 2, Gathered, idle_s=0.02))
    seen: list[list[int]] = []
    with pl.stream(waits_for(given, range(4))) as stream:
        while sum(map(len, seen)) < 3:
            seen.append(next(stream))
        given.set()
        seen += stream

    assert sorted(chain.from_iterable(seen)) == [0, 1, 2, 3]
    assert seen[-1] == [3]


def test_what_waits_for_time_is_not_stuck() -> None:
    def zipped(batch: Batch[int]) -> Any:
        lanes = Pipeline[int]().add(ReplicatingFork(2)).add(batch, Pipe(2))
        return lanes.add(Zip(2)).run(range(5))

    with pytest.raises(Deadlock):
        zipped(Batch(9))
    pairs = zipped(Batch(9, within_s=0.4))  # longer than it is looked for circles
    assert pairs[0][0][0] == pairs[0][1] == 0
    assert all(isinstance(batch, list) and isinstance(item, int) for batch, item in pairs)


# -------------------------------------------------------------------------------------- held up


class Logged(Throttle[int]):
    """Writes down when a slice was taken and when it was out, by the clock that it goes by."""

    def __init__(self, n: int, per_s: float, path: Path) -> None:
        super().__init__(n, per_s)
        self.path = path

    def _left(self, outputs: int, now: float) -> None:
        super()._left(outputs, now)
        with self.path.open("a") as file:
            file.write(f"{outputs} {self._now!r} {now!r}\n")


def spans(path: Path) -> list[tuple[float, float]]:
    """Of each item, two moments between which it left."""
    found: list[tuple[float, float]] = []
    for line in path.read_text().splitlines():
        outputs, taken, out = line.split()
        found += [(float(taken), float(out))] * int(outputs)
    return found


def assert_no_span_holds_more(times: list[tuple[float, float]], n: int, per_s: float) -> None:
    for (_, out), (taken, _) in zip(times, times[n:], strict=False):
        assert taken >= out + per_s


def test_no_more_leave_in_any_span_than_may(tmp_path: Path) -> None:
    log = tmp_path / "log"
    started = time.monotonic()
    result = Pipeline[int]().add(Logged(5, 0.1, log)).run(range(23))

    assert result == list(range(23))
    assert time.monotonic() - started >= 0.4
    times = spans(log)
    assert len(times) == 23
    assert_no_span_holds_more(times, 5, 0.1)


def test_nor_over_the_runs_of_an_open_pipeline(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Pipeline[int]().add(Logged(4, 0.2, log)) as pl:
        for _ in range(4):
            assert pl.run(range(3)) == [0, 1, 2]

    assert len(spans(log)) == 12
    assert_no_span_holds_more(spans(log), 4, 0.2)


def test_nor_where_its_worker_is_killed_while_it_waits() -> None:
    """More often than one may die that does nothing but die: one that waits is no such one."""
    kills = 12
    seen: list[int] = []
    started = time.monotonic()
    with Pipeline[int]().add(Throttle(1, per_s=0.15)).stream(range(kills + 3)) as stream:
        for item in stream:
            seen.append(item)
            pid = stream.report.stages["throttle"].pid
            if len(seen) <= kills and pid is not None:
                os.kill(pid, signal.SIGKILL)
        spent = time.monotonic() - started
        report = stream.report

    assert seen == list(range(kills + 3))
    assert report.stages["throttle"].restarts >= kills - 1  # one may be killed while it starts
    assert spent >= (kills + 2) * 0.15


def test_a_stream_that_is_held_up_is_closed_at_once() -> None:
    stream = Pipeline[int]().add(Throttle(1, per_s=HOUR)).stream(range(9))
    assert next(stream) == 0
    stream.close()


def test_a_run_that_is_held_up_can_be_stopped() -> None:
    pl = Pipeline[int]().add(Throttle(1, per_s=HOUR)).add(Processor(abs))
    begun = threading.Event()

    def source() -> Iterator[int]:
        yield 0
        begun.set()
        yield from range(1, 9)

    def stops() -> None:
        assert begun.wait(60)
        pl.stop()

    stopper = threading.Thread(target=stops)
    stopper.start()
    with pytest.raises(RunStopped):
        pl.run(source())
    stopper.join()


def test_to_wait_costs_no_processor_time() -> None:
    with Pipeline[int]().add(Throttle(1, per_s=HOUR)).stream(range(20_000)) as stream:
        assert next(stream) == 0
        pid = stream.report.stages["throttle"].pid
        assert pid is not None
        worker = psutil.Process(pid)
        eventually(lambda: worker.status() == psutil.STATUS_SLEEPING)
        before = sum(worker.cpu_times()[:2])
        time.sleep(0.5)  # in which a worker that polls would take half a second, or what it gets
        spent = sum(worker.cpu_times()[:2]) - before
    assert spent <= 0.1


def beside_a_short_lane() -> Any:
    lanes = pipeline().add(ReplicatingFork(2)).add(Batch(2, within_s=0.0005), Pipe(1))
    return lanes.add(Join(2))


def test_what_real_processes_give_is_among_what_the_search_finds() -> None:
    seen: set[str] = set()

    def see(run: Simulation[Any]) -> None:
        seen.add(repr([*run]))

    found = beside_a_short_lane().explore(range(3), see, strategy="exhaustive")
    assert found.complete

    with beside_a_short_lane() as pl:
        for turn in range(60):
            assert repr([*pl.run(hesitantly(3, turn))]) in seen


def hesitantly(n: int, turn: int) -> Iterator[int]:
    for item in range(n):
        yield item
        if turn >> item & 1:
            time.sleep(0.001)


# ---------------------------------------------------------------------------- recorded, replayed


def paced() -> Iterator[int]:
    for item in range(40):
        yield item
        if item % 5 == 0:
            time.sleep(0.01)


@pytest.mark.parametrize("attempt", range(3))
def test_what_came_due_comes_due_again_in_a_replay(attempt: int, tmp_path: Path) -> None:
    def paced_lanes() -> Pipeline[int, list[int]]:
        lanes = Pipeline[int]().add(ReplicatingFork(2))
        return (
            lanes.add(Throttle(20, per_s=0.02), Pipe()).add(Join(2)).add(Batch(7, within_s=0.002))
        )

    night = paced_lanes().run(paced(), record=tmp_path / "night.cvd")
    again = paced_lanes().replay(range(40), tmp_path / "night.cvd")

    assert again == night
    assert paced_lanes().replay(range(40), again.schedule) == night
    assert again.report.stages["batch"].items_in == night.report.stages["batch"].items_in
    assert again.report.stages["batch"].flushed == night.report.stages["batch"].flushed


def test_a_report_counts_what_was_given_by_time() -> None:
    given = threading.Event()
    pl = Pipeline[int]().add(Batch(100, within_s=0.01))
    with pl.stream(waits_for(given, range(4))) as stream:
        first = next(stream)
        given.set()
        rest = [*stream]
        stage = stream.report.stages["batch"]

    assert stage.items_in == stage.dropped == 4
    assert stage.items_out == stage.flushed == 1 + len(rest)
    assert first[0] == 0


def test_an_item_that_may_leave_between_two_looks_at_the_clock_is_not_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random = Random(4)
    ahead = 0.0

    def jumping_clock() -> float:
        """Now and then the worker has no processor between two looks, for longer than the stage
        holds an item up."""
        nonlocal ahead
        ahead += HELD_S if random.random() < 0.05 else 0
        return time.monotonic() + ahead

    monkeypatch.setattr("conveyor.runtime.step.timer.monotonic", jumping_clock)

    assert pipeline().add(Throttle(1, per_s=HELD_S)).run(range(100)) == [*range(100)]
