"""Ends while a daemon thread is in the middle of a run; prints the processes that it has
started."""

import sys
import threading
from collections.abc import Iterator
from itertools import count

import psutil

from conveyor import Pipeline, Processor

begun = threading.Event()


def items() -> Iterator[int]:
    for number in count():
        if number == 50:
            begun.set()
        yield number


def run() -> None:
    pl = (
        Pipeline[int]()
        .add(Processor(lambda number: number + 1))
        .add(Processor(lambda number: [number]))
    )
    _ = pl.run(items()) if sys.argv[1] == "run" else all(pl.stream(items()))


threading.Thread(target=run, daemon=True).start()
begun.wait()
print(*(process.pid for process in psutil.Process().children(recursive=True)))
