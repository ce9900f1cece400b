"""A run that is ended from outside: by another thread, by a signal handler, by the end of its
stream."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from conveyor import Processor
from conveyor.errors import LifecycleError, RunError, RunStopped
from tests.helpers import (
    PATIENCE_S,
    eventually,
    living_children,
    pipeline,
    under_each_start_method,
)
from tests.jobs import double

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")


def wait_for_ever(item: int) -> int:
    threading.Event().wait()
    return item


class Begun:
    """Items without end, and word of it when so many were taken."""

    def __init__(self, items: int = 5) -> None:
        self.items = items
        self.event = threading.Event()

    def __iter__(self) -> Iterator[int]:
        for item in count():
            if item == self.items:
                self.event.set()
            yield item

    def then(self, do: Callable[[], object]) -> Future[object]:
        """Does something in another thread, once so many were taken."""
        done: Future[object] = Future()

        def wait_and_do() -> None:
            self.event.wait(PATIENCE_S)
            try:
                done.set_result(do())
            except BaseException as error:
                done.set_exception(error)

        threading.Thread(target=wait_and_do, daemon=True).start()
        return done


# ---------------------------------------------------------------------------------------------- run


@under_each_start_method
@pytest.mark.parametrize("job", [double, wait_for_ever])
def test_stop_ends_a_run_of_another_thread(job: Any, start_method: str) -> None:
    pl, begun = pipeline(start_method).add(Processor(job)), Begun(1)
    stopped = begun.then(pl.stop)

    with pytest.raises(RunStopped, match=r"stop\(\)"):
        pl.run(begun)

    stopped.result(PATIENCE_S)
    assert issubclass(RunStopped, RunError)


@pytest.mark.parametrize(
    "items", [range(10**9), [0] * 10**6, Begun(10**9)], ids=["range", "list", "iterator"]
)
def test_stop_ends_a_run_whatever_its_items_are(items: Any) -> None:
    pl = pipeline().add(Processor(double, timeout_s=60)).add(Processor(wait_for_ever))
    with ThreadPoolExecutor(1) as threads:
        run = threads.submit(pl.run, items)
        eventually(living_children)
        pl.stop()
        with pytest.raises(RunStopped):
            run.result(PATIENCE_S)


def test_stop_may_be_called_by_a_signal_handler() -> None:
    pl = pipeline().add(Processor(wait_for_ever))
    before = signal.signal(signal.SIGALRM, lambda number, frame: pl.stop())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(RunStopped):
            pl.run(range(3))
    finally:
        signal.signal(signal.SIGALRM, before)


def test_stop_may_be_called_by_the_source() -> None:
    pl = pipeline().add(Processor(double))

    def source() -> Iterator[int]:
        yield 1
        pl.stop()
        yield 2

    with pytest.raises(RunStopped):
        pl.run(source())


def test_an_open_pipeline_runs_again_once_it_was_stopped() -> None:
    with pipeline().add(Processor(double)) as pl:
        assert pl.run([1]) == [2]
        begun = Begun()
        begun.then(pl.stop)
        with pytest.raises(RunStopped):
            pl.run(begun)
        assert pl.run([1, 2]) == [2, 4]
        assert list(pl.stream([3])) == [6]


def test_stop_does_nothing_where_no_run_is_under_way() -> None:
    pl = pipeline()
    pl.stop()
    pl.add(Processor(double)).stop()
    assert pl.run([1]) == [2]
    pl.stop()
    with pl:
        pl.stop()
        assert pl.run([2]) == [4]
        pl.stop()
        assert list(pl.stream([3])) == [6]
        pl.stop()


def test_close_is_refused_while_a_run_is_under_way_and_says_how_to_end_it() -> None:
    pl = pipeline().add(Processor(double)).open()
    begun = Begun()

    def close() -> str:
        with pytest.raises(LifecycleError) as refused:
            pl.close()
        pl.stop()
        return str(refused.value)

    told = begun.then(close)
    with pytest.raises(RunStopped):
        pl.run(begun)
    assert "stop()" in str(told.result(PATIENCE_S))
    pl.close()


def test_the_end_of_with_ends_a_run_of_another_thread() -> None:
    begun = Begun()
    with ThreadPoolExecutor(1) as threads:
        with pipeline().add(Processor(double)) as pl:
            run = threads.submit(pl.run, begun)
            begun.event.wait(PATIENCE_S)
        assert not living_children()
        with pytest.raises(RunStopped, match="the end of `with`"):
            run.result(PATIENCE_S)
    assert pl.run([1]) == [2]


def test_a_recording_says_that_a_run_was_stopped(tmp_path: Path) -> None:
    from conveyor.recording.reader import Recording

    pl, begun = pipeline().add(Processor(double)), Begun()
    begun.then(pl.stop)
    with pytest.raises(RunStopped):
        pl.run(begun, record=tmp_path / "run.cvd")

    end = Recording.read((tmp_path / "run.cvd").read_bytes(), "run.cvd").end
    assert end is not None
    assert end.how == "stopped"


# ------------------------------------------------------------------------------------------ streams

LEAVES: dict[str, Callable[[Any, Any], None]] = {
    "stop": lambda pl, stream: pl.stop(),
    "close": lambda pl, stream: stream.close(),
    "leave with": lambda pl, stream: stream.__exit__(None, None, None),
    "close the pipeline": lambda pl, stream: pl.close(),
}


@under_each_start_method
@pytest.mark.parametrize("leave", LEAVES)
def test_a_reader_that_waits_is_told_that_another_thread_ended_its_stream(
    leave: str, start_method: str
) -> None:
    pl, begun = pipeline(start_method).add(Processor(wait_for_ever)).open(), Begun(1)
    stream = pl.stream(begun)
    ended = begun.then(lambda: LEAVES[leave](pl, stream))

    with pytest.raises(RunStopped):
        next(stream)
    with pytest.raises(RunStopped):  # and again, however often it asks
        list(stream)
    ended.result(PATIENCE_S)
    if leave != "close the pipeline":
        pl.close()


@pytest.mark.parametrize("leave", LEAVES)
def test_a_reader_that_does_something_else_is_told_when_it_comes_back(leave: str) -> None:
    pl = pipeline().add(Processor(double)).open()
    stream = pl.stream(range(2000))
    got = [next(stream)]
    thread = threading.Thread(target=lambda: LEAVES[leave](pl, stream))
    thread.start()
    thread.join(PATIENCE_S)
    assert not living_children()

    with pytest.raises(RunStopped):
        got += stream
    assert len(got) < 2000
    if leave != "close the pipeline":
        pl.close()


def test_a_stream_that_its_own_reader_closes_is_over_and_no_more() -> None:
    stream = pipeline().add(Processor(double)).stream(count())
    next(stream)
    stream.close()

    assert list(stream) == []


def test_a_stream_closed_by_a_signal_handler_of_its_reader_is_over_and_no_more() -> None:
    stream = pipeline().add(Processor(wait_for_ever)).stream(count())
    before = signal.signal(signal.SIGALRM, lambda number, frame: stream.close())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        assert list(stream) == []
    finally:
        signal.signal(signal.SIGALRM, before)


def test_to_close_or_stop_a_stream_that_is_complete_changes_nothing() -> None:
    pl = pipeline().add(Processor(double))
    stream = pl.stream([1, 2])
    assert list(stream) == [2, 4]
    thread = threading.Thread(target=lambda: (stream.close(), pl.stop()))
    thread.start()
    thread.join(PATIENCE_S)

    assert list(stream) == []
    assert stream.report.stages["double"].items_out == 2
