"""What the nodes of all jobs share: the item at its job, and what becomes of one that fails.

Knows: policies, attempts, counts, what ends a run.  Must never know: how a slice is run; channels,
processes, time.

A node is called with a slice and gives *pieces*: (outputs, items of the slice that are finished
once these are out, outputs of the next item that are already out).  Pieces are made lazily where a
job may give any number of outputs, so that a full channel stops the job in the middle of an item.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import islice
from operator import length_hint
from typing import Final, NamedTuple, Protocol, TypeAlias, cast

from conveyor.core.channel import UNBOUNDED
from conveyor.core.crashes import FRESH, Past
from conveyor.core.linger import Linger, chunks
from conveyor.core.stamps import has_marks, items_of, places_of
from conveyor.core.steering import closes, steers
from conveyor.core.timekeeper import Timekeeper
from conveyor.errors import ConveyorError, ItemTimeout, LateItem, PoisonItem
from conveyor.items.atoms import is_atom
from conveyor.items.current_item import CURRENT, Context, Whereabouts
from conveyor.items.rows import NO_TAKERS, TAKERS
from conveyor.items.sealing import Copied, Keep, Recycler, Seal, Sealed, Take, in_place, sealer
from conveyor.items.short_repr import short_repr
from conveyor.items.slices import all_sealed, uniform
from conveyor.report import DeadLetter, Tally
from conveyor.stages import CannotGoBack, Job, completed, job_of, only_reads

__all__ = [
    "ALONE",
    "LOST",
    "ForkFailed",
    "ItemClock",
    "ItemFailed",
    "JobNode",
    "Node",
    "Piece",
    "Policy",
    "Surroundings",
    "is_cancelled",
    "repr_of",
]

Piece: TypeAlias = tuple[list[object], int, int]


class Node(Protocol):
    """The two things that a drive loop asks of a node.

    A piece is (outputs, finished, extra): `finished` items of the slice are done once the outputs
    are out, and so are `extra` outputs of the next item.  `finished` never falls from one piece of
    a slice to the next.
    """

    tally: Tally

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        """The pieces of a slice, each of at most `limit` outputs, without the first `skip` of its
        first item.

        The slice is finished when its last piece is out: that piece has `finished == len(items)`
        and `extra == 0`, also where it has no outputs.  A node that wants to see more items before
        it gives an output finishes these all the same, and keeps what it needs as state.
        """
        ...

    def finish(self, skip: int, limit: int) -> Iterable[Piece]:
        """What comes after the last item of a run, in pieces of at least one output that finish no
        item."""
        ...


class ItemFailed(ConveyorError):
    """An item failed and its stage says that this ends the run; the cause is what the job
    raised."""

    def __init__(self, ordinal: int | None, item: str, error: BaseException, attempts: int) -> None:
        super().__init__(f"item {ordinal}: {item}")
        self.ordinal = ordinal
        self.item = item
        self.error = error
        self.attempts = attempts


class ForkFailed(ItemFailed):
    """A fork failed on an item, and says that this ends the run; `ordinal` counts what came to the
    fork."""

    def __init__(self, fork: str, ordinal: int, item: str, error: BaseException) -> None:
        super().__init__(ordinal, item, error, 1)
        self.fork = fork


class Policy(NamedTuple):
    """What becomes of an item whose job raises."""

    stage: str
    on_error: str
    retries: int
    timeout_s: float | None
    send_dead_letter: Callable[[DeadLetter], None]


class ItemClock(Protocol):
    """Watches time limits; it is told at which item a job begins, and when none is under way: in
    one of several threads, none of that thread.  A job that goes on with its item has the time
    that it had when it was stopped."""

    def start(self, index: int) -> None: ...
    def stop(self) -> None: ...
    def go_on(self, index: int) -> None: ...


LOST: Final = "<an item that cannot be unpickled>"


def is_cancelled(error: BaseException | None) -> bool:
    """Is it a `CancelledError` of asyncio, which is not imported for that?"""
    exceptions = sys.modules.get("asyncio.exceptions")
    return exceptions is not None and isinstance(error, exceptions.CancelledError)


class Surroundings(NamedTuple):
    """What the world does for a node that runs jobs.

    `fused` says that others run in the same worker, so that its slices are loose on either side
    (`items.slices`).  `place` gives the input and the position of an item of what the drive
    loop has in hand; `pause` waits before an attempt, which is counted from 2; `past` tells how
    earlier workers fared with an item, if some died; `clock` is there where jobs have a time
    limit; `keep` is where the large buffers of results go; `room` says how many outputs could
    be published at once; `is_final` tells what comes through a job and is no error of its item: it
    ends the run whatever the stage does with errors; `seal` makes results safe in another way than
    by `keep`; `awaits` runs to its end what async code gives, and `timekeeper` has its time, where
    nobody else has run it; `linger` says when outputs that gather are to leave, though there may be
    more.
    """

    fused: bool = False
    place: Callable[[int], tuple[int, int]] | None = None
    pause: Callable[[int], None] = lambda attempt: None
    past: Callable[[int], Past] | None = None
    clock: ItemClock | None = None
    keep: Keep = Copied
    room: Callable[[], int] = lambda: UNBOUNDED
    is_final: Callable[[BaseException], bool] = steers
    seal: Seal | None = None
    awaits: Callable[[Awaitable[object]], object] | None = None
    timekeeper: Timekeeper | None = None
    linger: Linger | None = None


ALONE: Final = Surroundings()


class JobNode(ABC):
    """What the nodes of all jobs share: policies, the item at its job, and `finish`."""

    def __init__(
        self, stage: Job[object, object], policy: Policy, surroundings: Surroundings
    ) -> None:
        self.stage = stage
        self.job = job_of(stage)
        self.policy = policy
        self.surroundings = surroundings
        self.clock = surroundings.clock
        self.fused = surroundings.fused
        self.take: Take = in_place if only_reads(stage) else Recycler()
        self.seal = surroundings.seal or sealer(surroundings.keep)
        self.takers = NO_TAKERS if surroundings.seal else TAKERS
        self.room = surroundings.room
        self.linger = surroundings.linger
        # Of items that come alone: workers may have died at them
        self.is_wary = surroundings.past is not None
        self.tally = Tally()
        self.size = 0
        # In a lane of an ordered join: what the drive loop has in hand, if there are marks in it,
        # and where the items of the slice are there.
        self.keeps_marks = False
        self.entries: list[object] | None = None
        self.places: Sequence[int] | None = None
        # Of the last piece: behind which outputs each of its items ended, if that is not one each.
        self.ends: list[int] | None = None
        # Over the slice: how far it is says which item is at its job.
        self.cursor: Iterator[object] = iter(())
        # Attempts that ended with their workers: of the only item of a slice, others have none.
        self.past = FRESH
        self.attempt = 1

    @abstractmethod
    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]: ...

    def begin(self, items: list[object]) -> Iterator[object]:
        """Takes a slice in hand: its items, as the job will come to them."""
        CURRENT.job = self
        self.size = len(items)
        self.cursor = iter(items)
        if self.surroundings.past is not None:
            self.past = self.surroundings.past(self.place_of(0)) if self.size == 1 else FRESH
        return self.cursor

    def keep_marks(self) -> None:
        """From now on there may be marks in slices, and one stands where an item gives nothing
        (`stamps`)."""
        self.keeps_marks = True

    def take_in_hand(self, items: list[object]) -> list[object]:
        """Remembers where in a slice its items are, and gives them."""
        self.entries = items if has_marks(items) else None
        self.places = None
        return items_of(items)

    def wrap(self, job: Callable[[object], object]) -> None:
        """From now on this is called with each item in place of the stage's own job, always in the
        careful loop."""
        self.job = job

    def passed_on(self, items: int) -> None:
        """So many items went through the job in a loop with others (`fused_node`), and as many came
        out."""
        self.tally.items_in += items
        self.tally.items_out += items
        self.tally.passed += items

    def at(self) -> int:
        """Which item of the slice is at its job."""
        return self.size - length_hint(self.cursor) - 1

    def ordinal(self) -> int:
        """Which of all the items of this node is at its job."""
        return self.tally.items_in - self.size + self.at()

    def place_of(self, item: int) -> int:
        """Where an item of the slice is in what the drive loop has in hand."""
        if self.entries is None:
            return item
        if self.places is None:
            self.places = places_of(self.entries)
        return self.places[item]

    def index(self) -> int:
        """Where the item that is at its job is in what the drive loop has in hand."""
        return self.place_of(self.at())

    def context(self) -> Context:
        if self.surroundings.place is not None:
            source, position = self.surroundings.place(self.index())
        else:
            source, position = 0, self.tally.items_in - length_hint(self.cursor) - 1
        return Context(
            self.past.attempts + self.attempt, f"{self.policy.stage}:{source}:{position}"
        )

    def whereabouts(self, in_job_thread: bool) -> Whereabouts:
        return Whereabouts(self.policy.stage, self.ordinal() if in_job_thread else None)

    def condemned(self) -> Exception | None:
        """The error of an item that is not tried again, for what it did to its workers."""
        if self.past.is_poison:
            died = (
                f"{self.past.attempts} workers died, one after the other, when they were given "
                "this item"
            )
            return PoisonItem(f"stage {self.policy.stage!r}: {died}; the last {self.past.how}")
        return self.out_of_time(self.past.timeouts)

    def out_of_time(self, timeouts: int) -> ItemTimeout | None:
        """The error of an item whose time ran out so often, if there is not to be another
        attempt."""
        return None if timeouts <= self.policy.retries else self.out_of_time_after(timeouts)

    def out_of_time_after(self, timeouts: int) -> ItemTimeout:
        """The error of an item whose time ran out so often."""
        limit = f"timeout_s={self.policy.timeout_s}"
        return ItemTimeout(
            f"stage {self.policy.stage!r}: this item took longer than {limit} allows, in "
            f"{timeouts} of {timeouts} attempts"
        )

    def may_retry(self, error: BaseException | None) -> bool:
        """Waits, if the item that failed with `error` is to be tried again."""
        if error is None or not self.tries_again(error):
            return False
        self.surroundings.pause(self.past.timeouts + self.attempt)
        return True

    def tries_again(self, error: BaseException) -> bool:
        """Is the item that failed with `error` to be tried again?  Whoever works on it waits."""
        if isinstance(error, LateItem | CannotGoBack):
            return False
        made = self.past.timeouts + self.attempt
        if made > self.policy.retries or self.surroundings.is_final(error):
            return False
        self.attempt += 1
        return True

    def finish(self, skip: int, limit: int) -> Iterator[Piece]:
        """The outputs of the stage's `finish`, which finish no item."""
        for out, done, _ in self.flushed(self.stage.finish, "finish()", skip, limit):
            skip += len(out)
            yield out, done, skip

    def flushed(
        self, give: Callable[[], object], what: str, skip: int, limit: int
    ) -> Iterator[Piece]:
        """What the stage gives of itself, for no item, without the first `skip`."""
        CURRENT.outside(self.policy.stage)
        try:
            given = completed(give(), self.surroundings.awaits)
            if not hasattr(given, "__iter__") and not hasattr(given, "__getitem__"):
                raise TypeError(
                    f"{what} gave {short_repr(given)}; it must give an iterable of what is to "
                    "be sent on: yield it, or return a list"
                )
            results = cast("Iterable[object]", given)
            safe = (
                result if is_atom(result) else self.seal(result)
                for result in islice(results, skip, None)
            )
            for out in chunks(safe, limit, self.linger):
                self.tally.flushed += len(out)
                self.tally.items_out += len(out)
                yield uniform(out), 0, 0
        except BaseException as error:
            if closes(error):
                raise
            # Whatever it raises ends the run, with its place named
            raise ItemFailed(None, what, error, 1) from error

    def safe(self, items: list[object]) -> list[object]:
        """The same items, so that an attempt can leave no trace on the next one, or on a dead
        letter."""
        if self.policy.retries == 0 and self.policy.on_error == "raise":
            return items
        return (
            items
            if all(isinstance(item, Sealed) or is_atom(item) for item in items)
            else all_sealed(items)
        )

    def give_up(self, item: object, ordinal: int, error: BaseException) -> None:
        """Does with a failed item what its stage's policy says."""
        tally, policy, on_error = self.tally, self.policy, self.on_error(error)
        attempts, self.attempt = self.past.attempts + self.attempt, 1
        if self.ends_run(error):
            tally.failed += 1
            raise ItemFailed(ordinal, repr_of(item), error, attempts) from error
        if on_error == "skip":
            tally.skipped += 1
        else:
            policy.send_dead_letter(DeadLetter(policy.stage, ordinal, item, error, attempts))
            tally.dead_lettered += 1

    def ends_run(self, error: BaseException) -> bool:
        """Does the run end if an item fails so?"""
        return self.on_error(error) == "raise" or self.surroundings.is_final(error)

    def on_error(self, error: BaseException) -> str:
        """What the stage says of this error: of some it is not asked."""
        if isinstance(error, LateItem):
            return error.on_error
        return "raise" if isinstance(error, CannotGoBack) else self.policy.on_error


def repr_of(item: object) -> str:
    try:
        return short_repr(item.open() if isinstance(item, Sealed) else item)
    except ConveyorError:
        return LOST
