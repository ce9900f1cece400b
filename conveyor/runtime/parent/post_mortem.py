"""Before which of its stores a worker died, as its channels tell.

Knows: what each store leaves in shared memory, and what a schedule calls it.  Must never know:
files, which worker goes on.

Rule 1.  It is looked at before another worker has taken its place: only it wrote what is read here.
Rule 2.  The newest tag says how far its outputs had come, the heads how much is committed, the ends
         how many lanes it closed.
Rule 3.  What is committed at once is told as if it had been committed item by item: the worker
         that goes on does just that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from conveyor.core.channel import Note, Tag
from conveyor.core.endpoints import notes_of
from conveyor.core.window import SlidingWindow
from conveyor.graph.route import Leaf, Select, leaves, taken
from conveyor.graph.topology import Input, NodeSpec, OrderedInput, ZipInput, channels_of
from conveyor.recording.crash_points import WINDOW, CrashPoint, Timeout
from conveyor.runtime.shm.record import carried_in
from conveyor.runtime.shm.ring import CARRIES, Ring, RingState

__all__ = ["Account", "Remains"]


class Account:
    """How far a node had come: each of its inputs, all its channels together, and the outputs it
    gave."""

    def __init__(self, heads: Sequence[int], committed: int, given: int) -> None:
        self.heads = heads
        self.committed = committed
        self.given = given


class Remains:
    """What a dead worker of one node has left: its channels by number, the words of its notes,
    those of its saved state (none if it saves none), and of which items were finished (none if it
    takes them one by one)."""

    def __init__(
        self,
        spec: NodeSpec,
        rings: Sequence[Ring],
        notes: memoryview[int],
        state: Note | None,
        window: Note | None,
    ) -> None:
        self.spec = spec
        self.rings = rings
        self.state = state
        self.window = window
        self.outlets = (
            [rings[channel] for channel in leaves(spec.route)] if spec.route is not None else []
        )
        self.notes: dict[ZipInput | OrderedInput, Note] = {
            each: Note(notes[at : at + size]) for each, at, size in notes_of(spec.inputs)
        }

    def account(self, run: int) -> Account:
        """As it is now."""
        spec = self.spec
        committed = sum(self.rings[channel].head() for channel in channels_of(spec.inputs))
        tails = [RingState(ring).tail for ring in self.outlets]
        given = taken(spec.route, tails) if spec.route is not None else 0
        return Account([self.head(each, run) for each in spec.inputs], committed, given)

    def head(self, source: Input, run: int) -> int:
        """Where an input stands: a channel, an ordered join; a zip counts from the run's start."""
        match source:
            case Leaf():
                return self.rings[source.channel].head()
            case ZipInput():
                of_run, tuples, *_ = self.notes[source].newest()
                return tuples if of_run == run else 0
            case OrderedInput():
                return self.notes[source].newest()[0]
            case _:
                assert_never(source)

    def place(self, run: int, begun: Account) -> CrashPoint:
        """Where its worker died in a run that it had begun like this."""
        spec, now = self.spec, self.account(run)
        closed = sum(ring.has_ended(run) for ring in self.outlets)
        done, given = now.committed - begun.committed, now.given - begun.given
        if closed or self.is_finished(run):
            return CrashPoint(
                None, f"closed{closed // len(self.outlets) if spec.parts else closed}", given
            )
        if spec.concurrency is not None:
            # What is saved is as good as committed: whoever goes on only sends it
            return CrashPoint(done + self.saved_ahead(now), WINDOW, given)
        if self.state is not None and self.state.newest()[0] != run:
            return CrashPoint(done, "begun", given)
        tag, copies = self.newest(run)
        if tag is None:
            return self.next_place(run, done, given)
        is_copied = copies == tag.lanes.bit_count()
        if isinstance(spec.route, Select) and not is_copied:
            # The first copy takes along what goes to the other lanes: in the simulator, where each
            # item has a record of its own, all of these are out.
            is_copied, given = True, given + self.on_the_way(tag)
        if tag.input == len(spec.inputs):
            return CrashPoint(
                None, f"emitted{tag.extra}" if is_copied else f"copied{copies}", given
            )
        # Items of which all is out, and which are not committed
        ahead = tag.upto - now.heads[tag.input]
        if ahead < 0 or (ahead == 0 and tag.extra == 0):
            return (
                CrashPoint(done, "emitted", given)
                if self.is_bringing(run)
                else self.next_place(run, done, given)
            )
        if not isinstance(spec.inputs[tag.input], Leaf) and ahead:
            return CrashPoint(done, "emitted" if is_copied else f"copied{copies}", given)
        # In the simulator each has a worker of its own, and it is the first that dies
        if spec.parts:
            return CrashPoint(done + ahead - 1, "emitted", given)
        if tag.extra:
            return CrashPoint(
                done + ahead, f"emitted{tag.extra}" if is_copied else f"early{copies}", given
            )
        if not is_copied:
            return CrashPoint(done + ahead - 1, f"copied{copies}", given)
        saved = self.saved_ahead(now)
        return CrashPoint(done + (saved or ahead) - 1, "saved" if saved else "emitted", given)

    def finished(self, run: int) -> int | None:
        """How many decisions stand of those about the items in hand: which was done, or went on;
        None if there are none."""
        if self.window is None or not self.spec.chooses_done:
            return None
        if self.spec.interleaves:
            of_run, _, _, decided, *_ = (0,) * 4 if self.state is None else self.state.newest()
            return decided if of_run == run else 0
        window = self.read_window(run, self.window)
        return window.finished + (window.part is not None)

    def read_window(self, run: int, note: Note) -> SlidingWindow:
        """Which items are finished of those that were in hand at once."""
        (inlet,) = channels_of(self.spec.inputs)
        window, (newest, _) = SlidingWindow(note), self.newest(run)
        window.read(run, 0 if newest is None else newest.ordinal, self.rings[inlet].head())
        return window

    def stands(self, run: int, timeouts: Sequence[Timeout], begun: Account) -> list[Timeout]:
        """Those of items in hand that are not tried again, as something came of their items."""
        assert self.window is not None
        if self.spec.interleaves:
            decided = self.finished(run) or 0
            return [each for each in timeouts if each.position < decided]
        window, first = self.read_window(run, self.window), begun.heads[0]
        return [
            each
            for each in timeouts
            if window.is_finished(first + each.position) or window.part == first + each.position
        ]

    def next_place(self, run: int, done: int, given: int) -> CrashPoint:
        """Where it is that has committed all that came of what it took."""
        rings = [self.rings[channel] for channel in channels_of(self.spec.inputs)]
        if any(not ring.has_ended(run) or RingState(ring).queued for ring in rings):
            return CrashPoint(done, "taken", given)
        return CrashPoint(None, "taken" if self.spec.is_stateful else "closed0", given)

    def newest(self, run: int) -> tuple[Tag | None, int]:
        """The tag of the newest record of a run, and how many copies of it are out."""
        tags = [
            tag
            for ring in self.outlets
            if (tag := RingState(ring).tag) is not None and tag.run == run
        ]
        newest = max(tags, key=lambda tag: tag.ordinal, default=None)
        return newest, sum(newest is not None and tag.ordinal == newest.ordinal for tag in tags)

    def on_the_way(self, tag: Tag) -> int:
        """How many items of the newest record are in none of their lanes yet."""
        reached = [RingState(ring).tag == tag for ring in self.outlets]
        for ring, is_reached in zip(self.outlets, reached, strict=True):
            at = ring.last_record() if is_reached else 0
            size, form, *_ = ring.header(at) if is_reached else (0, 0)
            if form & CARRIES:
                return sum(
                    items
                    for lanes, items, _, _ in carried_in(bytes(ring.payload(at, size, form)))
                    if not any(there for lane, there in enumerate(reached) if lanes >> lane & 1)
                )
        return 0

    def is_finished(self, run: int) -> bool:
        """Is a state saved behind the last item?"""
        return self.state is not None and self.state.newest()[:2] == [run, 1]

    def saved_ahead(self, now: Account) -> int:
        """How many items are in the state that was saved and are not committed."""
        if self.state is None:
            return 0
        _, _, _, _, _, _, _, *positions = self.state.newest()
        return sum(
            max(0, position - head) for position, head in zip(positions, now.heads, strict=True)
        )

    def is_bringing(self, run: int) -> bool:
        """Is a commit of several channels noted, and not yet done in all?"""
        for each, note in self.notes.items():
            newest = note.newest()
            if isinstance(each, ZipInput) and newest[0] != run:
                continue
            positions = newest[3 : 3 + len(each.inputs)]
            if any(
                self.head(source, run) < position
                for source, position in zip(each.inputs, positions, strict=True)
            ):
                return True
        return False
