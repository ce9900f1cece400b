"""The drive loop of a node that has several items in hand at once and a state that is saved.

Knows: what belongs to a state that was saved, and when nothing is in hand.  Must never know: where
it is kept, who works on the items.

What calls that share a state give depends on how they were interleaved, and that does not come
again.  So nothing goes out that a state which is saved does not know of:

Rule 1.  Items are taken in hand up to a number, a generation; then no others are, until all of it
         is done.  Where it ends is told by the item, whenever it began: which calls could meet must
         not depend on how fast items came in.  One that has no item left ends there, and that is
         told: what it gave may have let others go on.
Rule 2.  When nothing is in hand the state is saved together with all that the generation gives,
         which goes out then, and the generation is committed.
Rule 3.  A worker that starts sends what was saved and is not out, and begins behind it.
"""

from __future__ import annotations

from typing import ClassVar, Final, Protocol

from typing_extensions import TypeVar

from conveyor.core.channel import UNBOUNDED, Inlet, Note
from conveyor.core.concurrent_drive import InHand
from conveyor.core.concurrent_node import ConcurrentNode, Hands, Held
from conveyor.core.drive import Drive, DriveSpec, Sender, begun, flush, given
from conveyor.core.requests import TAKE, ChooseDone, WaitForItems
from conveyor.core.snapshots import KeptOutputs, Saved
from conveyor.core.window import SlidingWindow
from conveyor.items.slices import uniform

__all__ = ["Endings", "drive_generations"]

Blob = TypeVar("Blob")

OF_A_GENERATION: Final = 4  # times as many as may be in hand at once


class Endings(Protocol):
    """Where those generations of a run end that are not full, by how many items came before."""

    def next(self, items: int) -> int | None:
        """Where the next one does behind so many items, if that is known."""
        ...

    def ended(self, items: int) -> None:
        """One has ended there, and its state is saved."""
        ...


class Generation(InHand):
    """The items that are in hand, of no more than a generation, and none from behind a barrier: the
    state that is kept there must not know of it."""

    looks_behind_barriers: ClassVar[bool] = False

    def __init__(
        self,
        inlet: Inlet,
        node: ConcurrentNode,
        hands: Hands,
        window: SlidingWindow,
        endings: Endings | None,
    ) -> None:
        super().__init__(inlet, node, hands, window, node.stage.stage_options.ordered)
        self.endings = endings

    def room(self) -> int:
        return min(super().room(), self.end() - self.taken)

    def end(self) -> int:
        """The position behind its last item."""
        start, full = self.window.start, self.full_at()
        told = None if self.endings is None else self.endings.next(self.inlet.head - start)
        return full if told is None else min(full, start + told)

    def full_at(self) -> int:
        """The position behind the last item that it may have."""
        head = self.inlet.head
        most = self.node.most_at(head, OF_A_GENERATION * self.hands.most)
        return head + most - (head - self.window.start) % most

    def tell_end(self) -> None:
        """Nothing is in hand, all is saved, and not yet committed."""
        if self.endings is not None and self.window.base < self.full_at():
            self.endings.ended(self.window.base - self.window.start)


def drive_generations(
    run: int,
    spec: DriveSpec[Blob],
    node: ConcurrentNode,
    hands: Hands,
    words: int,
    point: str,
    at_once: int = UNBOUNDED,
    endings: Endings | None = None,
) -> Drive[Blob]:
    """Steps a node through one run; a note of its window has so many `words`, at `point` it is
    decided which of the items in hand goes on, a record has `at_once` outputs at most."""
    restored, journal = spec.restored, spec.journal
    assert restored is not None
    kept = restored.state
    assert isinstance(kept, KeptOutputs)
    inlet = node.inlet = spec.inlets[0]
    begin = begun(run, spec)
    if journal is not None:
        journal.inlet = inlet
    sender = Sender(run, begin.ordinal, spec.outlets, spec.route, None)
    is_out, restored.left = restored.left, 0
    if begin.source == 0:
        yield from send_kept(sender, kept, is_out, inlet.head, at_once)
    kept.outputs = []
    window = SlidingWindow(Note([0] * words))
    window.recall(run, sender.ordinal, inlet.head)
    window.counted(node.tally.items_in)
    in_hand = Generation(inlet, node, hands, window, endings)
    before = restored.decided
    choose = ChooseDone(point, in_hand)
    wait_for_items = WaitForItems(inlet)
    while begin.source == 0:
        in_hand.begin(journal)
        if in_hand.held:
            answer = yield choose
            if answer != TAKE:
                finish(spec, in_hand, in_hand.done(answer), kept, sender.limit)
        elif inlet.head < window.base:
            restored.decided = before + hands.decided
            yield from close_generation(sender, spec, kept, in_hand, at_once)
        elif inlet.ended() and not spec.passes_barrier():
            break
        elif not in_hand.may_take():
            yield wait_for_items
    if not begin.flushed:
        yield from flush(sender, spec, begin.skip if begin.source else 0)
    spec.close(run)


def finish(
    spec: DriveSpec[Blob], in_hand: Generation, done: list[Held], kept: KeptOutputs, limit: int
) -> None:
    """Counts items that are done, and keeps what came of them; raises `ItemFailed`."""
    if not done:
        return
    for out, _, _ in spec.node([*done], 0, limit):
        kept.outputs += out
    in_hand.finish(done)


def close_generation(
    sender: Sender[Blob],
    spec: DriveSpec[Blob],
    kept: KeptOutputs,
    in_hand: Generation,
    at_once: int,
) -> Drive[Blob]:
    """Nothing is in hand: saves the state, sends what all of them gave, and commits them."""
    assert spec.restored is not None
    upto = in_hand.window.base
    if spec.journal is not None:
        spec.journal.note(sender.ordinal, upto, 0)
    saved = Saved(sender.run, False, given(spec), (upto,), spec.restored.decided)
    spec.restored.memory.save(saved)
    in_hand.tell_end()
    yield from send_kept(sender, kept, 0, upto, at_once)
    spec.inlets[0].commit(upto)


def send_kept(
    sender: Sender[Blob], kept: KeptOutputs, is_out: int, upto: int, at_once: int
) -> Drive[Blob]:
    """Sends what is saved, behind the first of it that `is_out`."""
    outputs, size = kept.outputs, min(sender.limit, at_once)
    for at in range(is_out, len(outputs), size):
        yield from sender.send(uniform(outputs[at : at + size]), 0, upto, 0)
    kept.outputs = []
