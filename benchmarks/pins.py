"""A worker on a core where another program is at work: it is let go, it stays because the user has
named that core, or the system places it from the beginning."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from time import perf_counter

from benchmarks.harness import Comparison, Section, Skipped
from conveyor import Pipeline, Placement, Processor

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
ITEMS = 400
STEPS = 100_000  # some 5 ms
OTHER = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
print(flush=True)
while True:
    pass
"""


def spin(number: int) -> int:
    total = number
    for step in range(STEPS):
        total ^= step
    return total


@contextmanager
def another_program(core: int) -> Generator[None]:
    """Uses the core, as much of it as it gets, until the end of the block."""
    program = subprocess.Popen([sys.executable, "-c", OTHER, str(core)], stdout=subprocess.PIPE)
    assert program.stdout is not None
    with program:
        try:
            program.stdout.readline()  # it has begun
            yield
        finally:
            program.kill()


def seconds(placement: Placement | None, is_alone: bool) -> float:
    """How long the items take; if it is not alone, another program is at work on the core of the
    worker, or on the last one if the worker has none of its own."""
    with Pipeline[int]().add(Processor(spin)) as pl:
        core = pl.run([0], placement=placement).report.stages["spin"].core
        there = CORES[-1] if core is None else core
        with nullcontext() if is_alone else another_program(there):
            started = perf_counter()
            pl.run(range(ITEMS), placement=placement)
            return perf_counter() - started


def measure(rounds: int) -> Section:
    if len(CORES) < 2:
        raise Skipped("there are no two cores to choose from")
    named, unpinned = Placement.pinned({"spin": [CORES[-1]]}), Placement.unpinned()
    comparison = Comparison("s", rounds)
    comparison.add("by default, nothing else runs", lambda: seconds(None, True))
    comparison.add("never kept on a core, nothing else runs", lambda: seconds(unpinned, True))
    comparison.add("by default, let go: another program is there", lambda: seconds(None, False))
    comparison.add("stays, as the user named the core", lambda: seconds(named, False))
    comparison.add("never kept, another program runs", lambda: seconds(unpinned, False))
    comparison.measure()
    text = (
        f"{ITEMS} items of some 5 ms in one worker on {len(CORES)} cores. The other program uses "
        "one core, as much of it as it gets.\nWhether a worker had to wait for its core, for 0.3 "
        "of a second at least, is looked at each second."
    )
    return Section("Pins", text, [comparison.markdown()], [])
