"""What a processor does with a slice of items: slices in, pieces out.

Knows: jobs, policies for items that fail, counts.  Must never know: channels, processes, time; it never waits or chooses.

A node is called with a slice and gives *pieces*: (outputs, items of the slice that are finished once these are out, outputs of
the next item that are already out).  Pieces are made lazily where a job may give any number of outputs, so that a full
channel stops the job in the middle of an item.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import NamedTuple, Protocol, TypeAlias, cast

from conveyor.codec import Bundle, Sealed, all_sealed, is_atom, opened, seal, short_repr, uniform
from conveyor.errors import ConveyorError, RunError
from conveyor.kernels import Progress, filter_slice, map_slice, quick_loop
from conveyor.report import DeadLetter, Tally
from conveyor.stages import Filter, FlatMap, Job, job_of, policy_of

__all__ = ["CollectNode", "FilterNode", "FlatMapNode", "ItemFailed", "MapNode", "Node", "Piece", "RelayNode", "node_for"]

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
    bury: Callable[[DeadLetter], None]


def node_for(stage: Job[object, object], name: str, bury: Callable[[DeadLetter], None]) -> Node:
    """The node that runs `stage`; `bury` is told of each dead letter before its item is committed."""
    policy = Policy(name, *policy_of(stage), bury)
    if isinstance(stage, FlatMap):
        return FlatMapNode(stage, policy)
    return FilterNode(stage, policy) if isinstance(stage, Filter) else MapNode(stage, policy)


class JobNode:
    """What the nodes of all jobs share: policies, and `finish`."""

    def __init__(self, stage: Job[object, object], policy: Policy) -> None:
        self.stage = stage
        self.job = job_of(stage)
        self.policy = policy
        self.tally = Tally()

    def finish(self, skip: int, limit: int) -> Iterator[Piece]:
        """The outputs of the stage's `finish`, which finish no item."""
        flushed = skip
        try:
            for out in _chunks(islice(self.stage.finish(), skip, None), limit):
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

    def give_up(self, item: object, ordinal: int, error: BaseException, attempts: int) -> None:
        """Does with a failed item what its stage's policy says."""
        tally, policy = self.tally, self.policy
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
    def kernel(self, items: list[object], out: list[object]) -> Progress: ...

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        self.tally.items_in += len(items)
        items = self.safe(items)
        out: list[object] = []
        done, sealed, error = self.kernel(items, out)
        if error is not None:
            return self.around_failures(items, out, done, sealed, error)
        return (self.piece(items, out, done, done, sealed),)

    def piece(self, items: list[object], out: list[object], finished: int, done: int, sealed: int) -> Piece:
        """`out`, the outputs of the last `done` items, with which `finished` items of the slice are finished."""
        self.tally.items_out += len(out)
        self.tally.passed += len(out)
        self.tally.dropped += done - len(out)
        return (uniform(out) if sealed else out), finished, 0

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
            retried: list[object] = []
            attempts, progress = self.retry(items[finished], retried, error)
            if progress.error is None:
                finished += 1
                yield self.piece(items, retried, finished, 1, progress.sealed)
            else:
                self.give_up(items[finished], first + finished, progress.error, attempts)
                finished += 1
                yield [], finished, 0
            if finished == len(items):
                return  # not one more piece that finishes nothing: the last item would seem to end twice
            out = []
            done, sealed, error = self.kernel(items[finished:], out)

    def retry(self, item: object, out: list[object], error: BaseException) -> tuple[int, Progress]:
        attempts, progress = 1, Progress(0, 0, error)
        while isinstance(progress.error, Exception) and attempts <= self.policy.retries:
            attempts += 1
            progress = self.kernel([item], out)
        return attempts, progress


class MapNode(SliceNode):
    """A `Processor`."""

    def __init__(self, stage: Job[object, object], policy: Policy) -> None:
        super().__init__(stage, policy)
        self.quick = quick_loop(self.job)

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        if self.quick is not None and not isinstance(items[0], Sealed):
            # If it raises nothing has happened yet that could be noticed: the careful loop finds the item and its error again.
            with suppress(Exception):
                out = self.quick(items)
                self.tally.items_in += len(items)
                return (self.piece(items, out, len(items), len(items), 0),)
        return super().__call__(items, skip, limit)

    def kernel(self, items: list[object], out: list[object]) -> Progress:
        return map_slice(self.job, opened(items), out)


class FilterNode(SliceNode):
    """A `Filter`."""

    def kernel(self, items: list[object], out: list[object]) -> Progress:
        return filter_slice(self.job, items, out)


class FlatMapNode(JobNode):
    """A `FlatMap`: any number of outputs an item, taken from the job only when there is room for them."""

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterator[Piece]:
        first = self.tally.items_in
        self.tally.items_in += len(items)
        items = self.safe(items)
        out: list[object] = []
        for index, item in enumerate(items):
            given = 0 if index else skip
            try:
                for result in self.results(item, first + index, given):
                    if len(out) == limit:  # full, and there is more: cut inside the item
                        yield self.piece(out, index, given)
                        out = []
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
        attempt = 0
        while True:
            attempt += 1
            try:
                for result in self.attempt(item, given):
                    yield result if is_atom(result) else seal(result)
                    given += 1
            except GeneratorExit:
                raise
            except BaseException as error:  # the item's own, whatever it is
                if attempt > self.policy.retries or not isinstance(error, Exception):
                    self.give_up(item, ordinal, error, attempt)
                    return
            else:
                self.tally.passed += given > 0
                self.tally.dropped += given == 0
                return

    def attempt(self, item: object, given: int) -> Iterator[object]:
        iterable = self.job(item.open() if isinstance(item, Sealed) else item)
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

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        self.tally.items_in += len(items)
        self.take(list(opened(items)))
        return (([], len(items), 0),)

    def finish(self, skip: int, limit: int) -> Iterable[Piece]:
        return ()


def _chunks(results: Iterator[object], limit: int) -> Iterator[list[object]]:
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
