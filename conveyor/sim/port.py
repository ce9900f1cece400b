"""One worker's end of a channel, in a run in which that worker may die.

Knows: stores, and what each of them is to the item in hand.  Must never know: who decides where a worker dies.

A death is before a store: what was stored stays, what was not is lost with the worker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from conveyor.channel import Tag
from conveyor.deaths import Death as Hand
from conveyor.places import Fallen, Place
from conveyor.sim.channel import MemoryChannel
from conveyor.sim.schedule import Death

__all__ = ["Killed", "Life", "LifeOnRecord", "Port"]


class Killed(BaseException):
    """The worker is dead."""


class Life:
    """How many stores a worker has made in all its lives, and where it dies: before one store by number, or before each that
    has one of these names, one after the other.

    `died` is where it died last, by name, `deaths` all of it.
    """

    gives_up = False  # has the last of all workers died that were to be?
    by_output = False  # is each output to be sent on its own, so that it may die between any two?

    def __init__(self, worker: str, inputs: int, *, before: int | None = None, at: Sequence[Death] = ()) -> None:
        self.worker = worker
        self.inputs = inputs  # how many it has; what comes of one more is what `finish` gives
        self.before = before
        self.at = list(at)
        self.stores = 0
        self.done = 0  # items committed, of all the channels that it reads
        self.records = 0  # of the item in hand that are out
        self.copies = 0  # of the newest record that are out
        self.given = 0  # outputs, in all its lives
        self.ordinal = -1
        self.closed = 0  # channels whose end is told
        self.saves = False  # is the state of its processor saved before each commit?
        self.deaths: list[Death] = []

    @property
    def died(self) -> Death | None:
        return self.deaths[-1] if self.deaths else None

    @property
    def will_die(self) -> bool:
        return bool(self.at) or not self.deaths

    def again(self) -> Life:
        """One that dies where this one did, or is to."""
        return Life(self.worker, self.inputs, at=[*self.deaths, *self.at])

    def hand(self, held: Hand | None) -> Hand | None:
        """What is told of what it had in hand when it died; None: nothing."""
        return held

    def begin(self) -> None:
        """Called when a slice is taken in hand, before the job is given any of it."""

    def store(self, name: Callable[[], tuple[int | None, str]]) -> None:
        """Called before a store, whose name is asked for only if it may matter."""
        if self.at and self.at[0][1:3] == name():
            self.die(self.at.pop(0))
        if not self.deaths and self.before == self.stores:
            self.die(Death(self.worker, *name()))
        self.stores += 1

    def behind(self, item: int | None, step: str) -> None:
        """Called when a record is out in all its lanes, or the end told to one: this is where it is then."""

    def die(self, death: Death) -> None:
        self.deaths.append(death)
        raise Killed


class LifeOnRecord(Life):
    """Dies where it is recorded, as often as it is; or, if it does not come by there, at the next place that it comes to.

    Before the job is given an item of which nothing came, and right behind the last output of another: the job may be what
    kills, or takes too long.
    """

    by_output = True

    def __init__(self, worker: str, inputs: int, fallen: Sequence[Fallen], gives_up: bool) -> None:
        super().__init__(worker, inputs)
        self.fallen = list(fallen)
        self.left = list(fallen)
        self.gave_up = gives_up

    @property
    def will_die(self) -> bool:
        return bool(self.left)

    @property
    def gives_up(self) -> bool:  # type: ignore[override]  # a constant for others
        return self.gave_up and not self.left

    def again(self) -> Life:
        return LifeOnRecord(self.worker, self.inputs, self.fallen, self.gave_up)

    def hand(self, held: Hand | None) -> Hand | None:
        return self.fallen[len(self.deaths) - 1].hand

    def begin(self) -> None:
        self.die_if_due(self.done, f"emitted{self.records}" if self.records else "taken")

    def store(self, name: Callable[[], tuple[int | None, str]]) -> None:
        self.die_if_due(*name())
        self.stores += 1

    def behind(self, item: int | None, step: str) -> None:
        self.die_if_due(item, step)

    def die_if_due(self, item: int | None, step: str) -> None:
        if self.left and not Place(item, step, self.given) < self.left[0].place:
            self.left.pop(0)
            self.die(Death(self.worker, item, step))


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
        life.given += 0 if is_copy else n
        life.ordinal = tag.ordinal
        if life.copies == tag.lanes.bit_count():
            life.behind(item, f"emitted{life.records}")

    def close(self, run: int) -> None:
        life = self.life
        life.store(lambda: (None, f"closed{life.closed}"))
        self.channel.close(run)
        life.closed += 1
        life.behind(None, f"closed{life.closed}")


def _step(life: Life, is_copy: bool) -> str:
    if is_copy:
        return f"copied{life.copies}"
    return f"emitted{life.records}" if life.records else "taken"
