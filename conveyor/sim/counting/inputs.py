"""What a node can read next, worked out from what is in the pipes.

This file knows zips and ordered joins as `ordered` and `channel` define them for the drive loop; it
says the same again in lists, since it is there to check them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, assert_never

from conveyor.graph.route import Leaf
from conveyor.graph.topology import Input, OrderedInput, ZipInput, all_inputs
from conveyor.sim.counting.outcomes import Parts

__all__ = ["MARK", "Entry", "Inputs", "Turn", "not_last", "ordered_in"]

# An item, and its stamps as in `ordered`: pairs of origin and last.
Entry: TypeAlias = tuple[Parts, *tuple[int, ...]]
# Of an ordered join: the take of the fork that comes next, and its lane.
Turn: TypeAlias = tuple[int, int]

MARK: Final = -1  # in the place of an item that gave nothing


class Inputs:
    """The pipes of one state, and whose turn it is at each of its ordered joins.

    `is_closed` tells of a channel whether its producer has finished.
    """

    def __init__(
        self,
        pipes: Sequence[Sequence[Entry]],
        turns: Sequence[Turn],
        ordered: Sequence[OrderedInput],
        is_closed: Callable[[int], bool],
    ) -> None:
        self.pipes = list(map(list, pipes))
        self.turns = list(turns)
        self.ordered = ordered
        self.is_closed = is_closed

    def look(self, source: Input) -> Entry | None:
        """The next item of an input, or None.  Takes away what stands before it and says nothing:
        marks of dropped items, and what a zip has left over at its end."""
        match source:
            case Leaf():
                pipe = self.pipes[source.channel]
                return pipe[0] if pipe else None
            case ZipInput():
                return self.look_at_zip(source)
            case OrderedInput():
                while True:
                    shown, lanes, turn = self.look_at_ordered(source)
                    if shown is not None or not lanes:
                        return shown
                    self.take_ordered(source, lanes, turn)
            case _:
                assert_never(source)

    def look_at_zip(self, source: ZipInput) -> Entry | None:
        entries = [self.look(each) for each in source.inputs]
        found = [entry[0] for entry in entries if entry is not None]
        if len(found) == len(entries):
            return (tuple(found),)
        if any(map(self.has_ended, source.inputs)):
            for each in source.inputs:
                while self.look(each) is not None:
                    self.take(each)
        return None

    def look_at_ordered(
        self, source: OrderedInput
    ) -> tuple[Entry | None, list[int], tuple[int, int]]:
        """The next item of an ordered join, the lanes of all entries up to it, and whose turn it is
        behind it.

        Entries are taken in the order of their stamps: `origin` is the take of the fork that comes
        next.  An entry that is not the last of its origin is followed by one of the same lane.
        Without a balance, every lane has entries of each origin, so the join goes round them; and
        only those of the last lane can be the last of an outer origin (`kept`).  Marks of dropped
        items are passed over, unless they are the last of an outer origin.
        """
        heads = [self.look(each) for each in source.inputs]
        origin, lane = self.turns[self.ordered.index(source)]
        lanes: list[int] = []
        while True:
            mine = [
                at
                for at in (range(len(heads)) if source.balanced else (lane,))
                if comes_of(heads[at], origin)
            ]
            if not mine:
                return None, lanes, (origin, lane)
            at = mine[0]
            entry = heads[at]
            assert entry is not None
            heads[at] = None
            lanes.append(at)
            item, *stamps = entry
            if stamps.pop():
                lane = 0 if source.balanced else (at + 1) % len(heads)
                origin += lane == 0
            kept = tuple(stamps[:-1])
            if not source.balanced and at < len(heads) - 1:
                kept = not_last(kept)
            if item != MARK or any(kept[1::2]):
                return (item, *kept), lanes, (origin, lane)

    def has_ended(self, source: Input) -> bool:
        """Has an input nothing more to give, now and later?"""
        if isinstance(source, Leaf):
            return not self.pipes[source.channel] and self.is_closed(source.channel)
        return self.look(source) is None and all(map(self.has_ended, source.inputs))

    def take(self, source: Input) -> None:
        """Takes away the next item of an input."""
        match source:
            case Leaf():
                del self.pipes[source.channel][0]
            case ZipInput():
                for each in source.inputs:
                    self.take(each)
            case OrderedInput():
                _, lanes, turn = self.look_at_ordered(source)
                self.take_ordered(source, lanes, turn)
            case _:
                assert_never(source)

    def take_ordered(
        self, source: OrderedInput, lanes: Sequence[int], turn: tuple[int, int]
    ) -> None:
        for lane in lanes:
            self.take(source.inputs[lane])
        self.turns[self.ordered.index(source)] = turn

    def has_marks(self, source: Input) -> bool:
        """Do marks stand in front of the next item?"""
        return any(len(self.look_at_ordered(each)[1]) > 1 for each in ordered_in([source]))


def comes_of(entry: Entry | None, origin: int) -> bool:
    return entry is not None and len(entry) > 2 and entry[-2] == origin


def not_last(stamps: Sequence[int]) -> tuple[int, ...]:
    return tuple(False if place % 2 else stamp for place, stamp in enumerate(stamps))


def ordered_in(inputs: Sequence[Input]) -> list[OrderedInput]:
    """The ordered joins among inputs, at any depth."""
    return [each for each in all_inputs(inputs) if isinstance(each, OrderedInput)]
