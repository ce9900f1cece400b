"""What a processor does with a slice of items: slices in, pieces out.

Knows: jobs, policies for items that fail, counts.  Must never know: channels, processes, time; it never waits or chooses.

A node is called with a slice and gives *pieces*: (outputs, items of the slice that are finished once these are out, outputs of
the next item that are already out).  Pieces are made lazily where a job may give any number of outputs, so that a full
channel stops the job in the middle of an item.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from operator import length_hint
from typing import Final, NamedTuple, Protocol, TypeAlias, cast

from conveyor.codec import (
    ATOMS,
    Bundle,
    Copied,
    Keep,
    Recycler,
    Seal,
    Sealed,
    all_sealed,
    in_place,
    is_atom,
    kind_of_all,
    opened,
    opened_each,
    opened_loose,
    sealer,
    short_repr,
    uniform,
)
from conveyor.context import CURRENT, Context
from conveyor.deaths import FRESH, Past
from conveyor.errors import ConveyorError, ItemTimeout, PoisonItem, RunError
from conveyor.kernels import Progress, filter_loose, filter_slice, map_slice, quick_loop
from conveyor.report import DeadLetter, Tally
from conveyor.stages import Filter, FlatMap, Job, job_of, only_reads, policy_of

__all__ = [
    "ALONE",
    "CollectNode",
    "FilterNode",
    "FlatMapNode",
    "ItemClock",
    "ItemFailed",
    "JobNode",
    "MapNode",
    "Node",
    "Piece",
    "RelayNode",
    "Surroundings",
    "node_for",
]

Piece: TypeAlias = tuple[list[object], int, int]


class Node(Protocol):
    """The two things that a drive loop asks of a node."""

    tally: Tally

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        """The pieces of a slice, each of at most `limit` outputs, without the first `skip` of its first item."""
        ...

    def finish(self, skip: int, limit: int) -> Iterable[Piece]:
        """What comes after the last item of a run, in pieces that finish no item."""
        ...


class ItemFailed(ConveyorError):
    """An item failed and its stage says that this ends the run; the cause is what the job raised."""

    def __init__(self, ordinal: int | None, item: str, error: BaseException, attempts: int) -> None:
        super().__init__(f"item {ordinal}: {item}")
        self.ordinal = ordinal
        self.item = item
        self.error = error
        self.attempts = attempts


class Policy(NamedTuple):
    """What becomes of an item whose job raises."""

    stage: str
    on_error: str
    retries: int
    timeout_s: float | None
    bury: Callable[[DeadLetter], None]


class ItemClock(Protocol):
    """Whoever sees to time limits; it is told at which item a job begins, and when none is under way."""

    def start(self, index: int) -> None: ...
    def stop(self) -> None: ...


WITHOUT_END: Final = 1 << 62


class Surroundings(NamedTuple):
    """What the world does for a node that runs jobs.

    `fused` says that others run in the same worker, so that its slices are loose (`codec`) on either side.  `place` gives the
    input and the position of an item of what the drive loop has in hand; `pause` waits before an attempt, which is counted from
    2; `past` tells how earlier workers fared with an item, if some died; `clock` is there where jobs have a time limit; `keep`
    is where the large buffers of results go; `room` says how many outputs could be published at once.
    """

    fused: bool = False
    place: Callable[[int], tuple[int, int]] | None = None
    pause: Callable[[int], None] = lambda attempt: None
    past: Callable[[int], Past] | None = None
    clock: ItemClock | None = None
    keep: Keep = Copied
    room: Callable[[], int] = lambda: WITHOUT_END


ALONE: Final = Surroundings()


def node_for(
    stage: Job[object, object], name: str, bury: Callable[[DeadLetter], None], surroundings: Surroundings = ALONE
) -> JobNode:
    """The node that runs `stage`; `bury` is told of each dead letter before its item is committed."""
    policy = Policy(name, *policy_of(stage), bury)
    if isinstance(stage, FlatMap):
        return FlatMapNode(stage, policy, surroundings)
    return (FilterNode if isinstance(stage, Filter) else MapNode)(stage, policy, surroundings)


class JobNode(ABC):
    """What the nodes of all jobs share: policies, the item at its job, and `finish`."""

    def __init__(self, stage: Job[object, object], policy: Policy, surroundings: Surroundings) -> None:
        self.stage = stage
        self.job = job_of(stage)
        self.policy = policy
        self.surroundings = surroundings
        self.clock = surroundings.clock
        self.fused = surroundings.fused
        self.take = in_place if only_reads(stage) else Recycler()
        self.seal = sealer(surroundings.keep)
        self.names: Sequence[str] = (policy.stage,)  # of all jobs in one worker, if this is the first of several
        self.room = surroundings.room
        self.tally = Tally()
        self.offset = 0  # of the slice, in what the drive loop has in hand
        self.size = 0
        self.cursor: Iterator[object] = iter(())  # over the slice: how far it is says which item is at its job
        self.past = FRESH  # attempts that ended with their workers: of the only item of a slice, others have none
        self.attempt = 1

    @abstractmethod
    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]: ...

    def begin(self, items: list[object]) -> Iterator[object]:
        """Takes a slice in hand: its items, as the job will come to them."""
        CURRENT.job = self
        self.size = len(items)
        self.cursor = iter(items)
        if self.surroundings.past is not None:
            self.past = self.surroundings.past(self.offset) if self.size == 1 else FRESH
        return self.cursor

    def passed_on(self, items: int) -> None:
        """So many items went through the job in a loop with others (`fused`), and as many came out."""
        self.tally.items_in += items
        self.tally.items_out += items
        self.tally.passed += items

    def index(self) -> int:
        """Which item of what the drive loop has in hand is at its job."""
        return self.offset + self.size - length_hint(self.cursor) - 1

    def context(self) -> Context:
        if self.surroundings.place is not None:
            source, position = self.surroundings.place(self.index())
        else:
            source, position = 0, self.tally.items_in - length_hint(self.cursor) - 1
        return Context(self.past.attempts + self.attempt, f"{self.policy.stage}:{source}:{position}")

    def condemned(self) -> Exception | None:
        """The error of an item that is not tried again, for what it did to its workers."""
        stage = self.names[self.past.part]
        if self.past.is_poison:
            return PoisonItem(
                f"stage {stage!r}: {self.past.attempts} workers died, one after the other, when they were given this item; "
                f"the last {self.past.how}"
            )
        return self.out_of_time(self.past.timeouts)

    def out_of_time(self, timeouts: int) -> ItemTimeout | None:
        """The error of an item whose time ran out so often, if there is not to be another attempt."""
        if timeouts <= self.policy.retries:
            return None
        limit = f"timeout_s={self.policy.timeout_s}"
        return ItemTimeout(
            f"stage {self.policy.stage!r}: this item took longer than {limit} allows, in {timeouts} of {timeouts} attempts"
        )

    def may_retry(self, error: BaseException | None) -> bool:
        """Waits, if the item that failed with `error` is to be tried again."""
        made = self.past.timeouts + self.attempt
        if not isinstance(error, Exception) or made > self.policy.retries:
            return False
        self.surroundings.pause(made + 1)
        self.attempt += 1
        return True

    def finish(self, skip: int, limit: int) -> Iterator[Piece]:
        """The outputs of the stage's `finish`, which finish no item."""
        CURRENT.job = None
        flushed = skip
        try:
            for out in _chunks(islice(self.stage.finish(), skip, None), limit, self.seal):
                flushed += len(out)
                self.tally.flushed += len(out)
                self.tally.items_out += len(out)
                yield out, 0, flushed
        except GeneratorExit:
            raise
        except BaseException as error:  # whatever `finish` raises ends the run, with its place named
            raise ItemFailed(None, "finish()", error, 1) from error

    def safe(self, items: list[object]) -> list[object]:
        """The same items, so that an attempt can leave no trace on the next one, or on a dead letter."""
        if self.policy.retries == 0 and self.policy.on_error == "raise":
            return items
        return items if all(isinstance(item, Sealed) or is_atom(item) for item in items) else all_sealed(items)

    def give_up(self, item: object, ordinal: int, error: BaseException) -> None:
        """Does with a failed item what its stage's policy says."""
        tally, policy = self.tally, self.policy
        attempts, self.attempt = self.past.attempts + self.attempt, 1
        if policy.on_error == "raise" or not isinstance(error, Exception):
            tally.failed += 1
            raise ItemFailed(ordinal, _repr_of(item), error, attempts) from error
        if policy.on_error == "skip":
            tally.skipped += 1
        else:
            policy.bury(DeadLetter(policy.stage, ordinal, _open_or_repr(item), error, attempts))
            tally.dead_lettered += 1


class SliceNode(JobNode, ABC):
    """A node whose job gives at most one output an item, so that a slice is one piece unless an item fails."""

    @abstractmethod
    def kernel(self, items: Iterator[object], sealed: bool, out: list[object]) -> Progress:
        """Runs the job on items that are all sealed, or all not."""
        ...

    @abstractmethod
    def loose_kernel(self, items: list[object], cursor: Iterator[object], out: list[object]) -> Progress:
        """Runs the job on a loose slice, to a loose slice."""
        ...

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        self.tally.items_in += len(items)
        items = self.safe(items)
        cursor = self.begin(items)
        if self.past is not FRESH and (verdict := self.condemned()) is not None:
            self.attempt = 0
            self.give_up(items[0], self.tally.items_in - 1, verdict)
            return (([], 1, 0),)
        out: list[object] = []
        done, sealed, failure = self.attempt_all(cursor, items, out)
        if failure is not None:
            return self.around_failures(items, out, done, sealed, failure)
        return (self.piece(items, out, done, done, sealed),)

    def attempt_all(self, cursor: Iterator[object], items: list[object], out: list[object]) -> Progress:
        """The job on each item until one fails, under its time limit."""
        if self.fused:
            return self.loose_kernel(items, cursor, out)
        sealed = isinstance(items[0], Sealed)
        if self.clock is None:
            return self.kernel(cursor, sealed, out)
        progress = self.kernel(self.timed(cursor, self.clock), sealed, out)
        self.clock.stop()
        return progress

    def timed(self, items: Iterator[object], clock: ItemClock) -> Iterator[object]:
        for item in items:
            clock.start(self.index())
            yield item

    def piece(self, items: list[object], out: list[object], finished: int, done: int, sealed: int) -> Piece:
        """`out`, the outputs of the last `done` items, with which `finished` items of the slice are finished."""
        self.tally.items_out += len(out)
        self.tally.passed += len(out)
        self.tally.dropped += done - len(out)
        return (uniform(out) if sealed and not self.fused else out), finished, 0

    def around_failures(
        self, items: list[object], out: list[object], done: int, sealed: int, error: BaseException | None
    ) -> Iterator[Piece]:
        """The slice in pieces: each ends before an item that failed, or with the slice."""
        first = self.tally.items_in - len(items)
        finished = 0
        while True:
            finished += done
            yield self.piece(items, out, finished, done, sealed)
            if error is None:
                return
            CURRENT.job = self  # somebody else may have been running meanwhile
            retried: list[object] = []
            progress = self.retry(items[finished], retried, error)
            if progress.error is None:
                finished += 1
                yield self.piece(items, retried, finished, 1, progress.sealed)
            else:
                self.give_up(items[finished], first + finished, progress.error)
                finished += 1
                yield [], finished, 0
            if finished == len(items):
                return  # not one more piece that finishes nothing: the last item would seem to end twice
            CURRENT.job = self
            out = []
            done, sealed, error = self.attempt_all(self.cursor, items, out)

    def retry(self, item: object, out: list[object], error: BaseException) -> Progress:
        progress = Progress(0, 0, error)
        while self.may_retry(progress.error):
            if self.clock is not None:
                self.clock.start(self.index())
            progress = self.kernel(iter([item]), isinstance(item, Sealed), out)
            if self.clock is not None:
                self.clock.stop()
        if progress.error is None:
            self.attempt = 1
        return progress


class MapNode(SliceNode):
    """A `Processor`."""

    def __init__(self, stage: Job[object, object], policy: Policy, surroundings: Surroundings) -> None:
        super().__init__(stage, policy, surroundings)
        in_haste = surroundings.clock is None and surroundings.past is None
        self.quick = quick_loop(self.job) if in_haste else None

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        if self.quick is not None and self.are_atoms(items):
            # If it raises nothing has happened yet that could be noticed: the careful loop finds the item and its error again.
            with suppress(Exception):
                out = self.quick(items)
                self.tally.items_in += len(items)
                return (self.piece(items, out, len(items), len(items), 0),)
        return super().__call__(items, skip, limit)

    def are_atoms(self, items: list[object]) -> bool:
        return kind_of_all(items) in ATOMS if self.fused else not isinstance(items[0], Sealed)

    def kernel(self, items: Iterator[object], sealed: bool, out: list[object]) -> Progress:
        return map_slice(self.job, opened_each(items, self.take) if sealed else items, out, self.seal)

    def loose_kernel(self, items: list[object], cursor: Iterator[object], out: list[object]) -> Progress:
        return map_slice(self.job, opened_loose(items, cursor, self.take), out, self.seal, loose=True)


class FilterNode(SliceNode):
    """A `Filter`."""

    def kernel(self, items: Iterator[object], sealed: bool, out: list[object]) -> Progress:
        return filter_slice(self.job, items, out, self.take)

    def loose_kernel(self, items: list[object], cursor: Iterator[object], out: list[object]) -> Progress:
        return filter_loose(self.job, items, opened_loose(items, cursor, self.take), out)


class FlatMapNode(JobNode):
    """A `FlatMap`: any number of outputs an item, taken from the job only when there is room for them.

    However items are sliced, the outputs of one are cut only after each `limit` of them: so what a fork does with a record it
    could do with slices of one item.  Outputs of several go together only where there is room for them at once: so a record
    never waits for more room than that of one item would.
    """

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterator[Piece]:
        first = self.tally.items_in
        self.tally.items_in += len(items)
        items = self.safe(items)
        out: list[object] = []
        together = min(limit, self.room())
        for index, item in enumerate(self.begin(items)):
            given = 0 if index else skip
            whole = len(out)  # of which none is this item's
            most = together if whole else limit
            try:
                for result in self.results(item, first + index, given):
                    if len(out) >= most:
                        if self.clock is not None:  # to wait for room is not the job's
                            self.clock.stop()
                        if whole:  # items that are finished go first, so that this one's outputs begin a record
                            yield self.piece(out[:whole], index, 0)
                        else:  # full, and there is more: cut inside the item
                            yield self.piece(out, index, given)
                        CURRENT.job = self  # somebody else may have been running meanwhile
                        if self.clock is not None:
                            self.clock.start(self.index())
                        out, whole, most = out[whole:] if whole else [], 0, limit
                        together = min(limit, self.room())
                    out.append(result)
                    given += 1
            except ItemFailed:
                yield self.piece(out, index, given)
                raise
        yield self.piece(out, len(items), 0)

    def piece(self, out: list[object], finished: int, extra: int) -> Piece:
        self.tally.items_out += len(out)
        return uniform(out), finished, extra

    def results(self, item: object, ordinal: int, given: int) -> Iterator[object]:
        """The results of one item behind the first `given`, through all its attempts."""
        if self.past is not FRESH and (verdict := self.condemned()) is not None:
            self.attempt = 0
            self.give_up(item, ordinal, verdict)
            return
        while True:
            try:
                for result in self.timed_attempt(item, given):
                    yield result if is_atom(result) else self.seal(result)
                    given += 1
            except GeneratorExit:
                raise
            except BaseException as error:  # the item's own, whatever it is
                if not self.may_retry(error):
                    self.give_up(item, ordinal, error)
                    return
            else:
                self.attempt = 1
                self.tally.passed += given > 0
                self.tally.dropped += given == 0
                return

    def timed_attempt(self, item: object, given: int) -> Iterable[object]:
        return self.trial(item, given) if self.clock is None else self.under(self.clock, item, given)

    def under(self, clock: ItemClock, item: object, given: int) -> Iterator[object]:
        clock.start(self.index())
        try:
            yield from self.trial(item, given)
        finally:
            clock.stop()

    def trial(self, item: object, given: int) -> Iterator[object]:
        iterable = self.job(item.open(self.take) if isinstance(item, Sealed) else item)
        if not isinstance(iterable, Iterable):
            raise TypeError(f"{self.policy.stage} is a FlatMap: its function must give an iterable, not {iterable!r}")
        results = iter(cast("Iterable[object]", iterable))
        again = sum(1 for _ in islice(results, given))
        if again < given:
            raise RunError(
                f"{self.policy.stage} gave at least {given} outputs for an item, and only {again} when it was run again: "
                "the function of a FlatMap must give the same outputs for the same item"
            )
        return results


class RelayNode:
    """Passes on what it gets: the worker between a join and a fork."""

    def __init__(self) -> None:
        self.tally = Tally()

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        count = len(items)
        self.tally.items_in += count
        self.tally.items_out += count
        self.tally.passed += count
        return ((all_sealed(items) if isinstance(items[0], Bundle) else items, count, 0),)

    def finish(self, skip: int, limit: int) -> Iterable[Piece]:
        return ()


class CollectNode:
    """The sink: opens what arrives and hands it over."""

    def __init__(self, take: Callable[[list[object]], object]) -> None:
        self.tally = Tally()
        self.take = take
        self.memory = Recycler()

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        self.tally.items_in += len(items)
        self.take(list(opened(items, self.memory)) if items and isinstance(items[0], Sealed) else items)
        return (([], len(items), 0),)

    def finish(self, skip: int, limit: int) -> Iterable[Piece]:
        return ()


def _chunks(results: Iterator[object], limit: int, seal: Seal) -> Iterator[list[object]]:
    """`results` in lists of at most `limit`, each result made safe at once."""
    while out := [result if is_atom(result) else seal(result) for result in islice(results, limit)]:
        yield uniform(out)


def _open_or_repr(item: object) -> object:
    try:
        return item.open() if isinstance(item, Sealed) else item
    except ConveyorError:
        return _repr_of(item)


def _repr_of(item: object) -> str:
    try:
        return short_repr(item.open() if isinstance(item, Sealed) else item)
    except ConveyorError:
        return "<an item that cannot be unpickled>"
