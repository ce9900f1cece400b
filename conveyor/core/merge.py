"""The fronts of the lanes of one fork, put in the order in which the fork took their items.

Knows: the entries of each lane, and whose turn it is.  Must never know: channels, what is committed
when.

Rule 1.  Lanes are taken in *steps*: a run of one lane, or rounds through all of them.  Where a part
         of a step leads, if no more is committed, can be told from it alone.
Rule 2.  Behind the join an entry has the stamps of the joins around it.  If the fork gives to all
         lanes, only the last lane has the last entry of an outer origin.
Rule 3.  A mark that is the last of no outer origin says nothing more, and goes no further.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from conveyor.core.stamps import (
    FINISH,
    MARK,
    Column,
    Entries,
    Stamps,
    among,
    appended,
    follows,
    has_marks,
    next_origin,
    not_last,
)
from conveyor.items.sealing import Sealed
from conveyor.items.slices import uniform

__all__ = ["Merge", "Step", "Turn"]


class Turn(NamedTuple):
    """Whose turn it is: the origin, and the lane, that come next."""

    origin: int
    lane: int


class Step(Protocol):
    """Entries of some lanes, one after the other, that are taken in one go."""

    def __len__(self) -> int: ...
    def taken(self, count: int, lanes: list[int]) -> None:
        """Adds to each lane how many of the first `count` entries are from it."""
        ...

    def turn(self, count: int) -> Turn:
        """Whose turn it is behind the first `count` entries."""
        ...

    def behind(self, count: int) -> Step:
        """The step without its first `count` entries."""
        ...


class Run:
    """Entries of one lane.  `width`: how many lanes each origin comes by."""

    __slots__ = ("before", "column", "lane", "width")

    def __init__(self, before: Turn, lane: int, width: int, column: Column) -> None:
        self.before = before
        self.lane = lane
        self.width = width
        self.column = column

    def __len__(self) -> int:
        return len(self.column)

    def taken(self, count: int, lanes: list[int]) -> None:
        lanes[self.lane] += count

    def turn(self, count: int) -> Turn:
        stamp = self.column[count - 1] if count else FINISH
        if stamp == FINISH:  # it has no origin, and so there is none behind it
            return self.before
        if self.width == 1:
            return Turn(next_origin(stamp), 0)
        # The last entry of its origin in this lane: the next comes from the next lane, and behind
        # the last lane from the next origin.
        lane = (self.lane + (stamp & 1)) % self.width
        return Turn(self.before.origin + (lane < self.lane), lane)

    def behind(self, count: int) -> Run:
        return Run(self.turn(count), self.lane, self.width, self.column[count:])


class Rounds:
    """Entries of all lanes in turn, each the only one of its origin in its lane."""

    __slots__ = ("before", "length", "width")

    def __init__(self, before: Turn, width: int, length: int) -> None:
        self.before = before
        self.width = width
        self.length = length

    def __len__(self) -> int:
        return self.length

    def taken(self, count: int, lanes: list[int]) -> None:
        rounds, more = divmod(count, self.width)
        for lane in range(self.width):
            lanes[lane] += rounds + ((lane - self.before.lane) % self.width < more)

    def turn(self, count: int) -> Turn:
        rounds, lane = divmod(self.before.lane + count, self.width)
        return Turn(self.before.origin + rounds, lane)

    def behind(self, count: int) -> Rounds:
        return Rounds(self.turn(count), self.width, self.length - count)


class Merge:
    """Merges what the lanes show.

    `ended`: which of the lanes will show nothing more; `turn`: whose turn it is; `balanced`: each
    origin is in one lane, else it is in all of them.

    `steps` are those that were taken, of `taken` entries; `kept` says behind how many of these each
    entry comes that is given on, if not all are.
    """

    def __init__(
        self, views: Sequence[list[object]], ended: Sequence[bool], turn: Turn, balanced: bool
    ) -> None:
        self.views = [view if isinstance(view, Entries) else Entries(view) for view in views]
        self.columns: list[Column] = [view.stamps[-1] if view else [] for view in self.views]
        self.ended = ended
        self.turn = turn
        self.width = 1 if balanced else len(views)
        self.at = [0] * len(views)
        self.steps: list[Step] = []
        self.taken = 0
        self.kept: list[int] | None = None
        self.entries: list[object] = []
        self.stamps: Stamps = ()  # of the entries so far
        self.has_marks = False
        self.kinds: set[bool] = set()  # are the items sealed?

    def run(self, most: int) -> list[object]:
        """Gives up to `most` entries as a slice: items, if there are no joins around this one."""
        while (room := most - len(self.entries)) > 0 and self.take(room):
            pass
        if not self.stamps:
            return uniform(self.entries) if len(self.kinds) > 1 else self.entries
        entries = Entries(self.entries, self.stamps, self.has_marks)
        if len(self.kinds) > 1:
            entries[:] = among(entries, uniform)
        return entries

    def take(self, room: int) -> bool:
        """Takes a step of at most `room` entries, if there is one that can be in this slice."""
        rounds = self.rounds(room // self.width) if self.width > 1 else 0
        if rounds:
            return self.take_rounds(rounds)
        lane = self.next_lane()
        return lane is not None and self.take_run(lane, room)

    def next_lane(self) -> int | None:
        """The lane that has the next entry; None if it has not come yet."""
        fronts = [
            column[at] if at < len(column) else None
            for column, at in zip(self.columns, self.at, strict=True)
        ]
        for lane in range(len(fronts)) if self.width == 1 else (self.turn.lane,):
            front = fronts[lane]
            if front is not None and front >> 1 == self.turn.origin:
                return lane
        if all(
            front == FINISH or (front is None and ended)
            for front, ended in zip(fronts, self.ended, strict=True)
        ):
            return next((lane for lane, front in enumerate(fronts) if front is not None), None)
        return None

    def take_run(self, lane: int, room: int) -> bool:
        column, at, view = self.columns[lane], self.at[lane], self.views[lane]
        behind = min(at + self.silent(lane) + room, len(column))
        if self.width > 1 and column[at] != FINISH:  # behind its last entry another lane comes
            behind = next((i + 1 for i in range(at, behind) if column[i] & 1), behind)
        part = view.part(at, behind)
        stamps = part.stamps[:-1]
        if lane < self.width - 1:
            stamps = tuple(map(not_last, stamps))
        if not self.add(part, stamps, has_marks(view), kinds_of([part])):
            return False
        self.at[lane] = behind
        self.went(Run(self.turn, lane, self.width, column[at:behind]))
        return True

    def silent(self, lane: int) -> int:
        """How many marks that say nothing more are in front of a lane."""
        view, at = self.views[lane], self.at[lane]
        if not view.has_marks:
            return 0
        outer = view.stamps[:-1] if lane >= self.width - 1 else ()
        for place in range(at, len(view)):
            if view[place] is not MARK or any(column[place] & 1 for column in outer):
                return place - at
        return len(view) - at

    def rounds(self, most: int) -> int:
        """How many rounds can be taken in one go, up to `most`: each lane has one entry of each of
        their origins."""
        if self.turn.lane:
            return 0
        for column, at in zip(self.columns, self.at, strict=True):
            if not isinstance(column, range) or not column[at : at + 1]:
                return 0
            if column[at] >> 1 != self.turn.origin:
                return 0
            most = min(most, len(column) - at)
        return most

    def take_rounds(self, rounds: int) -> bool:
        width = self.width
        parts = [view.part(at, at + rounds) for view, at in zip(self.views, self.at, strict=True)]
        entries: list[object] = [None] * (rounds * width)
        columns = [[0] * (rounds * width) for _ in parts[0].stamps[:-1]]
        for lane, part in enumerate(parts):
            entries[lane::width] = part
            for column, own in zip(columns, part.stamps, strict=False):
                column[lane::width] = own if lane == width - 1 else not_last(own)
        marks = any(map(has_marks, parts))
        if not self.add(entries, tuple(columns), marks, kinds_of(parts)):
            return False
        self.at = [at + rounds for at in self.at]
        self.went(Rounds(self.turn, width, rounds * width))
        return True

    def add(self, entries: list[object], stamps: Stamps, marks: bool, kinds: set[bool]) -> bool:
        """Gives these on, without marks that say nothing more, if they can be in the slice."""
        if self.width == 1 and self.kinds and kinds - self.kinds:
            return False  # such lanes take turns seldom: no need to seal what is not
        if self.stamps and not follows(self.stamps, stamps):
            return False
        self.kinds |= kinds
        if marks:
            kept = [
                place
                for place, entry in enumerate(entries)
                if entry is not MARK or any(column[place] & 1 for column in stamps)
            ]
            if self.kept is None:
                self.kept = list(range(1, self.taken + 1))
            self.kept += [self.taken + place + 1 for place in kept]
            if len(kept) < len(entries):
                entries = [entries[place] for place in kept]
                stamps = tuple([[column[place] for place in kept] for column in stamps])
        elif self.kept is not None:
            self.kept += range(self.taken + 1, self.taken + len(entries) + 1)
        if entries:
            self.stamps = appended(self.stamps, stamps) if self.stamps else stamps
        self.entries += entries
        self.has_marks |= marks
        return True

    def went(self, step: Step) -> None:
        self.steps.append(step)
        self.taken += len(step)
        self.turn = step.turn(len(step))


def kinds_of(parts: Sequence[list[object]]) -> set[bool]:
    """Are the items of these slices sealed?"""
    firsts = [next((each for each in part if each is not MARK), MARK) for part in parts]
    return {isinstance(first, Sealed) for first in firsts if first is not MARK}
