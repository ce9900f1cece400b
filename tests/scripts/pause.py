"""Takes one result of an endless stream and pauses: `pause.py SECONDS`; prints what is wrong, if
anything."""

from __future__ import annotations

import itertools
import os
import sys
import time

import psutil

from conveyor import Pipeline, Processor
from tests.chaos.watch import workers

SECONDS = float(sys.argv[1])

with (
    Pipeline[int]()
    .add(Processor(lambda n: n + 1))
    .add(Processor(lambda n: n + 1))
    .stream(itertools.count()) as stream
):
    next(stream)
    crew = [psutil.Process(pid) for pid in [*workers(os.getpid()), os.getpid()]]

    def busy() -> list[float]:
        return [process.cpu_times().user + process.cpu_times().system for process in crew]

    time.sleep(2)  # the pipes fill up
    before = busy()
    time.sleep(SECONDS)
    shares = [(after - start) / SECONDS for start, after in zip(before, busy(), strict=True)]
    if len(shares) != 3 or max(shares) >= 0.01:
        print("shares of a core:", *(f"{share:.1%}" for share in shares))
