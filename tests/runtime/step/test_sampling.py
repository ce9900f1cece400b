"""Which part of a worker's time its jobs take, by a clock that the test sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from conveyor import FlatMap, Processor
from conveyor.core.job_node import ItemFailed, JobNode
from conveyor.core.nodes import node_for
from conveyor.runtime.step import sampling
from conveyor.runtime.step.sampling import EVERY, FIRST_SLICE, Sampler

JOB_NS, AROUND_NS = 300, 100


class Clock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


class Samples:
    """What a sampler has written."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    def set_running(self, number: int) -> None: ...
    def times(self) -> tuple[int, int, int, int]:
        return 0, 0, 0, 0

    def write_times(self, busy: int, waiting: int, blocked: int, batches: int) -> None: ...
    def write_moving(self, nanoseconds: int) -> None: ...
    def add_sample(self, in_jobs: int, nanoseconds: int) -> None:
        self.told.append((in_jobs, nanoseconds))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(sampling, "perf_counter_ns", made)
    monkeypatch.setattr(sampling, "clock_ns", lambda: 0.0)
    return made


def node(job: Callable[[Any], Any], kind: Any = Processor) -> JobNode:
    return node_for(kind(job), "job", lambda _: None)


def test_of_a_slice_so_much_is_the_jobs_own(clock: Clock) -> None:
    def job(item: int) -> list[int]:
        clock.now += JOB_NS
        return [item]

    samples, sampled = Samples(), node(job)
    sampler = Sampler([sampled], samples)
    sampler.begin()
    ((out, finished, _),) = sampled([1, 2, 3], 0, 10)
    clock.now += 3 * AROUND_NS  # to make the results safe
    sampler.end()

    assert (len(out), finished) == (3, 3)
    assert samples.told == [(3 * JOB_NS, 3 * (JOB_NS + AROUND_NS))]


def test_what_the_clock_itself_costs_is_left_out(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "clock_ns", lambda: float(AROUND_NS))
    samples, sampled = Samples(), node(str)
    sampler = Sampler([sampled], samples)
    sampler.begin()
    list(sampled([1, 2], 0, 10))
    clock.now += 3 * AROUND_NS
    sampler.end()

    assert samples.told == [(0, AROUND_NS)]


def test_behind_the_slice_the_job_is_itself_again_also_if_it_failed(clock: Clock) -> None:
    def refuse(item: int) -> int:
        raise ValueError(item)

    sampled = node(refuse)
    sampler = Sampler([sampled], Samples())
    sampler.begin()
    with pytest.raises(ItemFailed):
        list(sampled([1], 0, 10))
    sampler.end()

    assert sampled.job is refuse


def test_a_job_that_gives_its_results_one_by_one_is_not_timed(clock: Clock) -> None:
    samples, sampled = Samples(), node(list, FlatMap)
    sampler = Sampler([sampled], samples)

    assert not any(map(sampler.due, range(2 * EVERY)))


def test_a_job_that_only_calculates_has_a_loop_of_its_own_and_no_figures(clock: Clock) -> None:
    samples, sampled = Samples(), node(lambda number: number + 1)
    sampler = Sampler([sampled], samples)
    sampler.begin()
    ((out, _, _),) = sampled([1, 2], 0, 10)
    sampler.end()

    assert out == [2, 3]
    assert samples.told == []


def test_one_slice_of_many_is_timed() -> None:
    sampler = Sampler([node(str)], Samples())

    assert [slices for slices in range(3 * EVERY) if sampler.due(slices)] == [
        FIRST_SLICE + EVERY * turn for turn in range(3)
    ]


def test_the_clock_costs_something() -> None:
    sampling.clock_ns.cache_clear()
    assert 0 < sampling.clock_ns() < 1e6
