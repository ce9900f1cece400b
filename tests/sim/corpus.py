"""Small pipelines, each with a bug that only some schedules show, and each with a twin in which it
is mended.

A bug is in what a user may write; two are in the protocol, which is broken on purpose for as long
as they are looked for. Where every decision is the default nothing is wrong, but for the deadlocks
and the shared global, which are always there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest import mock

from typing_extensions import Generator

import conveyor.core.drive
from conveyor import BalancingFork, Filter, FlatMap, Join, Pipe, Processor, ReplicatingFork, Zip
from conveyor.core.drive import DriveSpec, ResumePoint, resume
from conveyor.sim.faults import Faults
from conveyor.stages import Stage
from tests.jobs import double, same
from tests.sim.parts import built, labels

__all__ = ["CORPUS", "Bug"]

Rows = Sequence[Sequence[Stage]]


@dataclass(frozen=True)
class Bug:
    """`least`: how few decisions that are not the default show it, found by trying them all, fewest
    first."""

    rows: Callable[[], Rows]
    twin: Callable[[], Rows]
    items: Sequence[Any]
    check: Callable[[list[Any]], bool]
    least: int
    faults: Faults | None = None
    broken: Callable[[], AbstractContextManager[object]] = nullcontext

    def pipeline(self) -> Any:
        return built(*self.rows())

    def mended(self) -> Any:
        return built(*self.twin())


# -------------------------------------------------------------------------------- jobs with a state


class Once(Processor[Any, Any]):
    """Lets each item through once."""

    def setup(self) -> None:
        self.seen: set[Any] = set()

    def process(self, item: Any, /) -> Any:
        if item in self.seen:
            return None
        self.seen.add(item)
        return item


class Account(Processor[int, int]):
    """Adds up; `cautious`: refuses what it does not have."""

    def __init__(self, *, cautious: bool) -> None:
        super().__init__()
        self.cautious = cautious
        self.total = 0

    def process(self, item: int, /) -> int | None:
        if not self.cautious or self.total + item >= 0:
            self.total += item
        return None

    def finish(self) -> Iterator[int]:
        yield self.total


class InOrder(Processor[int, int]):
    """Gives 0, 1, 2, ... in order; holds back what comes early, but no more than `window`: then
    what is missing is late."""

    def __init__(self, window: int) -> None:
        super().__init__()
        self.window = window
        self.early: list[int] = []
        self.next = 0

    def process(self, item: int, /) -> Any:
        self.early = sorted([*self.early, item])
        out: list[int] = []
        while self.early and (self.early[0] <= self.next or len(self.early) > self.window):
            out.append(self.early.pop(0))
            self.next = out[-1] + 1
        return tuple(out) or None


class Gathered(Processor[int, Any]):
    """Gives items in pairs; `forgets`: what has no partner at the end."""

    def __init__(self, *, forgets: bool) -> None:
        super().__init__()
        self.forgets = forgets
        self.held: list[int] = []

    def process(self, item: int, /) -> Any:
        self.held.append(item)
        if len(self.held) < 2:
            return None
        pair, self.held = tuple(self.held), []
        return pair

    def finish(self) -> Iterator[Any]:
        if self.held and not self.forgets:
            yield tuple(self.held)


def is_multiple_of_8(item: int) -> bool:
    return item % 8 == 0


def is_other(item: int) -> bool:
    return item % 8 != 0


def is_income(item: int) -> bool:
    return item > 0


def is_expense(item: int) -> bool:
    return item < 0


def twice(item: int) -> Iterator[int]:
    yield item
    yield -item


PRICES = {"now": 0}


def set_price(item: int) -> int:
    PRICES["now"] += item
    return item


def with_price(item: int) -> tuple[int, int]:
    return item, PRICES["now"]


def with_own_price(item: int) -> tuple[int, int]:
    return item, item


# ----------------------------------------------------------------------------- the protocol, broken


def resume_without_tags(run: int, spec: DriveSpec[Any]) -> ResumePoint:
    """As if a record did not say what it came of: what was published and not committed is published
    again."""
    return ResumePoint(
        max((tag.ordinal for outlet in spec.outlets if (tag := outlet.last_tag())), default=0), 0, 0
    )


def resume_without_extra(run: int, spec: DriveSpec[Any]) -> ResumePoint:
    """As if a record did not say how much of its item is out."""
    return resume(run, spec)._replace(skip=0)


@contextmanager
def resumed_by(wrong: Callable[..., ResumePoint]) -> Generator[None]:
    with mock.patch.object(conveyor.core.drive, "resume", wrong):
        yield


# --------------------------------------------------------------------------------------- the corpus


def window(size: int) -> Bug:
    """One lane has a few items, the other the rest; the merged lanes are put in order again."""
    lanes: Rows = [[ReplicatingFork(2)], [Filter(is_multiple_of_8), Filter(is_other)], [Join(2)]]
    return Bug(
        rows=lambda: [*lanes, [InOrder(size)]],
        twin=lambda: [*lanes, [InOrder(10)]],
        items=range(10),
        check=lambda run: [item for out in run for item in out] == list(range(10)),
        least=size + 1,
    )


CORPUS: dict[str, Bug] = {
    "outputs in the order of the join": Bug(
        rows=lambda: [[ReplicatingFork(2)], labels("ab"), [Join(2)]],
        twin=lambda: [[ReplicatingFork(2)], labels("ab"), [Join(2, ordered=True)]],
        items=range(3),
        check=lambda run: run[-1] == ("b", 2),
        least=3,
    ),
    "duplicates looked for in each lane of a balance": Bug(
        rows=lambda: [[BalancingFork(2)], [Once(), Once()], [Join(2)]],
        twin=lambda: [[BalancingFork(2)], [Processor(same), Processor(same)], [Join(2)], [Once()]],
        items=[1, 2, 3, 1],
        check=lambda run: sorted(run) == [1, 2, 3],
        least=1,
    ),
    "a reduce that does not commute": Bug(
        rows=lambda: [
            [ReplicatingFork(2)],
            [Filter(is_income), Filter(is_expense)],
            [Join(2)],
            [Account(cautious=True)],
        ],
        twin=lambda: [
            [ReplicatingFork(2)],
            [Filter(is_income), Filter(is_expense)],
            [Join(2)],
            [Account(cautious=False)],
        ],
        items=[10, -10, 20, -20, 5, -5],
        check=lambda run: run == [0],
        least=1,
    ),
    "a zip behind a lane that drops": Bug(
        rows=lambda: [[ReplicatingFork(2)], [Filter(is_multiple_of_8), Pipe(2)], [Zip(2)]],
        twin=lambda: [[ReplicatingFork(2)], [Filter(is_multiple_of_8), Pipe(9)], [Zip(2)]],
        items=range(1, 9),
        check=lambda run: run == [(8, 1)],
        least=0,
    ),
    "a zip behind a lane that gathers": Bug(
        rows=lambda: [[ReplicatingFork(2)], [Gathered(forgets=False), Pipe(1)], [Zip(2)]],
        twin=lambda: [[ReplicatingFork(2)], [Gathered(forgets=False), Pipe(2)], [Zip(2)]],
        items=range(2),
        check=lambda run: run == [((0, 1), 0)],
        least=0,
    ),
    "a window of 2": window(2),
    "a window of 4": window(4),
    "a window of 6": window(6),
    "a crash between publish and commit": Bug(
        rows=lambda: [[Processor(double)], [Processor(same)]],
        twin=lambda: [[Processor(double)], [Processor(same)]],
        items=range(4),
        check=lambda run: run == [0, 2, 4, 6],
        least=1,
        faults=Faults(["double"]),
        broken=lambda: resumed_by(resume_without_tags),
    ),
    "a crash inside a step of several outputs": Bug(
        rows=lambda: [[FlatMap(twice)], [Pipe(1)], [Processor(same)]],
        twin=lambda: [[FlatMap(twice)], [Pipe(1)], [Processor(same)]],
        items=range(1, 4),
        check=lambda run: run == [1, -1, 2, -2, 3, -3],
        least=1,
        faults=Faults(["twice"]),
        broken=lambda: resumed_by(resume_without_extra),
    ),
    "a lane that changes what another sees": Bug(
        rows=lambda: [
            [ReplicatingFork(2)],
            [Processor(set_price), Processor(with_price)],
            [Join(2)],
        ],
        twin=lambda: [
            [ReplicatingFork(2)],
            [Processor(same), Processor(with_own_price)],
            [Join(2)],
        ],
        items=range(1, 4),
        check=lambda run: len(run) == 6,
        least=0,
    ),
    "a lane that is closed with something in hand": Bug(
        rows=lambda: [
            [BalancingFork(2)],
            [Gathered(forgets=True), Gathered(forgets=True)],
            [Join(2)],
        ],
        twin=lambda: [
            [BalancingFork(2)],
            [Gathered(forgets=False), Gathered(forgets=False)],
            [Join(2)],
        ],
        items=range(4),
        check=lambda run: sorted(item for out in run for item in out) == [0, 1, 2, 3],
        least=1,
    ),
}
