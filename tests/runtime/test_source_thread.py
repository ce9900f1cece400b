"""The thread of a stream's source, and that of its consumer, which steps the same loop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from conveyor.runtime.parent.source_thread import SourceThread
from conveyor.runtime.shm.wakeup import Wakeup
from conveyor.runtime.step.source import Puller


class LoopThatEndsAt:
    """A source's loop that has no room for its last record until one thread steps it."""

    def __init__(self, thread: threading.Thread) -> None:
        self.thread = thread
        self.finished = False
        self.fell_asleep = threading.Event()

    def step(self) -> None:
        self.finished |= threading.current_thread() is self.thread

    def able(self) -> bool:
        return False

    def sleeps(self) -> None:
        self.fell_asleep.set()

    def is_awake(self) -> None:
        pass


@pytest.fixture
def wakeups() -> Iterator[list[Wakeup]]:
    made = [Wakeup.create(blocking=False) for _ in range(2)]
    yield made
    for wakeup in made:
        wakeup.close()


@pytest.mark.timeout(60)
def test_the_sources_thread_ends_where_the_consumers_sent_on_the_last_record(
    wakeups: list[Wakeup],
) -> None:
    loop = LoopThatEndsAt(threading.current_thread())

    def loop_of(_run: int, _feed: object) -> LoopThatEndsAt:
        return loop

    ends = SimpleNamespace(
        puller=Puller,
        smallest_capacity=1,
        source_loop=loop_of,
        balancer=SimpleNamespace(room=lambda: 1),
        source=SimpleNamespace(outlets=[]),
        keeper=SimpleNamespace(),
    )
    shared = SimpleNamespace(wakeups=wakeups[:1], consumer_wakeup=wakeups[1])
    runner = SimpleNamespace(ends=ends, supervisor=SimpleNamespace(shared=shared))
    source = SourceThread(cast("Any", runner), 1, [], cast("Any", SimpleNamespace(error=None)))

    source.thread.start()
    assert loop.fell_asleep.wait(20)  # with all that it had pulled, and no room for it
    source.send_on()
    source.thread.join(20)
    ended = not source.thread.is_alive()
    source.stop()
    assert ended
