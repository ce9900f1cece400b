"""One worker's end of a channel, in a run in which that worker may die.

Knows: stores, and what each of them is to the item in hand.  Must never know: who decides where a worker dies.

A death is before a store: what was stored stays, what was not is lost with the worker.
"""

from __future__ import annotations

from collections.abc import Callable

from conveyor.channel import Tag
from conveyor.sim.channel import MemoryChannel
from conveyor.sim.schedule import Death

__all__ = ["Killed", "Life", "Port"]


class Killed(BaseException):
    """The worker is dead."""


class Life:
    """How many stores a worker has made in all its lives, and where it dies: before one store, by number or by name; once.

    `died` is where it died, by name.
    """

    def __init__(self, worker: str, inputs: int, *, before: int | None = None, at: Death | None = None) -> None:
        self.worker = worker
        self.inputs = inputs  # how many it has; what comes of one more is what `finish` gives
        self.before = before
        self.at = at
        self.stores = 0
        self.done = 0  # items committed, of all the channels that it reads
        self.records = 0  # of the item in hand that are out
        self.copies = 0  # of the newest record that are out
        self.ordinal = -1
        self.closed = 0  # channels whose end is told
        self.saves = False  # is the state of its processor saved before each commit?
        self.died: Death | None = None

    @property
    def will_die(self) -> bool:
        return self.died is None

    def store(self, name: Callable[[], tuple[int | None, str]]) -> None:
        """Called before a store, whose name is asked for only if it may matter."""
        if self.died is None and (self.before == self.stores or (self.at is not None and self.at[1:3] == name())):
            self.died = Death(self.worker, *name(), self.at.wait if self.at is not None else 0)
            raise Killed
        self.stores += 1


class Port:
    """Either end: a `MemoryChannel` is both."""

    def __init__(self, channel: MemoryChannel, life: Life) -> None:
        self.channel = channel
        self.life = life
        self.capacity = channel.capacity
        self.start = channel.start
        self.pending = channel.pending
        self.ended = channel.ended
        self.peek = channel.peek
        self.position = channel.position
        self.queued = channel.queued
        self.pack = channel.pack
        self.fits = channel.fits
        self.last_tag = channel.last_tag
        self.last_blob = channel.last_blob

    @property
    def head(self) -> int:
        return self.channel.head

    @property
    def tail(self) -> int:
        return self.channel.tail

    def commit(self, upto: int) -> None:
        life, count = self.life, upto - self.channel.head
        life.store(lambda: (life.done, "saved" if life.saves else "emitted"))
        self.channel.commit(upto)
        life.done += count
        life.records = 0

    def publish(self, n: int, blob: list[object], tag: Tag) -> None:
        life = self.life
        is_copy = tag.ordinal == life.ordinal
        item = None if tag.input == life.inputs else life.done
        life.store(lambda: (item, _step(life, is_copy)))
        self.channel.publish(n, blob, tag)
        life.records += not is_copy
        life.copies = life.copies + 1 if is_copy else 1
        life.ordinal = tag.ordinal

    def close(self, run: int) -> None:
        life = self.life
        life.store(lambda: (None, f"closed{life.closed}"))
        self.channel.close(run)
        life.closed += 1


def _step(life: Life, is_copy: bool) -> str:
    if is_copy:
        return f"copied{life.copies}"
    return f"emitted{life.records}" if life.records else "taken"
