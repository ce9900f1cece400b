"""Where each box of a figure stands: in columns from left to right, so that arrows go one way.

The way is that of Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of Hierarchical
System Structures" (1981): columns by the longest way from the left, a bend in each column that an
arrow crosses, an order within each column by the mean place of the neighbours, and then places as
level as that order allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import TopologicalSorter
from itertools import pairwise
from statistics import fmean
from typing import Final, NamedTuple

from conveyor.drawing.figure import Figure

__all__ = ["Layout", "laid_out"]

SWEEPS: Final = 8


class Layout(NamedTuple):
    """Where boxes and the bends of arrows stand.

    `columns`: their numbers, from top to bottom; those of bends follow those of the boxes.
    `levels`: how far down each is, in boxes; the uppermost is at 0.  `ways`: of each arrow the
    numbers that it leads through, both of its boxes included.
    """

    columns: list[list[int]]
    levels: list[float]
    ways: list[list[int]]


def laid_out(figure: Figure) -> Layout:
    """Lays a figure out.

    >>> from conveyor.drawing.figure import Arrow, Box
    >>> fork = Figure([Box("a"), Box("b"), Box("c")], [Arrow(0, 1), Arrow(1, 2), Arrow(0, 2)])
    >>> laid_out(fork).columns, laid_out(fork).ways
    ([[0], [1, 3], [2]], [[0, 1], [1, 2], [0, 3, 2]])
    """
    column = columns_of(figure)
    ways: list[list[int]] = []
    for arrow in figure.arrows:
        crossed = range(column[arrow.source] + 1, column[arrow.target])
        ways.append([arrow.source, *range(len(column), len(column) + len(crossed)), arrow.target])
        column += crossed
    columns: list[list[int]] = [[] for _ in range(max(column, default=-1) + 1)]
    for number, at in enumerate(column):
        columns[at].append(number)
    before: list[list[int]] = [[] for _ in column]
    behind: list[list[int]] = [[] for _ in column]
    for way in ways:
        for a, b in pairwise(way):
            before[b].append(a)
            behind[a].append(b)
    # To the right and to the left in turns, each by what is on the side that one comes from.
    sweeps = [
        (columns, before) if sweep % 2 == 0 else (columns[::-1], behind) for sweep in range(SWEEPS)
    ]
    put_in_order(sweeps)
    return Layout(columns, levels_of(columns, sweeps), ways)


def columns_of(figure: Figure) -> list[int]:
    """In which column each box is: behind all whose arrows lead to it."""
    before: dict[int, list[int]] = {box: [] for box in range(len(figure.boxes))}
    for arrow in figure.arrows:
        before[arrow.target].append(arrow.source)
    column = [0] * len(before)
    for box in TopologicalSorter(before).static_order():
        column[box] = max((column[each] + 1 for each in before[box]), default=0)
    return column


def put_in_order(sweeps: Iterable[tuple[Sequence[list[int]], Sequence[Sequence[int]]]]) -> None:
    """Sorts each column so that few arrows cross one another."""
    for columns, beside in sweeps:
        place = {number: at for numbers in columns for at, number in enumerate(numbers)}
        for numbers in columns:
            means = {number: mean_of(beside[number], number, place) for number in numbers}
            numbers.sort(key=means.__getitem__)
            place |= {number: at for at, number in enumerate(numbers)}


def levels_of(
    columns: Sequence[Sequence[int]],
    sweeps: Iterable[tuple[Sequence[Sequence[int]], Sequence[Sequence[int]]]],
) -> list[float]:
    level = {
        number: at - (len(numbers) - 1) / 2
        for numbers in columns
        for at, number in enumerate(numbers)
    }
    for ordered, beside in sweeps:
        for numbers in ordered:
            wanted = [mean_of(beside[number], number, level) for number in numbers]
            level |= dict(zip(numbers, apart(wanted), strict=True))
    top = min(level.values(), default=0.0)
    return [level[number] - top for number in range(len(level))]


def apart(wanted: Sequence[float]) -> list[float]:
    """The places nearest to those that are wanted, on the whole, in this order and at least 1
    apart.

    >>> apart([0, 0, 3])
    [-0.5, 0.5, 3]
    """
    # Blocks of places that touch one another: each stands at the mean of what is wanted in it (pool
    # adjacent violators).
    blocks: list[tuple[float, int]] = []
    for at, place in enumerate(wanted):
        mean, size = place - at, 1
        while blocks and blocks[-1][0] >= mean:
            above, many = blocks.pop()
            mean, size = (above * many + mean * size) / (many + size), many + size
        blocks.append((mean, size))
    shifts = [mean for mean, size in blocks for _ in range(size)]
    return [shift + at for at, shift in enumerate(shifts)]


def mean_of(beside: Sequence[int], number: int, place: Mapping[int, float]) -> float:
    """The mean place of the neighbours on one side; one's own where there are none."""
    return fmean(place[each] for each in beside or [number])
