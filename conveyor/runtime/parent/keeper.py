"""When barriers go out, and what nodes knew when one has come through.

This file knows where nodes note what they know.  It must never know how it is made durable.

Rule 1.  Never are two barriers on their way.  The source sends a window of items ahead of the last
         barrier that has come through; the next goes out when that is full, or before long.
         How long a barrier takes says how large the window may be: what is on its way takes about
         a quarter of `every_s`.  Most barriers are for that alone; once `every_s` has passed, the
         next that comes through is where the run is kept.
Rule 2.  The sink is the last that comes to it.  Then all others have noted what they know, and
         nothing of that is written over before the next barrier.
Rule 3.  It is made durable in a thread of its own, while the run goes on: what comes to the sink
         meanwhile is of the next epoch, and kept back.  That is no more than a window.
Rule 4.  Of a stream, the source's thread sends barriers, and the consumer's is where they come
         through: one at a time is in here.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Mapping
from contextvars import copy_context
from time import monotonic
from typing import Any, Final, Protocol

from conveyor.core.barriers import CarriesBarriers, GatedInlet
from conveyor.core.channel import Note
from conveyor.core.engine import Acknowledging, Keeping
from conveyor.core.epochs import Manifest, NodeState
from conveyor.errors import RunError
from conveyor.graph.topology import Kind, NodeSpec
from conveyor.report import COUNTS, DeadLetter
from conveyor.runtime.parent.shared import Shared
from conveyor.runtime.process.deferral import Deferral
from conveyor.runtime.shm.layout import KEPT
from conveyor.runtime.shm.state_store import APART
from conveyor.transfer.sleeping import sleeper

__all__ = ["Keeper", "begin_from", "letters_in"]

FIRST_RUN: Final = 1  # of workers that begin with what a checkpoint has
BEFORE_IT: Final = FIRST_RUN + (1 << 32)  # no run of these workers has this number

FIRST_WINDOW: Final = 16  # items; it doubles with each barrier that comes through in time


class BarrierFeed(CarriesBarriers, Protocol):
    """What the source's loop reads, in which barriers are put."""

    barrier: int  # pyright: ignore[reportIncompatibleMethodOverride]  # it is stored here, too
    barrier_at: int  # pyright: ignore[reportIncompatibleMethodOverride]


class HeldInlet(GatedInlet):
    """Shows no more than may be on its way.

    It is where barriers are sent: its loop asks for items while it has no slice in hand, in the
    middle of which a barrier would be passed by what is behind it.
    """

    __slots__ = ("keeper",)

    def __init__(self, feed: BarrierFeed, keeper: Keeper) -> None:
        super().__init__(feed)
        self.keeper = keeper

    def pending(self) -> bool:
        self.keeper.look()
        return self.head < self.keeper.limit and super().pending()

    def peek(self, n: int) -> list[object]:
        return super().peek(min(n, self.keeper.limit - self.head))


def nothing() -> None:
    """Nobody waits: one thread does all."""


def begin_from(manifest: Manifest | None, shared: Shared) -> None:
    """Before any worker starts: barriers will come, and each node has what it knew."""
    shared.control.keep(True)
    if manifest is None:
        return
    for spec in shared.topology.nodes:
        known = manifest.nodes.get(spec.index)
        if known is None or spec.kind in (Kind.SOURCE, Kind.SINK):
            continue
        kept_of(shared, spec).store((0, 0, 0, 0, *known.counts, *known.positions))
        shared.blocks[spec.index].counts.store((FIRST_RUN, 0, 0, *known.counts))
        if known.state is not None:
            shared.memory.write_at(shared.layout.state_base(spec.index), known.state)
            lies = 0, len(known.state), zlib.crc32(known.state)
            saved = Note(shared.layout.state(shared.memory, spec.index))
            saved.store((BEFORE_IT, 0, 0, 0, *lies, *[0] * len(spec.inputs)))


def letters_in(manifest: Manifest | None) -> tuple[DeadLetter, ...]:
    """The items that were given up in earlier lives."""
    letters: Any = () if manifest is None else manifest.kept.get("letters", ())
    return tuple(letters)


def kept_of(shared: Shared, spec: NodeSpec) -> Note:
    return Note(shared.layout.kept_at(shared.memory, spec.index))


class Saving:
    """A thread that makes one epoch durable, and calls `wake` once that is done, or has failed."""

    def __init__(self, save: Callable[[], None], wake: Callable[[], None]) -> None:
        self.save = save
        self.wake = wake
        self.error: BaseException | None = None
        self.over = threading.Event()  # a join that a signal ends takes the thread for ended
        context = copy_context()
        context.run(sleeper.set, None)  # it sleeps in a sink, and is waited for
        self.thread = threading.Thread(
            target=context.run, args=(self.work,), name="conveyor checkpoint", daemon=True
        )
        self.thread.start()

    def work(self) -> None:
        try:
            self.save()
        except BaseException as error:  # raised again in the thread that runs
            self.error = error
        self.over.set()
        self.wake()


class Keeper:
    """Sends the barriers of one run, and has each epoch made durable; `wake` ends the sleep of the
    thread that runs."""

    def __init__(
        self,
        keeping: Keeping,
        shared: Shared,
        letters: Callable[[], tuple[DeadLetter, ...]],
        wake: Callable[[], None],
    ) -> None:
        self.keeping = keeping
        self.wake = wake
        self.saving: Saving | None = None
        self.shared = shared
        self.letters = letters
        self.lock = threading.RLock()
        self.released: Callable[[], object] = nothing  # wakes the thread that sends barriers
        self.leaving = False
        self.kept = 0  # so often the run was kept, or is about to be
        self.feed: BarrierFeed | None = None
        self.under_way = False
        self.since = self.sent = monotonic()
        self.most_s = keeping.every_s / 4  # that what is on its way may take
        self.window = FIRST_WINDOW
        self.limit = FIRST_WINDOW  # items of the source that may be sent before the next barrier

    def gate(self, feed: BarrierFeed) -> GatedInlet:
        """The source's inlet, which stops at barriers, and where enough is on its way."""
        self.feed = feed
        return HeldInlet(feed, self)

    def look(self) -> None:
        """Called between slices: sends a barrier when it is time."""
        with self.lock:
            if self.saving is not None and self.saving.over.is_set():
                self.settle()
            feed = self.feed
            if feed is None or self.under_way or feed.head == feed.barrier_at:
                return
            now = monotonic()
            is_due = feed.head >= self.limit or now - self.sent >= self.most_s / 2
            if is_due or self.leaving:
                self.under_way, self.sent = True, now
                feed.barrier_at = feed.head
                feed.barrier += 1
                self.limit = feed.head + (0 if self.leaving else self.window)

    def whole(self, number: int) -> None:
        """The sink has come to a barrier."""
        with self.lock:
            feed = self.feed
            assert feed is not None
            self.keeping.mark()
            now = monotonic()
            took = now - self.sent
            if took > self.most_s / 2:
                self.window = max(1, int(self.window * self.most_s / 2 / took))
            elif feed.head >= self.limit:
                self.window *= 2
            if now - self.since >= self.keeping.every_s or self.leaving:
                self.keep(number)
            else:
                self.may_send()

    def keep(self, number: int) -> None:
        """Begins to make durable what nodes knew at the newest barrier, which has come through."""
        assert self.feed is not None
        items, known = self.feed.barrier_at, self.known(number)
        letters = self.letters_before(known)
        self.under_way = True
        self.kept += 1
        self.keeping.hold()
        with Deferral():  # of a thread that is half started nobody would know
            self.saving = Saving(
                lambda: self.keeping.complete(items, self.with_states(known), letters, False),
                self.wake,
            )

    def may_send(self) -> None:
        """The barrier is done with: the next may go out."""
        assert self.feed is not None
        self.under_way = False
        self.limit = self.feed.head + self.window
        self.released()

    def settle(self) -> None:
        """Waits until the epoch is durable that is being saved, if one is, and goes on with the
        next.  Raises what that failed with."""
        with self.lock:
            saving = self.end()
            if saving is None:
                return
            if saving.error is not None:
                raise saving.error
            self.keeping.go_on()
            self.since = monotonic()
            self.may_send()

    def keep_what_came(self, acknowledging: Acknowledging) -> bool:
        """Makes durable what has been acknowledged, as far as the newest barrier reaches; was that
        all?"""
        with self.lock:
            self.settle()
            if acknowledging.lacks() and not acknowledging.write_again():
                may_be_kept = acknowledging.at_barrier > acknowledging.kept_to
                if self.feed is not None and not self.under_way and may_be_kept:
                    self.keep(self.feed.barrier)
                    self.settle()
        return not acknowledging.lacks()

    def leave(self, acknowledging: Acknowledging, step: Callable[[], bool]) -> None:
        """Makes all durable that has been acknowledged; `step` takes the run on, and says if there
        is more to come of it."""
        if self.keep_what_came(acknowledging):
            return
        self.leaving, before = True, self.kept
        while self.kept == before and step():
            pass
        self.settle()

    def end(self) -> Saving | None:
        """Nothing is being saved any more once this returns; gives what was."""
        saving = self.saving
        if saving is not None:
            if saving.thread is not threading.current_thread():  # a stream may be collected there
                saving.over.wait()
            self.saving = None  # not before: a signal may end the wait
        return saving

    def known(self, number: int) -> dict[int, tuple[int, ...]]:
        """What each node noted at a barrier; one without a worker noted nothing."""
        notes = {
            spec.index: tuple(kept_of(self.shared, spec).newest())
            for spec in self.shared.topology.nodes
        }
        return {node: note for node, note in notes.items() if note[0] == number}

    def with_states(self, known: Mapping[int, tuple[int, ...]]) -> Mapping[int, NodeState]:
        """The same with the states of processors, which nobody writes over meanwhile."""
        found: dict[int, NodeState] = {}
        for node, (_, place, size, checksum, *rest) in known.items():
            state, spec = None, self.shared.topology.nodes[node]
            if spec.is_restorable:
                base = self.shared.layout.state_base(node) + place * APART
                state = self.shared.memory.read_at(base, size)
                if zlib.crc32(state) != checksum:
                    raise RunError(f"the state of stage {spec.name!r} is damaged in shared memory")
            counts, positions = rest[:COUNTS], rest[KEPT - 4 :]
            found[node] = NodeState(tuple(counts), tuple(positions), state)
        return found

    def letters_before(self, known: Mapping[int, tuple[int, ...]]) -> list[DeadLetter]:
        """The dead letters of items that came before the barrier."""
        came = {self.shared.topology.nodes[node].name: note[4] for node, note in known.items()}
        return [each for each in self.letters() if each.ordinal < came.get(each.stage, 1 << 62)]

    def finish(self, letters: tuple[DeadLetter, ...]) -> None:
        """All items of the run have come through."""
        self.settle()
        assert self.feed is not None
        self.keeping.complete(self.feed.head, {}, letters, True)
