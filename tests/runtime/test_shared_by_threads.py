"""Threads that share a pipeline or a stream: one of them uses it at a time, the others are told so,
and nothing is lost."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import count, islice

import psutil
import pytest

from conveyor import Processor
from conveyor.errors import LifecycleError
from conveyor.runtime.parent import halt
from conveyor.runtime.parent.halt import Halt
from tests.helpers import (
    HANGS_S,
    PATIENCE_S,
    SCRIPTS,
    START_METHODS,
    environment,
    eventually,
    pipeline,
    run_script,
)
from tests.jobs import double

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Threads take turns after a microsecond, so that one comes between any two steps of the
    other."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(*calls: Callable[[], object]) -> list[object]:
    """What each gives or raises, all begun at the same time."""
    start = threading.Barrier(len(calls))
    results: list[object] = [None] * len(calls)

    def work(number: int, call: Callable[[], object]) -> None:
        start.wait()
        try:
            results[number] = call()
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=work, args=each, daemon=True) for each in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads)
    return results


@pytest.mark.usefixtures("quick_switches")
def test_of_two_threads_that_begin_a_run_one_is_refused_and_the_pipeline_stays_usable() -> None:
    with pipeline().add(Processor(double)) as pl:
        pl.run([1])
        for _ in range(100):
            found = at_once(lambda: pl.run(range(50)), lambda: pl.run(range(100, 150)))
            for result, first in zip(found, (0, 100), strict=True):
                assert isinstance(result, LifecycleError) or result == [
                    2 * (first + n) for n in range(50)
                ]
        assert pl.run([1]) == [2]


@pytest.mark.usefixtures("quick_switches")
def test_of_two_threads_that_open_a_pipeline_one_is_refused() -> None:
    for _ in range(200):
        pl = pipeline().add(Processor(double))
        found = at_once(pl.open, pl.open)
        assert sorted(type(each).__name__ for each in found) == ["LifecycleError", "Pipeline"]
        pl.close()


@pytest.mark.usefixtures("quick_switches")
def test_of_two_threads_that_take_from_a_stream_one_is_refused_and_no_result_is_lost() -> None:
    for _ in range(5):
        stream, items = (
            pipeline().add(Processor(double)).stream(range(3000)),
            [list[int](), list[int]()],
        )

        def take(into: list[int]) -> None:
            for item in stream:  # noqa: B023  # it is done before the next
                into.append(item)

        found = at_once(lambda: take(items[0]), lambda: take(items[1]))  # noqa: B023
        errors = [each for each in found if each is not None]
        assert all(isinstance(each, LifecycleError) for each in errors)
        assert len(errors) < 2
        assert sorted(items[0] + items[1]) == list(range(0, 6000, 2))
        assert all(each == sorted(each) for each in items)


def test_a_stream_may_go_from_thread_to_thread() -> None:
    got: list[int] = []
    with pipeline().add(Processor(double)).stream(count()) as stream:
        for _ in range(10):
            at_once(lambda: got.extend(islice(stream, 100)))

    assert got == list(range(0, 2000, 2))


@pytest.mark.parametrize("start_method", START_METHODS)
@pytest.mark.parametrize("how", ["run", "stream"])
def test_a_program_that_ends_while_a_daemon_thread_runs_says_nothing(
    how: str, start_method: str
) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPTS / "daemon_runs.py", how],
        env=environment(start_method),
        capture_output=True,
        text=True,
        timeout=HANGS_S,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.split()) >= 2
    eventually(lambda: not any(psutil.pid_exists(int(pid)) for pid in done.stdout.split()))


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_threads_that_begin_at_once_start_one_resource_tracker(start_method: str) -> None:
    assert run_script(SCRIPTS / "trackers.py", start_method) == ["1"]


def test_while_a_program_ends_a_daemon_thread_is_busy_between_two_results_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else its workers would be taken from under it as it asks for the next one."""
    halts: list[Halt] = []
    begun, may_end = threading.Event(), threading.Event()

    def take_results() -> None:
        halts.append(Halt())
        begun.set()
        may_end.wait(HANGS_S)

    taker = threading.Thread(target=take_results, daemon=True)
    taker.start()
    begun.wait(HANGS_S)
    assert not halts[0].busy
    monkeypatch.setattr(halt, "program_ends", lambda: True)
    assert halts[0].busy
    may_end.set()
    taker.join(HANGS_S)
    assert not halts[0].busy
