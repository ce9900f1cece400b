"""One item at a time: how long until it comes back, and what waiting for the next costs."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import contextmanager
from itertools import pairwise
from queue import SimpleQueue
from statistics import median
from time import perf_counter, sleep

import psutil
from typing_extensions import Generator

from benchmarks import peers
from benchmarks.harness import Comparison, Goal, Section
from conveyor import Pipeline, Processor

STAGES = 3
TRIES = 2000
PAUSED_TRIES = 200
PAUSE_S = 0.002
IDLE_S = 2.0
MICRO = 1e6


def same(item: int) -> int:
    return item


def times(round_trip: Callable[[int], object], tries: int, pause_s: float = 0.0) -> list[float]:
    """Microseconds of each round trip, the shortest first."""
    spent: list[float] = []
    for number in range(tries):
        if pause_s:
            sleep(pause_s)
        started = perf_counter()
        round_trip(number)
        spent.append((perf_counter() - started) * MICRO)
    return sorted(spent)


def pass_on(read: int, write: int) -> None:
    while int.from_bytes(data := os.read(read, 8), "little"):
        os.write(write, data)
    os.write(write, data)


@contextmanager
def raw_pipes() -> Generator[Callable[[int], object]]:
    """The limit: processes that pass eight bytes on, from pipe to pipe."""
    pipes = [os.pipe() for _ in range(STAGES + 1)]
    for before, behind in pairwise(pipes):
        peers.fork.Process(target=pass_on, args=(before[0], behind[1]), daemon=True).start()

    def round_trip(number: int) -> int:
        os.write(pipes[0][1], number.to_bytes(8, "little"))
        return int.from_bytes(os.read(pipes[-1][0], 8), "little")

    yield lambda number: round_trip(number + 1)
    round_trip(0)  # which each passes on before it ends
    for ends in pipes:
        for end in ends:
            os.close(end)


@contextmanager
def through_stream(pipeline: Pipeline[int, int]) -> Generator[Callable[[int], object]]:
    """A stream whose source waits for what is asked for next."""
    asked: SimpleQueue[int | None] = SimpleQueue()
    with pipeline.stream(iter(asked.get, None)) as stream:

        def round_trip(number: int) -> int:
            asked.put(number)
            return next(stream)

        yield round_trip
        asked.put(None)


def idle_share() -> float:
    """What all processes together take of one core while nobody does anything, in per cent."""
    own = psutil.Process()
    processes = [own, *own.children(recursive=True)]

    def spent() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    before = spent()
    sleep(IDLE_S)
    return 100 * (spent() - before) / IDLE_S


def measure(rounds: int) -> Section:
    at_once, paused = (
        Comparison("µs, median", rounds),
        Comparison("µs, median, after a pause of 2 ms", rounds),
    )
    slowest: list[float] = []
    pipeline = Pipeline[int]().add(Processor(same)).add(Processor(same)).add(Processor(same))
    with peers.fork.Pool(STAGES) as pool, raw_pipes() as raw, through_stream(pipeline) as through:

        def conveyor() -> float:
            spent = times(through, TRIES)
            slowest.append(spent[len(spent) * 99 // 100] / median(spent))
            return median(spent)

        limit, name = "limit: three raw pipes of the system", "Conveyor, defaults"
        at_once.add(limit, lambda: median(times(raw, TRIES)))
        at_once.add(name, conveyor)
        at_once.add(
            "`Pool.apply`, one hop",
            lambda: median(times(lambda number: pool.apply(same, (number,)), TRIES)),
        )
        paused.add(limit, lambda: median(times(raw, PAUSED_TRIES, PAUSE_S)))
        paused.add(name, lambda: median(times(through, PAUSED_TRIES, PAUSE_S)))
        at_once.measure()
        paused.measure()
    with through_stream(pipeline) as through:
        through(1)
        idle = idle_share()
    goals = [
        Goal(
            "P4",
            "latency: times three raw pipes, back to back",
            at_once.ratio(name, limit),
            1.3,
            at_least=False,
        ),
        Goal(
            "P4",
            "latency: the same after a pause of 2 ms",
            paused.ratio(name, limit),
            2.0,
            at_least=False,
        ),
        Goal(
            "P4",
            "latency: 99th percentile, times the median",
            median(slowest[1:]),
            5,
            at_least=False,
        ),
        Goal("P4", "idle: % of a core", idle, 0.1, at_least=False),
    ]
    text = (
        "One item through three stages and back: a stream whose source waits for the next number to"
        " be asked for."
    )
    return Section("Latency", text, [at_once.markdown(), paused.markdown()], goals)
