"""Tiny pipelines of every make, by name: small enough for a search over every single step.

Workers import this file by name, so it stays light: the standard library and conveyor, and no test
tool.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from conveyor import (
    BalancingFork,
    Filter,
    FlatMap,
    Join,
    PartitioningFork,
    Pipe,
    Processor,
    ReplicatingFork,
    RoutingFork,
    SplittingFork,
    Zip,
)
from conveyor.stages import Stage
from tests.jobs import same
from tests.sim.parts import below, labelled, labels, times

__all__ = ["HEAVY", "TOPOLOGIES", "items", "rows"]


class Refused(Exception):
    """What some jobs raise."""


def refuses(lane: str, refused: object) -> Processor[Any, Any]:
    """Raises for one item."""

    def job(item: Any) -> Any:
        if item == refused:
            raise Refused(lane, item)
        return item

    return Processor(job, name=f"refuses-{lane}")


def is_odd(item: Any) -> bool:
    return plain(item) % 2 == 1


def unless_two(item: Any) -> int:
    """No lane for the item 2."""
    return (0, 1, -1)[plain(item)]


def plain(item: Any) -> int:
    """The number in an item that may have been marked."""
    return plain(item[1]) if isinstance(item, tuple) else item


def as_done(label: str, ordered: bool = False) -> Processor[Any, Any]:
    """Marks items, two in hand at once."""

    def job(item: Any) -> Any:
        return (label, item)

    return Processor(job, name=label, concurrency=2, ordered=ordered)


def twice_as_done() -> FlatMap[Any, Any]:
    """Gives each item twice, two in hand at once."""

    def copies(item: Any) -> list[Any]:
        return [(item, 0), (item, 1)]

    return FlatMap(copies, name="twice", concurrency=2, ordered=False)


def odd_as_done() -> Filter[Any]:
    return Filter(is_odd, name="odd", concurrency=3, ordered=False)


def each_below(n: int) -> FlatMap[Any, Any]:
    """Gives for any item the numbers up to `n`."""

    def numbers(item: Any) -> range:
        return range(n)

    return FlatMap(numbers, name=f"each-below-{n}")


def tight(n: int) -> list[Pipe]:
    return [Pipe(1) for _ in range(n)]


def row(text: str) -> list[Stage]:
    """`R` a replicating fork of two, `B` a balancing one, `J` a join of two, `O` an ordered one,
    `Z` a zip; `P` a fork that partitions by the item, `S` one that splits off odd items; `1` a pipe
    for one item, `-` a roomy pipe, `F` a filter that keeps all, a letter in lower case a job that
    marks items with it.

    >>> [type(stage).__name__ for stage in row("Ra1")]
    ['ReplicatingFork', 'Processor', 'Pipe']
    """
    made: dict[str, Callable[[], Stage]] = {
        "R": lambda: ReplicatingFork(2),
        "B": lambda: BalancingFork(2),
        "J": lambda: Join(2),
        "O": lambda: Join(2, ordered=True),
        "Z": lambda: Zip(2),
        "P": lambda: PartitioningFork(2, key=same),
        "S": lambda: SplittingFork(is_odd),
        "F": lambda: below(99),
        "1": lambda: Pipe(1),
        "-": lambda: Pipe(),
    }
    return [made[sign]() if sign in made else labelled(sign) for sign in text]


def rows(text: str) -> list[list[Stage]]:
    """Rows between blanks."""
    return [row(word) for word in text.split()]


TOPOLOGIES: dict[str, Callable[[], Sequence[Sequence[Stage]]]] = {
    # one join
    "diamond": lambda: rows("R ab J"),
    "tight lanes": lambda: rows("R 11 J"),
    "tight before": lambda: rows("R 11 ab J"),
    "tight behind": lambda: rows("R ab 11 J"),
    "tight all around": lambda: rows("1 R 11 ab 11 J 1 c 1"),
    "a longer lane": lambda: rows("R 11 a- 11 b- 11 J"),
    "a lane that drops": lambda: [*rows("R"), [below(1), Pipe(1)], *rows("ab 11 J")],
    "a lane that multiplies": lambda: [*rows("R 11"), [times(2), labelled("b")], *rows("11 J")],
    "both drop all": lambda: [*rows("R"), [below(0), below(0)], *rows("J")],
    "many out of one, before a tight diamond": lambda: [[times(2)], *rows("R 11 J")],
    "three tight lanes": lambda: [
        [ReplicatingFork(3)],
        tight(3),
        labels("abc"),
        tight(3),
        [Join(3)],
    ],
    # balances
    "balance": lambda: rows("B ab J"),
    "tight balance": lambda: rows("B 11 ab 11 J"),
    "tight balance, no jobs": lambda: rows("B 11 J"),
    "many out of one, balanced": lambda: [[times(2)], *rows("B 11 ab 11 J")],
    "many out of one, balanced, into roomy lanes": lambda: [[times(2)], *rows("B ab J")],
    "balance in a replicate": lambda: [*rows("R 1B 111"), labels("abc"), [Join(3)]],
    "replicate in a balance": lambda: [*rows("B 1R 111"), labels("abc"), [Join(3)]],
    "balance and its own join in a lane": lambda: rows("R 1B 111 -bc 111 1J 11 J"),
    "adapting": lambda: [[BalancingFork(max_lanes=2)], [Processor(same)], [Join()]],
    "adapting, tight": lambda: [
        [BalancingFork(max_lanes=2)],
        [Pipe(1)],
        [Processor(same)],
        [Pipe(1)],
        [Join()],
    ],
    "adapting in a replicate": lambda: [
        [ReplicatingFork(2)],
        [Pipe(1), BalancingFork(max_lanes=2)],
        [labelled("a"), Processor(same)],
        [Pipe(1), Join()],
        [Join(2)],
    ],
    # several joins
    "nested joins": lambda: rows("R R1 111 abc J1 J"),
    "a join behind a join": lambda: rows("R R1 111 abc 111 J1 11 d- 11 J"),
    "a fork into two joins": lambda: [[ReplicatingFork(3)], tight(3), *rows("J1 11 d- 11 J")],
    "a fork into two joins, lanes with jobs": lambda: [
        [ReplicatingFork(3)],
        tight(3),
        *rows("abc 111 J1 11 d1 11 J"),
    ],
    "a fork behind a job, into two joins": lambda: [
        *rows("R"),
        [below(1), labelled("b")],
        *rows("1R J1 d1 J"),
    ],
    "a balance behind a job, into two joins": lambda: [
        *rows("R"),
        [below(1), labelled("b")],
        *rows("1B J1 d1 J"),
    ],
    "two forks that share a join": lambda: [
        *rows("R"),
        [below(1), labelled("b")],
        *rows("RR 1J1 1d1"),
        [Join(3)],
    ],
    "two balances that share a join": lambda: [
        *rows("R"),
        [below(2), labelled("b")],
        *rows("BB 1J1 1d1"),
        [Join(3)],
    ],
    "a join of two joins": lambda: rows("R RR 1111 JJ 11 ab 11 J"),
    "one diamond behind another": lambda: rows("R 11 J 1 R 11 J"),
    "balances one behind the other": lambda: rows("B ab J 1 B 11 J"),
    "a balance behind a join": lambda: rows("R 11 J 1 B 11 cd 11 J"),
    "diamonds side by side, zipped": lambda: rows("R RR 1111 JJ 11 Z"),
    # forks that look at their items
    "partitioned": lambda: rows("P 11 ab 11 J"),
    "partitioned, no jobs": lambda: rows("P 11 J"),
    "split": lambda: rows("S ab J"),
    "many out of one, split": lambda: [[each_below(3)], *rows("S 11 ab 11 J")],
    "a split behind a job, of items that one lane refuses": lambda: [
        [each_below(3)],
        [RoutingFork(2, lane=unless_two, on_error="skip")],
        *rows("11 J"),
    ],
    "a split in a replicate": lambda: [*rows("R 1S 111"), labels("abc"), [Join(3)]],
    "a replicate in a split": lambda: [*rows("S 1R 111"), labels("abc"), [Join(3)]],
    "a balance in a split": lambda: [*rows("S B1 111"), labels("abc"), [Join(3)]],
    "a split behind a join": lambda: rows("R 11 J 1 S 11 cd 11 J"),
    "an ordered split": lambda: [[each_below(3)], *rows("S 11 F- 11 O")],
    "an ordered split in a replicate": lambda: rows("R S1 1F1 111 O1 11 J"),
    "an ordered split in an ordered replicate": lambda: rows("R S1 1F1 111 O1 11 O"),
    # several items in hand
    "as they are done": lambda: [[as_done("a")]],
    "as they are done, tight": lambda: [*rows("1"), [as_done("a")], *rows("1")],
    "as they are done, from a roomy pipe into a tight one": lambda: [[as_done("a")], *rows("1 b")],
    "in order, side by side": lambda: [[as_done("a", ordered=True)], *rows("R 11 J")],
    "many out of one, as they are done": lambda: [[twice_as_done()], *rows("1")],
    "dropped, as they are done": lambda: [[odd_as_done()], *rows("1 a")],
    "as they are done, one behind the other": lambda: [[as_done("a")], [as_done("b")]],
    "as they are done, in a lane": lambda: [*rows("R 11"), [as_done("a"), Pipe(1)], *rows("11 J")],
    "as they are done, in both lanes": lambda: [
        *rows("R"),
        [as_done("a"), as_done("b")],
        *rows("J"),
    ],
    "as they are done, behind a join": lambda: [*rows("R 11 J"), [as_done("a")]],
    "as they are done, balanced": lambda: [[as_done("a")], *rows("B 11 J")],
    "as they are done, split": lambda: [[as_done("a")], *rows("S 11 cd J")],
    "as they are done, in a lane of a balance": lambda: [
        *rows("B 11"),
        [as_done("a"), Pipe()],
        *rows("J"),
    ],
    "side by side, failing": lambda: [[as_done("a")], [refuses("b", ("a", 1))]],
    # ordered joins and zips, alone and under joins
    "ordered": lambda: rows("R 11 ab 11 O"),
    "ordered balance": lambda: rows("B 11 ab 11 O"),
    "ordered, with drops, beside another lane": lambda: [
        *rows("R R1"),
        [below(1), times(2), Pipe(1)],
        *rows("111 O1 11 J"),
    ],
    "ordered balance beside another lane": lambda: rows("R B1 111 ab- 111 O1 11 J"),
    "zip": lambda: rows("R 11 ab 11 Z"),
    "zip beside another lane": lambda: [[ReplicatingFork(3)], tight(3), *rows("ab- 111 Z1 11 J")],
    "zip of lanes that drift apart": lambda: [*rows("R 11"), [below(1), times(2)], *rows("11 Z")],
    # runs that end early
    "a zip that starves": lambda: [
        *rows("R 1R"),
        [Pipe(1), times(2), Pipe(1)],
        *rows("111 1Z 11 J"),
    ],
    "a balance into a zip": lambda: rows("B 11 FF 11 Z"),
    "a tight lane that runs ahead of a join in another": lambda: [
        *rows("R 11"),
        [times(3), Pipe(1)],
        *rows("11 Z"),
    ],
    "jobs that fail": lambda: [*rows("R 11"), [refuses("a", 0), refuses("b", 1)], *rows("11 J")],
    "a job that fails behind a join": lambda: [*rows("R 11 J 1"), [refuses("c", 1)], *rows("1")],
    "jobs that fail in a balance": lambda: [
        *rows("B 11"),
        [refuses("a", 1), labelled("b")],
        *rows("11 J"),
    ],
}

# A lane that is full because another join has not read: with fewer items it never is.
THREE_ITEMS = {
    "a fork behind a job, into two joins",
    "a balance behind a job, into two joins",
    "as they are done",
    "as they are done, tight",
    "in order, side by side",
}

# Those that a search over every single step takes long for.
HEAVY = {
    "a join of two joins",
    "balance in a replicate",
    "balances one behind the other",
    "diamonds side by side, zipped",
    "nested joins",
    "a join behind a join",
    "a fork into two joins, lanes with jobs",
    "a balance behind a job, into two joins",
    "two forks that share a join",
    "two balances that share a join",
    "a balance behind a join",
}


def items(name: str) -> range:
    """What goes through a topology."""
    return range(3 if name in THREE_ITEMS else 2)
