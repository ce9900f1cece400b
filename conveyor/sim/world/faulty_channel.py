"""One worker's end of a channel, in a run in which that worker may die.

This file knows stores, and what each of them is to the item in hand.  It must never know how it is
chosen where a worker dies.

A death is before a store: what was stored stays, what was not is lost with the worker.  So is one
where a slice is taken in hand or where a record is out: there the job is next, which may be what
kills.  Every place has a name: the item in hand, and a step (`schedule.Death`); and where a worker
comes by a name more than once, which time it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from conveyor.core.channel import Note, Tag
from conveyor.core.steering import ControlFlow
from conveyor.recording.crash_points import Crash, CrashPoint, is_inside
from conveyor.sim.in_hand import NOTHING
from conveyor.sim.schedule import NEVER, Death
from conveyor.sim.world.channel import MemoryChannel

__all__ = ["CrashPlan", "FaultyChannel", "FaultyNote", "Killed", "RecordedCrashPlan"]


class Killed(ControlFlow):
    """Raised where a simulated worker dies: nothing behind that point is done."""


class CrashPlan:
    """Where the workers of one node die, and how far they have come.

    They die `before` one store, by its number, or `at` each of these places, one after the other.
    `deaths` are those that have happened, the newest at the end.
    """

    # Steps by which the job was asked for no more when the newest of an item's outputs left
    leave_early: tuple[str, ...] = ("held", "early")

    def __init__(
        self, worker: str, inputs: int, *, before: int | None = None, at: Sequence[Death] = ()
    ) -> None:
        self.worker = worker
        self.inputs = inputs  # how many the node has; `finish` counts as one more
        self.before = before
        self.at = list(at)
        self.stores = 0
        self.done = 0  # items committed, of all the channels that it reads
        self.out = 0  # outputs of the item in hand that are out
        self.copies = 0  # of the newest record that are out
        self.given = 0  # outputs, of all workers so far
        self.ordinal = -1
        self.closed = 0  # channels whose end is told
        self.saves = False  # is the state of its processor saved before each commit?
        # Did an output of what is in hand go out, or is nothing in hand?
        self.is_told = True
        self.is_due = False  # is what goes out next that which is due?
        self.running = False  # can the job have been running where the worker is now?
        # How often this worker has come by each place.
        self.passed: Counter[tuple[int | None, str]] = Counter()
        self.deaths: list[Death] = []

    @property
    def will_die(self) -> bool:
        return bool(self.at) or not self.deaths

    @property
    def is_unreached(self) -> bool:
        """Did no worker come to a place where one should have died?"""
        return self.will_die

    @property
    def gives_up(self) -> bool:
        """Does no other worker take the place of the one that died last?"""
        return self.deaths[-1].wait == NEVER

    @property
    def next_death(self) -> Death | CrashPoint | None:
        """Where a worker dies next, if that is known."""
        return self.at[0] if self.at else None

    def next_item(self) -> int | None:
        """How many items are committed then, if that is known."""
        return None if self.next_death is None else self.next_death.item

    @property
    def dies_inside(self) -> bool:
        """Is it known that the next death is inside the item in hand, with some of its outputs out,
        and nothing asked for more?

        They may have left because they had lain for long: with the next the job may have killed.
        """
        here = self.next_death
        if here is None or here.item != self.done:
            return False
        return is_inside(here.step) and here.step.startswith(self.leave_early)

    def renewed(self) -> CrashPlan:
        """A new plan by which workers die where they did by this one, or still should."""
        return CrashPlan(self.worker, self.inputs, at=[*self.deaths, *self.at])

    def begin(self) -> None:
        """Called when a slice is taken in hand, before the job is given any of it."""
        self.is_told = False
        self.come_to(self.done, f"held{self.out}" if self.out else "held", running=True)

    def tell(self, item: int | None) -> None:
        """Called before an output or a dead letter of an item goes out."""
        self.is_told = True
        if self.is_due:
            self.store_due()
        elif self.out:
            self.store(item, f"emitted{self.out}")
        else:
            self.store(item, "taken", running=True)

    def store_due(self) -> None:
        """Called before it is saved that something is due, before each of it goes out, and before
        it is saved that all is out."""
        self.store(self.done, f"due{self.out}" if self.out else "due", running=True)

    def done_with(self) -> None:
        """Called when all that came of an item is out, even if that is nothing: a place must not
        depend on what comes out."""
        if not self.is_told:
            self.is_told = True
            self.come_to(self.done, "taken", running=True)

    def commit(self) -> None:
        """Called before an item is committed."""
        self.done_with()
        self.store(self.done, "saved" if self.saves else "emitted")

    def store(self, item: int | None, step: str, *, running: bool = False) -> None:
        """Called before a store."""
        self.come_to(
            item, step, running=running, is_chosen=not self.deaths and self.before == self.stores
        )
        self.stores += 1

    def finish(self) -> None:
        """Called when all is done."""
        self.come_to(None, f"closed{self.closed}", running=False)

    def come_to(
        self, item: int | None, step: str, *, running: bool, is_chosen: bool = False
    ) -> None:
        """Called when the worker comes to a place; raises `Killed` if it dies there."""
        self.running = running
        self.passed[item, step] += 1
        here = Death(self.worker, item, step, nth=self.passed[item, step])
        if is_chosen:
            self.die(here)
        elif (told := self.due(here)) is not None:
            self.die(told)

    def due(self, here: Death) -> Death | None:
        """The death that is planned for this place, if one is."""
        return self.at.pop(0) if self.at and self.at[0].place == here.place else None

    def die(self, death: Death) -> None:
        self.deaths.append(death)
        self.passed.clear()
        raise Killed


class RecordedCrashPlan(CrashPlan):
    """Lets workers die where they died in a real run.

    Slices may be cut otherwise here: a worker that does not come by the recorded place dies at the
    next place behind it.  Nor is it known of a real worker whether its job was asked for more.
    """

    leave_early = ("held", "early", "emitted")

    def __init__(self, worker: str, inputs: int, crashes: Sequence[Crash], gives_up: bool) -> None:
        super().__init__(worker, inputs)
        self.crashes = list(crashes)
        self.left = list(crashes)
        self.gave_up = gives_up

    @property
    def will_die(self) -> bool:
        return bool(self.left)

    @property
    def next_death(self) -> Death | CrashPoint | None:
        return self.left[0].point if self.left else None

    def renewed(self) -> CrashPlan:
        return RecordedCrashPlan(self.worker, self.inputs, self.crashes, self.gave_up)

    def due(self, here: Death) -> Death | None:
        point = CrashPoint(here.item, here.step, self.given)
        if not self.left or point.comes_before(self.left[0].point):
            return None
        hand = self.left.pop(0).hand
        return here._replace(
            hand=NOTHING if hand is None else hand,
            wait=NEVER if self.gave_up and not self.left else 0,
        )


class FaultyChannel:
    """A channel's end that asks the crash plan before each store; it serves as inlet and as outlet,
    as a `MemoryChannel` does."""

    def __init__(self, channel: MemoryChannel, crash_plan: CrashPlan) -> None:
        self.channel = channel
        self.crash_plan = crash_plan
        self.capacity = channel.capacity
        self.start = channel.start
        self.pending = channel.pending
        self.ended = channel.ended
        self.peek = channel.peek
        self.look = channel.look
        self.position = channel.position
        self.queued = channel.queued
        self.pack = channel.pack
        self.fits = channel.fits
        self.last_tag = channel.last_tag
        self.last_blob = channel.last_blob
        self.carrying = channel.carrying
        self.carried = channel.carried

    @property
    def head(self) -> int:
        return self.channel.head

    @property
    def tail(self) -> int:
        return self.channel.tail

    def commit(self, upto: int) -> None:
        crash_plan, count = self.crash_plan, upto - self.channel.head
        crash_plan.commit()
        self.channel.commit(upto)
        crash_plan.done += count
        crash_plan.out = 0

    def publish(self, n: int, blob: list[object], tag: Tag) -> None:
        crash_plan = self.crash_plan
        is_copy = tag.ordinal == crash_plan.ordinal
        item = None if tag.input == crash_plan.inputs else crash_plan.done
        if is_copy:
            step = "early" if crash_plan.dies_inside else "copied"
            crash_plan.store(item, f"{step}{crash_plan.copies}")
        else:
            crash_plan.tell(item)
        self.channel.publish(n, blob, tag)
        crash_plan.out += 0 if is_copy else n
        crash_plan.copies = crash_plan.copies + 1 if is_copy else 1
        crash_plan.given += 0 if is_copy else n
        crash_plan.ordinal = tag.ordinal
        if crash_plan.copies == tag.lanes.bit_count() and not crash_plan.is_due:
            crash_plan.come_to(item, f"held{crash_plan.out}", running=True)

    def close(self, run: int) -> None:
        crash_plan = self.crash_plan
        crash_plan.store(None, f"closed{crash_plan.closed}")
        self.channel.close(run)
        crash_plan.closed += 1

    @property
    def barrier(self) -> int:
        return self.channel.barrier

    @property
    def barrier_at(self) -> int:
        return self.channel.barrier_at

    def set_barrier(self, number: int) -> None:
        self.crash_plan.store(self.crash_plan.done, "barrier")
        self.channel.set_barrier(number)


class FaultyNote(Note):
    """A note that asks the crash plan before it is stored."""

    __slots__ = ("crash_plan",)

    def __init__(self, crash_plan: CrashPlan, words: int) -> None:
        super().__init__([0] * words)
        self.crash_plan = crash_plan

    def store(self, values: Sequence[int]) -> None:
        self.crash_plan.store(self.crash_plan.done, "noted", running=True)
        super().store(values)
