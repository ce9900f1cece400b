"""Lets the workers of one stage die at one step of the protocol, whenever they have done some of it
well.

`tests.store_faults` says which store comes next.  This file decides which worker dies, and where a
record is cut in two.  It works by fork alone: the workers inherit it.  Between two deaths a worker
finishes some records, or else it would be taken for one that never gets anywhere; at `recovery`
every other one dies at its first store.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing import current_process
from random import Random
from typing import Any, Final, cast

from conveyor.runtime.shm.memory import Memory
from conveyor.runtime.shm.outlet import RingOutlet
from tests.chaos.board import board
from tests.store_faults import Fault, FaultInjector, FaultyWords, planned

__all__ = ["STEPS", "STEPS_OF", "install"]

# What a worker has done when it dies, and where that is.
STEPS: Final = {
    "has taken a slice in hand": "after hand",
    "is at its job": "after running",
    "has run the job, written nothing": "before data",
    "has written half a record": "middle of data",
    "has written a record, not published it": "before tail",
    "has published, not notified": "after tail",
    "has published and notified, not committed": "before head",
    "is between the two stores of a commit": "after head",
    "has committed, not notified": "after head bytes",
    "is about to sleep": "before sleep",
    "has noted what it counted": "after counts",
    "has just gone on in the place of another": "recovery",
}
# Steps that only some stages take.
STEPS_OF: Final = {
    "fork": {"has published in one lane of two": "between lanes"},
    "zip": {"is about to commit a tuple": "before note", "has committed a tuple": "after note"},
    "state": {
        "has written half of what it saves": "middle of entry",
        "is about to save its state": "before state",
        "has saved its state": "after state",
    },
}
FIRST_STORES: Final = ("before tail", "before head")


class Reaper:
    """The deaths of the workers of one stage."""

    def __init__(self, place: str, wanted: int) -> None:
        self.place = place
        self.wanted = wanted
        self.pid = 0
        self.left = 0

    def born(self) -> None:
        """In a new worker: how long it is to live."""
        self.pid = os.getpid()
        kills = board().kills
        at_once = self.place == "recovery" and kills % 2 == 1
        self.left = 0 if at_once else Random(kills).randint(4, 12)

    def at(self, place: str) -> None:
        if os.getpid() != self.pid:
            self.born()
        if place != self.place and not (self.place == "recovery" and place in FIRST_STORES):
            return
        if self.left:
            self.left -= 1
        elif board().kills < self.wanted:
            board().kills += 1
            os.kill(os.getpid(), signal.SIGKILL)


class Bytes:
    """A view of bytes, with a place before each store and in the middle of it."""

    def __init__(self, data: memoryview, at: Callable[[str], None]) -> None:
        self.data = data
        self.at = at

    def __getitem__(self, index: slice) -> memoryview:
        return self.data[index]

    def __setitem__(self, index: slice, value: bytes) -> None:
        middle = len(value) // 2
        self.at("before data")
        self.data[index.start : index.start + middle] = value[:middle]
        self.at("middle of data")
        self.data[index.start + middle : index.stop] = value[middle:]


def install(stage: str, place: str, wanted: int) -> ExitStack:
    """From now on, workers of `stage` die at `place`, until `wanted` have."""
    reaper = Reaper(place, wanted)
    make_outlet = RingOutlet.__init__
    written = Memory.write_at
    lanes: list[int] = []  # for each one the process that writes it

    def store(_injector: FaultInjector, name: str, words: memoryview, at: int, value: int) -> None:
        name = "sleep" if name.endswith("sleeps") else name
        reaper.at(f"before {name}")
        words[at] = value
        reaper.at(f"after {name}")

    def new_outlet(self: RingOutlet, *arguments: Any) -> None:
        make_outlet(self, *arguments)
        if current_process().name == f"conveyor {stage}":
            words = cast("object", self.words)  # those of the way to the parent have no faults
            is_lane = isinstance(words, FaultyWords)
            lanes.extend([os.getpid()] * is_lane)
            is_second = is_lane and lanes.count(os.getpid()) == 2
            self.data = cast("memoryview", Bytes(self.data, at_second if is_second else reaper.at))

    def at_second(place: str) -> None:
        """In the second lane, where nothing is written before the first has all."""
        reaper.at("between lanes" if place == "before data" else place)

    def write_at(self: Memory, offset: int, data: bytes) -> None:
        middle = len(data) // 2
        written(self, offset, data[:middle])
        if current_process().name == f"conveyor {stage}":
            reaper.at("middle of entry")
        written(self, offset + middle, data[middle:])

    setattr(Memory, "write_at", write_at)  # noqa: B010  # the checkers would have the original kept
    setattr(FaultInjector, "store", store)  # noqa: B010  # the checkers would have the original kept
    setattr(RingOutlet, "__init__", new_outlet)  # noqa: B010
    plan = ExitStack()
    plan.enter_context(planned(Fault(stage, "tail", life=0)))
    return plan
