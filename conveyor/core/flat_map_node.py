"""What a flat-map does with a slice of items: each gives any number of outputs.

Knows: where its pieces may be cut.  Must never know: channels, processes, what time it is.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from typing import TypeAlias, cast

from conveyor.core.crashes import FRESH
from conveyor.core.job_node import ItemClock, ItemFailed, JobNode, Piece
from conveyor.core.linger import FAR, first_look
from conveyor.core.stamps import MARK, Entries, among, without_marks
from conveyor.core.steering import closes
from conveyor.errors import RunError
from conveyor.items.atoms import is_atom
from conveyor.items.current_item import CURRENT
from conveyor.items.sealing import Sealed
from conveyor.items.short_repr import short_repr
from conveyor.items.slices import uniform

__all__ = ["FlatMapNode"]

# What a piece has so far, how many outputs of several items may go together in it, and from how
# many on it is to be seen whether they are late.
Begun: TypeAlias = tuple[list[object], int, int]


class FlatMapNode(JobNode):
    """A `FlatMap`: any number of outputs an item, taken from the job only when there is room for
    them.

    The outputs of an item are cut after each `limit` of them, and where they have lain for so long
    that they are to leave.  Outputs of several items go together only where there is room for them
    at once: so a record never waits for more room than that of one item would.
    """

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterator[Piece]:
        out, together, look = self.afresh([], limit)
        for index, item in enumerate(self.begun(items)):
            given = 0 if index else skip
            if self.keeps_marks and len(out) >= together:
                # A mark must find room: by then it is counted that its item is done.
                yield self.piece(out, index, 0)
                CURRENT.job = self
                out, together, look = self.afresh([], limit)
            whole = len(out)  # of which none is this item's
            most = together if whole else limit
            try:
                for result in self.outputs(item, given):
                    if len(out) >= most:  # and there is more
                        out, together, look = yield from self.cut(out, whole, index, given, limit)
                        whole, most = 0, limit
                    out.append(result)
                    given += 1
                    if len(out) < look:
                        continue
                    if not self.is_late():
                        look += min(look, FAR)
                    elif self.keeps_marks:  # the last of an item says so, and there may be more
                        most = len(out)
                    else:
                        while out:
                            cut = self.cut(out, whole, index, given, limit)
                            out, together, look = yield from cut
                            whole = 0
                        most = limit
            except ItemFailed:
                yield self.piece(out, index, given)
                raise
            assert self.ends is not None
            self.ends.append(len(out))
        yield self.piece(out, len(items), 0)

    def afresh(self, out: list[object], limit: int) -> Begun:
        """Begins a piece, which has these outputs so far."""
        self.ends = list[int]()
        return out, min(limit, self.room()), first_look(self.linger, len(out))

    def is_late(self) -> bool:
        """Have the outputs lain for so long that they are to leave?"""
        return self.linger is not None and self.linger.is_over()

    def cut(
        self, out: list[object], whole: int, index: int, given: int, limit: int
    ) -> Generator[Piece, None, Begun]:
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
        made = without_marks(out) if self.keeps_marks else out
        self.tally.items_out += len(made)
        if len(made) < len(out):
            out = Entries(out, has_marks=True)
        return among(out, uniform), finished, extra

    def outputs(self, item: object, given: int) -> Iterable[object]:
        return (MARK,) if item is MARK and self.keeps_marks else self.results(item, given)

    def results(self, item: object, given: int) -> Iterator[object]:
        """The results of one item behind the first `given`, through all its attempts; in a lane of
        an ordered join a mark, if there are none."""
        first, keeps_marks = given, self.keeps_marks
        verdict = self.condemned() if self.past is not FRESH else None
        if verdict is not None:
            self.attempt = 0
            self.give_up(item, self.ordinal(), verdict)
        while verdict is None:
            try:
                for result in self.timed_attempt(item, given):
                    is_safe = is_atom(result) and not (keeps_marks and result is None)
                    yield result if is_safe else self.seal(result)
                    given += 1
            except BaseException as error:  # the item's own, whatever it is
                if closes(error):
                    raise
                if not self.may_retry(error):
                    self.give_up(item, self.ordinal(), error)
                    break
            else:
                self.attempt = 1
                self.tally.passed += given > 0
                self.tally.dropped += given == 0
                break
        if keeps_marks and given == first:
            yield MARK

    def timed_attempt(self, item: object, given: int) -> Iterable[object]:
        return (
            self.trial(item, given) if self.clock is None else self.under(self.clock, item, given)
        )

    def under(self, clock: ItemClock, item: object, given: int) -> Iterator[object]:
        clock.start(self.index())
        try:
            yield from self.trial(item, given)
        finally:
            clock.stop()

    def trial(self, item: object, given: int) -> Iterator[object]:
        iterable = self.job(item.open(self.take) if isinstance(item, Sealed) else item)
        if not isinstance(iterable, Iterable):
            raise TypeError(
                f"{self.policy.stage} is a FlatMap: its function must give an iterable, not "
                f"{short_repr(iterable)}"
            )
        results = iter(cast("Iterable[object]", iterable))
        again = sum(1 for _ in islice(results, given))
        if again < given:
            raise RunError(
                f"{self.policy.stage} gave at least {given} outputs for an item, and only {again} "
                "when it was run again: "
                "the function of a FlatMap must give the same outputs for the same item"
            )
        return results
