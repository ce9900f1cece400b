"""Processes that are stopped and go on: no time limit counts that time, and nobody is taken for
dead or stuck."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from conveyor import Pipe, Processor
from conveyor.errors import ItemTimeout
from conveyor.runtime.parent.run_report import WOKEN_BY_THE_NET
from conveyor.runtime.policies.limits import Stopwatch
from conveyor.runtime.process.stops import is_stopped, was_stopped
from tests.chaos.watch import workers
from tests.helpers import (
    HANGS_S,
    SCRIPTS,
    environment,
    eventually,
    pipeline,
    under_each_start_method,
)
from tests.jobs import increment

pytestmark = [
    pytest.mark.usefixtures("nothing_is_left_behind"),
    pytest.mark.skipif(
        sys.platform != "linux", reason="elsewhere the system does not tell who was stopped"
    ),
]

LIMIT_S = 1.0
LONGER_S = 1.5


# ---------------------------------------------------------------------------------------- the watch


class Told:
    """A worker that is stopped when it is said, and then was."""

    def __init__(self) -> None:
        self.stopped = self.was = False

    def is_stopped(self) -> bool:
        return self.stopped

    def was_stopped(self) -> bool:
        return self.was and not self.stopped


LIMIT = 800
ATTENTIVE = LIMIT // 16


@example([(1, True), (49, False), (51, False), *[(100, False)] * 7], False)
@given(
    st.lists(st.tuples(st.integers(1, 5000), st.booleans()), min_size=1, max_size=60), st.booleans()
)
def test_a_look_takes_no_more_from_an_item_than_an_eighth_of_its_time_once_its_worker_was_stopped(
    looks: list[tuple[int, bool]], was: bool
) -> None:
    watch, worker = Stopwatch(LIMIT, least=1), Told()
    worker.was = was
    now, most = 5, 0
    for passed, stopped in looks:
        now += passed
        worker.stopped = stopped
        worker.was |= stopped
        # What is asked sooner than that is no look, and a stop that is over by the next one is not
        # known of.
        is_seen = stopped and passed >= ATTENTIVE
        most += 0 if is_seen else min(passed, LIMIT // 8)
        over = watch.is_over(5, now, worker)
        if worker.was:
            assert not over or most > LIMIT
        else:
            assert over == (now - 5 > LIMIT)


@given(st.lists(st.tuples(st.integers(1, ATTENTIVE), st.booleans()), min_size=1, max_size=200))
def test_who_looks_in_time_takes_from_it_what_it_had_and_not_what_its_worker_was_stopped(
    looks: list[tuple[int, bool]],
) -> None:
    watch, worker = Stopwatch(LIMIT, least=1), Told()
    worker.was = True
    now, went_on, around_stops = 5, 0, 0
    for passed, stopped in looks:
        now += passed
        around_stops += 2 * ATTENTIVE if stopped and not worker.stopped else 0
        worker.stopped = stopped
        went_on += 0 if stopped else passed
        over = watch.is_over(5, now, worker)
        assert not over or went_on > LIMIT - around_stops
        assert over or stopped or went_on <= LIMIT + around_stops + ATTENTIVE


def test_the_next_item_has_all_of_its_time() -> None:
    watch, worker = Stopwatch(LIMIT, least=1), Told()

    assert not watch.is_over(5, 5 + LIMIT, worker)
    assert watch.is_over(5, 6 + LIMIT, worker)
    assert not watch.is_over(0, 7 + LIMIT, worker)
    assert not watch.is_over(8 + LIMIT, 8 + 2 * LIMIT, worker)


@given(st.integers(1, 10**12), st.integers(0, 10**12))
def test_it_says_when_to_look_again_so_that_nothing_is_lost(limit: int, passed: int) -> None:
    watch = Stopwatch(limit)

    assert 0 <= watch.left(5, 5 + passed) <= watch.most // 2
    assert watch.left(0, passed) == watch.most


# ---------------------------------------------------------------------------------------- processes


def stopped_for(process: Callable[[int], object], seconds: float) -> None:
    """Stops and continues: `process` sends a signal."""
    process(signal.SIGSTOP)
    time.sleep(seconds)  # a span of time, not a wait for anything
    process(signal.SIGCONT)


def waits(directory: Path, item: int) -> int:
    (directory / str(os.getpid())).touch()
    while not (directory / "go").exists():
        time.sleep(0.005)
    return item


@under_each_start_method
def test_a_worker_that_is_stopped_for_longer_than_its_item_may_take(
    start_method: str, tmp_path: Path
) -> None:
    def stop() -> None:
        eventually(lambda: list(tmp_path.iterdir()))
        (pid,) = [int(file.name) for file in tmp_path.iterdir()]
        assert not was_stopped(pid)
        os.kill(pid, signal.SIGSTOP)
        eventually(lambda: is_stopped(pid))
        stopped_for(partial(os.kill, pid), LONGER_S)
        eventually(lambda: was_stopped(pid))
        (tmp_path / "go").touch()

    stopper = threading.Thread(target=stop)
    stopper.start()
    result = (
        pipeline(start_method)
        .add(Processor(partial(waits, tmp_path), name="job", timeout_s=LIMIT_S))
        .run([7])
    )
    stopper.join()

    assert result == [7]
    assert result.report.stages["job"].restarts == 0


@under_each_start_method
def test_all_processes_that_are_stopped_for_longer_than_an_item_may_take(
    start_method: str, tmp_path: Path
) -> None:
    """As by Ctrl-Z and `fg`."""
    process = subprocess.Popen(
        [sys.executable, SCRIPTS / "stopped.py", tmp_path, str(LIMIT_S)],
        env=environment(start_method),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    eventually((tmp_path / "begun").exists)
    stopped_for(partial(os.killpg, process.pid), LONGER_S)
    (tmp_path / "go").touch()

    said, _ = process.communicate(timeout=HANGS_S)
    assert said == "[7]\n"


def hangs(item: int) -> int:
    if item == 1:
        threading.Event().wait()
    return item


def test_a_worker_that_was_stopped_has_its_limits_all_the_same() -> None:
    with pipeline().add(Processor(hangs, timeout_s=0.2)).stream(iter([0, 1])) as stream:
        assert next(stream) == 0
        (worker,) = workers(os.getpid())
        stopped_for(partial(os.kill, worker), 0.1)
        with pytest.raises(ItemTimeout):
            next(stream)


def test_workers_that_are_stopped_for_long_are_neither_dead_nor_stuck() -> None:
    """Longer than it takes to find a circle of pipes, and whoever was not woken."""
    pl = (
        pipeline()
        .add(Pipe(2))
        .add(Processor(increment))
        .add(Pipe(2))
        .add(Processor(increment))
        .add(Pipe(2))
    )
    with pl.stream(range(200)) as stream:
        results = [next(stream) for _ in range(50)]
        there = list(workers(os.getpid()))
        for pid in there:
            os.kill(pid, signal.SIGSTOP)
            threading.Timer(1.0, os.kill, (pid, signal.SIGCONT)).start()
        results += list(stream)

    assert results == list(range(2, 202))
    assert not any(stage.restarts for stage in stream.report.stages.values())
    assert not any(WOKEN_BY_THE_NET in note for note in stream.report.notes)
