"""Which part of a worker's time its jobs themselves take, and which what opens items for them and
makes their results safe.

This file knows the clock and how a job is called.  It must never know what becomes of a result, or
what is done with the figures.

To time each call would cost as much as many a job, so only now and then the calls of a slice are.
Jobs that are run in a loop of their own (`kernels.quick_loop`) are not called so, and have no
figures: there is nothing to open or to make safe.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from time import perf_counter_ns
from typing import Final

from conveyor.core.job_node import JobNode
from conveyor.runtime.step.contract import WorkFigures
from conveyor.stages import Gives, gives_of

__all__ = ["Sampler"]

FIRST_SLICE: Final = 3
EVERY: Final = 32  # slices
CALLS: Final = 50  # to find what the clock itself costs


class Stopwatch:
    """A job with a clock around each call."""

    def __init__(self, job: Callable[[object], object]) -> None:
        self.job = job
        self.calls = self.spent = 0

    def __call__(self, item: object) -> object:
        started = perf_counter_ns()
        result = self.job(item)
        self.spent += perf_counter_ns() - started
        self.calls += 1
        return result


class Sampler:
    """Times the jobs of a worker in one slice of many; `due(slices)` says in which."""

    def __init__(self, nodes: Sequence[JobNode], figures: WorkFigures) -> None:
        # What a job that gives any number of results takes is not over when it returns.
        self.nodes = [node for node in nodes if gives_of(node.stage) is not Gives.EACH]
        self.figures = figures
        self.watches: list[Stopwatch] = []
        self.since = 0

    def due(self, slices: int) -> bool:
        """Are the jobs to be timed, behind so many slices?"""
        return slices % EVERY == FIRST_SLICE and bool(self.nodes)

    def begin(self) -> None:
        self.watches = [Stopwatch(node.job) for node in self.nodes]
        for node, watch in zip(self.nodes, self.watches, strict=True):
            node.job = watch
        self.since = perf_counter_ns()

    def end(self) -> None:
        spent = perf_counter_ns() - self.since
        for node, watch in zip(self.nodes, self.watches, strict=True):
            node.job = watch.job
        calls = sum([watch.calls for watch in self.watches])
        in_jobs = sum([watch.spent for watch in self.watches])
        if calls:
            self.figures.add_sample(in_jobs, max(in_jobs, spent - int(calls * clock_ns())))


@cache
def clock_ns() -> float:
    """What a clock around a call costs, in nanoseconds."""
    watch = Stopwatch(lambda item: item)
    started = perf_counter_ns()
    for _ in range(CALLS):
        watch(None)
    return (perf_counter_ns() - started - watch.spent) / CALLS
