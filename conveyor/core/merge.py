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

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import compress
from typing import NamedTuple, Protocol

from conveyor.core.stamps import (
    FINISH,
    Column,
    Entries,
    Stamps,
    among,
    appended,
    follows,
    has_marks,
    next_origin,
    not_last,
    run_end,
    without_marks,
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
    """Entries of all lanes in turn, those of one origin after those of another.

    `sizes`: how many there are of each origin in each lane, one lane after the other and origin by
    origin, where that is not one each.
    """

    __slots__ = ("before", "length", "sizes", "width")

    def __init__(self, before: Turn, width: int, length: int, sizes: list[int] | None) -> None:
        self.before = before
        self.width = width
        self.length = length
        self.sizes = sizes

    def __len__(self) -> int:
        return self.length

    def groups(self, count: int) -> tuple[int, int]:
        """How many groups of one origin in one lane are among the first `count` entries as a
        whole, and how many entries come behind those."""
        if self.sizes is None:
            return count, 0
        if count == self.length:
            return len(self.sizes), 0
        groups = 0
        for size in self.sizes:
            if size > count:
                break
            count -= size
            groups += 1
        return groups, count

    def taken(self, count: int, lanes: list[int]) -> None:
        groups, more = self.groups(count)
        for lane in range(self.width):
            first = (lane - self.before.lane) % self.width
            if self.sizes is None:
                lanes[lane] += len(range(first, groups, self.width))
            else:
                lanes[lane] += sum(self.sizes[first : groups : self.width])
        lanes[self.turn(count).lane] += more

    def turn(self, count: int) -> Turn:
        rounds, lane = divmod(self.before.lane + self.groups(count)[0], self.width)
        return Turn(self.before.origin + rounds, lane)

    def behind(self, count: int) -> Rounds:
        groups, more = self.groups(count)
        sizes = self.sizes
        if sizes is not None:
            sizes = sizes[groups:]
            sizes[0] -= more
        return Rounds(self.turn(count), self.width, self.length - count, sizes)


class Merge:
    """Merges what the lanes show.

    `ended`: which of the lanes will show nothing more; `turn`: whose turn it is; `balanced`: each
    origin is in one lane, else it is in all of them.  `steps` are those that were taken.
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
        self.entries: list[object] = []  # all that were taken
        self.stamps: Stamps = ()  # of the joins around this one
        self.has_marks = False
        self.kinds: set[bool] = set()  # are the items sealed?
        self.slice: list[object] = []  # what is given

    def run(self, most: int) -> list[object]:
        """Gives a slice of up to `most` entries that say something, or more where none of those
        say anything; none if there is none."""
        while not self.slice and self.fill(most):
            self.slice = self.given()
            most *= 2
        return self.slice

    def fill(self, most: int) -> bool:
        """Takes up to `most` more entries, if there are any."""
        before = len(self.entries)
        while (room := before + most - len(self.entries)) > 0 and self.take(room):
            pass
        return len(self.entries) > before

    def given(self) -> list[object]:
        """All that was taken but for the marks that say nothing more."""
        stamps, entries = self.stamps, self.entries
        if self.has_marks:
            if speaking := self.speaking():
                entries = list(compress(entries, speaking))
                stamps = tuple([list(compress(column, speaking)) for column in stamps])
            elif not stamps:
                entries = without_marks(entries)
        if not stamps:
            return uniform(entries) if len(self.kinds) > 1 else entries
        if not entries:
            return []
        marks = Entries(entries, (), self.has_marks)
        made = among(marks, uniform) if len(self.kinds) > 1 else marks
        return Entries(made, stamps, self.has_marks)

    def speaking(self) -> list[bool]:
        """Which entries are items, or marks that are the last of an outer origin; nothing if all
        are, or if there are no joins around this one."""
        if not self.stamps or any(isinstance(column, range) for column in self.stamps):
            return []
        return [
            entry is not None or any(stamp & 1 for stamp in stamps)
            for entry, *stamps in zip(self.entries, *self.stamps, strict=True)
        ]

    def place(self, n: int) -> int:
        """Behind how many of the entries that were taken the `n`-th comes that is given, or the
        last."""
        if len(self.slice) == len(self.entries):
            return n
        if n == len(self.slice) and not self.stamps:  # as a rule that is what is asked
            entries = self.entries
            return next(at for at in range(len(entries), 0, -1) if entries[at - 1] is not None)
        return self.places[min(n, len(self.places)) - 1]

    @cached_property
    def places(self) -> list[int]:
        """Behind how many of the entries that were taken each comes that is given."""
        there = self.speaking() or [entry is not None for entry in self.entries]
        return list(compress(range(1, len(there) + 1), there))

    def before(self, entries: int) -> int:
        """How many are given of so many that were taken."""
        if len(self.slice) == len(self.entries):
            return entries
        return bisect_right(self.places, entries)

    def take(self, room: int) -> bool:
        """Takes a step of at most `room` entries, if there is one that can be in this slice."""
        if self.width > 1 and not self.turn.lane and room >= self.width and self.all_have_turn():
            if all(isinstance(column, range) for column in self.columns):
                return self.take_rounds(room // self.width)
            if groups := self.groups(room):
                return self.take_groups(groups)
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
        behind = min(at + room, len(column))
        if not isinstance(column, range):  # what came between was given to another lane
            behind = run_end(column, at, behind)
        if self.width > 1 and column[at] != FINISH:  # behind its last entry another lane comes
            behind = next((i + 1 for i in range(at, behind) if column[i] & 1), behind)
        part = view.part(at, behind)
        if not self.add(part, self.outer(lane, at, behind), kinds_of([part])):
            return False
        self.at[lane] = behind
        self.went(Run(self.turn, lane, self.width, column[at:behind]))
        return True

    def outer(self, lane: int, start: int, stop: int) -> Stamps:
        """The stamps of some entries of a lane, as they are behind this join."""
        parts = [column[start:stop] for column in self.views[lane].stamps[:-1]]
        return tuple(parts if lane >= self.width - 1 else map(not_last, parts))

    def all_have_turn(self) -> bool:
        """Is the origin whose turn it is in front of each lane?"""
        fronts = zip(self.columns, self.at, strict=True)
        return all(at < len(col) and col[at] >> 1 == self.turn.origin for col, at in fronts)

    def take_rounds(self, most: int) -> bool:
        """Takes one entry of each lane in turn, as often as that goes: each is the only one of its
        origin there."""
        width = self.width
        left = [len(column) - at for column, at in zip(self.columns, self.at, strict=True)]
        rounds = min(most, *left)
        parts = [view.part(at, at + rounds) for view, at in zip(self.views, self.at, strict=True)]
        entries: list[object] = [None] * (rounds * width)
        columns = [[0] * (rounds * width) for _ in parts[0].stamps[:-1]]
        for lane, part in enumerate(parts):
            entries[lane::width] = part
            own = self.outer(lane, self.at[lane], self.at[lane] + rounds)
            for column, stamps in zip(columns, own, strict=True):
                column[lane::width] = stamps
        if not self.add(entries, tuple(columns), kinds_of(parts)):
            return False
        self.at = [at + rounds for at in self.at]
        self.went(Rounds(self.turn, width, rounds * width, None))
        return True

    def groups(self, room: int) -> list[list[int]]:
        """Where in each lane the entries of the next origins end: of as many as are there whole in
        each, and have room."""
        ends: list[list[int]] = []
        for column, at in zip(self.columns, self.at, strict=True):
            behind = min(at + room, len(column))
            ends.append([i + 1 for i in range(at, behind) if column[i] & 1])
        rounds = bisect_right(
            range(min(map(len, ends))),
            room,
            key=lambda last: sum(own[last] - at for own, at in zip(ends, self.at, strict=True)),
        )
        return [own[:rounds] for own in ends] if rounds else []

    def take_groups(self, ends: list[list[int]]) -> bool:
        """Takes origin after origin, of each what is in one lane after the other."""
        entries: list[object] = []
        sizes: list[int] = []
        at = list(self.at)
        stops = [own[-1] for own in ends]
        outer = [self.outer(*each) for each in zip(range(self.width), at, stops, strict=True)]
        columns: list[list[int]] = [[] for _ in outer[0]]
        for round_ in zip(*ends, strict=True):
            for lane, end in enumerate(round_):
                start = at[lane]
                entries += self.views[lane][start:end]
                sizes.append(end - start)
                if columns:
                    first = self.at[lane]
                    for column, own in zip(columns, outer[lane], strict=True):
                        column += own[start - first : end - first]
                at[lane] = end
        parts = [view.part(*ends) for view, *ends in zip(self.views, self.at, at, strict=True)]
        if not self.add(entries, tuple(columns), kinds_of(parts)):
            return False
        self.at = at
        self.went(Rounds(self.turn, self.width, len(entries), sizes))
        return True

    def add(self, entries: list[object], stamps: Stamps, kinds: set[bool]) -> bool:
        """Adds these, if they can be in the slice."""
        if self.width == 1 and self.kinds and kinds - self.kinds:
            return False  # such lanes take turns seldom: no need to seal what is not
        if self.stamps and not follows(self.stamps, stamps):
            return False
        self.kinds |= kinds
        self.stamps = appended(self.stamps, stamps) if self.stamps else stamps
        self.entries += entries
        return True

    def went(self, step: Step) -> None:
        self.has_marks = any(map(has_marks, self.views))
        self.steps.append(step)
        self.turn = step.turn(len(step))


def kinds_of(parts: Sequence[list[object]]) -> set[bool]:
    """Are the items of these slices sealed?"""
    firsts = [next((each for each in part if each is not None), None) for part in parts]
    return {isinstance(first, Sealed) for first in firsts if first is not None}
