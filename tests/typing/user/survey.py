"""A user's own module, checked against the package as it is installed: no error, and nothing revealed that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import reveal_type

from conveyor import (
    BalancingFork,
    Filter,
    FlatMap,
    Join,
    Pipe,
    Pipeline,
    Processor,
    ReplicatingFork,
    Report,
    RunResult,
    Zip,
)
from conveyor.errors import TopologyError


class Count(Processor[str, tuple[str, int]]):
    """A word, and how often it has come."""

    def setup(self) -> None:
        self.counts: dict[str, int] = {}

    def process(self, item: str, /) -> tuple[str, int]:
        self.counts[item] = self.counts.get(item, 0) + 1
        return item, self.counts[item]

    def finish(self) -> Iterable[tuple[str, int]]:
        return self.counts.items()


def words(line: str) -> list[str]:
    return line.split()


def length(word: str) -> int | None:
    return len(word) or None


def survey() -> Pipeline[str, tuple[tuple[str, int], int]]:
    pipeline = Pipeline[str]().add(FlatMap(words)).add(Filter(str.isalpha))
    reveal_type(pipeline)
    forked = pipeline.add(ReplicatingFork(2)).add(Count(), Processor(length))
    reveal_type(forked)
    reveal_type(forked.add(Pipe(), BalancingFork(2)).add(Join(2), Pipe()))
    reveal_type(forked.add(Pipe(), Processor(lambda number: number / 2)))
    zipped = forked.add(Zip(2))
    reveal_type(zipped)
    return zipped


def main(lines: list[str]) -> Report:
    pipeline = survey()
    result = pipeline.run(lines)
    reveal_type(result)
    reveal_type(result[0])
    reveal_type(Pipeline().add(FlatMap(words)))
    reveal_type(Pipeline[str]().add(BalancingFork()).add(Processor(length)))
    reveal_type(Pipeline[int]().add(Processor(lambda number: number + 1)).run([1]))
    with pipeline as opened:
        reveal_type(opened)
        with opened.stream(lines) as stream:
            reveal_type(stream)
            for (word, count), size in stream:
                reveal_type(word)
                print(word, count, size)
    try:
        again: RunResult[tuple[tuple[str, int], int]] = pipeline.run(lines)
    except TopologyError as error:
        raise SystemExit(str(error)) from None
    simulation = pipeline.simulate(lines, seed=3)
    reveal_type(simulation)
    reveal_type(simulation[0])
    reveal_type(pipeline.replay(lines, simulation.schedule))
    exploration = pipeline.explore(lines, lambda found: len(found) == len(again), strategy="random", schedules=10)
    reveal_type(exploration)
    reveal_type(exploration.outputs)
    reveal_type(pipeline.count(lines))
    reveal_type(again.report)
    reveal_type(again.dead_letters)
    reveal_type(pipeline.topology)
    return again.report
