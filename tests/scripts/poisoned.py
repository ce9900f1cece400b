"""Simulates where every process, thread and clock is poison, and says that nobody drank of it."""

from __future__ import annotations

import _posixsubprocess
import _thread
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

_clocks = [
    name
    for name in dir(time)
    if name.partition("_ns")[0] in {"time", "monotonic", "perf_counter", "process_time"}
]
CLOCKS = [
    *_clocks,
    "thread_time",
    "sleep",
    "gmtime",
    "localtime",
    "clock_gettime",
    "clock_gettime_ns",
]
STARTS = {
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.exec",
    "subprocess.Popen",
    "socket.__new__",
}

armed = False


def does_not_begin_with_two(run: Any) -> bool:
    return bool(run[0] != 2)


class Poisoned(BaseException):
    """Not an Exception: nobody is to swallow it."""


def poisoned(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def taster(*args: Any, **options: Any) -> Any:
        if armed:
            raise Poisoned(name)
        return original(*args, **options)

    return taster


def audited(event: str, _arguments: tuple[Any, ...]) -> None:
    if armed and event in STARTS:
        raise Poisoned(event)


def bites(drink: Callable[[], object]) -> bool:
    try:
        drink()
    except Poisoned:
        return True
    return False


for name in CLOCKS:
    setattr(time, name, poisoned(name, getattr(time, name)))
for module in (_thread, threading):  # of threads Python 3.11 tells no auditor
    for name in dir(module):
        if name.lstrip("_").startswith("start_"):
            setattr(module, name, poisoned(name, getattr(module, name)))
_posixsubprocess.fork_exec = poisoned("fork_exec", _posixsubprocess.fork_exec)
sys.addaudithook(audited)

import cloudpickle  # noqa: E402, F401  # pyright: ignore[reportUnusedImport]  # which is loaded when it is first needed

import conveyor.sim.search.api  # noqa: E402, F401  # pyright: ignore[reportUnusedImport]  # what it imports in its turn may look at a clock while it is loaded
from conveyor.sim.faults import Faults  # noqa: E402  # only now: it must not have taken the clocks before
from tests.scripts.tells import pools, quickstart, tight, zipped  # noqa: E402

armed = True
assert bites(time.monotonic)
assert bites(lambda: time.sleep(0))
assert bites(os.fork)
assert bites(threading.Thread(target=print).start)

for make in (quickstart, tight, pools, zipped):
    simulation = make().simulate([2, 9, 11], seed=7)
    again = make().replay([2, 9, 11], simulation.schedule)
    assert again == simulation
    assert str(again.trace) == str(simulation.trace)
    assert str(again.report) == str(simulation.report)
    for strategy in ("portfolio", "exhaustive", "pct"):
        make().explore([2, 9], strategy=strategy, schedules=50)
tight().explore([2], schedules=50, faults=Faults())
quickstart().count([2, 9, 11])
assert quickstart().explore([2, 9, 11], does_not_begin_with_two).failure is not None
armed = False
print("nobody drank")
