"""What an ordered join takes of its lanes in one go.

Knows: whose turn it is behind any part of that.  Must never know: items, what is given on.

Where a part of a step leads, if no more is committed, can be told from the step alone.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from conveyor.core.stamp_columns import FINISH, Column, next_origin

__all__ = ["Rounds", "Run", "Step", "Turn"]


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
