"""The drive loop of a node that has several items in hand at once.

Knows: the order of take, give, publish and commit, and how to go on where another worker died.
Must never know: who works on the items, or which world it is in.

Rule 1.  As many items are taken in hand as there are hands, as soon as they are there.
Rule 2.  Which of them is done next is a decision (`ChooseDone`), unless they leave in their order:
         then the oldest is.  Where they share a state, which of them goes on is one, at each await.
Rule 3.  An item that is out in part comes before all others.
Rule 4.  What is finished is noted before it goes out (`window`); the input is committed up to the
         first item that is not.
Rule 5.  Items from behind a barrier are taken in hand before it is passed, so that no hand waits
         for the slowest; they are given on, and counted, behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from typing_extensions import TypeVar

from conveyor.core.barriers import GatedInlet
from conveyor.core.channel import UNBOUNDED, Inlet
from conveyor.core.concurrent_node import ConcurrentNode, Hands, Held
from conveyor.core.drive import BrokenNode, Drive, DriveSpec, Sender, flush, send_missing
from conveyor.core.journal import Journal
from conveyor.core.requests import TAKE, ChooseDone, WaitForItems
from conveyor.core.window import SlidingWindow

__all__ = ["InHand", "LaterHands", "drive_concurrent"]

Blob = TypeVar("Blob")


class LaterHands:
    """Hands that wait until it is decided which item is done: it is worked on then."""

    decided = 0  # and nothing is kept of that

    def __init__(self, most: int) -> None:
        self.most = most

    def begin(self, held: Held) -> None:
        """Nothing yet."""

    def options(self, only: Held | None, held: Sequence[Held]) -> list[int]:
        return [*range(len(held))] if only is None else []

    def is_done(self, only: Held | None, until: int) -> bool:
        return only is not None  # else not before it is decided

    def chosen(
        self, only: Held | None, answer: int, held: Sequence[Held], until: int
    ) -> list[Held]:
        return [held[answer] if only is None else only]


class InHand:
    """The items that are worked on, by their position in the input."""

    looks_behind_barriers: ClassVar[bool] = True

    def __init__(
        self, inlet: Inlet, node: ConcurrentNode, hands: Hands, window: SlidingWindow, ordered: bool
    ) -> None:
        self.inlet = inlet
        self.gate: GatedInlet | None = None
        self.look = inlet.look
        if isinstance(inlet, GatedInlet) and self.looks_behind_barriers:
            self.gate, self.look = inlet, inlet.inlet.look
        self.node = node
        self.hands = hands
        self.window = window
        self.ordered = ordered
        self.taken = window.base  # up to here all were taken
        self.held: dict[int, Held] = {}

    def __len__(self) -> int:
        return len(self.held)

    @property
    def is_at_barrier(self) -> bool:
        """Has all been given on that came before a barrier, which is not passed?"""
        return self.gate is not None and self.gate.is_at_barrier

    @property
    def until(self) -> int:
        """Items from this position on may not be given on yet."""
        return UNBOUNDED if self.gate is None else self.gate.until

    def in_order(self) -> list[Held]:
        """Those that may be given on, the oldest first."""
        until = self.until
        return [self.held[position] for position in sorted(self.held) if position < until]

    def only(self) -> Held | None:
        """The one that has to be done next, if there is no choice."""
        if self.window.part is not None:
            return self.held[self.window.part]
        return self.held[min(self.held)] if self.ordered else None

    def options(self) -> list[int]:
        return self.hands.options(self.only(), self.in_order())

    def is_done(self) -> bool:
        return bool(self.held) and self.hands.is_done(self.only(), self.until)

    def done(self, answer: int) -> list[Held]:
        """Those that are done, now that it is decided which of them is next, or goes on."""
        return self.hands.chosen(self.only(), answer, self.in_order(), self.until)

    def has_room(self) -> bool:
        return self.room() > 0

    def may_take(self) -> bool:
        return self.room() > 0 and len(self.ahead(1)) > 0

    def room(self) -> int:
        """How many more may be taken."""
        if not self.window.reaches(self.taken):
            return 0
        return self.node.most_at(self.window.base, self.hands.most) - len(self.held)

    def ahead(self, n: int) -> list[object]:
        """The next items that were not taken."""
        seen = max(self.taken, self.window.base) - self.inlet.head
        return self.look(seen + n)[seen:]

    def take(self) -> list[Held]:
        """Takes in hand what there is, as far as there is room; gives those that are to be begun
        with."""
        new: list[Held] = []
        # Of those that a worker before had finished out of turn, some may have been passed
        self.taken = max(self.taken, self.window.base)
        if (part := self.window.part) is not None and not self.held:
            new.append(self.hold(part, self.look(part - self.inlet.head + 1)[-1]))
        while (room := self.room()) > 0 and (items := self.ahead(room)):
            for item in items:
                if not (self.window.is_finished(self.taken) or self.taken in self.held):
                    new.append(self.hold(self.taken, item))
                self.taken += 1
                if not self.window.reaches(self.taken):
                    break
        return new

    def begin(self, journal: Journal | None) -> None:
        """Takes in hand what there is, and begins with it."""
        new = self.take()
        if new and journal is not None:
            journal.begin(0, self.inlet, self.taken - self.inlet.head)
        for held in new:
            self.hands.begin(held)

    def finish(self, done: Iterable[Held]) -> None:
        """These are finished, and in hand no more."""
        for held in done:
            self.window.finish(held.position)
            del self.held[held.position]

    def hold(self, position: int, item: object) -> Held:
        held = self.node.hold(position, position - self.window.start, item)
        self.held[position] = held
        return held


def drive_concurrent(
    run: int,
    spec: DriveSpec[Blob],
    node: ConcurrentNode,
    hands: Hands,
    window: SlidingWindow,
    point: str,
) -> Drive[Blob]:
    """Steps a node through one run, as `drive` does one that takes items one by one; `point` is
    where it is decided which item is next."""
    inlet = node.inlet = spec.inlets[0]
    journal = spec.journal
    inlet.start(run)
    tag = send_missing(run, spec.outlets)
    ordinal = 0 if tag is None else tag.ordinal
    sender = Sender(run, ordinal, spec.outlets, spec.route, spec.selected)
    window.recall(run, sender.ordinal, inlet.head)
    if inlet.head < window.base:
        inlet.commit(window.base)
    if journal is not None:
        journal.inlet = inlet
        journal.recall(run, sender.ordinal, window.finished, window.finished_behind())
    window.counted(node.tally.items_in)
    in_hand = InHand(inlet, node, hands, window, node.stage.stage_options.ordered)
    choose = ChooseDone(point, in_hand)
    wait_for_items = WaitForItems(inlet)
    while True:
        in_hand.begin(journal)
        if in_hand.is_at_barrier:
            spec.passes_barrier()
        elif in_hand.held:
            answer = yield choose
            if answer != TAKE and (done := in_hand.done(answer)):
                yield from give(sender, spec, in_hand, done)
        elif inlet.ended() and not spec.passes_barrier():
            break
        elif not in_hand.may_take():
            yield wait_for_items
    yield from flush(sender, spec, 0)
    spec.close(run)


def give(
    sender: Sender[Blob], spec: DriveSpec[Blob], in_hand: InHand, done: list[Held]
) -> Drive[Blob]:
    """Sends what came of items that are done, and commits what is finished then."""
    window, inlet, journal = in_hand.window, in_hand.inlet, spec.journal
    skip = window.extra if done[0].position == window.part else 0
    finished = 0
    for out, upto, extra in spec.node([*done], skip, sender.limit):
        in_hand.finish(done[finished:upto])
        if extra:
            window.give_part(done[upto].position, extra)
        finished = upto
        ordinal = sender.ordinal + bool(out)
        if journal is not None:
            journal.note(ordinal, window.finished, 0)
        window.store(ordinal)
        if out:
            yield from sender.send(out, 0, window.base, extra)
        if inlet.head < window.base:
            inlet.commit(window.base)
    if finished != len(done):
        raise BrokenNode(spec.node, finished, len(done))
