"""The pipelines that are hammered, and what must come out of each, worked out by plain loops.

Knows nothing of how anything runs.  Every pipeline takes the numbers from 0 on; how many of them is
known only afterwards.
"""

from __future__ import annotations

from collections import Counter as Multiset
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

from conveyor import (
    BalancingFork,
    Batch,
    Filter,
    FlatMap,
    Join,
    PartitioningFork,
    Pipe,
    Processor,
    ReplicatingFork,
    RoutingFork,
    Throttle,
    Unbatch,
    Zip,
)
from tests.chaos.jobs import (
    LIMIT_S,
    Burst,
    Counter,
    Dressed,
    Equipped,
    Even,
    InLane,
    Label,
    Laden,
    Later,
    Nonce,
    Tools,
    Trouble,
    Weighed,
    Work,
    by_nonce,
    by_seven,
    is_poison,
    is_slow,
    times,
)
from tests.chaos.states import gathered, keyed, of_gathered, of_keyed, of_windowed, windowed

__all__ = ["PIPELINES", "Found", "Hammered"]

Outputs: TypeAlias = list[Any]


@dataclass
class Found:
    """What was wrong with the outputs of a run; `disorder` counts pairs that came the wrong way
    round or did not agree."""

    lost: int = 0
    repeated: int = 0
    disorder: int = 0

    def __add__(self, other: Found) -> Found:
        return Found(
            self.lost + other.lost, self.repeated + other.repeated, self.disorder + other.disorder
        )


def in_order(outputs: Iterable[object], expected: Iterable[object]) -> Found:
    """Compares a lane with what must be in it, in its order."""
    got, due = list(outputs), list(expected)
    if got == due:
        return Found()
    there, wanted = Multiset(got), Multiset(due)
    lost, repeated = (wanted - there).total(), (there - wanted).total()
    return Found(
        lost,
        repeated,
        0 if lost or repeated else sum(a != b for a, b in zip(got, due, strict=True)),
    )


def in_some_order(outputs: Iterable[object], expected: Iterable[object]) -> Found:
    there, wanted = Multiset(outputs), Multiset(expected)
    return Found((wanted - there).total(), (there - wanted).total())


def lanes(outputs: Outputs) -> dict[str, Outputs]:
    found: dict[str, Outputs] = {}
    for name, item in outputs:
        found.setdefault(name, []).append(item)
    return found


@dataclass(frozen=True)
class Hammered:
    """A pipeline whose pipes have a capacity and whose jobs take some microseconds; `slots`: its
    stages on the board; `relays`: how many workers have none.

    `remembers`: what comes of a run depends on the runs before it, as long as the pipeline is open.
    """

    build: Callable[[int, int, Any], Any]
    check: Callable[[Outputs, int], Found]
    slots: tuple[str, ...]
    relays: int = 0
    remembers: bool = False


# -------------------------------------------------------------------------------- stage after stage


def line(capacity: int, us: int, pl: Any) -> Any:
    pl = pl.add(Pipe(capacity)).add(Processor(Work(0, us), name="map")).add(Pipe(capacity))
    pl = (
        pl.add(Filter(Even(1, us), name="filter"))
        .add(Pipe(capacity))
        .add(FlatMap(Burst(2, us), name="flat"))
    )
    return pl.add(Pipe(capacity)).add(Processor(Work(3, us), name="last")).add(Pipe(capacity))


def check_line(outputs: Outputs, n: int) -> Found:
    return in_order(
        outputs, ((item, number) for item in range(0, n, 2) for number in range(times(item)))
    )


def side_by_side(capacity: int, us: int, pl: Any) -> Any:
    pl = pl.add(Pipe(capacity)).add(
        Processor(Work(0, us), name="threads", concurrency=4, ordered=False)
    )
    pl = pl.add(Pipe(capacity)).add(FlatMap(Burst(1, us), name="bursts", concurrency=3))
    return pl.add(Pipe(capacity)).add(Processor(Later(2), name="coroutines", ordered=False))


def check_side_by_side(outputs: Outputs, n: int) -> Found:
    return in_some_order(
        outputs, ((item, number) for item in range(n) for number in range(times(item)))
    )


def troubled(capacity: int, us: int, pl: Any) -> Any:
    options: dict[str, Any] = {"retries": 2, "timeout_s": LIMIT_S, "on_error": "dead_letter"}
    pl = pl.add(Pipe(capacity)).add(Processor(Work(0, us), name="before")).add(Pipe(capacity))
    pl = pl.add(Processor(Trouble(1, us), name="trouble", **options)).add(Pipe(capacity))
    return pl.add(Processor(Work(2, us), name="after")).add(Pipe(capacity))


def check_troubled(outputs: Outputs, n: int) -> Found:
    return in_order(
        outputs, (item for item in range(n) if not is_poison(item) and not is_slow(item))
    )


def troubled_side_by_side(capacity: int, us: int, pl: Any) -> Any:
    options: dict[str, Any] = {"retries": 2, "timeout_s": LIMIT_S, "on_error": "dead_letter"}
    pl = pl.add(Pipe(capacity)).add(Processor(Work(0, us), name="before")).add(Pipe(capacity))
    trouble = Processor(Trouble(1, us), name="trouble", concurrency=4, ordered=False, **options)
    pl = pl.add(trouble).add(Pipe(capacity))
    return pl.add(Processor(Work(2, us), name="after")).add(Pipe(capacity))


def check_troubled_side_by_side(outputs: Outputs, n: int) -> Found:
    return in_some_order(
        outputs, (item for item in range(n) if not is_poison(item) and not is_slow(item))
    )


def snapshots(capacity: int, us: int, pl: Any) -> Any:
    pl = pl.add(Pipe(capacity)).add(Processor(Work(0, us), name="before")).add(Pipe(capacity))
    return (
        pl.add(Counter(1, us, "stateful"))
        .add(Pipe(capacity))
        .add(Processor(Work(2, us), name="after"))
        .add(Pipe(capacity))
    )


def check_snapshots(outputs: Outputs, n: int) -> Found:
    sums: list[object] = []
    total = 0
    for item in range(n):
        total += item
        sums.append((item + 1, total))
    return in_order(outputs, [*sums, (-1, total)])


def dressed(capacity: int, us: int, pl: Any) -> Any:
    pl = (
        pl.add(Pipe(capacity))
        .add(Dressed(0, us, "dressed"))
        .add(Pipe(capacity))
        .add(Processor(Equipped(1, us), name="equipped", setup=Tools))
        .add(Pipe(capacity))
        .add(Processor(Work(2, us), name="after"))
    )
    return pl.add(Pipe(capacity))


def check_dressed(outputs: Outputs, n: int) -> Found:
    return in_order(outputs, range(n))


# --------------------------------------------------------------------------------------- replicated


def replicated(capacity: int, us: int, pl: Any) -> Any:
    pl = (
        pl.add(Pipe(capacity))
        .add(Processor(Nonce(0, us), name="nonce"))
        .add(ReplicatingFork(2))
        .add(Pipe(capacity), Pipe(capacity))
    )
    pl = pl.add(Processor(Label(1, us, "a"), name="a"), Processor(Label(2, us, "b"), name="b"))
    pl = (
        pl.add(Pipe(capacity), Pipe(capacity))
        .add(Join(2))
        .add(Processor(Work(3, 0), name="behind"))
    )
    return pl.add(Pipe(capacity))


def check_replicated(outputs: Outputs, n: int) -> Found:
    """Both lanes have all items, in order, and the very same nonce with each."""
    found = lanes(outputs)
    a, b = found.get("a", []), found.get("b", [])
    each = in_order((item for item, _ in a), range(n)) + in_order((item for item, _ in b), range(n))
    return each + Found(disorder=sum(one != other for one, other in zip(a, b, strict=False)))


def laden(capacity: int, us: int, pl: Any) -> Any:
    """Large buffers, of which each lane has the same memory; never as many as there may be of
    numbers."""
    capacity = min(capacity, 64)
    pl = (
        pl.add(Pipe(capacity))
        .add(Processor(Laden(0, us), name="laden"))
        .add(ReplicatingFork(2))
        .add(Pipe(capacity), Pipe(capacity))
        .add(Processor(Weighed(1, us, "a"), name="a"), Processor(Weighed(2, us, "b"), name="b"))
    )
    return pl.add(Pipe(capacity), Pipe(capacity)).add(Join(2))


def check_laden(outputs: Outputs, n: int) -> Found:
    found, expected = lanes(outputs), [(item, item) for item in range(n)]
    return in_order(found.get("a", []), expected) + in_order(found.get("b", []), expected)


def relayed(capacity: int, us: int, pl: Any) -> Any:
    pl = pl.add(ReplicatingFork(2)).add(Pipe(capacity), Pipe(capacity))
    pl = pl.add(Processor(Label(0, us, "a"), name="a"), Processor(Label(1, us, "b"), name="b"))
    pl = (
        pl.add(Pipe(capacity), Pipe(capacity))
        .add(Join(2, name="join"))
        .add(ReplicatingFork(2, name="again"))
    )
    pl = pl.add(Pipe(capacity), Pipe(capacity))
    pl = pl.add(Processor(Label(2, us, "c"), name="c"), Processor(Label(3, us, "d"), name="d"))
    return pl.add(Pipe(capacity), Pipe(capacity)).add(Join(2)).add(Pipe(capacity))


def check_relayed(outputs: Outputs, n: int) -> Found:
    """Behind the relay both lanes see the same merge of the lanes before it."""
    found = lanes(outputs)
    total = Found(disorder=int(found.get("c", []) != found.get("d", [])))
    for lane in "cd":
        merged = lanes(found.get(lane, []))
        total += in_order(merged.get("a", []), range(n)) + in_order(merged.get("b", []), range(n))
    return total


def zipped(capacity: int, us: int, pl: Any) -> Any:
    pl = pl.add(ReplicatingFork(2)).add(Pipe(capacity), Pipe(capacity))
    pl = pl.add(Processor(Work(0, us), name="left"), Processor(Label(1, us, "r"), name="right"))
    return (
        pl.add(Pipe(capacity), Pipe(capacity))
        .add(Zip(2))
        .add(Processor(Work(2, us), name="pairs"))
        .add(Pipe(capacity))
    )


def check_zipped(outputs: Outputs, n: int) -> Found:
    return in_order(outputs, ((item, ("r", item)) for item in range(n)))


# ----------------------------------------------------------------------------------------- balanced


def balanced(capacity: int, us: int, pl: Any) -> Any:
    pl = (
        pl.add(Pipe(capacity))
        .add(Processor(Work(0, 0), name="front"))
        .add(BalancingFork(2))
        .add(Pipe(capacity), Pipe(capacity))
    )
    pl = pl.add(Processor(Label(1, us, "a"), name="a"), Processor(Label(2, us, "b"), name="b"))
    return pl.add(Pipe(capacity), Pipe(capacity)).add(Join(2)).add(Pipe(capacity))


def check_balanced(outputs: Outputs, n: int) -> Found:
    """Every item by one lane, each lane in order."""
    found = in_some_order((item for _, item in outputs), range(n))
    for lane in lanes(outputs).values():
        found += Found(disorder=sum(one > after for one, after in pairwise(lane)))
    return found


def ordered(capacity: int, us: int, pl: Any) -> Any:
    pl = pl.add(BalancingFork(3)).add(Pipe(capacity), Pipe(capacity), Pipe(capacity))
    pl = pl.add(*(FlatMap(Burst(slot, us), name=name) for slot, name in enumerate("abc")))
    return (
        pl.add(Pipe(capacity), Pipe(capacity), Pipe(capacity))
        .add(Join(3, ordered=True))
        .add(Pipe(capacity))
    )


def check_ordered(outputs: Outputs, n: int) -> Found:
    return in_order(outputs, ((item, number) for item in range(n) for number in range(times(item))))


def partitioned(capacity: int, us: int, pl: Any) -> Any:
    """Which lane an item goes to depends on the call that made it, so no call may be made in the
    place of another."""
    pl = pl.add(Pipe(capacity)).add(FlatMap(Burst(0, 0), name="front"))
    pl = pl.add(PartitioningFork(2, key=by_seven, name="parts")).add(Pipe(capacity), Pipe(capacity))
    pl = pl.add(Processor(Label(1, us, "a"), name="a"), Processor(Label(2, us, "b"), name="b"))
    return pl.add(Pipe(capacity), Pipe(capacity)).add(Join(2)).add(Pipe(capacity))


def check_partitioned(outputs: Outputs, n: int) -> Found:
    """Every key in one lane, and its items in order."""
    due = [(item, number) for item in range(n) for number in range(times(item))]
    found = in_some_order((item for _, item in outputs), due)
    lane_of: dict[int, str] = {}
    for name, item in outputs:
        found += Found(disorder=lane_of.setdefault(by_seven(item), name) != name)
    for lane in lanes(outputs).values():
        found += Found(disorder=sum(one > after for one, after in pairwise(lane)))
    return found


def split(capacity: int, us: int, pl: Any) -> Any:
    """By a nonce, which is another in each attempt; some items have no lane."""
    pl = pl.add(Pipe(capacity)).add(Processor(Nonce(0, us), name="nonce"))
    pl = pl.add(RoutingFork(3, lane=by_nonce, on_error="skip", name="route"))
    pl = pl.add(*[Pipe(capacity)] * 3)
    pl = pl.add(*(Processor(Work(slot, us), name=name) for slot, name in enumerate("abc", 1)))
    return pl.add(*[Pipe(capacity)] * 3).add(Join(3, ordered=True)).add(Pipe(capacity))


def check_split(outputs: Outputs, n: int) -> Found:
    return in_order((item for item, _ in outputs), (item for item in range(n) if item % 11 != 3))


def adapting(capacity: int, us: int, pl: Any) -> Any:
    pl = (
        pl.add(BalancingFork(max_lanes=2))
        .add(Pipe(capacity))
        .add(Processor(InLane(0, us), name="pool"))
        .add(Pipe(capacity))
    )
    return pl.add(Join(ordered=True)).add(Pipe(capacity))


def check_adapting(outputs: Outputs, n: int) -> Found:
    return in_order(outputs, range(n))


# ------------------------------------------------------------------------------ woken by the time


def timed(capacity: int, us: int, pl: Any) -> Any:
    pl = pl.add(Pipe(capacity)).add(Processor(Work(0, us), name="before")).add(Pipe(capacity))
    pl = pl.add(Batch(5, within_s=0.001)).add(Pipe(capacity))
    pl = pl.add(Throttle(100, per_s=0.01)).add(Pipe(capacity)).add(Unbatch())
    return pl.add(Pipe(capacity)).add(Processor(Work(1, us), name="after")).add(Pipe(capacity))


def check_timed(outputs: Outputs, n: int) -> Found:
    return in_order(outputs, range(n))


def in_batches(outputs: Outputs, n: int) -> Found:
    return in_order(map(tuple, outputs), map(tuple, of_gathered(n)))


def each_in_order(expected: Callable[[int], Outputs]) -> Callable[[Outputs, int], Found]:
    return lambda outputs, n: in_order(outputs, expected(n))


PIPELINES: dict[str, Hammered] = {
    "line": Hammered(line, check_line, ("map", "filter", "flat", "last")),
    "side by side": Hammered(side_by_side, check_side_by_side, ("threads", "bursts", "coroutines")),
    "troubled side by side": Hammered(
        troubled_side_by_side, check_troubled_side_by_side, ("before", "trouble", "after")
    ),
    "troubled": Hammered(troubled, check_troubled, ("before", "trouble", "after")),
    "snapshots": Hammered(
        snapshots, check_snapshots, ("before", "stateful", "after"), remembers=True
    ),
    "gathered": Hammered(gathered, in_batches, ("scan", "tap"), relays=3),
    "keyed": Hammered(keyed, each_in_order(of_keyed), ("before", "keyed")),
    "windowed": Hammered(windowed, each_in_order(of_windowed), ("before", "windowed"), relays=1),
    "dressed": Hammered(dressed, check_dressed, ("dressed", "equipped", "after")),
    "timed": Hammered(timed, check_timed, ("before", "after"), relays=3),
    "replicated": Hammered(replicated, check_replicated, ("nonce", "a", "b", "behind")),
    "laden": Hammered(laden, check_laden, ("laden", "a", "b")),
    "relayed": Hammered(relayed, check_relayed, ("a", "b", "c", "d"), relays=1),
    "partitioned": Hammered(partitioned, check_partitioned, ("front", "a", "b")),
    "split": Hammered(split, check_split, ("nonce", "a", "b", "c")),
    "zipped": Hammered(zipped, check_zipped, ("left", "right", "pairs")),
    "balanced": Hammered(balanced, check_balanced, ("front", "a", "b")),
    "ordered": Hammered(ordered, check_ordered, ("a", "b", "c")),
    "adapting": Hammered(adapting, check_adapting, ("pool/0", "pool/1")),
}
