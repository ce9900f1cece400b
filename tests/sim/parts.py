"""What the tests of the simulator build their pipelines of.

Workers import this file by name, so it stays light: the standard library and conveyor, and no test
tool.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from conveyor import Filter, FlatMap, Join, Pipe, Pipeline, Processor, ReplicatingFork
from conveyor.stages import Stage

Rows: TypeAlias = Sequence[Sequence[Stage]]
Outcome: TypeAlias = tuple[Any, ...]


def built(*rows: Sequence[Stage], **options: Any) -> Any:
    """A pipeline of these rows: untyped, as tests build it in loops."""
    make: Any = Pipeline
    pl = make(**options)
    for row in rows:
        pl.add(*row)
    return pl


def labelled(label: str) -> Processor[Any, Any]:
    """Marks each item with the lane that it came by."""

    def job(item: Any) -> Any:
        return (label, item)

    return Processor(job, name=label)


def labels(names: str) -> list[Processor[Any, Any]]:
    return [labelled(name) for name in names]


def below(bound: int) -> Filter[int]:
    """Lets the items below a bound through."""

    def keep(item: int) -> bool:
        return item < bound

    return Filter(keep, name=f"below-{bound}")


def times(n: int) -> FlatMap[Any, Any]:
    """Gives each item so many times."""

    def copies(item: Any) -> Iterator[Any]:
        for _ in range(n):
            yield item

    return FlatMap(copies, name=f"times-{n}")


def add_one(number: int) -> int:
    return number + 1


def diamond() -> Pipeline[int, int]:
    """Gives each number, and the number behind it."""
    return Pipeline[int]().add(ReplicatingFork(2)).add(Processor(add_one), Pipe()).add(Join(2))
