"""What is left of a worker that died: its counts, what it had in hand, the saved state of its
processor.

This file knows what outlives a worker, and what its successor is told.  It must never know when a
worker dies.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence

from conveyor.core.channel import Note
from conveyor.core.crashes import History, Past, WorkerDeath
from conveyor.core.journal import PAGE_SIZE, Journal
from conveyor.core.snapshots import KeptOutputs, Saved, StateLog
from conveyor.report import Tally
from conveyor.sim.in_hand import NOTHING
from conveyor.sim.world.faulty_channel import CrashPlan
from conveyor.stages import Restorable

__all__ = ["Bytes", "DurableState", "Remembered", "Unkept"]


class Unkept:
    """Keeps no state: of a worker that cannot die."""

    def newest(self) -> Saved | None:
        return None

    def save(self, saved: Saved) -> None:
        """Nothing."""


class Remembered(Unkept):
    """The state of a worker that dies with everything else, as far as it was saved: that is what a
    checkpoint has of it."""

    def __init__(self, state: Restorable, name: str) -> None:
        self.log = StateLog(state, name)
        self.data = self.ahead = b""

    def save(self, saved: Saved) -> None:
        self.data, self.ahead = self.log.entry(saved.finished).written(self.data, self.ahead)


class Bytes:
    """Memory with an address for each of its bytes, of which few are ever written."""

    def __init__(self) -> None:
        self.written: dict[int, bytearray] = {}  # by the address of the first

    def write_at(self, offset: int, data: bytes) -> None:
        first = self.first(offset)
        there = self.written.setdefault(first, bytearray())
        there[offset - first :] = data

    def read_at(self, offset: int, size: int) -> bytes:
        first = self.first(offset)
        return bytes(self.written[first][offset - first : offset - first + size])

    def first(self, offset: int) -> int:
        """Where that begins which is written behind something."""
        return max(
            (at for at, there in self.written.items() if at <= offset <= at + len(there)),
            default=offset,
        )


class DurableState:
    """What outlives the workers of one node in one run.

    `void(ordinal)` is called when a successor begins: dead letters and decisions from this item on
    are discarded, as it is processed again.  `taken()` is called with each slice that is taken in
    hand.  `side_by_side`: a worker has several items in hand at once.
    """

    def __init__(
        self,
        crash_plan: CrashPlan,
        void: Callable[[int, Sequence[int]], None],
        taken: Callable[[], None],
        side_by_side: bool,
    ) -> None:
        self.crash_plan = crash_plan
        self.side_by_side = side_by_side
        self.void = void
        self.taken = taken
        self.counts = Note(memoryview(array("Q", [0] * Note.words_for(PAGE_SIZE))))
        self.held: tuple[int, int, int] | None = None
        self.deaths: list[WorkerDeath] = []
        self.is_inherited = False
        self.has_begun = False  # was an item ever taken in hand?
        self.journal = Journal(Tally(), self.counts)
        self.state_log: StateLog | None = None  # of the worker that there is, if its stage has one
        self.saved: tuple[Saved, bytes] | None = None
        self.ahead = b""  # what that worker has of the next log

    def succeed(self, state: Restorable | None, tally: Tally) -> None:
        """Lets another worker take over, whose new stage gets the saved state, if it has one."""
        self.held = None
        self.journal = Journal(
            tally, self.counts, self.hold, self.void if self.is_inherited else None
        )
        if state is not None:
            self.state_log, self.ahead = StateLog(state, self.crash_plan.worker), b""
            self.crash_plan.saves = True
            if self.saved is not None:
                self.state_log.read(self.saved[1])

    def hold(self, source: int, first: int, end: int) -> None:
        self.held = (source, first, end)
        self.crash_plan.begin()
        self.has_begun = True
        self.taken()

    def died(self, heads: Sequence[int]) -> None:
        """Keeps what the dead worker had in hand; `heads`: how far each of its inputs is
        committed.

        What is all committed already was done: nothing of it was in hand.  The death is written
        down with what its successors were told, unless that is what a replay works out for itself.
        """
        self.is_inherited = True
        death = self.crash_plan.deaths[-1]
        held = (
            NOTHING
            if self.held is None
            else WorkerDeath(*self.held, running=self.crash_plan.running)
        )
        hand = held if death.hand is None else death.hand
        told = self.inherit(hand) if hand.end > heads[hand.input] else NOTHING
        if held.end <= heads[held.input]:
            held = NOTHING
        self.crash_plan.deaths[-1] = death._replace(hand=None if told == held else told)

    def inherit(self, hand: WorkerDeath) -> WorkerDeath:
        """Keeps a death for the successors; gives what they can notice of it."""
        self.deaths.append(hand)
        self.has_begun = True
        return hand if self.condemns(hand) else hand._replace(how=NOTHING.how)

    def condemns(self, hand: WorkerDeath) -> bool:
        """Is the item that caused a death poison by now?"""
        position = hand.first if hand.suspect is None else hand.suspect
        return self.history.past(hand.input, position).is_poison

    def past(self, index: int) -> Past:
        """How the workers before fared with an item of the slice in hand."""
        return self.history.past(*self.journal.place(index))

    @property
    def history(self) -> History:
        """What the next worker is told of those before it."""
        return History(self.deaths, self.side_by_side)

    # ---------------------------------------------------------------------------
    # the memory of a processor's state

    def newest(self) -> Saved | None:
        return self.saved[0] if self.saved is not None else None

    def save(self, saved: Saved) -> None:
        assert self.state_log is not None
        entry = self.state_log.entry(saved.finished)
        crash_plan = self.crash_plan
        comes_due = (
            self.saved is not None
            and saved.decided > self.saved[0].decided
            and not isinstance(self.state_log.stage, KeptOutputs)
        )
        if comes_due or crash_plan.is_due:
            crash_plan.store_due()
            crash_plan.out = 0
        else:
            if not saved.finished:
                crash_plan.done_with()
            crash_plan.store(
                None if saved.finished else crash_plan.done,
                "begun" if self.saved is None else "emitted",
            )
        crash_plan.is_due = comes_due
        log, self.ahead = entry.written(b"" if self.saved is None else self.saved[1], self.ahead)
        self.saved = saved, log
