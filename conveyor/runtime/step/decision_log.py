"""What a worker decides, noted in memory that outlives it, for a parent that records the run.

Knows: words, and the order in which they are written.  Must never know: files, what a decision
means.

Rule 1.  A decision is noted before anything that came of it is out, so it is never lost that one
         was taken.
Rule 2.  A worker that goes on where another died notes first how much of what was noted stands.
Rule 3.  One side writes how much there is, the other how much it has taken; when half is full the
         parent is woken, and a worker whose log is full waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from conveyor.core.channel import Inlet
from conveyor.core.requests import ChooseLane
from conveyor.graph.route import Route, balancing_forks, leaves, taken
from conveyor.runtime.shm.control_block import LOG_WORDS, ControlBlock
from conveyor.runtime.shm.ring import RingOutlet, fence
from conveyor.runtime.step.batching import Balancer

__all__ = [
    "JOIN",
    "STANDS",
    "DecisionLog",
    "LoggedBalancer",
    "LoggedDecision",
    "LoggedReads",
    "forks_taken",
]

WRITTEN, WAITS, TAKEN = 0, 1, 16  # the parent writes the last, from another cache line
FIRST: Final = 32
ENTRIES: Final = LOG_WORDS - FIRST

JOIN: Final = 0  # the forks of a node are counted from 1
STANDS: Final = 0x80  # with a point: how much of what was noted there stands
COUNT_BITS: Final = 40
LANE_BITS: Final = 16


class LoggedDecision(NamedTuple):
    """`point` of its node decided: `lane`, for the next `items`."""

    point: int
    lane: int
    items: int


class DecisionLog:
    """Either side of it."""

    def __init__(self, words: memoryview[int]) -> None:
        self.words = words

    def add(
        self, point: int, lane: int, count: int, wake: Callable[[], None], sleep: Callable[[], None]
    ) -> None:
        """Called by the worker; `wake` wakes the parent, `sleep` waits for a notification."""
        words = self.words
        written = words[WRITTEN]
        queued = written - words[TAKEN]
        if queued >= ENTRIES // 2:
            wake()
            while written - words[TAKEN] >= ENTRIES:
                words[WAITS] = 1
                fence()
                if written - words[TAKEN] >= ENTRIES:
                    sleep()
            words[WAITS] = 0
        words[FIRST + written % ENTRIES] = (
            point << COUNT_BITS + LANE_BITS | lane << COUNT_BITS | count
        )
        words[WRITTEN] = written + 1

    def take(self, wake: Callable[[], None]) -> list[LoggedDecision]:
        """Called by the parent: what is new; `wake` wakes the worker."""
        words = self.words
        done, written = words[TAKEN], words[WRITTEN]
        if done == written:
            return []
        found = [noted(words[FIRST + at % ENTRIES]) for at in range(done, written)]
        words[TAKEN] = written
        fence()
        if words[WAITS]:
            wake()
        return found


def noted(word: int) -> LoggedDecision:
    return LoggedDecision(
        word >> COUNT_BITS + LANE_BITS,
        word >> COUNT_BITS & (1 << LANE_BITS) - 1,
        word & (1 << COUNT_BITS) - 1,
    )


Note = Callable[[int, int, int], None]  # of a point, a lane, and a count of items


class LoggedReads:
    """Notes the slices that a node takes in hand from its join, and tells whoever else wants to
    know."""

    def __init__(
        self,
        inputs: Sequence[Inlet],
        note: Note,
        hold: Callable[[int, int, int], None] | None = None,
    ) -> None:
        self.inputs = inputs
        self.note = note
        self.hold = hold

    def __call__(self, source: int, first: int, end: int) -> None:
        items = end - first
        inlet = self.inputs[source]
        if inlet.position(items) != end:  # there are marks among them, which are no items
            items = next(n for n in range(1, items) if inlet.position(n) == end)
        self.note(JOIN, source, items)
        if self.hold is not None:
            self.hold(source, first, end)


class LoggedBalancer(Balancer):
    """Notes which lane takes the next record."""

    def __init__(
        self,
        route: Route,
        outlets: Sequence[RingOutlet],
        control: ControlBlock,
        tell_parent: Callable[[], None],
        note: Note,
    ) -> None:
        super().__init__(route, outlets, control, tell_parent)
        self.note = note
        self.numbers = {fork.name: number for number, fork in enumerate(balancing_forks(route), 1)}

    def choose(self, choose: ChooseLane) -> int:
        chosen = super().choose(choose)
        self.note(self.numbers[choose.name], chosen, choose.items)
        return chosen


def forks_taken(route: Route, tails: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Each fork of a route by its number, and how many items it has taken since its channels were
    made."""
    place = {channel: index for index, channel in enumerate(leaves(route))}
    for number, fork in enumerate(balancing_forks(route), 1):
        yield number, taken(fork, [tails[place[channel]] for channel in leaves(fork)])
