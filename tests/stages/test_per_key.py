"""A processor for each key: compared with a dict of plain objects, in order and under deaths."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor import PerKey, Pipe, Pipeline, Processor
from conveyor.errors import TopologyError, WorkerCrashed
from tests.core.world import World, compiled
from tests.helpers import pipeline

Event = tuple[int, int]

REFUSED_VALUE = 3


class Sum(Processor[Event, tuple[str, int, int]]):
    """Gives the sum so far of each key; changes its state before it refuses an item."""

    def setup(self) -> None:
        self.items: list[int] = []
        self.key = -1

    def process(self, item: Event, /) -> tuple[str, int, int] | None:
        self.key = item[0]
        self.items.append(item[1])
        if item[1] == REFUSED_VALUE:
            raise ValueError(item)
        return ("sum", self.key, sum(self.items)) if item[1] else None

    def finish(self) -> Iterator[tuple[str, int, int]]:
        yield "end", self.key, len(self.items)


class Kept(Sum):
    """The same, and it survives its worker."""

    def snapshot(self) -> tuple[int, list[int]]:
        return self.key, self.items

    def restore(self, state: tuple[int, list[int]]) -> None:
        self.key, self.items = state


def key_of(item: Event) -> int:
    return item[0]


def expected(items: list[Event], max_keys: int) -> list[Any]:
    """The same by a plain dict: those that fail are as if they had never come."""
    live: OrderedDict[int, list[int]] = OrderedDict()
    first: dict[int, int] = {}
    out: list[Any] = []
    for number, (key, value) in enumerate(items):
        if value == REFUSED_VALUE:
            continue
        if key not in live:
            if len(live) == max_keys:
                oldest, values = live.popitem(last=False)
                out.append(("end", oldest, len(values)))
            live[key] = []
            first[key] = number
        live.move_to_end(key)
        live[key].append(value)
        if value:
            out.append(("sum", key, sum(live[key])))
    return out + [("end", key, len(live[key])) for key in sorted(live, key=first.__getitem__)]


events = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=25)
limits = st.sampled_from([None, 1, 2, 3])


@given(events, limits, st.sampled_from([Sum, Kept]), st.integers(1, 5))
def test_each_key_has_its_own_processor(
    items: list[Event], max_keys: int | None, kind: type[Sum], slices: int
) -> None:
    world = World(
        compiled([PerKey(key_of, kind, max_keys=max_keys, on_error="skip")], [Pipe(3)]),
        slices=lambda: slices,
    )
    outputs = expected(items, max_keys or 99)
    for _ in range(2):  # no key is left over for the next run
        assert world.run(items, lambda options: 0) == outputs


@settings(max_examples=150)
@given(events, limits, st.integers(1, 5), st.integers(0, 40), st.integers(0, 5))
def test_a_death_at_any_store_is_not_to_be_seen(
    items: list[Event], max_keys: int | None, slices: int, store: int, again: int
) -> None:
    stage = PerKey(key_of, Kept, max_keys=max_keys, on_error="dead_letter", name="keyed")
    world = World(
        compiled([stage], [Pipe(3)]),
        slices=lambda: slices if world.workers["keyed"].life.dies_before is not None else 1,
        kill=("keyed", store),
        again=again,
    )
    assert world.run(items, Random(store).randrange) == expected(items, max_keys or 99)
    letters = [letter.item for letter in world.letters.all()]
    assert letters == [item for item in items if item[1] == REFUSED_VALUE]


@pytest.mark.processes
def test_both_worlds_give_the_same() -> None:
    items = [(n * n % 7, n % 5) for n in range(60)]
    for kind in (Sum, Kept):
        for max_keys in (None, 3):
            keyed: Any = PerKey(key_of, kind, max_keys=max_keys, on_error="skip")
            pl = pipeline().add(keyed)
            assert pl.run(items) == pl.simulate(items) == expected(items, max_keys or 99)


class OfNumbers(Processor[Any, Any]):
    """Gives how many items a key has had."""

    n = 0

    def process(self, item: Any, /) -> int:
        self.n += 1
        return self.n


def test_keys_that_are_equal_are_one_key() -> None:
    pl = pipeline().add(PerKey(lambda item: item[0], OfNumbers))
    assert pl.simulate([(1, 1), (1.0, 1), (True, 1)]) == [1, 2, 3]


@dataclass(frozen=True)
class Measured:
    what: str
    value: float


def test_a_class_can_be_a_key_whatever_fields_it_has() -> None:
    pl = pipeline().add(PerKey(type, OfNumbers))
    assert pl.simulate([Measured("a", 1.5), 1, Measured("b", math.nan)]) == [1, 1, 2]


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (math.nan, "not equal to itself"),
        (("a", math.nan), "not equal to itself"),
        (frozenset([math.nan]), "not equal to itself"),
        (Measured("a", math.nan), "not equal to itself"),
        ([], "unhashable"),
    ],
)
def test_what_cannot_be_a_key_is_the_items_failure(key: Any, text: str) -> None:
    with pytest.raises((ValueError, TypeError), match=text):
        pipeline().add(PerKey(lambda item: key, Sum)).simulate([(1, 1)])


# ------------------------------------------------------------------------------------ life of a key


class Told(Processor[Event, str]):
    """Writes down what is called."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def tell(self, what: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            print(what, file=file)

    def setup(self) -> None:
        self.tell("setup")

    def process(self, item: Event, /) -> None:
        self.key = item[0]
        self.tell(f"process {item[0]}")

    def finish(self) -> Iterator[str]:
        self.tell(f"finish {self.key}")
        yield f"finished {self.key}"

    def teardown(self) -> None:
        self.tell(f"teardown {self.key}")


@pytest.mark.processes
def test_set_up_at_the_first_item_finished_at_the_end_torn_down_with_the_worker(
    tmp_path: Path,
) -> None:
    path = tmp_path / "told"
    with pipeline().add(PerKey(key_of, lambda: Told(path), max_keys=2)) as pl:
        assert pl.run([(5, 0), (6, 0), (5, 0), (7, 0)]) == [
            "finished 6",
            "finished 5",
            "finished 7",
        ]
        assert pl.run([(5, 0)]) == ["finished 5"]
    assert path.read_text(encoding="utf-8").split("\n") == [
        *["setup", "process 5", "setup", "process 6", "process 5"],
        *["finish 6", "setup", "process 7", "finish 5", "finish 7"],
        *["setup", "process 5", "finish 5"],
        *["teardown 6", "teardown 5", "teardown 7", "teardown 5", ""],
    ]


class Mortal(Kept):
    """Dies once with an item."""

    path: Path

    def process(self, item: Event, /) -> tuple[str, int, int] | None:
        if item == (2, 2) and not self.path.exists():
            self.path.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().process(item)


class Lost(Processor[Event, Event]):
    def process(self, item: Event, /) -> Event:
        if item == (2, 2):
            os.kill(os.getpid(), signal.SIGKILL)
        return item


@pytest.mark.processes
def test_with_snapshots_a_killed_worker_loses_and_repeats_nothing(tmp_path: Path) -> None:
    def make() -> Mortal:
        job = Mortal()
        job.path = tmp_path / "died"
        return job

    items = [(n % 7, n % 3) for n in range(5000)] + [(2, 2)] + [(n % 7, 1) for n in range(5000)]
    result = pipeline().add(PerKey(key_of, make, max_keys=5, name="keyed")).run(items)
    assert result == expected(items, 5)
    assert result.report.stages["keyed"].restarts == 1


@pytest.mark.processes
def test_without_snapshots_the_death_of_the_worker_ends_the_run() -> None:
    with pytest.raises(WorkerCrashed, match=r"snapshot\(\) and restore\(state\)"):
        pipeline().add(PerKey(key_of, Lost)).run([(1, 1), (2, 2), (3, 3)])


class Locked(Sum):
    def setup(self) -> None:
        super().setup()
        self.lock = threading.Lock()


def test_a_state_that_cannot_be_put_back_ends_the_run_and_says_what_to_write() -> None:
    with pytest.raises(TopologyError, match=r"cannot be copied.*write snapshot\(\) and restore"):
        pipeline().add(PerKey(key_of, Locked, on_error="skip")).simulate([(1, 1)])


class Chained(Sum):
    def setup(self) -> Any:
        super().setup()
        return self


def test_what_setup_returns_is_left_alone() -> None:
    events = [(1, 1), (2, 2), (1, 4)]
    assert pipeline().add(PerKey(key_of, Chained)).simulate(events) == pipeline().add(
        PerKey(key_of, Sum)
    ).simulate(events)


# ---------------------------------------------------------------------------------- what is refused


class NeedsMore(Processor[int, int]):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def process(self, item: int, /) -> int:
        return item + self.size


class Unwritten(Processor[int, int]):
    pass


def broken() -> Processor[int, int]:
    raise OSError("no such disk")


REFUSED: list[tuple[Any, Any, dict[str, Any], str]] = [
    (3, Sum, {}, "PerKey: key is 3; it must be a function of one required argument, the item"),
    (lambda: 1, Sum, {}, "must take exactly one required argument, the item"),
    (key_of, int, {}, "make is <class 'int'>; it must be a subclass of Processor"),
    (key_of, Sum(), {}, "it must be a subclass of Processor, or a function without arguments"),
    (key_of, NeedsMore, {}, "NeedsMore: the function must take no arguments"),
    (key_of, lambda: 3, {}, "lambda() gave 3, which is no Processor"),
    (key_of, broken, {}, "broken() raised OSError: no such disk"),
    (key_of, Unwritten, {}, "Unwritten has no process() method"),
    (key_of, lambda: Processor(abs, on_error="skip"), {}, "give on_error and retries to PerKey"),
    (key_of, Sum, {"max_keys": 0}, "PerKey: max_keys is 0; it must be a whole number, 1 or more"),
    (key_of, Sum, {"on_error": "no"}, "PerKey: on_error is 'no'"),
]


@pytest.mark.parametrize(("key", "make", "options", "text"), REFUSED)
def test_what_cannot_be_meant_is_refused(key: Any, make: Any, options: Any, text: str) -> None:
    with pytest.raises(TopologyError) as refused:
        PerKey(key, make, **options)
    assert text in str(refused.value)


def test_what_the_lane_carries_must_fit_both_the_key_and_the_processor() -> None:
    untyped: Any = PerKey
    numbers: Any = Pipeline[int]()
    events: Any = Pipeline[Event]()
    counted: Any = Pipeline[Event]().add(PerKey(key_of, Sum))
    with pytest.raises(TopologyError, match="but the lane carries int"):
        numbers.add(untyped(abs, Sum))
    with pytest.raises(TopologyError, match="its key takes str, but the lane carries tuple"):
        events.add(untyped(str.upper, Sum))
    with pytest.raises(TopologyError, match="takes str, but the lane carries tuple"):
        counted.add(Processor(str.upper))
