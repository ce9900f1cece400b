"""Says that it begins, and then starts workers for a source that never ends.

`starts.py before|after N SIGNAL`: sends itself that signal just before or after it has started its
worker number N.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

from conveyor import Pipe, Pipeline, Processor
from conveyor.runtime.parent import local_crew
from conveyor.runtime.process import start as processes


def source() -> Iterator[int]:
    while True:
        time.sleep(0.001)
        yield 1


def same(item: int) -> int:
    return item


def die(when: str, number: int, end: signal.Signals) -> None:
    start, started = processes.start_process, 0

    def start_or_die(*arguments: Any) -> Any:
        nonlocal started
        started += 1
        if (when, started) == ("before", number):
            os.kill(os.getpid(), end)
        handle = start(*arguments)
        if (when, started) == ("after", number):
            os.kill(os.getpid(), end)
        return handle

    setattr(local_crew, "start_process", start_or_die)  # noqa: B010  # a function, replaced on purpose


if __name__ == "__main__":
    if sys.argv[1:]:
        die(sys.argv[1], int(sys.argv[2]), signal.Signals[sys.argv[3]])
    print("begins", flush=True)
    pl = (
        Pipeline[int]()
        .add(Processor(same))
        .add(Pipe(3))
        .add(Processor(same))
        .add(Pipe(3))
        .add(Processor(same))
    )
    pl.run(source())
