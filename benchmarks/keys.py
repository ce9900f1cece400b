"""Totals by key: how fast two lanes of them are beside a plain loop, and what it costs to keep the
states of the keys, with snapshots and without."""

from __future__ import annotations

from typing import Any

from benchmarks.harness import Comparison, Goal, Section, processor_seconds
from conveyor import Join, PartitioningFork, PerKey, Pipeline, Processor

ITEMS = 1_000_000
MILLION = 1e6
FEW, MANY = 1_000, 100_000
SLICE = 4_096  # items, at most

Event = tuple[int, int]


class Total(Processor[Event, int]):
    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def process(self, item: Event, /) -> int:
        self.total += item[1]
        return self.total


class KeptTotal(Total):
    def snapshot(self) -> int:
        return self.total

    def restore(self, state: int) -> None:
        self.total = state


def key(event: Event) -> int:
    return event[0]


def everywhere() -> list[Event]:
    """Each slice has items of all keys."""
    return [(number * 7919 % FEW, 1) for number in range(ITEMS)]


def here_and_there() -> list[Event]:
    """Each slice has items of one key in a hundred."""
    near = MANY // 100
    return [((number // SLICE * near + number % near) % MANY, 1) for number in range(ITEMS)]


def cost(job: type[Total], events: list[Event]) -> float:
    """Microseconds of processor time an item, of all processes together."""
    before = processor_seconds()
    pl: Any = Pipeline[Event](start_method="fork")
    assert len(pl.add(PerKey(key, job)).run(events)) == len(events)
    return (processor_seconds() - before) / len(events) * MILLION


def in_a_loop(events: list[Event]) -> list[int]:
    """The same totals, of the same objects, in one process and without any library."""
    totals: dict[int, Total] = {}
    given: list[int] = []
    for event in events:
        total = totals.get(key(event))
        if total is None:
            total = totals[key(event)] = Total()
        given.append(total.process(event))
    return given


def in_two_lanes(rounds: int) -> tuple[Comparison, float]:
    """A pipeline of two lanes beside the loop, and how many times as fast it is."""
    events = everywhere()
    checksum = sum(in_a_loop(events))
    comparison = Comparison("million/s", rounds)
    forked = Pipeline[Event](start_method="fork").add(PartitioningFork(2, key=key))
    lanes = forked.add(PerKey(key, Total), PerKey(key, Total)).add(Join(2))

    def checked(totals: list[int]) -> None:
        assert sum(totals) == checksum

    name, loop = "Conveyor, `PartitioningFork(2)`, a `PerKey` in each lane", "one process"
    with lanes:
        comparison.add_rate(name, ITEMS / MILLION, lambda: checked(lanes.run(events)))
        comparison.add_rate(loop, ITEMS / MILLION, lambda: checked(in_a_loop(events)))
        comparison.measure()
    return comparison, comparison.ratio(name, loop)


def measure(rounds: int) -> Section:
    lines = ["| | not kept | kept | ratio | rounds |", "| --- | --- | --- | --- | --- |"]
    lanes, speed = in_two_lanes(rounds)
    goals = [Goal("P12", "totals by key in two lanes, times one process", speed, 0.8)]
    for what, events, bound in (
        (f"{FEW:,} keys", everywhere(), 1.3),
        (f"{MANY:,} keys, one in a hundred touched a slice", here_and_there(), 2.0),
    ):
        comparison = Comparison("µs an item", rounds)
        comparison.add("not kept", lambda events=events: cost(Total, events))  # type: ignore[misc]  # mypy cannot infer the default of a lambda
        comparison.add("kept", lambda events=events: cost(KeptTotal, events))  # type: ignore[misc]  # as above
        comparison.measure()
        ratio = comparison.ratio("kept", "not kept")
        each = zip(comparison.figures["kept"], comparison.figures["not kept"], strict=True)
        ratios = " ".join(f"{own / other:.2f}" for own, other in each)
        lines.append(
            f"| {what} | {comparison.median('not kept'):.2f} | {comparison.median('kept'):.2f} | "
            f"{ratio:.2f} | {ratios} |"
        )
        goals.append(Goal("P12", f"states of {what} kept, processor time", ratio, bound, False))
    text = (
        f"{ITEMS:,} small tuples with {FEW:,} keys to totals, in two lanes and in a plain loop. "
        "Below: microseconds of\nprocessor time an item, of all processes together, where the "
        "states are kept for recovery and where they are not."
    )
    return Section("Keys", text, [lanes.markdown(), "\n".join(lines)], goals)
