"""What it costs to keep the order: the same lanes, joined by `Join()` and by
`Join(ordered=True)`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple, TypeAlias

from benchmarks.harness import Comparison, Goal, Section, processor_clock, processor_seconds
from conveyor import BalancingFork, FlatMap, Join, Pipeline, Processor, ReplicatingFork

ITEMS = 500_000
ITEMS_OF_A_GENERATOR = 200_000
MILLION = 1e6

Piped: TypeAlias = Pipeline[Any, Any]


def pair(number: int) -> tuple[int, str]:
    return number, "abc"


def some_dropped(number: int) -> tuple[int, str] | None:
    return (number, "abc") if number % 5 else None


def many_dropped(number: int) -> tuple[int, str] | None:
    return None if number % 5 else (number, "abc")


def twice(number: int) -> Iterator[tuple[int, str]]:
    yield number, "abc"
    yield number, "def"


def up_to_three(number: int) -> Iterator[tuple[int, str]]:
    for _ in range(number % 4):
        yield number, "abc"


def add_one(number: int) -> int:
    return number + 1


class Case(NamedTuple):
    """`lanes` puts a fork, its lanes and their join, which keeps the order if asked, into a
    pipeline."""

    name: str
    lanes: Callable[[bool], Piped]
    items: int = ITEMS


def balanced(width: int, kind: type[Any], job: Any) -> Callable[[bool], Piped]:
    lanes = [kind(job) for _ in range(width)]

    def piped(ordered: bool) -> Piped:
        pl: Any = Pipeline[int]()
        closed: Piped = pl.add(BalancingFork(width)).add(*lanes).add(Join(width, ordered=ordered))
        return closed

    return piped


def replicated(width: int, kind: type[Any], job: Any) -> Callable[[bool], Piped]:
    lanes = [kind(job) for _ in range(width)]

    def piped(ordered: bool) -> Piped:
        pl: Any = Pipeline[int]()
        closed: Piped = pl.add(ReplicatingFork(width)).add(*lanes).add(Join(width, ordered=ordered))
        return closed

    return piped


def adapting(ordered: bool) -> Piped:
    lanes = Pipeline[int]().add(BalancingFork()).add(Processor(some_dropped))
    return lanes.add(Join(ordered=ordered))


def nested(inner: type[Any]) -> Callable[[bool], Piped]:
    """Two lanes, each with two of its own."""

    def lanes(ordered: bool) -> Piped:
        outer: Any = Pipeline[int]().add(BalancingFork(2)).add(inner(2), inner(2))
        outer = outer.add(*[Processor(some_dropped) for _ in range(4)])
        joined = outer.add(Join(2, ordered=ordered), Join(2, ordered=ordered))
        whole: Piped = joined.add(Join(2, ordered=ordered))
        return whole

    return lanes


def row_of_three(ordered: bool) -> Piped:
    """Three jobs in each lane, which may share a worker."""
    lanes: Any = Pipeline[int]().add(BalancingFork(2))
    for job in (add_one, some_dropped, tuple):
        lanes = lanes.add(Processor(job), Processor(job))
    joined: Piped = lanes.add(Join(2, ordered=ordered))
    return joined


def items_for(kind: type[Any]) -> int:
    return ITEMS_OF_A_GENERATOR if kind is FlatMap else ITEMS


CASES = [
    *[
        Case(f"{width} lanes, {what}", balanced(width, kind, job), items_for(kind))
        for width in (2, 4)
        for what, kind, job in (
            ("nothing dropped", Processor, pair),
            ("a fifth dropped", Processor, some_dropped),
            ("four fifths dropped", Processor, many_dropped),
            ("two outputs an item", FlatMap, twice),
            ("none to three outputs an item", FlatMap, up_to_three),
        )
    ],
    Case("as many lanes as pay, a fifth dropped", adapting),
    Case("copies to 2 lanes, nothing dropped", replicated(2, Processor, pair)),
    Case("copies to 2 lanes, a fifth dropped", replicated(2, Processor, some_dropped)),
    Case(
        "copies to 2 lanes, two outputs an item",
        replicated(2, FlatMap, twice),
        ITEMS_OF_A_GENERATOR,
    ),
    Case("2 lanes of 2 lanes, a fifth dropped", nested(BalancingFork)),
    Case("2 lanes with copies to 2 lanes, a fifth dropped", nested(ReplicatingFork)),
    Case("2 lanes of three jobs, a fifth dropped", row_of_three),
]


def cost(pipeline: Piped, numbers: list[int], expected: int) -> float:
    """Microseconds of processor time an item, of all processes together."""
    before = processor_seconds()
    assert len(pipeline.run(numbers)) == expected
    return (processor_seconds() - before) / len(numbers) * MILLION


def measured(case: Case, rounds: int) -> Comparison:
    numbers = list(range(case.items))
    comparison = Comparison("µs an item", rounds)
    with ExitStack() as opened:
        free, ordered = [opened.enter_context(case.lanes(kept)) for kept in (False, True)]
        expected = len(free.run(numbers))
        comparison.add("free", lambda: cost(free, numbers, expected))
        comparison.add("ordered", lambda: cost(ordered, numbers, expected))
        return comparison.measure()


def measure(rounds: int) -> Section:
    lines = ["| | `Join()` | `Join(ordered=True)` | ratio | rounds |"]
    lines.append("| --- | --- | --- | --- | --- |")
    reached: dict[str, float] = {}
    for case in CASES:
        found = measured(case, rounds)
        free, ordered = found.median("free"), found.median("ordered")
        ratio = reached[case.name] = found.ratio("ordered", "free")
        each = zip(found.figures["ordered"], found.figures["free"], strict=True)
        ratios = " ".join(f"{own / other:.2f}" for own, other in each)
        lines.append(f"| {case.name} | {free:.2f} | {ordered:.2f} | {ratio:.2f} | {ratios} |")
    worst = max(reached.values())
    what = f"ordered: processor time, times that of `Join()`, the worst of {len(CASES)}"
    text = (
        f"{ITEMS:,} integers, {ITEMS_OF_A_GENERATOR:,} for flat-maps; microseconds of processor "
        "time an item, of all processes together, "
        "joined as it comes and in\n"
        "the order in which the fork took it. A job makes a small tuple of an integer; a lane is "
        f"a worker. {processor_clock()}"
    )
    return Section(
        "Ordered joins", text, ["\n".join(lines)], [Goal("P14", what, worst, 1.5, False)]
    )
