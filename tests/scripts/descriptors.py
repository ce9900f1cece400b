"""A pipeline under one limit of open files after another; prints for each what came of it, and how
many it left open.

`descriptors.py FEWEST MOST STEP`: how many there may be more than are open already.
"""

from __future__ import annotations

import gc
import os
import resource
import sys

from conveyor import Pipe, Pipeline, Processor
from conveyor.errors import TooFewDescriptors


def same(item: int) -> int:
    return item


def run() -> list[int]:
    return (
        Pipeline[int]()
        .add(Processor(same))
        .add(Pipe(3))
        .add(Processor(same))
        .add(Pipe(3))
        .add(Processor(same))
        .run([1, 2])
    )


def opened() -> set[int]:
    gc.collect()  # what is only unreachable is not left open
    numbers = set(map(int, os.listdir("/dev/fd")))
    return {
        number for number in numbers if os.path.exists(f"/dev/fd/{number}")
    }  # not the one by which they were listed


if __name__ == "__main__":
    run()  # what a first run leaves open for good
    before = opened()
    free = [number for number in range(1000) if number not in before]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for more in range(*map(int, sys.argv[1:])):
        resource.setrlimit(resource.RLIMIT_NOFILE, (free[more], hard))
        try:
            outcome = str(run())
        except TooFewDescriptors as error:
            outcome = f"too few: {error}"
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        print(f"{more} {outcome}; left open: {len(opened() - before)}")
