"""What a flat-map does with a slice of items: each gives any number of outputs.

Knows: where its pieces may be cut.  Must never know: channels, processes, what time it is.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from types import GeneratorType
from typing import Final, cast

from conveyor.core.crashes import FRESH
from conveyor.core.job_node import ItemFailed, JobNode, Piece, Policy, Surroundings
from conveyor.core.kernels import give_each
from conveyor.core.linger import Looks
from conveyor.core.stamps import MARK, among, count_of_marks, entries_of
from conveyor.errors import RunError
from conveyor.items.current_item import CURRENT
from conveyor.items.sealing import Sealed
from conveyor.items.short_repr import short_repr
from conveyor.items.slices import uniform
from conveyor.stages import Job

__all__ = ["FlatMapNode"]

USUAL: Final = (list, tuple, GeneratorType)  # to ask whether another is iterable takes longer


class FlatMapNode(JobNode):
    """A `FlatMap`: any number of outputs an item, taken from the job only when there is room for
    them.

    The outputs of an item are cut after each `limit` of them, and where they have lain for so long
    that they are to leave.  Outputs of several items go together only where there is room for them
    at once: so a record never waits for more room than that of one item would.
    """

    def __init__(
        self, stage: Job[object, object], policy: Policy, surroundings: Surroundings
    ) -> None:
        super().__init__(stage, policy, surroundings)
        self.looks = Looks(surroundings.linger)
        # Of the item at its job: what its attempt gives, how much it gave so far, and before.
        self.results: Iterator[object] | None = None
        self.given = 0
        self.skipped = 0
        self.has_sealed = False  # some that the slice gave

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterator[Piece]:
        self.has_sealed = False
        out, together = self.afresh([], limit)
        for index, item in enumerate(self.begun(items)):
            if self.keeps_marks and len(out) >= together:
                # A mark must find room: by then it is counted that its item is done.
                yield self.piece(out, index, 0)
                CURRENT.job = self
                out, together = self.afresh([], limit)
            self.given = self.skipped = 0 if index else skip
            whole = len(out)  # of which none is this item's
            # Those of one item may be more than go together, and leave once there is one behind.
            most = max(whole, together) if whole else limit
            has_more = True
            try:
                while has_more:
                    # That there is more is known once there is one more than fits.
                    has_more = self.gives_more(item, most + 1, out)
                    if len(out) > most:
                        newest = out.pop()
                        cut = self.cut(out, whole, index, self.given - 1, limit)
                        out, together = yield from cut
                        out.append(newest)
                        whole, most = 0, limit
                    elif has_more and self.keeps_marks:
                        # They are late: the last of an item says so, and there may be more.
                        most = len(out)
                        self.looks.next = most + 1
                    elif has_more:
                        while out:
                            cut = self.cut(out, whole, index, self.given, limit)
                            out, together = yield from cut
                            whole = 0
                        most = limit
            except ItemFailed:
                yield self.piece(out, index, self.given)
                raise
            finally:
                self.results = None  # of a job that may be in the middle
            assert self.ends is not None
            self.ends.append(len(out))
        yield self.piece(out, len(items), 0)

    def afresh(self, out: list[object], limit: int) -> tuple[list[object], int]:
        """Begins a piece, which has these outputs so far: and how many of several items may go
        together in it."""
        self.ends = list[int]()
        self.looks.begin(len(out))
        return out, min(limit, self.room())

    def cut(
        self, out: list[object], whole: int, index: int, given: int, limit: int
    ) -> Generator[Piece, None, tuple[list[object], int]]:
        """Gives out a piece while an item is at its job, and begins the next.

        The first `whole` outputs are of items that are finished, and go first: those of this one
        begin a piece.
        """
        if self.clock is not None:  # to wait for room is not the job's
            self.clock.stop()
        yield self.piece(out[:whole], index, 0) if whole else self.piece(out, index, given)
        CURRENT.job = self  # another job of this process may have run meanwhile
        if self.clock is not None:
            self.clock.go_on(self.index())
        return self.afresh(out[whole:] if whole else [], limit)

    def begun(self, items: list[object]) -> Iterator[object]:
        """Takes a slice in hand: its items, and the marks where they are."""
        there = self.take_in_hand(items)
        self.tally.items_in += len(there)
        cursor = self.begin(self.safe(there))
        if self.entries is None:
            return cursor
        return (MARK if each is MARK else next(cursor) for each in items)

    def piece(self, out: list[object], finished: int, extra: int) -> Piece:
        marks = count_of_marks(out) if self.keeps_marks else 0
        self.tally.items_out += len(out) - marks
        if marks:
            out = entries_of(out, has_marks=True)
        return (among(out, uniform) if self.has_sealed else out), finished, extra

    def gives_more(self, item: object, most: int, out: list[object]) -> bool:
        """Appends results of an item to `out`, through all its attempts, until that has `most` or
        is late: may there be more?  In a lane of an ordered join it appends a mark, if there are
        none."""
        is_over = self.results is None and self.is_passed_over(item)
        while not is_over:
            error, before = None, len(out)
            try:
                if self.results is None:
                    self.results = self.attempt_at(item)
                how = self.seal, not self.keeps_marks, self.takers
                has_more, sealed, error = give_each(self.results, most, out, self.looks, *how)
                self.has_sealed |= sealed > 0
                self.given += len(out) - before
                if has_more:
                    return True
            except BaseException as raised:  # the item's own, whatever it is
                error = raised
            self.results = None
            if self.clock is not None:
                self.clock.stop()
            is_over = self.is_done() if error is None else self.is_given_up(item, error)
        if self.keeps_marks and self.given == self.skipped:
            out.append(MARK)
        return False

    def is_passed_over(self, item: object) -> bool:
        """Is it no item, or one that is given up for what it did to its workers?"""
        if self.past is not FRESH and (verdict := self.condemned()) is not None:
            self.attempt = 0
            self.give_up(item, self.ordinal(), verdict)
            return True
        return self.keeps_marks and item is MARK

    def is_done(self) -> bool:
        self.attempt = 1
        self.tally.passed += self.given > 0
        self.tally.dropped += self.given == 0
        return True

    def is_given_up(self, item: object, error: BaseException) -> bool:
        if self.may_retry(error):
            return False
        self.give_up(item, self.ordinal(), error)
        return True

    def attempt_at(self, item: object) -> Iterator[object]:
        """Begins an attempt at an item: what it gives behind what there was so far."""
        if self.clock is not None:
            self.clock.start(self.index())
        iterable = self.job(item.open(self.take) if isinstance(item, Sealed) else item)
        if type(iterable) not in USUAL and not isinstance(iterable, Iterable):
            raise TypeError(
                f"{self.policy.stage} is a FlatMap: its function must give an iterable, not "
                f"{short_repr(iterable)}"
            )
        results = iter(cast("Iterable[object]", iterable))
        given = self.given
        again = sum(1 for _ in islice(results, given)) if given else 0
        if again < given:
            raise RunError(
                f"{self.policy.stage} gave at least {given} outputs for an item, and only {again} "
                "when it was run again: "
                "the function of a FlatMap must give the same outputs for the same item"
            )
        return results
