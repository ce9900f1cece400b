"""What a processor does with a slice of items, by the kind of its job: slices in, pieces out.

Knows: the loops of maps, filters and flat-maps; nodes that run no job.  Must never know: channels,
processes, time; it never waits or chooses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import assert_never

from conveyor.core.concurrent_node import ConcurrentNode
from conveyor.core.crashes import FRESH
from conveyor.core.flat_map_node import FlatMapNode
from conveyor.core.guard import guard, sealing_the_rest
from conveyor.core.job_node import (
    ALONE,
    ItemClock,
    JobNode,
    Piece,
    Policy,
    Surroundings,
)
from conveyor.core.kernels import (
    Progress,
    filter_loose,
    filter_slice,
    map_slice,
    quick_loop,
    quick_loop_of_all,
)
from conveyor.core.stamps import MARK, Entries, among, count_of_marks, entries_of, places_of, spread
from conveyor.core.unopened import UnopenedNode, unopened
from conveyor.items.atoms import ATOMS
from conveyor.items.current_item import CURRENT
from conveyor.items.sealing import Recycler, Sealed, seal
from conveyor.items.slices import (
    kind_of_all,
    opened,
    opened_loose,
    opened_tight,
    uniform,
)
from conveyor.report import DeadLetter, Tally
from conveyor.stages import Gives, Job, StateJob, concurrency_of, gives_of, policy_of

__all__ = ["CollectNode", "FilterNode", "MapNode", "RelayNode", "node_for"]


def node_for(
    stage: Job[object, object],
    name: str,
    send_dead_letter: Callable[[DeadLetter], None],
    surroundings: Surroundings = ALONE,
) -> JobNode:
    """The node that runs `stage`; `send_dead_letter` is told of each dead letter before its item is
    committed."""
    policy = Policy(name, *policy_of(stage), send_dead_letter)
    if concurrency_of(stage) is not None:
        return ConcurrentNode(stage, policy, surroundings)
    gives = gives_of(stage)
    match gives:
        case Gives.RESULT:
            node: JobNode = MapNode(stage, policy, surroundings)
        case Gives.EVERY_RESULT:
            node = EveryResultNode(stage, policy, surroundings)
        case Gives.ITEM:
            node = FilterNode(stage, policy, surroundings)
        case Gives.SAME_ITEM:
            node = TapNode(stage, policy, surroundings)
        case Gives.EACH:
            node = FlatMapNode(stage, policy, surroundings)
        case Gives.UNOPENED:
            node = UnopenedNode(stage, policy, surroundings)
        case _:
            assert_never(gives)
    if isinstance(stage, StateJob) and stage._is_guarded:  # pyright: ignore[reportPrivateUsage]  # of a stage of ours
        guard(node, stage, gives)
    return node


class SliceNode(JobNode, ABC):
    """A node whose job gives at most one output an item, so that a slice is one piece unless an
    item fails."""

    @abstractmethod
    def kernel(self, items: list[object], cursor: Iterator[object], out: list[object]) -> Progress:
        """Runs the job on a tight slice, as `cursor` comes to its items."""
        ...

    @abstractmethod
    def loose_kernel(
        self, items: list[object], cursor: Iterator[object], out: list[object]
    ) -> Progress:
        """Runs the job on a loose slice, to a loose slice."""
        ...

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        there = self.take_in_hand(items)
        pieces = self.run(there)
        return pieces if self.entries is None else between_marks(items, pieces)

    def run(self, items: list[object]) -> Iterable[Piece]:
        """The pieces of a slice without marks."""
        if not items:
            return (([], 0, 0),)
        self.tally.items_in += len(items)
        items = self.safe(items)
        cursor = self.begin(items)
        if self.past is not FRESH and (verdict := self.condemned()) is not None:
            self.attempt = 0
            self.give_up(items[0], self.tally.items_in - 1, verdict)
            return ((self.nothing(), 1, 0),)
        out: list[object] = []
        done, sealed, failure = self.attempt_all(cursor, items, out)
        if failure is not None:
            return self.around_failures(items, out, done, sealed, failure)
        return (self.piece(items, out, done, done, sealed),)

    def attempt_all(
        self, cursor: Iterator[object], items: list[object], out: list[object]
    ) -> Progress:
        """The job on each item until one fails, under its time limit."""
        if self.fused:
            return self.loose_kernel(items, cursor, out)
        if self.clock is None:
            return self.kernel(items, cursor, out)
        progress = self.kernel(items, self.timed(cursor, self.clock), out)
        self.clock.stop()
        return progress

    def timed(self, items: Iterator[object], clock: ItemClock) -> Iterator[object]:
        for item in items:
            clock.start(self.index())
            yield item

    def piece(
        self, items: list[object], out: list[object], finished: int, done: int, sealed: int
    ) -> Piece:
        """`out`, the outputs of the last `done` items, with which `finished` items of the slice are
        finished."""
        marks = count_of_marks(out) if self.keeps_marks else 0
        made = len(out) - marks
        self.tally.items_out += made
        self.tally.passed += made
        self.tally.dropped += done - made
        if marks:
            out = entries_of(out, has_marks=True)
        return (among(out, uniform) if sealed and not self.fused else out), finished, 0

    def nothing(self) -> list[object]:
        """What an item leaves that gave nothing."""
        return Entries((MARK,), has_marks=True) if self.keeps_marks else []

    def around_failures(
        self,
        items: list[object],
        out: list[object],
        done: int,
        sealed: int,
        error: BaseException | None,
    ) -> Iterator[Piece]:
        """The slice in pieces: each ends before an item that failed, or with the slice."""
        first = self.tally.items_in - len(items)
        finished = 0
        while True:
            finished += done
            yield self.piece(items, out, finished, done, sealed)
            if error is None:
                return
            CURRENT.job = self  # another job of this process may have run meanwhile
            retried: list[object] = []
            progress = self.retry(items[finished], retried, error)
            if progress.error is None:
                finished += 1
                yield self.piece(items, retried, finished, 1, progress.sealed)
            else:
                self.give_up(items[finished], first + finished, progress.error)
                finished += 1
                yield self.nothing(), finished, 0
            if finished == len(items):
                # Not one more piece that finishes nothing: the last item would seem to end twice.
                return
            CURRENT.job = self
            out = []
            done, sealed, error = self.attempt_all(self.cursor, items, out)

    def retry(self, item: object, out: list[object], error: BaseException) -> Progress:
        progress = Progress(0, 0, error)
        while self.may_retry(progress.error):
            if self.clock is not None:
                self.clock.start(self.index())
            progress = self.kernel([item], iter([item]), out)
            if self.clock is not None:
                self.clock.stop()
        if progress.error is None:
            self.attempt = 1
        return progress


class MapNode(SliceNode):
    """A `Processor`."""

    def __init__(
        self, stage: Job[object, object], policy: Policy, surroundings: Surroundings
    ) -> None:
        super().__init__(stage, policy, surroundings)
        self.quick = quick_loop(self.job) if surroundings.clock is None else None

    def run(self, items: list[object]) -> Iterable[Piece]:
        if (
            self.quick is not None
            and items
            and not (self.is_wary and len(items) == 1)
            and self.are_atoms(items)
        ):
            # If it raises nothing has happened yet that could be noticed: the careful loop finds
            # the item and its error again.
            with suppress(Exception):
                out = self.quick(items)
                self.tally.items_in += len(items)
                return (self.piece(items, out, len(items), len(items), 0),)
        return super().run(items)

    def keep_marks(self) -> None:
        super().keep_marks()
        if self.quick is not None:
            self.quick = quick_loop_of_all(self.job)

    def wrap(self, job: Callable[[object], object]) -> None:
        super().wrap(job)
        self.quick = None

    def are_atoms(self, items: list[object]) -> bool:
        return kind_of_all(items) in ATOMS if self.fused else not isinstance(items[0], Sealed)

    def kernel(self, items: list[object], cursor: Iterator[object], out: list[object]) -> Progress:
        seen = opened_tight(items, cursor, self.take)
        return map_slice(
            self.job, seen, out, self.seal, keeps_none=self.keeps_marks, takers=self.takers
        )

    def loose_kernel(
        self, items: list[object], cursor: Iterator[object], out: list[object]
    ) -> Progress:
        seen = opened_loose(items, cursor, self.take)
        return map_slice(self.job, seen, out, self.seal, True, self.keeps_marks, self.takers)


class EveryResultNode(SliceNode):
    """A `Scan`: what its job gives is an output, whatever it is."""

    def keep_marks(self) -> None:
        if not self.keeps_marks:
            self.seal = sealing_the_rest(self.seal)
            self.job = never_a_mark(self.job)
        super().keep_marks()

    def kernel(self, items: list[object], cursor: Iterator[object], out: list[object]) -> Progress:
        seen = opened_tight(items, cursor, self.take)
        return map_slice(self.job, seen, out, self.seal, keeps_none=True, takers=self.takers)

    def loose_kernel(
        self, items: list[object], cursor: Iterator[object], out: list[object]
    ) -> Progress:
        seen = opened_loose(items, cursor, self.take)
        return map_slice(self.job, seen, out, self.seal, True, True, self.takers)


class FilterNode(SliceNode):
    """A `Filter`."""

    def kernel(self, items: list[object], cursor: Iterator[object], out: list[object]) -> Progress:
        return filter_slice(self.job, cursor, out, self.take, self.keeps_marks)

    def loose_kernel(
        self, items: list[object], cursor: Iterator[object], out: list[object]
    ) -> Progress:
        return filter_loose(
            self.job, items, opened_loose(items, cursor, self.take), out, self.keeps_marks
        )


class TapNode(FilterNode):
    """A `Tap`: a filter that lets everything pass."""

    def kernel(self, items: list[object], cursor: Iterator[object], out: list[object]) -> Progress:
        return filter_slice(self.look, cursor, out, self.take)

    def loose_kernel(
        self, items: list[object], cursor: Iterator[object], out: list[object]
    ) -> Progress:
        return filter_loose(self.look, items, opened_loose(items, cursor, self.take), out)

    def look(self, item: object) -> bool:
        self.job(item)
        return True


def never_a_mark(job: Callable[[object], object]) -> Callable[[object], object]:
    """The same job, but that what is None is sealed."""

    def sealed(item: object) -> object:
        result = job(item)
        return seal(None) if result is None else result

    return sealed


def between_marks(entries: list[object], pieces: Iterable[Piece]) -> Iterable[Piece]:
    """Pieces of the items of a slice, with the marks that are between them.

    Of each item that a piece finishes it has one output.
    """
    if not isinstance(pieces, tuple):
        return _between_marks(entries, pieces)
    ((out, _, _),) = pieces
    return ((spread(out, entries), len(entries), 0),)


def _between_marks(entries: list[object], pieces: Iterable[Piece]) -> Iterator[Piece]:
    places = places_of(entries)
    before = 0
    for out, done, _ in pieces:
        behind = places[done] if done < len(places) else len(entries)
        yield spread(out, entries[before:behind]), behind, 0
        before = behind


class RelayNode:
    """Passes on what it gets: the worker between a join and a fork."""

    def __init__(self) -> None:
        self.tally = Tally()

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        count = len(items)
        self.tally.items_in += count
        self.tally.items_out += count
        self.tally.passed += count
        return ((unopened(items), count, 0),)

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
        self.take(
            list(opened(items, self.memory)) if items and isinstance(items[0], Sealed) else items
        )
        return (([], len(items), 0),)

    def finish(self, skip: int, limit: int) -> Iterable[Piece]:
        return ()
