"""How soon a failure in a job is an error of the run: `prompt.py raise|exit|interrupt|setup
MILLISECONDS`.

Prints what is wrong, if anything: the median, if it is more than it may be.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from statistics import median

from conveyor import Pipeline, Processor

HOW, LIMIT_MS = sys.argv[1], float(sys.argv[2])


def fail(_item: int) -> int:
    now = f"at {time.monotonic_ns()}"
    if HOW == "raise":
        raise ValueError(now)
    if HOW == "exit":
        sys.exit(now)
    raise KeyboardInterrupt(now)


class DiesInSetup(Processor[int, int]):
    def setup(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def process(self, item: int, /) -> int:
        return item


times_ms: list[float] = []
for _ in range(1 if HOW == "setup" else 11):
    began = time.monotonic_ns()
    try:
        Pipeline[int]().add(DiesInSetup() if HOW == "setup" else Processor(fail)).run([1])
    except Exception as error:
        ended = time.monotonic_ns()
        if HOW != "setup":
            began = int(str(error).rpartition("at ")[2].split()[0])
        times_ms.append((ended - began) / 1e6)
if not times_ms or median(times_ms) > LIMIT_MS:
    print(f"median {median(times_ms):.0f} ms" if times_ms else "no error")
