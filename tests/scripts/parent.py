"""A parent that is to be killed: `parent.py idle|asleep|busy`; prints a line when its workers are
in that state.

idle: between two runs of an open pipeline; asleep: inside a job that waits; busy: inside a job that
holds the interpreter.
"""

from __future__ import annotations

import os
import sys
import threading

from conveyor import Join, Pipeline, Processor, ReplicatingFork

STATE = sys.argv[1]


def work(number: int) -> int:
    if STATE == "idle":
        return number
    os.write(1, b"at work\n")
    if STATE == "busy":
        return sum(range(10**13))
    threading.Event().wait()
    return number


with Pipeline[int]() as pipeline:
    pipeline.add(ReplicatingFork(2))
    pipeline.add(Processor(work), Processor(work))
    pipeline.add(Join(2))
    pipeline.run([1])
    os.write(1, b"idle\n")
    threading.Event().wait()
