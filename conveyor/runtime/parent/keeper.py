"""When barriers go out, and what is done once one has come through.

This file knows who tells what nodes have noted.  It must never know where they note it, nor how
that is made durable.

Rule 1.  Never are two barriers on their way.  The source sends a window of items ahead of the last
         barrier that has come through; the next goes out when that is full, or before long.
         How long a barrier takes, and how fast items come through, say how large the window may
         be: what is on its way takes about a quarter of `every_s`, or is as much as the stages may
         have in hand.  A barrier costs every worker a short slice and a few wake-ups, so a window
         grows as far as that, also where pipes hold less.  Most barriers are for that alone; once
         `every_s` has passed, the next that comes through is where the run is kept.
Rule 2.  The sink is the last that comes to it.  Then all others have noted what they know, and
         nothing of that is written over before the next barrier.  Where they are elsewhere, it is
         asked for, and comes behind all dead letters of items before the barrier.
Rule 3.  It is made durable in a thread of its own, while the run goes on: what comes to the sink
         meanwhile is of the next epoch, and kept back.  No barrier is sent then, so the source goes
         on as fast as windows have come through before, with as much again to spare; but for no
         longer than `every_s`, then it waits.  How long the barrier behind all that takes says
         nothing of a window.
         Where the run is kept in this program's memory, each barrier that comes through is, and at
         once; in the thread, too, whenever it is to be durable.
Rule 4.  Of a stream, the source's thread sends barriers, and the consumer's is where they come
         through: one at a time is in here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextvars import copy_context
from time import monotonic
from typing import Any, Final, Protocol

from conveyor.core.barriers import CarriesBarriers, GatedInlet
from conveyor.core.epochs import NodeState, letters_before
from conveyor.core.keeping import Acknowledging, Keeping
from conveyor.graph.topology import Topology
from conveyor.report import DeadLetter
from conveyor.runtime.parent.crew import Crew
from conveyor.runtime.parent.noted import Noted
from conveyor.runtime.parent.supervisor import Supervisor
from conveyor.runtime.process.deferral import Deferral
from conveyor.transfer.sleeping import sleeper

__all__ = ["Keeper", "keeper_in"]

AT_ONCE: Final = 2  # windows that are on their way, where the source is as fast as it may be


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
        keeper = self.keeper
        if keeper.saving is not None or keeper.is_due():  # else the lock would be taken for nothing
            keeper.look()
        return self.inlet.head < keeper.limit and super().pending()

    def peek(self, n: int) -> list[object]:
        return super().peek(min(n, self.keeper.limit - self.inlet.head))


def nothing() -> None:
    """Nobody waits: one thread does all."""


class Saving:
    """A thread that makes one epoch durable, and calls `wake` once that is done, or has failed."""

    def __init__(self, save: Callable[[], None], wake: Callable[[], None]) -> None:
        self.save = save
        self.wake = wake
        self.error: BaseException | None = None
        self.since = monotonic()
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
        topology: Topology,
        crew: Crew,
        letters: Callable[[], tuple[DeadLetter, ...]],
        wake: Callable[[], None],
    ) -> None:
        self.keeping = keeping
        self.wake = wake
        self.saving: Saving | None = None
        self.topology = topology
        self.crew = crew
        self.letters = letters  # reads those that have come, in the thread that runs
        self.asked = 0  # the number of the barrier whose notes are awaited
        self.lock = threading.RLock()
        self.released: Callable[[], object] = nothing  # wakes the thread that sends barriers
        self.leaving = False
        self.kept = 0  # so often the run was kept, or is about to be
        self.feed: BarrierFeed | None = None
        self.under_way = False
        self.was_saved = False  # since the barrier before the one that is under way
        self.since = self.sent = monotonic()
        self.came = (0, self.sent)  # the items before the newest barrier that is through, and when
        self.windows = keeping.windows
        self.hands = sum(spec.concurrency or 1 for spec in topology.nodes)
        # Items of the source that may be on their way however slow.
        self.least = max(self.hands, self.windows.least)
        self.window = max(self.windows.first, self.least)
        self.limit = self.window  # items of the source that may be sent before the next barrier

    def gate(self, feed: BarrierFeed) -> GatedInlet:
        """The source's inlet, which stops at barriers, and where enough is on its way."""
        self.feed = feed
        return HeldInlet(feed, self)

    def look(self) -> None:
        """Called between slices: sends a barrier when it is time, also once an epoch is durable."""
        with self.lock:
            feed, saving = self.feed, self.saving
            if saving is not None and saving.over.is_set():
                self.settle()
            elif saving is not None and feed is not None and not self.leaving:
                through_s, most = self.windows.through_s, self.keeping.every_s
                windows = AT_ONCE * (1 + min(monotonic() - saving.since, most) / through_s)
                self.limit = max(self.limit, feed.barrier_at + int(windows * self.window))
            if feed is not None and self.is_due():
                self.under_way, self.sent = True, monotonic()
                feed.barrier_at = feed.head
                feed.barrier += 1
                self.limit = feed.head + (0 if self.leaving else self.window)

    def is_due(self) -> bool:
        """Is a barrier to be sent?"""
        feed = self.feed
        if feed is None or self.under_way or feed.head == feed.barrier_at:
            return False
        is_full = feed.head >= self.limit or self.leaving
        return is_full or monotonic() - self.sent >= self.windows.sent_s

    def whole(self, number: int) -> None:
        """The sink has come to a barrier."""
        with self.lock:
            feed = self.feed
            assert feed is not None
            self.keeping.mark()
            now = monotonic()
            self.fit_window(feed, now)
            if self.keeping.in_memory or self.is_to_be_durable():
                self.keep(number)
            else:
                self.may_send()

    def fit_window(self, feed: BarrierFeed, now: float) -> None:
        """The next window, behind a barrier that has come through: shorter if that took too long;
        twice as long if the source waited, or if items come so fast that two such windows, one
        before a barrier and one behind it, take no longer than a barrier may."""
        took, through_s = now - self.sent, self.windows.through_s
        (came, since), self.came = self.came, (feed.barrier_at, now)
        if self.was_saved:
            self.was_saved = False
        elif took > through_s:
            self.window = max(self.least, int(self.window * through_s / took))
        elif (
            feed.head >= self.limit
            or AT_ONCE * 2 * self.window * (now - since) <= (feed.barrier_at - came) * through_s
        ):
            self.window = max(self.least, min(2 * self.window, self.windows.most))

    def is_to_be_durable(self) -> bool:
        """Is a barrier that has come through where the run is kept for good?"""
        return self.leaving or monotonic() - self.since >= self.keeping.every_s

    def keep(self, number: int) -> None:
        """Begins to keep what nodes knew at the newest barrier, which has come through."""
        self.under_way = True
        self.keeping.hold()
        self.asked = number
        self.crew.ask_noted(number)
        self.look_for_notes()

    def look_for_notes(self, waits: bool = False) -> None:
        """Called again and again in the thread that runs: once what nodes have noted is here, it is
        kept."""
        if not self.asked:  # most often, and then without the lock
            return
        with self.lock:
            if not self.asked or (noted := self.crew.noted(waits)) is None:
                return
            assert self.feed is not None
            self.asked = 0
            self.kept += 1
            counts = {node: each.counts for node, each in noted.items()}
            letters = letters_before(self.letters(), self.topology.nodes, counts)
            items = self.feed.barrier_at
            self.least = max(self.in_hand(noted), self.windows.least)

            def known() -> dict[int, NodeState]:
                return {node: each.whole() for node, each in noted.items()}

            if self.keeping.in_memory and not self.is_to_be_durable():
                self.keeping.note(items, known(), letters)
                self.go_on()
                return

            def save() -> None:
                self.keeping.complete(items, known(), letters, False)

            with Deferral():  # of a thread that is half started nobody would know
                self.saving = Saving(save, self.wake)
            self.was_saved = True
            self.released()

    def in_hand(self, noted: Mapping[int, Noted]) -> int:
        """How many items of the source it takes for all stages to have their hands full; what came
        until now to those with several says how many it takes for one of theirs."""
        assert self.feed is not None
        manifest, most = self.keeping.manifest, self.hands
        before: Mapping[int, NodeState] = {} if manifest is None else manifest.nodes
        for node, each in noted.items():
            hands = self.topology.nodes[node].concurrency
            if hands is not None:
                came = each.counts[0] - (before[node].counts[0] if node in before else 0)
                most = max(most, hands * self.feed.barrier_at // came if came else 0)
        return most

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
            self.look_for_notes(waits=True)
            saving = self.end()
            if saving is None:
                return
            if saving.error is not None:
                raise saving.error
            self.since = monotonic()
            self.go_on()

    def settle_without_workers(self) -> None:
        """The same, where nobody is left who would tell what was noted at a newer barrier."""
        with self.lock:
            self.asked = 0
            self.settle()

    def go_on(self) -> None:
        """The run is kept at its newest barrier."""
        self.keeping.go_on()
        self.may_send()
        self.wake()  # results may have come by this

    def keep_what_came(self, acknowledging: Acknowledging) -> bool:
        """Makes durable what has been acknowledged, as far as the newest barrier reaches; was that
        all?"""
        with self.lock:
            if self.keeping.in_memory:
                self.asked = 0  # all that was given came before a barrier that is noted
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

    def finish(self, letters: tuple[DeadLetter, ...]) -> None:
        """All items of the run have come through."""
        self.settle()
        assert self.feed is not None
        self.keeping.complete(self.feed.head, {}, letters, True)


def keeper_in(
    supervisor: Supervisor, keeping: Keeping, letters: Callable[[], tuple[DeadLetter, ...]]
) -> Keeper:
    """What keeps the run of these workers; `letters` gives its dead letters that were read."""

    def letters_so_far() -> tuple[DeadLetter, ...]:
        supervisor.read_reports()
        return letters()

    keeper = Keeper(keeping, supervisor.topology, supervisor.crew, letters_so_far, supervisor.wake)
    earlier: Any = () if keeping.manifest is None else keeping.manifest.kept.get("letters", ())
    for letter in earlier:  # given up in earlier lives
        supervisor.reports.letters.add(letter)
    supervisor.watches.append(keeper.look_for_notes)
    return keeper
