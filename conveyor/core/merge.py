"""The fronts of the lanes of one fork, put in the order in which the fork took their items.

Knows: the entries of each lane, and whose turn it is.  Must never know: channels, what is committed
when.

Rule 1.  Lanes are taken in steps (`merge_steps`): a run of one lane, or rounds through all of them.
Rule 2.  Behind the join an entry has the stamps of the joins around it.  If the fork gives to all
         lanes, only the last lane has the last entry of an outer origin.
Rule 3.  A mark that is the last of no outer origin says nothing more, and goes no further.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import chain, compress, cycle
from operator import sub
from typing import Final

from typing_extensions import TypeVar

from conveyor.core.merge_steps import Rounds, Run, Step, Turn
from conveyor.core.stamp_columns import (
    FINISH,
    Column,
    Groups,
    Stamps,
    appended,
    copied,
    follows,
    is_one_run,
    not_last,
    run_end,
)
from conveyor.core.stamps import MARK, Entries, among, first_of, has_marks
from conveyor.items.sealing import Sealed
from conveyor.items.slices import uniform

__all__ = ["Merge"]

T = TypeVar("T")


NOT_SHOWN: Final = Entries(())
NO_STAMPS: Final = range(0)


class Merge:
    """Merges what the lanes show.

    `fronts`: the stamp of the first entry of each, None if there is none; `show` gives a slice of
    a lane that has one, and is called where it is needed: what waits for its turn is not decoded.
    `ended`: which of the lanes will show nothing more; `turn`: whose turn it is; `balanced`: each
    origin is in one lane, else it is in all of them.  `keeps_marks`: whoever takes the slice wants
    the marks that say nothing more, too.  `steps` are those that were taken.
    """

    def __init__(
        self,
        fronts: list[int | None],
        show: Callable[[int], list[object]],
        ended: Sequence[bool],
        turn: Turn,
        balanced: bool,
        keeps_marks: bool = False,
    ) -> None:
        self.fronts = fronts
        self.show = show
        self.views = [NOT_SHOWN] * len(fronts)
        self.columns: list[Column] = [NO_STAMPS] * len(fronts)
        self.ended = ended
        self.turn = turn
        self.width = 1 if balanced else len(fronts)
        self.keeps_marks = keeps_marks
        self.at = [0] * len(fronts)
        self.steps: list[Step] = []
        self.parts: list[list[object]] = []  # all that were taken, one behind the other
        self.count = 0  # how many entries that is
        self.stamps: Stamps = ()  # of the joins around this one
        self.has_marks = False
        self.kinds: set[bool] = set()  # are the items sealed?
        self.spoken: list[bool] = []
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
        before = self.count
        while (room := before + most - self.count) > 0 and self.take(room):
            pass
        return self.count > before

    @property
    def entries(self) -> list[object]:
        """All that were taken; nobody may change it, as it may be what a lane shows."""
        if len(self.parts) > 1:
            whole: list[object] = []
            for part in self.parts:
                whole += part[:]  # as in `gather`
            self.parts = [whole]
        return self.parts[0]

    def given(self) -> list[object]:
        """All that was taken but for the marks that say nothing more; nothing if there is no
        more."""
        stamps = self.stamps
        if not stamps:
            items = self.items()
            return uniform(items) if len(self.kinds) > 1 else items
        entries = self.entries
        if self.keeps_marks:
            entries = entries if self.says_something() else []
        elif not self.all_speak():
            entries = list(compress(entries, self.speaks))
            stamps = tuple([list(compress(column, self.speaks)) for column in stamps])
        made = Entries(entries, stamps, self.has_marks)
        if len(self.kinds) > 1:
            made = Entries(among(made, uniform), stamps, self.has_marks)
        return made

    def items(self) -> list[object]:
        """All items that were taken, in a list of their own."""
        if self.has_marks and not all(map(all, self.parts)):
            return [each for part in self.parts for each in part if each is not None]
        return self.parts[0][:] if len(self.parts) == 1 else self.entries

    def says_something(self) -> bool:
        """Does any of the entries say something?"""
        last = self.count - 1  # as a rule it does
        return (
            self.entries[last] is not None
            or any(column[last] & 1 for column in self.stamps)
            or any(self.speaks)
        )

    def all_speak(self) -> bool:
        """Do all of the entries say something?"""
        is_plain = any(isinstance(column, range) for column in self.stamps)
        return not self.has_marks or is_plain or all(self.speaks)

    @property
    def speaks(self) -> list[bool]:
        """Of each entry: is it an item, or a mark that is the last of an outer origin?"""
        if len(self.spoken) != self.count:
            self.spoken = [entry is not None for entry in self.entries]
            for column in self.stamps:
                pairs = zip(self.spoken, column, strict=True)
                self.spoken = [told or stamp & 1 > 0 for told, stamp in pairs]
        return self.spoken

    def place(self, n: int) -> int:
        """Behind how many of the entries that were taken the `n`-th comes that is given, or the
        last."""
        if len(self.slice) == self.count:
            return n
        if n == len(self.slice) and not self.stamps:  # as a rule that is what is asked
            return self.last
        return self.places[min(n, len(self.places)) - 1]

    @cached_property
    def last(self) -> int:
        """Behind how many of the entries that were taken the last item comes."""
        backwards = chain.from_iterable([reversed(part) for part in reversed(self.parts)])
        return self.count - next(at for at, each in enumerate(backwards) if each is not None)

    @cached_property
    def places(self) -> list[int]:
        """Behind how many of the entries that were taken each comes that is given."""
        return list(compress(range(1, self.count + 1), self.speaks))

    def before(self, entries: int) -> int:
        """How many are given of so many that were taken."""
        given = len(self.slice)
        if given == self.count:
            return entries
        is_all = given > 0 and entries >= self.place(given)
        return given if is_all else bisect_right(self.places, entries)

    def take(self, room: int) -> bool:
        """Takes a step of at most `room` entries, if there is one that can be in this slice."""
        if room < self.width and self.count and not self.turn.lane:
            return False  # what is merged so far consists of whole rounds, and shall stay so
        if self.width > 1 and not self.turn.lane and room >= self.width and self.all_have_turn():
            self.look_at(range(self.width))
            if all(isinstance(column, range) for column in self.columns):
                return self.take_rounds(room // self.width)
            if groups := self.groups(room):
                return self.take_groups(groups)
        lane = self.next_lane()
        return lane is not None and self.take_run(lane, room)

    def look_at(self, lanes: Iterable[int]) -> None:
        """Has these lanes shown, which all have an entry in front."""
        for lane in lanes:
            if self.views[lane] is NOT_SHOWN:
                shown = self.show(lane)
                assert isinstance(shown, Entries)
                self.views[lane], self.columns[lane] = shown, shown.stamps[-1]

    def next_lane(self) -> int | None:
        """The lane that has the next entry; None if it has not come yet."""
        fronts = self.fronts
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
        self.look_at((lane,))
        column, at, view = self.columns[lane], self.at[lane], self.views[lane]
        behind = min(at + room, len(column))
        if self.width == 1 and self.count and behind < len(column):
            return False  # it has its turn next: what is taken of a lane in part is copied twice
        if not is_one_run(column):  # what came between was given to another lane
            behind = run_end(column, at, behind)
        if self.width > 1 and column[at] != FINISH:  # behind its last entry another lane comes
            behind = next((i + 1 for i in range(at, behind) if column[i] & 1), behind)
        part = part_of(view, at, behind)
        if not self.add(part, self.outer(lane, at, behind), kinds_of([part])):
            return False
        self.moves((lane,), (behind,))
        self.went(Run(self.turn, lane, self.width, column[at:behind]))
        return True

    def outer(self, lane: int, start: int, stop: int) -> Stamps:
        """The stamps of some entries of a lane, as they are behind this join."""
        own = self.stamps_around(lane, start, stop)
        return own if lane >= self.width - 1 else tuple(map(not_last, own))

    def stamps_around(self, lane: int, start: int, stop: int) -> Stamps:
        """The stamps that some entries of a lane have of the joins around this one."""
        return tuple([column[start:stop] for column in self.views[lane].stamps[:-1]])

    def all_have_turn(self) -> bool:
        """Is the origin whose turn it is in front of each lane?"""
        origin = self.turn.origin
        return all(front is not None and front >> 1 == origin for front in self.fronts)

    def take_rounds(self, most: int) -> bool:
        """Takes one entry of each lane in turn, as often as that goes: each is the only one of its
        origin there."""
        width = self.width
        left = [len(column) - at for column, at in zip(self.columns, self.at, strict=True)]
        rounds = min(most, *left)
        stops = [at + rounds for at in self.at]
        lanes = [*zip(range(width), self.at, stops, strict=True)]
        parts = [self.views[lane][at:stop] for lane, at, stop in lanes]
        entries: list[object] = [None] * (rounds * width)
        for lane, part in enumerate(parts):
            entries[lane::width] = part
        around = zip(*[self.stamps_around(*each) for each in lanes], strict=True)
        columns = [in_rounds(own) for own in around]
        if not self.add(entries, tuple(columns), kinds_of(parts)):
            return False
        self.moves(range(width), stops)
        self.went(Rounds(self.turn, width, rounds * width, None))
        return True

    def groups(self, room: int) -> list[list[int]]:
        """Where in each lane the entries of the next origins end: of as many as are there whole in
        each, and have room."""
        ends: list[list[int]] = []
        for column, at in zip(self.columns, self.at, strict=True):
            behind = min(at + room, len(column))
            if isinstance(column, Groups):
                first, last = column.ends_before(at), column.ends_before(behind)
                ends.append(column.ends[first:last])
            else:
                ends.append([i + 1 for i in range(at, behind) if column[i] & 1])
        rounds = bisect_right(
            range(min(map(len, ends))),
            room,
            key=lambda last: sum(own[last] - at for own, at in zip(ends, self.at, strict=True)),
        )
        return [own[:rounds] for own in ends] if rounds else []

    def take_groups(self, ends: list[list[int]]) -> bool:
        """Takes origin after origin, of each what is in one lane after the other."""
        width, rounds = self.width, len(ends[0])
        stops = [own[-1] for own in ends]
        lanes = [*zip(range(width), self.at, stops, strict=True)]
        parts = [self.views[lane][at:stop] for lane, at, stop in lanes]
        sizes = [0] * (rounds * width)
        for lane, (own, at) in enumerate(zip(ends, self.at, strict=True)):
            sizes[lane::width] = map(sub, own, [at, *own[:-1]])
        outer = zip(*[self.outer(*each) for each in lanes], strict=True)
        columns = [in_groups([[*column] for column in own], sizes) for own in outer]
        entries = in_groups(parts, sizes)
        if not self.add(entries, tuple(columns), kinds_of(parts)):
            return False
        self.moves(range(width), stops)
        self.went(Rounds(self.turn, width, len(entries), sizes))
        return True

    def add(self, entries: list[object], stamps: Stamps, kinds: set[bool]) -> bool:
        """Adds these, if they can be in the slice."""
        if self.width == 1 and self.kinds and kinds - self.kinds:
            return False  # such lanes take turns seldom: no need to seal what is not
        if self.stamps and not follows(self.stamps, stamps):
            return False
        self.kinds |= kinds
        self.stamps = appended(self.stamps, stamps) if self.stamps else stamps
        self.parts.append(entries)
        self.count += len(entries)
        return True

    def moves(self, lanes: Iterable[int], behind: Iterable[int]) -> None:
        """Goes on with these lanes from there."""
        for lane, at in zip(lanes, behind, strict=True):
            column = self.columns[lane]
            self.at[lane] = at
            self.fronts[lane] = column[at] if at < len(column) else None

    def went(self, step: Step) -> None:
        self.has_marks = any(map(has_marks, self.views))
        self.steps.append(step)
        self.turn = step.turn(len(step))


def part_of(view: Entries, start: int, stop: int) -> list[object]:
    """Some entries of what a lane shows; nobody may change them."""
    return view if stop - start == len(view) else view[start:stop]


def in_rounds(lanes: Sequence[Column]) -> Column:
    """The stamps of the entries of some lanes, one of each in turn, behind their join."""
    width, first = len(lanes), lanes[0]
    if isinstance(first, range) and lanes.count(first) == width:
        return copied(first, width)
    column = [0] * (len(first) * width)
    for lane, own in enumerate(lanes):
        column[lane::width] = own if lane == width - 1 else not_last(own)
    return column


def in_groups(lanes: Sequence[list[T]], sizes: Sequence[int]) -> list[T]:
    """What is in some lanes, so many of one after so many of another, in turn.

    >>> in_groups([[1, 2, 3], [7, 8]], [1, 1, 2, 1])
    [1, 7, 2, 3, 8]
    >>> in_groups([[1, 2, 3, 4], [6, 7, 8, 9]], [2, 2, 2, 2])
    [1, 2, 6, 7, 3, 4, 8, 9]
    """
    width, size = len(lanes), sizes[0]
    whole: list[T] = []
    if sizes.count(size) == len(sizes):
        for lane in lanes:
            whole += lane
        for number, lane in enumerate(lanes):
            for at in range(size):
                whole[number * size + at :: width * size] = lane[at::size]
        return whole
    fronts = [0] * width
    for number, size in zip(cycle(range(width)), sizes, strict=False):
        at = fronts[number]
        fronts[number] = at + size
        whole += lanes[number][at : at + size]
    return whole


def kinds_of(parts: Iterable[Iterable[object]]) -> set[bool]:
    """Are the items of these slices sealed?"""
    firsts = [first_of(part) for part in parts]
    return {isinstance(first, Sealed) for first in firsts if first is not MARK}
