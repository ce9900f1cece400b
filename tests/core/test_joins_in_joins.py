"""An ordered join whose lanes are ordered joins gives what the forks took, in any slices and after
any deaths; what each lane gave may be as much as it wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from conveyor.core.channel import Note
from conveyor.core.ordered import OrderedInlet, words_of_ordered
from conveyor.core.stamp_columns import Column, Copies, run_end, run_of
from conveyor.core.stamps import MARK, Entries

Entry: TypeAlias = tuple[object, int, int]  # an item or a mark, its outer and its inner stamp


def as_kept(stamps: Sequence[int]) -> Column:
    """A column as a ring gives it."""
    regular = run_of(stamps[0] >> 1, len(stamps))
    return regular if list(regular) == list(stamps) else list(stamps)


class Lane:
    """A channel, of whose entries `there` have come so far; a slice of it is one run."""

    def __init__(self, given: Sequence[Entry]) -> None:
        self.given = given
        self.there = 0
        self.head = 0

    def start(self, run: int) -> None: ...

    def pending(self) -> bool:
        return self.head < self.there

    def ended(self) -> bool:
        return self.head == len(self.given)

    def peek(self, n: int) -> list[object]:
        part = self.given[self.head : min(self.head + n, self.there)]
        columns = [[entry[1] for entry in part], [entry[2] for entry in part]]
        whole = min(run_end(column, 0, len(part)) for column in columns)
        items = [item for item, *_ in part[:whole]]
        stamps = tuple([as_kept(column[:whole]) for column in columns])
        return Entries(items, stamps, MARK in items)

    def look(self, n: int) -> list[object]:
        return self.peek(n)

    def position(self, n: int) -> int:
        return self.head + n

    def commit(self, upto: int) -> None:
        assert self.head <= upto <= self.there
        self.head = upto


@dataclass
class Forks:
    """Forks in the lanes of a fork: what is in each of the channels, and what comes out at the end,
    by plain recursion."""

    outer_balances: bool
    inner_balance: list[bool]
    channels: list[list[list[Entry]]]
    joined: list[object]


@st.composite
def forks(draw: st.DrawFn) -> Forks:
    outer_width = draw(st.integers(1, 3))
    outer_balances = draw(st.booleans())
    widths = [draw(st.integers(1, 3)) for _ in range(outer_width)]
    inner_balance = [draw(st.booleans()) for _ in range(outer_width)]
    outputs = st.sampled_from([1] * 6 + [0, 0, 0, 2]) if draw(st.booleans()) else st.just(1)
    given: list[list[list[Entry]]] = [[[] for _ in range(width)] for width in widths]
    taken = [0] * outer_width
    turns = [0] * outer_width
    joined: list[object] = []
    for origin in range(draw(st.integers(0, 12))):
        chosen = [draw(st.integers(0, outer_width - 1))] if outer_balances else range(outer_width)
        for at in chosen:
            if draw(st.integers(0, 2)) == 0:
                turns[at] = draw(st.integers(0, widths[at] - 1))
            for below in [turns[at]] if inner_balance[at] else range(widths[at]):
                n = draw(outputs)
                for number in range(max(n, 1)):
                    ends = number + 1 >= n
                    item = (origin, at, below, number) if n else MARK
                    stamps = 2 * origin + ends, 2 * taken[at] + ends
                    given[at][below].append((item, *stamps))
                    joined += [item] * (n > 0)
            taken[at] += 1
    return Forks(outer_balances, inner_balance, given, joined)


class Joins:
    """The ordered joins of some forks, in a worker; the channels and the notes outlive it."""

    def __init__(self, forks: Forks) -> None:
        self.forks = forks
        self.lanes = [[Lane(entries) for entries in below] for below in forks.channels]
        widths = [len(self.lanes), *map(len, self.lanes)]
        self.notes = [self.note(width) for width in widths]
        self.inlet = self.new_inlet()

    @staticmethod
    def note(lanes: int) -> Note:
        return Note([0] * words_of_ordered(lanes))

    def new_inlet(self) -> OrderedInlet:
        inner = [
            OrderedInlet(lanes, balances, note)
            for lanes, balances, note in zip(
                self.lanes, self.forks.inner_balance, self.notes[1:], strict=True
            )
        ]
        return OrderedInlet(inner, self.forks.outer_balances, self.notes[0])

    def dies(self) -> None:
        self.inlet = self.new_inlet()
        self.inlet.start(1)

    def all_lanes(self) -> list[Lane]:
        return [lane for below in self.lanes for lane in below]


@given(forks(), st.integers(1, 40), st.randoms(use_true_random=False))
def test_joins_in_joins_give_what_the_forks_took(forks: Forks, most: int, random: Random) -> None:
    joins = Joins(forks)
    given: list[object] = []
    while not joins.inlet.ended():
        for lane in joins.all_lanes():
            lane.there = random.randint(lane.there, len(lane.given))
        if random.random() < 0.2:
            joins.dies()
        if joins.inlet.pending():
            items = joins.inlet.peek(random.randint(1, most))
            assert items
            assert MARK not in items
            parts = sorted({random.randint(1, len(items)) for _ in range(2)})
            given += items[: parts[-1]]
            for before, done in pairwise([0, *parts]):
                joins.inlet.commit(joins.inlet.position(done - before))

    assert given == forks.joined
    assert all(lane.ended() for lane in joins.all_lanes())


@given(st.integers(0, 20), st.integers(1, 4), st.integers(0, 5))
def test_copies_are_the_stamps_that_they_stand_for(first: int, width: int, origins: int) -> None:
    column = Copies(range(first * width, (first + origins) * width), width)
    stamps = [
        2 * origin + (lane == width - 1)
        for origin in range(first, first + origins)
        for lane in range(width)
    ]

    assert list(column) == [column[at] for at in range(len(column))] == stamps
    for start in range(len(stamps) + 1):
        for stop in range(start, len(stamps) + 1):
            assert list(column[start:stop]) == stamps[start:stop]


def test_marks_that_say_nothing_give_their_room_back_before_it_is_their_turn() -> None:
    """A fork to both lanes in one of two balanced lanes: its first mark is of an origin that goes
    on in its other lane."""
    early = Lane([("a", 1, 1)])
    dropped, kept = Lane([(MARK, 3, 1)]), Lane([("c", 3, 1)])
    dropped.there = 1
    copies = OrderedInlet([dropped, kept], balanced=False)
    inlet = OrderedInlet([OrderedInlet([early], balanced=True), copies], balanced=True)

    assert not inlet.pending()
    assert (dropped.head, kept.head) == (1, 0)
    early.there = kept.there = 1
    assert inlet.peek(9) == ["a", "c"]


def test_marks_that_say_nothing_are_committed_where_a_worker_died_before_it_noted_it() -> None:
    """Its outer join had noted one mark of a copy that was dropped; the inner one shows two, and
    has not got the last copy."""
    lanes = [Lane([(MARK, 2, 1)]), Lane([(MARK, 2, 1)]), Lane([("c", 3, 1)])]
    lanes[0].there = lanes[1].there = 1
    note = Joins.note(1)
    note.store((1, 1, 0, 1))  # head, origin, lane, and the position of the inner join
    inlet = OrderedInlet([OrderedInlet(lanes, balanced=False)], balanced=True, note=note)
    inlet.start(1)

    assert [lane.head for lane in lanes] == [1, 0, 0]
    lanes[2].there = 1
    assert inlet.peek(9) == ["c"]
