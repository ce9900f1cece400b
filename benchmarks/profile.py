"""Where the time goes: the processor time of each step of the hot path, in the parent and in the
workers, an item."""

from __future__ import annotations

import functools
import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from time import process_time_ns, thread_time_ns
from typing import Any, NamedTuple

from typing_extensions import Generator

from benchmarks import coarse, fine, latency, records
from benchmarks.harness import Section
from benchmarks.jobs import work
from conveyor import BalancingFork, Filter, Join, Pipeline, Processor
from conveyor.core.journal import Journal
from conveyor.core.nodes import CollectNode
from conveyor.runtime.parent.source_thread import SourceThread
from conveyor.runtime.parent.supervisor import Supervisor
from conveyor.runtime.process.start import START_METHOD_VARIABLE
from conveyor.runtime.shm.inlet import RingInlet
from conveyor.runtime.shm.outlet import RingOutlet
from conveyor.runtime.shm.wakeup import Wakeup
from conveyor.runtime.step.batching import Meter
from conveyor.runtime.step.loop import DriveLoop
from conveyor.runtime.step.source import Puller
from conveyor.runtime.worker.run import Run
from conveyor.runtime.worker.worker import Worker

LATENCY_TRIPS = 2000

STEPS: dict[str, Sequence[tuple[type, str]]] = {
    "take from the source": [(Puller, "pull")],
    "decode": [(RingInlet, "peek")],
    "jobs": [(Meter, "__call__")],
    "collect the results": [(CollectNode, "__call__")],
    "encode": [(RingOutlet, "pack")],
    "publish": [(RingOutlet, "publish")],
    "commit": [(RingInlet, "commit")],
    "note the counts": [(Journal, "note"), (Journal, "begin")],
    "wake others": [(Wakeup, "notify")],
    "wait": [(Run, "wait"), (Supervisor, "sleep"), (SourceThread, "publish")],
    "loops": [(DriveLoop, "step")],
}
REST = "all else"

TEXT = """Processor time by step, in nanoseconds an item: of the parent, and of all workers
together. A step does not contain another's time; what the measuring itself costs, about half a
microsecond a step and batch, is within them. A batch is a slice of items: the smaller it is, the
more the steps that are done once for each show. A second core makes two of these nanoseconds one,
if both are kept busy."""


class Stopwatch(threading.local):
    """The processor time of each thread by step, without that of the steps within."""

    def __init__(self, spent: Counter[str]) -> None:
        self.spent = spent  # of all threads
        self.inner = [0]

    def timed(self, step: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def timed_call(*args: Any, **options: Any) -> Any:
            self.inner.append(0)
            started = thread_time_ns()
            try:
                return call(*args, **options)
            finally:
                spent = thread_time_ns() - started
                self.spent[step] += spent - self.inner.pop()
                self.inner[-1] += spent

        return timed_call


class Profile(NamedTuple):
    """Nanoseconds by step."""

    parent: Counter[str]
    workers: Counter[str]
    batches: int


@contextmanager
def watched(watch: Stopwatch, report_to: int) -> Generator[None]:
    """All steps are timed, also in workers that are forked meanwhile, which write to a pipe what
    they found in a run."""
    before = [
        (owner, name, getattr(owner, name)) for places in STEPS.values() for owner, name in places
    ]
    run = Worker.run

    def run_and_report(worker: Worker, number: int) -> None:
        watch.spent.clear()
        started = process_time_ns()
        run(worker, number)
        watch.spent[REST] = process_time_ns() - started - sum(watch.spent.values())
        batches = worker.workplace.block.times()[3]
        os.write(report_to, json.dumps([batches, watch.spent]).encode() + b"\n")

    try:
        for step, places in STEPS.items():
            for owner, name in places:
                setattr(owner, name, watch.timed(step, getattr(owner, name)))
        setattr(Worker, "run", run_and_report)  # noqa: B010  # for the workers that are forked from here
        yield
    finally:
        setattr(Worker, "run", run)  # noqa: B010  # as it was
        for owner, name, method in before:
            setattr(owner, name, method)


def profiled(pipeline: Pipeline[Any, Any], run: Callable[[Pipeline[Any, Any]], object]) -> Profile:
    """Of the second of two runs, the workers then warm."""
    read, write = os.pipe()
    watch = Stopwatch(Counter())
    method = os.environ.get(START_METHOD_VARIABLE)
    os.environ[START_METHOD_VARIABLE] = "fork"
    try:
        with watched(watch, write), pipeline:
            run(pipeline)
            os.read(read, 1 << 16)  # what was told of that run
            watch.spent.clear()
            started = process_time_ns()
            run(pipeline)
            watch.spent[REST] += process_time_ns() - started - sum(watch.spent.values())
            told = [json.loads(line) for line in os.read(read, 1 << 16).splitlines()]
    finally:
        os.close(read)
        os.close(write)
        if method is None:
            del os.environ[START_METHOD_VARIABLE]
        else:
            os.environ[START_METHOD_VARIABLE] = method
    workers: Counter[str] = Counter()
    for _, spent in told:
        workers.update(spent)
    return Profile(watch.spent, workers, sum(batches for batches, _ in told))


def table(title: str, profile: Profile, items: int) -> str:
    lines = [
        f"**{title}**: {items:,} items, {profile.batches:,} batches in the workers",
        "",
        "| ns an item | parent | workers |",
        "| --- | --- | --- |",
    ]
    for step in [*STEPS, REST]:
        mine, theirs = profile.parent[step] / items, profile.workers[step] / items
        if max(mine, theirs) >= 1:
            lines.append(f"| {step} | {mine:,.0f} | {theirs:,.0f} |")
    totals = [sum(spent.values()) / items for spent in profile[:2]]
    return "\n".join([*lines, f"| all | {totals[0]:,.0f} | {totals[1]:,.0f} |"])


def round_trips(pipeline: Pipeline[Any, Any]) -> None:
    asked: SimpleQueue[int | None] = SimpleQueue()
    with pipeline.stream(iter(asked.get, None)) as stream:
        for number in range(LATENCY_TRIPS):
            asked.put(number)
            next(stream)
        asked.put(None)
        assert not list(stream)


def measure(rounds: int) -> Section:
    numbers, lines = list(range(fine.ITEMS)), records.lines()
    some = list(range(coarse.ITEMS))
    same = Processor(latency.same)
    tables = [
        table("Fine", profiled(fine.chain(pipes=False), lambda pl: pl.run(numbers)), fine.ITEMS),
        table(
            "Fine, a worker for every stage",
            profiled(fine.chain(pipes=True), lambda pl: pl.run(numbers)),
            fine.ITEMS,
        ),
        table(
            "Coarse",
            profiled(
                Pipeline[int]().add(BalancingFork()).add(Processor(work)).add(Join()),
                lambda pl: pl.run(some),
            ),
            coarse.ITEMS,
        ),
        table(
            "Records",
            profiled(
                Pipeline[str]()
                .add(BalancingFork())
                .add(Processor(records.parse))
                .add(Filter(records.matters))
                .add(Processor(records.normalise))
                .add(Join())
                .add(records.Count()),
                lambda pl: pl.run(lines),
            ),
            records.ITEMS,
        ),
        table(
            "Latency",
            profiled(
                Pipeline[int]().add(same).add(Processor(latency.same)).add(Processor(latency.same)),
                round_trips,
            ),
            LATENCY_TRIPS,
        ),
    ]
    return Section("Where the time goes", TEXT, tables, [])
