"""A job that works on several items side by side: what becomes of each, whichever is done first.

Knows: attempts at one item, policies, counts.  Must never know: channels, threads, event loops, who
calls a job and when.

Rule 1.  An item in hand is a `Held`.  Whoever works on it calls `work`, or awaits `work_async`, and
         nothing else; both leave everything of the node alone but that one.
Rule 2.  The node is called with those that are done, in the order in which they are given on.  One
         that nobody has worked on is worked on then.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from itertools import takewhile
from operator import attrgetter
from typing import Final, Protocol, assert_never, cast

from conveyor.core.channel import Inlet
from conveyor.core.crashes import FRESH, Past
from conveyor.core.job_node import JobNode, Piece, Policy, Surroundings
from conveyor.core.timekeeper import Limit, Timekeeper, pause_before
from conveyor.errors import RunError
from conveyor.items.atoms import is_atom
from conveyor.items.current_item import BESIDE, CURRENT, Context, Whereabouts
from conveyor.items.sealing import Sealed, in_place
from conveyor.items.short_repr import short_repr
from conveyor.items.slices import uniform, whole
from conveyor.stages import Gives, Job, gathered, gives_of, is_async, only_reads, yields_async

__all__ = ["AT", "ConcurrentNode", "Hands", "Held", "first_done"]


class Held:
    """An item in hand: where it is in the input and in the run, and what came of it.

    `limit` is that of the attempt that is under way, if it has one; `timeouts` counts those of this
    worker whose time ran out.
    """

    __slots__ = (
        "attempt",
        "error",
        "is_done",
        "item",
        "limit",
        "ordinal",
        "past",
        "position",
        "results",
        "timeouts",
    )

    def __init__(self, position: int, ordinal: int, item: object, past: Past) -> None:
        self.position = position
        self.ordinal = ordinal
        self.item = item
        self.past = past
        self.attempt = 1
        self.limit: Limit | None = None
        self.timeouts = 0
        self.results: list[object] = []
        self.error: BaseException | None = None
        self.is_done = False


class Hands(Protocol):
    """Who works on the items in hand: for real, threads or an event loop."""

    @property
    def most(self) -> int:
        """How many there are."""
        ...

    @property
    def decided(self) -> int:
        """How often it was decided which of those in hand goes on."""
        ...

    def begin(self, held: Held) -> None:
        """Works on it, and knows when it is done."""
        ...

    def options(self, only: Held | None, held: Sequence[Held]) -> list[int]:
        """Which of those in hand can be done next, or go on next; none if there is no choice."""
        ...

    def is_done(self, only: Held | None, until: int) -> bool:
        """Is this one done, or, where it may be any before a position, is one?"""
        ...

    def chosen(
        self, only: Held | None, answer: int, held: Sequence[Held], until: int
    ) -> list[Held]:
        """Those that are done next: this one, or `answer` of those in hand before a position, or,
        for real, all that are done there."""
        ...


def first_done(held: Iterable[Held]) -> list[Held]:
    """Those that are done and have none before them that is not."""
    return [*takewhile(attrgetter("is_done"), held)]


AT: Final[ContextVar[Held | None]] = ContextVar("AT", default=None)
FEWER_BY: Final = 3  # doublings: with each death that an item was in hand at


class ConcurrentNode(JobNode):
    """A `Processor`, `FlatMap` or `Filter` with several items in hand at once."""

    def __init__(
        self, stage: Job[object, object], policy: Policy, surroundings: Surroundings
    ) -> None:
        super().__init__(stage, policy, surroundings)
        self.gives = gives_of(stage)
        self.is_async = is_async(stage)
        if yields_async(stage):
            job = self.job
            self.wrap(lambda item: gathered(cast("AsyncIterable[object]", job(item))))
        # Nothing recycles what several items may be in at once
        self.take = in_place if only_reads(stage) else bytearray
        self.inlet: Inlet | None = None

    def hold(self, position: int, ordinal: int, item: object) -> Held:
        """Takes an item in hand."""
        CURRENT.job = self
        (item,) = self.safe([item])
        return Held(position, ordinal, item, self.past_of(position))

    def past_of(self, position: int) -> Past:
        past = self.surroundings.past
        return FRESH if past is None else past(self.index_of(position))

    def index_of(self, position: int) -> int:
        return position if self.inlet is None else position - self.inlet.head

    def most_at(self, position: int, most: int) -> int:
        """How many to take in hand, of `most`, while this is the first that is not done: fewer with
        each worker that died with it in hand, until deaths tell which item it was."""
        return max(1, most >> FEWER_BY * self.past_of(position).riddles)

    def index(self) -> int:
        held = AT.get()
        return 0 if held is None else self.index_of(held.position)

    def ordinal(self) -> int:
        held = AT.get()
        return 0 if held is None else held.ordinal

    def context(self) -> Context:
        held = AT.get()
        ordinal = 0 if held is None else held.ordinal
        return Context(self.past.attempts + self.attempt, f"{self.policy.stage}:0:{ordinal}")

    def whereabouts(self, in_job_thread: bool) -> Whereabouts:
        """Of whichever item asks, in whichever thread it is."""
        held = AT.get()
        return Whereabouts(self.policy.stage, None if held is None else held.ordinal)

    # What is so for the item that is worked on in this thread, or task.

    @property
    def past(self) -> Past:
        held = AT.get()
        return FRESH if held is None else held.past

    @past.setter
    def past(self, past: Past) -> None:
        """Nothing: an item brings it along."""

    @property
    def attempt(self) -> int:
        held = AT.get()
        return 1 if held is None else held.attempt

    @attempt.setter
    def attempt(self, attempt: int) -> None:
        held = AT.get()
        if held is not None:
            held.attempt = attempt

    # ---------------------------------------------------------------------------
    # one item

    def work(self, held: Held) -> None:
        """Tries the job on an item until it is done, or given up."""
        AT.set(held)
        if self.is_async:
            assert self.surroundings.awaits is not None
            assert self.surroundings.timekeeper is not None
            self.surroundings.awaits(self.work_async(held, self.surroundings.timekeeper))
            return
        while not self.is_condemned(held):
            try:
                held.results = self.attempted_here(held)
            except BaseException as error:  # the item's own, whatever it is
                held.error = error
                if self.may_retry(error):
                    continue
            else:
                held.error = None
            break
        held.is_done = True

    def attempted_here(self, held: Held) -> list[object]:
        if self.clock is None:
            return self.results_of(held, self.job(self.opened(held)))
        self.clock.start(self.index())
        try:
            return self.results_of(held, self.job(self.opened(held)))
        finally:
            self.clock.stop()

    async def work_async(self, held: Held, keeper: Timekeeper) -> None:
        """The same, in a task of an event loop."""
        BESIDE.set(self)
        AT.set(held)
        while not self.is_condemned(held):
            try:
                if held.attempt > 1:
                    await keeper.sleep(pause_before(held.attempt))
                held.results = await self.attempted(held, keeper)
            except BaseException as error:  # the item's own, unless all are cancelled
                held.error = error
                if not keeper.is_ending and self.tries_again(error):
                    continue
            else:
                held.error = None
            break
        held.is_done = True

    async def attempted(self, held: Held, keeper: Timekeeper) -> list[object]:
        seconds = self.policy.timeout_s
        given = cast("Awaitable[object]", self.job(self.opened(held)))
        if seconds is None:
            return self.results_of(held, await given)
        limit = held.limit = keeper.limit(seconds)
        try:
            async with limit:
                result = await given
        except TimeoutError:
            if limit.expired():
                held.timeouts += 1
                raise self.out_of_time_after(held.attempt) from None
            raise
        return self.results_of(held, result)

    def is_condemned(self, held: Held) -> bool:
        """Is it not tried again, for what it did to the workers before?"""
        if held.past is FRESH:
            return False
        held.error = self.condemned()
        if held.error is None:
            return False
        held.attempt = 0
        return True

    def opened(self, held: Held) -> object:
        return held.item.open(self.take) if isinstance(held.item, Sealed) else held.item

    def results_of(self, held: Held, given: object) -> list[object]:
        """What the job gives for an item, each made safe."""
        match self.gives:
            case Gives.RESULT:
                return [] if given is None else [self.safe_result(given)]
            case Gives.ITEM:
                return (
                    [
                        whole(held.item)
                        if isinstance(held.item, Sealed)
                        else self.safe_result(held.item)
                    ]
                    if given
                    else []
                )
            case Gives.EACH:
                if not isinstance(given, Iterable):
                    raise TypeError(
                        f"{self.policy.stage} is a FlatMap: its function must give an iterable, "
                        f"not {short_repr(given)}"
                    )
                return [self.safe_result(each) for each in cast("Iterable[object]", given)]
            case Gives.EVERY_RESULT | Gives.SAME_ITEM | Gives.UNOPENED:
                raise AssertionError(f"{self.gives} is given items one by one")
            case _:
                assert_never(self.gives)

    def safe_result(self, result: object) -> object:
        return result if is_atom(result) else self.seal(result)

    # ---------------------------------------------------------------------------
    # those that are done

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterator[Piece]:
        CURRENT.job = self
        out: list[object] = []
        for index, held in enumerate(items):
            assert isinstance(held, Held)
            if not held.is_done:
                self.work(held)
            AT.set(held)
            out_before = 0 if index else skip
            if held.error is not None and out:
                # What it does to the run, or to its dead letters, comes behind these
                yield uniform(out), index, 0
                out = []
            given = self.given(held, out_before)
            if out and len(out) + len(given) > limit:
                yield uniform(out), index, 0
                out = []
            while len(given) > limit:  # cut inside the item
                out_before += limit
                self.tally.items_out += limit
                yield uniform(given[:limit]), index, out_before
                given = given[limit:]
            self.count(held, len(given))
            out += given
        yield uniform(out), len(items), 0

    def given(self, held: Held, skip: int) -> list[object]:
        """The outputs of an item behind the first `skip`."""
        if held.error is not None:
            return []
        if len(held.results) < skip:
            raise RunError(
                f"{self.policy.stage} gave at least {skip} outputs for an item, and only "
                f"{len(held.results)} when it was run again: "
                "the function of a FlatMap must give the same outputs for the same item"
            )
        return held.results[skip:]

    def count(self, held: Held, given: int) -> None:
        """The item is finished with so many outputs more; raises `ItemFailed` if it ends the
        run."""
        tally = self.tally
        tally.items_in += 1
        if held.error is not None:
            self.give_up(held.item, held.ordinal, held.error)
            return
        tally.items_out += given
        tally.passed += bool(held.results)
        tally.dropped += not held.results
