"""Cases that must hold whatever parents, consumers and items do; those of workers that die are in
`deaths`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import psutil
import pytest

from conveyor import Pipe, Processor
from conveyor.runtime.parent.run_report import WOKEN_BY_THE_NET
from conveyor.runtime.shm.wakeup import Wakeup
from conveyor.runtime.step.spin import Spin
from tests.chaos.watch import workers
from tests.helpers import (
    HANGS_S,
    SCRIPTS,
    descriptors,
    environment,
    eventually,
    new_or_forked,
    pipeline,
)
from tests.jobs import increment

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")


# ------------------------------------------------------------------- items and results that do harm

WORKER, PARENT = "a worker", "the parent"
WHERE = {
    ("item", "pickled"): PARENT,
    ("item", "unpickled"): WORKER,
    ("result", "pickled"): WORKER,
    ("result", "unpickled"): PARENT,
}


@pytest.mark.parametrize("harm", ["error", "exit", "crash"])
@pytest.mark.parametrize(("what", "when"), WHERE)
def test_harm_done_by_pickling_is_named_and_never_silent(what: str, when: str, harm: str) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPTS / "pickles.py", what, when, harm],
        env=environment("forkserver"),
        capture_output=True,
        text=True,
        timeout=HANGS_S,
    )
    # It is the program itself that exits, or is killed
    if WHERE[what, when] == PARENT and harm != "error":
        assert "SystemExit" in done.stdout if harm == "exit" else done.returncode == -signal.SIGKILL
        return
    assert "RunError" in done.stdout, done.stdout + done.stderr
    assert "harm" in done.stdout if harm == "error" else "carrier" in done.stdout
    assert not done.stdout.startswith("results")


def test_an_item_of_200_megabytes() -> None:
    item = os.urandom(1000) * 200_000

    assert pipeline().add(Processor(bytearray)).run([item]) == [item]


# ---------------------------------------------------------------------------- parents and consumers


def test_a_consumer_that_pauses_leaves_the_workers_asleep() -> None:
    with (
        pipeline()
        .add(Processor(increment))
        .add(Processor(increment))
        .stream(iter(range(10**9))) as stream
    ):
        next(stream)
        crew = [psutil.Process(pid) for pid in workers(os.getpid())]

        def busy() -> float:
            return sum(process.cpu_times().user + process.cpu_times().system for process in crew)

        eventually(lambda: settled(busy))
        before = busy()
        time.sleep(1)
        assert len(crew) == 2
        # Of two seconds in all; a worker that looks again and again would take more
        assert busy() - before < 0.1


def settled(busy: Callable[[], float]) -> bool:
    """Has everybody filled the pipes, and gone to sleep?"""
    before = busy()
    time.sleep(0.1)
    return busy() == before


def test_pipes_of_capacity_1_hand_over_without_a_hang() -> None:
    pl = (
        pipeline()
        .add(Pipe(1))
        .add(Processor(increment))
        .add(Pipe(1))
        .add(Processor(increment))
        .add(Pipe(1))
    )

    result = pl.run(range(3000))

    assert result == list(range(2, 3002))
    assert not [note for note in result.report.notes if WOKEN_BY_THE_NET in note]


# One or another of these matters: the worker to be woken may have looked again, and not be asleep.
LOST = range(20, 26)


def never(spin: Spin, ready: Callable[[], bool]) -> bool:
    return False


@pytest.mark.parametrize("streamed", [False, True])
def test_a_worker_whose_notification_is_lost_is_woken_by_the_net_and_the_report_says_so(
    streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers that lose a few notifications stand for a mistake in who notifies whom when: the run
    is late, but it does not hang.

    A worker that spins needs no notification, so none spins here.
    """
    notify, parent, notifications = Wakeup.notify, os.getpid(), count(1)

    def lossy(wakeup: Wakeup) -> None:
        if os.getpid() == parent or next(notifications) not in LOST:
            notify(wakeup)

    monkeypatch.setattr(Wakeup, "notify", lossy)
    monkeypatch.setattr(Spin, "__call__", never)
    pl = (
        pipeline()
        .add(Pipe(1))
        .add(Processor(increment))
        .add(Pipe(1))
        .add(Processor(increment))
        .add(Pipe(1))
    )
    if streamed:
        result = stream = pl.stream(range(2000))
        assert list(stream) == list(range(2, 2002))
    else:
        result = pl.run(range(2000))
        assert result == list(range(2, 2002))

    assert [note for note in result.report.notes if WOKEN_BY_THE_NET in note]


@new_or_forked
def test_a_parent_with_threads_that_hold_locks(start_method: str) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPTS / "held_locks.py"],
        env=environment(start_method),
        capture_output=True,
        text=True,
        timeout=HANGS_S,
    )

    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr[-2000:]


def maps() -> int:
    return len(re.findall("memfd:conveyor", Path("/proc/self/maps").read_text()))


@pytest.mark.skipif(sys.platform != "linux", reason="counts maps by Linux's own list")
def test_twenty_pipelines_opened_and_closed_leave_descriptors_threads_and_maps_as_they_were() -> (
    None
):
    pl = pipeline().add(Processor(increment))
    pl.run([1])
    before = descriptors(), threading.active_count(), maps()
    for number in range(20):
        if number % 2:
            assert pl.run([number]) == [number + 1]
        else:
            with pl.stream([number]) as stream:
                assert next(stream) == number + 1
    stream = None

    assert (descriptors(), threading.active_count(), maps()) == before
    assert stream is None
