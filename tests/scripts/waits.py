"""Two workers with one item each that takes for ever; each tells its process id when it has begun.

With the argument "busy" the jobs hold the interpreter meanwhile, so that no Python code of the
worker can run.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from conveyor import Join, Pipeline, Processor, ReplicatingFork

BUSY = sys.argv[1:] == ["busy"]

# Whoever starts this in the background may have told it to ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)


def wait(number: int) -> int:
    os.write(1, f"{os.getpid()}\n".encode())
    if BUSY:
        return sum(range(10**13))
    threading.Event().wait()
    return number


Pipeline[int]().add(ReplicatingFork(2)).add(Processor(wait), Processor(wait)).add(Join(2)).run([1])
