"""Tells everything of some simulated runs: the same text for the same seeds, on every
interpreter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from conveyor import (
    BalancingFork,
    Filter,
    FlatMap,
    Join,
    Pipe,
    Pipeline,
    Processor,
    ReplicatingFork,
    Zip,
)
from conveyor.sim.faults import Faults


def word(item: Any) -> dict[str, Any]:
    return {"word": f"w{item}", "size": item}


def parts(item: Any) -> Iterator[Any]:
    yield "first", item
    yield "second", item


def is_kept(item: Any) -> bool:
    return bool(item % 3)


class Total(Processor[Any, Any]):
    """Has a state, and something to say at the end."""

    def setup(self) -> None:
        self.total = 0

    def process(self, item: Any, /) -> Any:
        self.total += item
        return self.total

    def finish(self) -> Iterator[Any]:
        yield "total", self.total


def increment(number: int) -> int:
    return number + 1


def quickstart() -> Any:
    return Pipeline[Any]().add(ReplicatingFork(2)).add(Processor(increment), Pipe()).add(Join(2))


def tight() -> Any:
    pl = (
        Pipeline[Any]()
        .add(ReplicatingFork(3))
        .add(Pipe(1), Filter(is_kept), FlatMap(parts))
        .add(Pipe(1), Pipe(1), Pipe(2))
    )
    return pl.add(Join(2), Pipe(1)).add(Processor(lambda x: (x, x)), Pipe(1)).add(Join(2))


def pools() -> Any:
    make: Any = Pipeline
    pl = make().add(BalancingFork(max_lanes=2)).add(Total()).add(Join())
    return (
        pl.add(ReplicatingFork(2))
        .add(Processor(word), BalancingFork(2))
        .add(Pipe(1), Pipe(1), Pipe(1))
        .add(Join(3))
    )


def zipped() -> Any:
    pl = (
        Pipeline[Any]()
        .add(ReplicatingFork(2))
        .add(ReplicatingFork(2), Processor(word))
        .add(Pipe(1), Pipe(1), Pipe())
    )
    return pl.add(Join(2), Pipe()).add(Zip(2))


def is_as_wanted(simulation: list[Any]) -> bool:
    return (simulation[0], simulation[-1]) != (2, 11)


def main() -> None:
    for make in (quickstart, tight, pools, zipped):
        for seed in (0, 7):
            simulation = make().simulate([2, 9, 11], seed=seed)
            print(
                f"== {make.__name__}, seed {seed}",
                simulation,
                simulation.schedule,
                simulation.report,
                sep="\n",
            )
            print(simulation.trace)
    dying = tight().simulate([2, 9, 11], seed=5, faults=Faults())
    print("== with a death", dying, dying.schedule, dying.trace, sep="\n")
    for strategy in ("portfolio", "random", "urw", "pct", "deviations", "exhaustive"):
        found = quickstart().explore([2, 9, 11], is_as_wanted, strategy=strategy, seed=3)
        print(f"== {strategy}", found, sep="\n")


if __name__ == "__main__":
    main()
