"""How letters travel: as calls of actors.

Knows: Ray's calls.  Must never know: what is in a letter, but that the program wants to be told of
one that is lost.

Rule 1.  A call costs as much as many items: letters are gathered for some milliseconds, and two are
         under way to one machine at the most.
Rule 2.  A letter that may not have arrived ends the run: what it told is not told again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from conveyor.errors import HostLost
from conveyor.runtime.hosts.messages import Failed, Letter
from conveyor.runtime.mirror.mirror import PROGRAM

__all__ = ["IN", "OUT", "Calls", "FromHost", "in_short"]

GATHER_S: Final = 0.004
UNDER_WAY: Final = 2
POLL_S: Final = 0.5

# Calls of a host that must never wait behind another: letters in, and letters out.
IN: Final = {"concurrency_group": "in"}
OUT: Final = {"concurrency_group": "out"}


def in_short(error: BaseException) -> str:
    """The first line of what it says, or of what it is."""
    return (str(error).strip() or repr(error)).splitlines()[0]


class Calls:
    """One machine's way to others that can be called; `failed` is told of a machine that a letter
    may not have reached, and why."""

    gather_s = GATHER_S

    def __init__(
        self,
        me: int,
        actors: Mapping[int, Any],
        woken: Callable[[], None],
        failed: Callable[[int, str], None],
    ) -> None:
        self.me = me
        self.actors = actors
        self.woken = woken
        self.failed = failed
        self.under_way = dict.fromkeys(actors, 0)
        self.lock = threading.Lock()

    def is_ready(self, to: int) -> bool:
        return self.under_way[to] < UNDER_WAY

    def send(self, to: int, letter: Letter) -> None:
        with self.lock:
            self.under_way[to] += 1
        future = self.actors[to].deliver.options(**IN).remote(self.me, letter).future()
        future.add_done_callback(partial(self.arrived, to))

    def arrived(self, to: int, done: Any) -> None:
        with self.lock:
            self.under_way[to] -= 1
        error = done.exception()
        if error is not None:
            self.failed(to, in_short(error))
        self.woken()


class FromHost(Calls):
    """A host's way: to the other hosts by calls, to the program when that asks."""

    def __init__(
        self,
        me: int,
        actors: Mapping[int, Any],
        woken: Callable[[], None],
        names: Mapping[int, str],
    ) -> None:
        super().__init__(me, actors, woken, self.tell_program)
        self.names = names
        self.asked = threading.Event()
        self.mail: list[Letter] = []
        self.has_mail = threading.Condition()

    def is_ready(self, to: int) -> bool:
        return (self.asked.is_set() and not self.mail) if to == PROGRAM else super().is_ready(to)

    def send(self, to: int, letter: Letter) -> None:
        if to != PROGRAM:
            super().send(to, letter)
            return
        with self.has_mail:
            self.mail.append(letter)
            self.has_mail.notify()

    def tell_program(self, to: int, why: str) -> None:
        """What was for another host may be lost, and with it the run."""
        text = f"host {self.names[self.me]!r} cannot reach host {self.names[to]!r}: {why}"
        error = HostLost(text)
        error.machine = to
        self.send(PROGRAM, [Failed(error)])

    def fetch(self) -> list[Letter]:
        """What there is for the program, as soon as there is something."""
        self.asked.set()
        self.woken()
        with self.has_mail:
            if not self.mail:
                self.has_mail.wait(POLL_S)
            found, self.mail = self.mail, []
            self.asked.clear()
        return found
