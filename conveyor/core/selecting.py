"""To which lane each item goes, where a function of the user's says so.

Knows: the forks that look at their items, and what becomes of an item on which one fails.  Must
never know: what is in a lane, channels, which world it is.

Rule 1.  The function sees each output of the node once, as a job would see it, before anything of
         the piece is counted as out.  So nothing is decided: the lanes follow from the items.
Rule 2.  An output on which it fails is none: it leaves the piece, or, in the lanes of an ordered
         join, a mark takes its place, which may go to any lane.
Rule 3.  A piece of which nothing is left, and which finishes no item, is not given: what is counted
         in it goes with the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias, assert_never

from conveyor.core.job_node import ForkFailed, Node, Piece, repr_of
from conveyor.core.stamps import MARK, Entries, has_marks, items_of
from conveyor.graph.route import Select
from conveyor.items.current_item import CURRENT
from conveyor.items.sealing import Sealed, in_place
from conveyor.items.short_repr import short_repr
from conveyor.items.slices import opened
from conveyor.report import DeadLetter, Tally
from conveyor.stages import (
    AnySelectingFork,
    PartitioningFork,
    RoutingFork,
    SplittingFork,
    function_of,
)

__all__ = ["SelectingNode", "lanes_by"]

LanesOf: TypeAlias = Callable[[Sequence[object]], list[int]]

ANY_LANE: Final = 0
"""Where a mark goes."""


def lanes_by(fork: AnySelectingFork, width: int) -> LanesOf:
    """What gives the lanes of some items, each from 0 to `width` - 1; it raises what the function
    of the fork raises, or what is wrong with what that gave.

    >>> lanes_by(SplittingFork(str.isdigit), 2)(["1", "a"])
    [0, 1]
    """
    function = function_of(fork)
    # No map(): it would take a StopIteration of the function for the end of the items.
    match fork:
        case PartitioningFork():
            # Here: most workers hash no keys, and it takes decimal, fractions and hashlib along.
            from conveyor.items.stable_hash import KeyHasher

            hasher = KeyHasher(lambda hash: hash % width)
            return lambda items: hasher.all([function(item) for item in items])
        case SplittingFork():
            return lambda items: [0 if function(item) else 1 for item in items]
        case RoutingFork():
            return lambda items: checked_lanes([function(item) for item in items], width)
        case _:
            assert_never(fork)


def checked_lanes(lanes: list[object], width: int) -> list[int]:
    checked: list[int] = []
    for lane in lanes:
        if type(lane) is not int:
            number = getattr(lane, "__index__", None)
            if isinstance(lane, bool) or number is None:
                raise TypeError(f"lane gave {short_repr(lane)}; {wanted(width)}")
            lane = number()
        if not 0 <= lane < width:
            raise ValueError(f"lane gave {short_repr(lane)}; {wanted(width)}")
        checked.append(lane)
    return checked


def wanted(width: int) -> str:
    return f"it must give the number of a lane, from 0 to {width - 1}"


class SelectingNode:
    """Says of what a node gives to which lane of its fork each item goes: `lanes`, of the items of
    the newest piece.

    `owner` counts what comes to the fork, and the items on which it fails.  `send_dead_letter` is
    told of each dead letter before its item is committed; `is_final` tells errors that end the run
    whatever the fork does with errors.
    """

    def __init__(
        self,
        fork: AnySelectingFork,
        route: Select,
        owner: Tally,
        send_dead_letter: Callable[[DeadLetter], None],
        is_final: Callable[[BaseException], bool] = lambda error: not isinstance(error, Exception),
    ) -> None:
        self.name = route.name
        self.on_error = fork.stage_options.on_error
        self.lanes_of = lanes_by(fork, len(route.lanes))
        self.owner = owner
        self.send_dead_letter = send_dead_letter
        self.is_final = is_final
        self.lanes: list[int] = []
        self.tracked = False

    def around(self, node: Node, tracked: bool) -> Node:
        """`tracked`: a mark goes on in the place of what is left out."""
        self.node = node
        self.tally: Tally = node.tally
        self.tracked = tracked
        return self

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterable[Piece]:
        pieces = self.node(items, skip, limit)
        if isinstance(pieces, tuple):
            ((out, _, _),) = pieces
            if not out or self.select_all(out):
                return pieces
        return self.selected(pieces, False)

    def finish(self, skip: int, limit: int) -> Iterator[Piece]:
        for piece in self.selected(self.node.finish(skip, limit), True):
            if piece[0]:
                yield piece

    def selected(self, pieces: Iterable[Piece], at_end: bool) -> Iterator[Piece]:
        """The pieces without the outputs on which the fork fails."""
        before = 0
        for out, finished, extra in pieces:
            left = out if not out or self.select_all(out) else self.select_each(out, at_end)
            if left or finished > before or not extra:
                yield left, finished, extra
                before = finished

    def select_all(self, out: list[object]) -> bool:
        """Sets the lanes of all of them in one loop; gives whether that could be done."""
        if has_marks(out):
            return False
        CURRENT.outside(self.name)
        try:
            self.lanes = self.lanes_of(
                list(opened(out, in_place)) if isinstance(out[0], Sealed) else out
            )
        except KeyboardInterrupt:  # it is the program that was interrupted
            raise
        except BaseException:
            # The careful way finds the item and its error again: the function is pure.
            return False
        return True

    def select_each(self, out: list[object], at_end: bool) -> list[object]:
        """Sets the lanes one by one; gives the entries that have one."""
        CURRENT.outside(self.name)
        self.lanes = []
        left: list[object] = []
        ordinal = self.owner.items_out - len(items_of(out))
        marks = has_marks(out)
        for item in out:
            lane: int | None = ANY_LANE
            if item is not MARK or not marks:
                lane = self.lane_of(item, ordinal, at_end)
                ordinal += 1
            if lane is None and self.tracked:
                item, lane = MARK, ANY_LANE
            if lane is not None:
                left.append(item)
                self.lanes.append(lane)
        return Entries(left, out.stamps, True) if isinstance(out, Entries) else left

    def lane_of(self, item: object, ordinal: int, at_end: bool) -> int | None:
        """The lane of one item; None if the fork failed on it, and goes on without it."""
        try:
            (lane,) = self.lanes_of([item.open(in_place) if isinstance(item, Sealed) else item])
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self.give_up(item, ordinal, error, at_end)
            return None
        return lane

    def give_up(self, item: object, ordinal: int, error: BaseException, at_end: bool) -> None:
        """Does with an item on which the fork failed what that says."""
        self.owner.fork_failed += not at_end
        self.owner.fork_failed_at_end += at_end
        is_final = not isinstance(error, Exception) or self.is_final(error)
        if self.on_error == "raise" or is_final:
            raise ForkFailed(self.name, ordinal, repr_of(item), error) from error
        if self.on_error == "dead_letter":
            self.send_dead_letter(DeadLetter(self.name, ordinal, item, error, 1))
