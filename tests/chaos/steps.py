"""Lets the workers of one stage die at one step of the protocol, whenever they have done some of it well.

The views through which a ring is written are put into wrappers, as the processes of that stage open it: so each store has a
place before and behind it.  It works by fork alone: the workers inherit the wrappers.  Between two deaths a worker finishes
some records, or else it would be taken for one that never gets anywhere; at `recovery` every other one dies at its first store.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from multiprocessing import current_process
from random import Random
from typing import Any, Final, cast

from conveyor.runtime import ring
from conveyor.runtime.ring import Ring, RingInlet, RingOutlet
from tests.chaos.board import board

__all__ = ["BETWEEN_LANES", "STEPS", "install"]

NAMES: Final = {
    ring.TAIL: "tail",
    ring.HEAD: "head",
    ring.HEAD_BYTES: "room",
    ring.PRODUCER_SLEEPS: "sleep",
    ring.CONSUMER_SLEEPS: "sleep",
    ring.CLOSED: "end",
}

# What has happened when the worker dies, and where that is.
STEPS: Final = {
    "has taken a slice, not begun": "peeked",
    "has run the job, published nothing": "before data",
    "has written half a record": "middle of data",
    "has written a record, not published": "before tail",
    "has published, not rung": "after tail",
    "has published and rung, not committed": "before head",
    "is between the two stores of a commit": "after head",
    "has committed, not rung": "after room",
    "is about to sleep": "before sleep",
    "is about to go on after the death of another": "recovery",
}
BETWEEN_LANES: Final = {"has published in one lane of two": "between lanes"}


class Reaper:
    """The death of one worker."""

    def __init__(self, place: str, wanted: int) -> None:
        self.place = place
        self.wanted = wanted
        self.pid = 0

    def born(self) -> None:
        """In a new worker: how long it is to live."""
        self.pid = os.getpid()
        kills = board().kills
        at_once = self.place == "recovery" and kills % 2 == 1
        self.left = 0 if at_once else Random(kills).randint(4, 12)

    def at(self, place: str) -> None:
        if os.getpid() != self.pid:
            self.born()
        if place != self.place and not (self.place == "recovery" and place in ("before tail", "before head")):
            return
        if self.left:
            self.left -= 1
        elif board().kills < self.wanted:
            board().kills += 1
            os.kill(os.getpid(), signal.SIGKILL)


class Words:
    """A view of words, with a place before and behind each store."""

    def __init__(self, words: memoryview, at: Callable[[str], None]) -> None:
        self.words = words
        self.at = at

    def __getitem__(self, index: int) -> int:
        return self.words[index]

    def __setitem__(self, index: int, value: int) -> None:
        name = NAMES.get(index, "other")
        self.at(f"before {name}")
        self.words[index] = value
        self.at(f"after {name}")


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


def install(stage: str, place: str, wanted: int) -> None:
    """From now on, workers of `stage` die at `place`, until `wanted` have."""
    reaper = Reaper(place, wanted)
    make_ring, make_outlet, peek = Ring.__init__, RingOutlet.__init__, RingInlet.peek
    outlets: list[tuple[int, RingOutlet]] = []

    def concerned() -> bool:
        return current_process().name == f"conveyor {stage}"

    def new_ring(self: Ring, *arguments: Any) -> None:
        make_ring(self, *arguments)
        if concerned():
            self.words = cast("memoryview", Words(self.words, reaper.at))

    def new_outlet(self: RingOutlet, *arguments: Any) -> None:
        make_outlet(self, *arguments)
        if concerned():
            outlets.append((os.getpid(), self))
            second = [pid for pid, _ in outlets].count(os.getpid()) == 2
            self.data = cast("memoryview", Bytes(self.data, reaper.at if not second else lambda what: at_second(what)))

    def at_second(what: str) -> None:
        """Of the second lane: nothing is written there before the first has all."""
        if what == "before data":
            reaper.at("between lanes")
        reaper.at(what)

    def watched_peek(self: RingInlet, n: int) -> list[object]:
        items = peek(self, n)
        if items and concerned():
            reaper.at("peeked")
        return items

    for kind, name, replacement in (
        (Ring, "__init__", new_ring),
        (RingOutlet, "__init__", new_outlet),
        (RingInlet, "peek", watched_peek),
    ):
        setattr(kind, name, replacement)
