"""What is left of a worker that may die: its counts, what it had in hand, the state of its processor.

Knows: what outlives a worker, and what another in its place is told.  Must never know: when anybody dies.
"""

from __future__ import annotations

import pickle
from array import array
from collections.abc import Callable

from conveyor.channel import Note
from conveyor.codec import PROTOCOL
from conveyor.deaths import FRESH, Death, History, Past
from conveyor.job_node import ALONE, Surroundings
from conveyor.journal import PAGE_SIZE, Journal
from conveyor.report import Tally
from conveyor.sim.port import Life
from conveyor.snapshots import Saved
from conveyor.stages import Job, Restorable

__all__ = ["Estate"]


class Estate:
    """Of one node in one run in which its worker may die.

    `void` is told of the first ordinal of which nothing that was said counts: what came of that item is done again.  `taken` is
    told of each slice that is taken in hand.
    """

    def __init__(self, life: Life, void: Callable[[int], None], taken: Callable[[], None]) -> None:
        self.life = life
        self.void = void
        self.taken = taken
        self.counts = Note(memoryview(array("Q", [0] * Note.words_for(PAGE_SIZE))))
        self.held: tuple[int, int, int] | None = None
        self.deaths: list[Death] = []
        self.is_inherited = False
        self.has_begun = False  # had a worker that died ever taken an item in hand?
        self.journal = Journal(Tally(), self.counts)
        self.stage: Restorable | None = None
        self.saved: tuple[Saved, bytes] | None = None

    def heir(self, stage: Job[object, object] | None, tally: Tally) -> None:
        """Another worker takes over, with a stage that is new and nothing in hand."""
        self.held = None
        self.journal = Journal(tally, self.counts, self.hold, self.void if self.is_inherited else None)
        if stage is not None and stage.is_restorable and isinstance(stage, Restorable):
            self.stage = stage
            self.life.saves = True
            if self.saved is not None:
                stage.restore(pickle.loads(self.saved[1]))

    def hold(self, source: int, first: int, end: int) -> None:
        self.life.begin()
        self.held = (source, first, end)
        self.taken()

    def died(self) -> None:
        self.is_inherited = True
        hand = self.life.hand(Death(*self.held) if self.held is not None else None)
        if hand is not None:
            self.deaths.append(hand)
            self.has_begun = True

    def surroundings(self) -> Surroundings:
        """What a node may ask about its items."""
        if not self.deaths:
            return ALONE._replace(place=self.place)
        return ALONE._replace(place=self.place, past=self.past)

    def place(self, index: int) -> tuple[int, int]:
        return self.journal.place(index)

    def past(self, index: int) -> Past:
        return History(self.deaths).past(*self.place(index)) if self.deaths else FRESH

    # ------------------------------------------------------------------------------- the memory of a processor's state

    def newest(self) -> Saved | None:
        return self.saved[0] if self.saved is not None else None

    def save(self, saved: Saved) -> None:
        assert self.stage is not None
        data = pickle.dumps(self.stage.snapshot(), PROTOCOL)
        item, step = None if saved.finished else self.life.done, "begun" if self.saved is None else "emitted"
        self.life.store(lambda: (item, step))
        self.saved = saved, data
