"""Pipelines that are interrupted by a signal handler which raises, at one moment after another;
prints what was left behind.

`alarm.py COUNT`: at so many moments, from before the start to behind the end of what is done.  The
last line says how many were interrupted.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType

import psutil

from conveyor import Pipe, Pipeline, Processor


class Late(Exception):
    """As a time limit of the program's own."""


class Ended(BaseException):
    """As of a program that is told to end."""


KINDS = (
    Late,
    TimeoutError,
    Ended,
)  # TimeoutError is an OSError, which the library might take for one of its own calls
raising: type[BaseException] | None = None
me = psutil.Process()


def handler(_number: int, _frame: FrameType | None) -> None:
    if raising is not None:
        raise raising


def pipeline() -> Pipeline[int, int]:
    return (
        Pipeline[int]()
        .add(Processor(lambda n: n + 1))
        .add(Pipe(50))
        .add(Processor(lambda n: [n][0]))
    )


def run() -> list[int]:
    return pipeline().run(range(500))


def stream() -> list[int]:
    with pipeline().stream(iter(range(500))) as results:
        return list(results)


def opened() -> list[int]:
    pl = pipeline()
    pl.open()
    try:
        return [*pl.run(range(250)), *pl.run(range(250, 500))]
    finally:
        pl.close()


WAYS: tuple[Callable[[], list[int]], ...] = (run, stream, opened)
EXPECTED = list(range(1, 501))


def moments(way: Callable[[], list[int]], count: int) -> Iterator[float]:
    started = time.perf_counter()
    way()
    took = time.perf_counter() - started
    for number in range(count):
        yield took * 1.1 * (number + 0.5) / count


def children() -> set[int]:
    return {child.pid for child in me.children(recursive=True)}


def descriptors() -> int:
    gc.collect()  # what is only unreachable is not left open
    return me.num_fds()


def interrupted(way: Callable[[], list[int]], after_s: float, kind: type[BaseException]) -> str:
    """What came of one interrupt."""
    global raising
    raising = kind
    try:
        signal.setitimer(signal.ITIMER_REAL, after_s)
        try:
            results = way()
        finally:
            raising = None
            signal.setitimer(signal.ITIMER_REAL, 0)
    except kind:
        return "interrupted"
    except BaseException as error:
        return f"{type(error).__name__} in place of {kind.__name__}: {error}"
    return "done" if results == EXPECTED else "wrong results"


def left(before: tuple[set[int], int, dict[str, str]]) -> Iterator[str]:
    """What there is that was not there before."""
    deadline = time.monotonic() + 5
    while (more := children() - before[0]) and time.monotonic() < deadline:
        time.sleep(0.01)
    if more:
        yield f"processes {more}"
    if descriptors() > before[1]:
        yield "descriptors"
    if dict(os.environ) != before[2]:
        yield "environment"
    if signal.pthread_sigmask(signal.SIG_BLOCK, ()):
        yield "blocked signals"
    if (
        signal.getsignal(signal.SIGALRM) is not handler
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield "a handler"


if __name__ == "__main__":
    signal.signal(signal.SIGALRM, handler)
    many = 0
    for way in WAYS:
        way()  # what a first run leaves for good
        before = children(), descriptors(), dict(os.environ)
        for number, after_s in enumerate(moments(way, int(sys.argv[1]))):
            outcome = interrupted(way, after_s, KINDS[number % len(KINDS)])
            many += outcome == "interrupted"
            if outcome not in ("interrupted", "done"):
                print(f"{way.__name__}, {after_s:.4f} s: {outcome}")
            for what in left(before):
                print(f"{way.__name__}, {after_s:.4f} s, {outcome}: left {what}")
            if run() != EXPECTED:
                print(f"{way.__name__}, {after_s:.4f} s, {outcome}: the next run is wrong")
    print(many)
