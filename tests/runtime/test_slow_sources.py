"""A run watches its workers while its source takes its time, and the source stays in the thread
that called it."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest

from conveyor import Join, Pipe, Processor, ReplicatingFork, context
from conveyor.errors import ItemTimeout, PoisonItem, RunStopped
from tests.fatal_jobs import hangs, kills, raises
from tests.helpers import (
    PATIENCE_S,
    START_METHODS,
    eventually,
    living_children,
    pipeline,
)
from tests.jobs import double

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")


@pytest.fixture(autouse=True)
def no_thread_is_left_and_no_handler() -> Iterator[None]:
    threads = threading.active_count()
    yield
    eventually(lambda: threading.active_count() <= threads)
    assert signal.getsignal(signal.SIGURG) == signal.SIG_DFL


FAILURES: dict[str, tuple[Callable[[], Processor[int, int]], type[Exception]]] = {
    "an exception of a job": (lambda: Processor(raises), ZeroDivisionError),
    "a time limit": (lambda: Processor(hangs, timeout_s=0.2), ItemTimeout),
    "a dead worker": (lambda: Processor(kills), PoisonItem),
}


def blocks(after: int) -> Iterator[int]:
    """So many items at once, and then none for ever."""
    yield from range(after)
    queue.Queue[int]().get()


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize(
    ("after", "start_method"), [*((1, method) for method in START_METHODS), (100, "fork")]
)
def test_what_fails_while_the_source_blocks_is_told_at_once(
    after: int, failure: str, start_method: str
) -> None:
    job, error = FAILURES[failure]

    with pytest.raises(error):
        pipeline(start_method).add(job()).run(blocks(after))


def waits_for(call: Callable[[], object]) -> Iterator[int]:
    call()
    yield 1


SOURCES: dict[str, Callable[[], Iterator[int]]] = {
    "a queue": lambda: iter(queue.Queue[int]().get, -1),
    "a simple queue": lambda: iter(queue.SimpleQueue[int]().get, -1),
    "an event": lambda: waits_for(threading.Event().wait),
    "a clock": lambda: waits_for(lambda: time.sleep(1000)),
    "a pipe": lambda: waits_for(lambda: os.read(os.pipe()[0], 1)),
    "a loop": lambda: waits_for(lambda: all(True for _ in count())),
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_that_blocks_is_stopped_wherever_the_program_waits(source: str) -> None:
    pl = pipeline().add(Processor(double))
    timer = threading.Timer(0.3, pl.stop)
    timer.start()

    with pytest.raises(RunStopped):
        pl.run(SOURCES[source]())
    timer.join()


def test_the_source_is_closed_when_it_is_interrupted() -> None:
    told: list[str] = []

    def source() -> Iterator[int]:
        try:
            yield from blocks(3)
        finally:
            told.append("closed")

    with pytest.raises(ZeroDivisionError):
        pipeline().add(Processor(raises)).run(source())
    assert told == ["closed"]


def test_a_source_that_makes_something_else_of_being_interrupted_does_not_hide_the_failure() -> (
    None
):
    def source() -> Iterator[int]:
        try:
            yield from blocks(3)
        except BaseException:
            raise KeyError("mine") from None

    with pytest.raises(ZeroDivisionError):
        pipeline().add(Processor(raises)).run(source())


def test_a_run_inside_a_source_is_ended_with_the_run_around_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        yield from pipeline().add(Processor(hangs)).run([1])

    with pytest.raises(ZeroDivisionError):
        pipeline().add(Processor(raises)).run(source())


def test_a_signal_that_did_not_end_what_blocks_is_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As one that comes just before a system call."""
    send, lost = signal.pthread_kill, [1]

    def loses_the_first(thread: int, number: int) -> None:
        if not lost:
            send(thread, number)
        lost.clear()

    monkeypatch.setattr(signal, "pthread_kill", loses_the_first)
    with pytest.raises(ZeroDivisionError):
        pipeline().add(Processor(raises)).run(blocks(3))


def test_in_another_thread_workers_end_at_once_and_the_failure_comes_with_the_next_item() -> None:
    go_on = threading.Event()

    def source() -> Iterator[int]:
        yield 1
        go_on.wait()
        yield 2

    with ThreadPoolExecutor(1) as threads:
        run = threads.submit(pipeline().add(Processor(raises)).run, source())
        eventually(living_children)
        eventually(lambda: not living_children())
        assert not run.done()
        go_on.set()
        with pytest.raises(ZeroDivisionError):
            run.result(PATIENCE_S)


def test_with_is_left_though_a_source_of_another_thread_blocks() -> None:
    go_on, begun = threading.Event(), threading.Event()

    def source() -> Iterator[int]:
        yield 1
        begun.set()
        go_on.wait()

    with ThreadPoolExecutor(1) as threads:
        with pipeline().add(Processor(double)) as pl:
            run = threads.submit(pl.run, source())
            begun.wait(PATIENCE_S)
        assert not living_children()
        go_on.set()
        with pytest.raises(RunStopped):
            run.result(PATIENCE_S)


def test_a_worker_that_dies_is_replaced_while_the_source_blocks() -> None:
    answers: queue.SimpleQueue[int] = queue.SimpleQueue()
    reader, writer = os.pipe()

    def job(item: int) -> int:
        if context().attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(writer, b"x")
        return item

    def source() -> Iterator[int]:
        yield 1
        answers.put(len(os.read(reader, 1)))  # comes of the second attempt alone
        yield 2

    assert pipeline().add(Processor(job)).run(source()) == [1, 2]
    assert answers.get() == 1
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("pause_s", [0.0, 0.05])
def test_results_and_their_order_do_not_depend_on_how_slow_a_source_is(pause_s: float) -> None:
    def source() -> Iterator[Any]:
        for item in range(12):
            yield [item] if item % 3 else item
            if item % 4 == 0:
                time.sleep(pause_s)

    pl = pipeline().add(ReplicatingFork(2)).add(Pipe(2), Pipe(3)).add(Join(2))
    expected = [[item] if item % 3 else item for item in range(12)]

    result = pl.run(source())
    assert len(result) == 24
    for each in expected:
        assert result.count(each) == 2


@pytest.mark.parametrize("items", [3, 5000])
def test_a_source_is_iterated_in_the_thread_that_calls(items: int) -> None:
    threads: set[int] = set()

    def source() -> Iterator[int]:
        for item in range(items):
            threads.add(threading.get_ident())
            yield item

    assert pipeline().add(Processor(double)).run(source()) == [2 * item for item in range(items)]
    assert threads == {threading.get_ident()}


def test_a_program_that_uses_the_signal_itself_keeps_it() -> None:
    arrived: list[int] = []
    before = signal.signal(signal.SIGURG, lambda number, frame: arrived.append(number))
    try:

        def source() -> Iterator[int]:
            yield 1
            os.kill(os.getpid(), signal.SIGURG)
            yield 2

        assert pipeline().add(Processor(double)).run(source()) == [2, 4]
        assert arrived == [signal.SIGURG]
    finally:
        signal.signal(signal.SIGURG, before)


def test_ctrl_c_while_the_source_blocks_is_an_interrupt_as_ever() -> None:
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        pipeline().add(Processor(double)).run(blocks(3))
    timer.join()


def test_an_endless_source_that_fails_late_fails_once() -> None:
    def source() -> Iterator[int]:
        for item in count():
            if item == 1000:
                raise LookupError(item)
            yield item

    with pytest.raises(LookupError):
        pipeline().add(Processor(double)).run(source())
