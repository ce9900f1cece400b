"""How long it takes to begin: in a new interpreter, again in the same one, and with workers that
are warm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial

from benchmarks.harness import Comparison, Goal, Section

MILLI = 1e3

SCRIPT = """
import json, time
started = time.perf_counter()
import conveyor
imported = time.perf_counter()
from conveyor import Pipeline, Processor
def chain():
    return Pipeline().add(Processor(len)).add(Processor(abs)).add(Processor(bin))
chain().run(["a"])
first = time.perf_counter()
chain().run(["a"])
second = time.perf_counter()
with chain() as warm:
    warm.run(["a"])
    tries = []
    for _ in range(200):
        begun = time.perf_counter()
        warm.run(["a"])
        tries.append(time.perf_counter() - begun)
import multiprocessing
begun = time.perf_counter()
with multiprocessing.get_context("fork").Pool(3) as pool:
    pool.map(len, ["a"])
forked = time.perf_counter() - begun
begin = [imported - started, first - imported, second - first]
print(json.dumps([*begin, sorted(tries)[100], forked]))
"""

IMPORTED, FIRST, SECOND, WARM, POOL = range(5)


class Figures:
    """What one new interpreter measured, in milliseconds; each figure is asked for once a round,
    the first begins it."""

    def __init__(self) -> None:
        self.latest: list[float] = []

    def figure(self, which: int) -> float:
        if which == IMPORTED:
            # As installed: a package's bytecode is written when it is installed, or used for the
            # first time.
            env = {
                name: value
                for name, value in os.environ.items()
                if name != "PYTHONDONTWRITEBYTECODE"
            }
            done = subprocess.run(
                [sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, check=True
            )
            self.latest = [seconds * MILLI for seconds in json.loads(done.stdout)]
        return self.latest[which]


def measure(rounds: int) -> Section:
    comparison, figures = Comparison("ms", rounds), Figures()
    names = {
        "`import conveyor`": IMPORTED,
        "first pipeline of a process: three workers, one item, all gone again": FIRST,
        "the next one": SECOND,
        "`run` of one item, warm": WARM,
        "`Pool(3)` by fork, one item": POOL,
    }
    for name, which in names.items():
        comparison.add(name, partial(figures.figure, which))
    comparison.measure()
    imported, first, second, warm = (comparison.median(name) for name in list(names)[:4])
    goals = [
        Goal("P5", "start: first pipeline, ms", first, 250, at_least=False),
        Goal("P5", "start: the next, ms", second, 30, at_least=False),
        Goal("P5", "start: a warm run of one item, ms", warm, 1, at_least=False),
        Goal("P5", "start: `import conveyor`, ms", imported, 30, at_least=False),
    ]
    return Section("Start", "Each round in a new interpreter.", [comparison.markdown()], goals)
