"""A reference model: a description of a topology that can be built as a pipeline, and computed with
plain loops.

A `Chain` is what one lane passes through: stages, pipes, and `Diamond`s, each a fork with its lanes
and its join. `build` adds it to a pipeline row by row; `results` says what must come out;
`assert_as_promised` holds what did come out against that: nothing lost, nothing repeated, and every
order that the specification promises.

An item is a pair (trail, value). The value is what the jobs work on; the trail notes where the item
came by, so that two results can be told apart and their order judged. Workers import this file: it
knows no test tool.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from enum import Enum
from functools import partial
from itertools import combinations, zip_longest
from typing import Any

from conveyor import (
    BalancingFork,
    Batch,
    Filter,
    FlatMap,
    Join,
    PerKey,
    Pipe,
    Processor,
    ReplicatingFork,
    RoutingFork,
    Scan,
    Tap,
    Throttle,
    Unbatch,
    Zip,
)

Step = tuple[
    int, str, int
]  # where (numbered along every way through the pipeline), what kind of mark, which one
Trail = tuple[Step, ...]
Item = tuple[Trail, Any]


# --------------------------------------------------------------------------- what jobs do to values


def wrapped(value: Any) -> Any:
    return [value]


def paired(value: Any) -> Any:
    return value, len(repr(value))


def named(value: Any) -> Any:
    return {"value": value}


def spelled(value: Any) -> Any:
    return repr(value)


def changed_in_place(value: Any) -> Any:
    result: Any = value  # the very same, and still anything when its type has been looked at
    if isinstance(value, list):
        result.append("seen")
    elif isinstance(value, dict):
        result["seen"] = len(result)
    return result


def die(value: Any, sides: int) -> int:
    """Throws a die that always falls the same way for the same value."""
    return zlib.crc32(repr(value).encode()) % sides


HURRIED = "hurried"  # marks an item that came by where each leaves as it is done

CHANGES: tuple[Callable[[Any], Any], ...] = (wrapped, paired, named, spelled, changed_in_place)


# ---------------------------------------------------------------------------------- the description


@dataclass(frozen=True)
class Map:
    """A processor: one in, one out."""

    change: Callable[[Any], Any]


class Hands(Enum):
    """What has several items in hand."""

    THREADS = "threads"
    COROUTINES = "coroutines"
    CLASS = "class"
    KEPT_CLASS = "class with snapshot and restore"


@dataclass(frozen=True)
class Waiting:
    """A processor with so many items in hand, in threads or in an event loop, each of which waits
    as long as its value says; what it is of."""

    site: int
    change: Callable[[Any], Any]
    in_hand: int
    hands: Hands
    ordered: bool


@dataclass(frozen=True)
class Drop:
    """A processor that returns None for some items."""


@dataclass(frozen=True)
class Keep:
    """A filter."""


@dataclass(frozen=True)
class Copies:
    """A flat-map that gives none to two outputs, two of them the same list, longer the second
    time."""

    site: int


@dataclass(frozen=True)
class Look:
    """A tap, which would change what passes if it could."""


@dataclass(frozen=True)
class Gathered:
    """Batches of so many, undone: nothing changes, but what came last waits for the end, or until
    its time is up."""

    n: int
    within_s: float | None = None


@dataclass(frozen=True)
class HeldUp:
    """A throttle: nothing changes but the time."""

    n: int


@dataclass(frozen=True)
class Numbered:
    """A scan that numbers what comes: from here on that is its place."""


@dataclass(frozen=True)
class Census:
    """A processor for each of three keys, which numbers the items of its key, and says at the end
    how many there were; so many keys at most are counted at a time."""

    site: int
    max_keys: int | None


@dataclass(frozen=True)
class Buffer:
    """A pipe."""

    capacity: int


class Forks(Enum):
    REPLICATE = "replicate"
    BALANCE = "balance"
    ADAPT = "adapt"
    SELECT = "select"


class Joins(Enum):
    FIRST_COME = "first come"
    ORDERED = "ordered"
    ZIP = "zip"


@dataclass(frozen=True)
class Diamond:
    """A fork, its lanes and its join.  A fork that adapts has one lane, which stands for all; one
    that selects leaves out some items, for which it has no lane.

    Marked lanes begin with a job that notes in each item's trail by which lane it went.
    """

    site: int
    fork: Forks
    lanes: tuple[Chain, ...]
    join: Joins
    is_marked: bool


Part = (
    Map
    | Waiting
    | Drop
    | Keep
    | Copies
    | Look
    | Gathered
    | HeldUp
    | Numbered
    | Census
    | Buffer
    | Diamond
)
Chain = tuple[Part, ...]


def sources(values: Iterable[Any]) -> list[Item]:
    return [(((0, "item", number),), value) for number, value in enumerate(values)]


# ------------------------------------------------------------------------- jobs, one item at a time


def map_job(change: Callable[[Any], Any]) -> Callable[[Item], Item]:
    def job(item: Item) -> Item:
        trail, value = item
        return trail, change(value)

    return job


def waiting_job(part: Waiting) -> Callable[[Item], Item]:
    mark = mark_job(part.site, HURRIED, 0)
    change = map_job(part.change)

    def job(item: Item) -> Item:
        time.sleep(die(item[1], 4) / 1000)
        return change(item if part.ordered else mark(item))

    return job


def coroutine_job(part: Waiting) -> Callable[[Item], Coroutine[Any, Any, Item]]:
    mark = mark_job(part.site, HURRIED, 0)
    change = map_job(part.change)

    async def job(item: Item) -> Item:
        await asyncio.sleep(die(item[1], 4) / 1000)
        return change(item if part.ordered else mark(item))

    return job


class WaitingClass(Processor[Item, Item]):
    """The same, as one object, which counts its calls."""

    def __init__(self, part: Waiting, **options: Any) -> None:
        super().__init__(**options)
        self.part = part
        self.count = 0

    async def process(self, item: Item) -> Item:
        self.count += 1
        return await coroutine_job(self.part)(item)


class KeptWaitingClass(WaitingClass):
    def snapshot(self) -> int:
        return self.count

    def restore(self, state: int) -> None:
        self.count = state


def drop_job(item: Item) -> Item | None:
    return None if die(item[1], 3) == 0 else item


def keep_job(item: Item) -> bool:
    return die(item[1], 4) != 0


def copies_job(site: int) -> Callable[[Item], Iterator[Item]]:
    def job(item: Item) -> Iterator[Item]:
        trail, value = item
        grows: list[Any] = [value]
        for number in range(die(value, 3)):
            yield (*trail, (site, "copy", number)), grows
            grows.append(number)

    return job


def change_all(item: Item) -> None:
    changed_in_place(item[1])


def numbered(state: Item, item: Item) -> Item:
    number = state[1][0] + 1
    return ((0, "item", number),), [number, item[1]]


def key_of(item: Item) -> int:
    return die(item[1], 3)


class Counter(Processor[Item, Item]):
    """Counts the items of one key."""

    def __init__(self, site: int) -> None:
        super().__init__()
        self.site = site
        self.key = self.count = 0

    def process(self, item: Item, /) -> Item:
        self.key = key_of(item)
        self.count += 1
        return item[0], (self.count, item[1])

    def finish(self) -> Iterator[Item]:
        yield ((self.site, "end", self.key),), self.count

    def snapshot(self) -> tuple[int, int]:
        return self.key, self.count

    def restore(self, state: tuple[int, int]) -> None:
        self.key, self.count = state


def mark_job(site: int, kind: str, lane: int) -> Callable[[Item], Item]:
    def job(item: Item) -> Item:
        trail, value = item
        return (*trail, (site, kind, lane)), value

    return job


def lane_job(width: int) -> Callable[[Item], int]:
    """The lane of an item; there is none for some."""

    def job(item: Item) -> int:
        return die(item[1], width) if die(item[1], 7) else -1

    return job


def unzip_job(items: tuple[Item, ...]) -> Item:
    """Makes one item of those that a zip gave: the trail of the first, the values of all."""
    return items[0][0], tuple(value for _, value in items)


def marks(diamond: Diamond) -> str:
    is_chosen = diamond.fork in (Forks.BALANCE, Forks.ADAPT)
    return "balanced" if is_chosen else diamond.join.value


# ------------------------------------------------------------------------------ built as a pipeline


def build(chain: Chain, pl: Any) -> Any:
    """Adds the chain to a pipeline, row by row."""
    for row in rows(chain):
        pl.add(*row)
    return pl


def rows(chain: Sequence[Part]) -> list[list[Any]]:
    return [row for part in chain for row in rows_of(part)]


def rows_of(part: Part) -> list[list[Any]]:
    match part:
        case Map(change):
            return [[Processor(map_job(change), name=change.__name__)]]
        case Waiting(hands=Hands.CLASS | Hands.KEPT_CLASS as hands, in_hand=n, ordered=ordered):
            cls = WaitingClass if hands is Hands.CLASS else KeptWaitingClass
            return [[cls(part, concurrency=n, ordered=ordered)]]
        case Waiting(in_hand=n, ordered=ordered):
            is_async = part.hands is Hands.COROUTINES
            job: Any = coroutine_job(part) if is_async else waiting_job(part)
            return [[Processor(job, concurrency=n, ordered=ordered)]]
        case Drop():
            return [[Processor(drop_job)]]
        case Keep():
            return [[Filter(keep_job)]]
        case Copies(site):
            return [[FlatMap(copies_job(site), name="copies")]]
        case Look():
            return [[Tap(change_all)]]
        case Gathered(n, within_s):
            return [[Batch(n, within_s=within_s)], [Unbatch()]]
        case HeldUp(n):
            return [[Throttle(n, per_s=0.001)]]
        case Numbered():
            return [[Scan[Item, Item](numbered, ((), [0, None]))]]
        case Census(site, max_keys):
            census = PerKey(key_of, partial(Counter, site), max_keys=max_keys)
            return [[census], *rows_of(Numbered())]
        case Buffer(capacity):
            return [[Pipe(capacity)]]
        case Diamond(fork=Forks.ADAPT, lanes=(lane,)):
            return [
                [BalancingFork(max_lanes=2)],
                *rows(lane),
                [Join(ordered=part.join is Joins.ORDERED)],
            ]
        case Diamond(lanes=lanes):
            by_lane = [[*mark_row(part, number), *rows(lane)] for number, lane in enumerate(lanes)]
            return [[fork_of(part)], *side_by_side(by_lane), *join_rows(part)]


def fork_of(diamond: Diamond) -> Any:
    width = len(diamond.lanes)
    match diamond.fork:
        case Forks.REPLICATE:
            return ReplicatingFork(width)
        case Forks.BALANCE | Forks.ADAPT:
            return BalancingFork(width)
        case Forks.SELECT:
            return RoutingFork(width, lane=lane_job(width), on_error="skip")


def side_by_side(by_lane: Sequence[list[list[Any]]]) -> list[list[Any]]:
    """The rows of several lanes as rows of all; lanes that are shorter are filled up: a row takes
    every open lane."""
    levels = zip_longest(*by_lane)
    return [
        [stage for row in level for stage in ([Pipe()] if row is None else row)] for level in levels
    ]


def mark_row(diamond: Diamond, lane: int) -> list[list[Any]]:
    return (
        [[Processor(mark_job(diamond.site, marks(diamond), lane), name="mark")]]
        if diamond.is_marked
        else []
    )


def join_rows(diamond: Diamond) -> list[list[Any]]:
    width = len(diamond.lanes)
    if diamond.join is Joins.ZIP:
        return [[Zip(width)], [Processor(unzip_job)]]
    return [[Join(width, ordered=diamond.join is Joins.ORDERED)]]


# ------------------------------------------------------------------------ computed with plain loops


def results(chain: Sequence[Part], items: Sequence[Item]) -> list[Item]:
    """What comes out, in order if the chain `is_exact`; where a balancing fork chooses, by lane
    0."""
    for part in chain:
        items = results_of(part, items)
    return list(items)


def results_of(part: Part, items: Sequence[Item]) -> list[Item]:
    match part:
        case Map(change):
            return [map_job(change)(deepcopy(item)) for item in items]
        case Waiting(ordered=True, change=change):
            return [map_job(change)(deepcopy(item)) for item in items]
        case Waiting(site, change):
            mark = mark_job(site, HURRIED, 0)
            return [map_job(change)(deepcopy(mark(item))) for item in items]
        case Drop():
            return [item for item in items if drop_job(item) is not None]
        case Keep():
            return [item for item in items if keep_job(item)]
        case Copies(site):
            return [deepcopy(out) for item in items for out in copies_job(site)(deepcopy(item))]
        case Look() | Gathered() | HeldUp():
            return list(items)
        case Numbered():
            return [
                (((0, "item", number),), [number, value])
                for number, (_, value) in enumerate(items, 1)
            ]
        case Census():
            return results_of(Numbered(), counted(part, items))
        case Buffer():
            return list(items)
        case Diamond(join=Joins.ZIP):
            by_lane = [results_of_lane(part, number, items) for number in range(len(part.lanes))]
            return [unzip_job(together) for together in zip(*by_lane, strict=False)]
        case Diamond(fork=Forks.SELECT, join=Joins.ORDERED, lanes=lanes):
            lane_of = lane_job(len(lanes))
            return [
                out
                for item in items
                if lane_of(item) >= 0
                for out in results_of_lane(part, lane_of(item), [item])
            ]
        case Diamond(fork=Forks.SELECT, lanes=lanes):
            lane_of = lane_job(len(lanes))
            return [
                out
                for lane in range(len(lanes))
                for out in results_of_lane(
                    part, lane, [item for item in items if lane_of(item) == lane]
                )
            ]
        case Diamond(fork=Forks.REPLICATE, join=Joins.ORDERED, lanes=lanes):
            return [
                out
                for item in items
                for lane in range(len(lanes))
                for out in results_of_lane(part, lane, [item])
            ]
        case Diamond(fork=Forks.REPLICATE, lanes=lanes):
            return [out for lane in range(len(lanes)) for out in results_of_lane(part, lane, items)]
        case Diamond():  # the lanes are alike
            return results_of_lane(part, 0, items)


def counted(census: Census, items: Sequence[Item]) -> list[Item]:
    live: dict[int, Counter] = {}  # by first item
    used: list[int] = []  # by last item
    out: list[Item] = []
    for item in items:
        key = key_of(item)
        if key not in live and len(live) == census.max_keys:
            out += live.pop(used.pop(0)).finish()
        counter = live.setdefault(key, Counter(census.site))
        used = [*(each for each in used if each != key), key]
        out.append(counter.process(item))
    return out + [last for counter in live.values() for last in counter.finish()]


def results_of_lane(diamond: Diamond, lane: int, items: Sequence[Item]) -> list[Item]:
    mark = mark_job(diamond.site, marks(diamond), lane)
    return results(
        diamond.lanes[lane], [mark(item) for item in items] if diamond.is_marked else items
    )


# --------------------------------------------------------------------------------- what is promised


def is_exact(chain: Sequence[Part]) -> bool:
    """Does the specification promise one order?  It does if nothing is joined first come, first
    served, or leaves as it is done."""
    if any(isinstance(part, Waiting) and not part.ordered for part in chain):
        return False
    inner = [part for part in chain if isinstance(part, Diamond)]
    return all(d.join is not Joins.FIRST_COME and all(map(is_exact, d.lanes)) for d in inner)


def is_marked(chain: Sequence[Part]) -> bool:
    """Can the order of two results be told from their trails?"""
    inner = [part for part in chain if isinstance(part, Diamond)]
    return all((d.is_marked or _needs_no_mark(d)) and all(map(is_marked, d.lanes)) for d in inner)


def _needs_no_mark(diamond: Diamond) -> bool:
    """One item gives results by one lane only, and items keep their order whatever lane they
    took."""
    return diamond.join is Joins.ZIP or (
        diamond.join is Joins.ORDERED and diamond.fork is not Forks.REPLICATE
    )


def must_come_before(one: Trail, other: Trail) -> bool:
    """Do the trails of two results promise that the first comes before the second?"""
    passed = {site: (kind, number) for site, kind, number in one}
    order = 0
    for site, kind, number in other:
        if site in passed and kind == HURRIED:
            return False
        if site not in passed or passed[site][1] == number:
            continue
        if kind in (Joins.FIRST_COME.value, "balanced"):
            return False  # by different lanes, joined first come, first served
        order = order or (1 if passed[site][1] < number else -1)
    return order == 1


def without_choices(trail: Trail) -> Trail:
    """The trail, but for which lane a balancing fork chose."""
    return tuple((site, kind, 0 if kind == "balanced" else number) for site, kind, number in trail)


def assert_as_promised(chain: Chain, values: Sequence[Any], outputs: Sequence[Any]) -> None:
    expected = [
        (without_choices(trail), value)
        for trail, value in results(chain, sources(deepcopy(values)))
    ]
    actual = [(without_choices(trail), value) for trail, value in outputs]
    if is_exact(chain):
        assert actual == expected
        return
    assert sorted(map(repr, actual)) == sorted(map(repr, expected))
    if is_marked(chain):
        for earlier, later in combinations(outputs, 2):
            assert not must_come_before(later[0], earlier[0]), f"{later} must come before {earlier}"
