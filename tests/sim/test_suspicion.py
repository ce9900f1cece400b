"""Jobs that depend on more than their item are found, and their stage is named; jobs that only seem
to are not accused."""

from __future__ import annotations

import datetime
import functools
import random
import time
from collections.abc import Callable, Iterable, Iterator
from random import choice
from time import perf_counter, time_ns
from typing import Any

import pytest

from conveyor import FlatMap, Join, Pipeline, Processor, ReplicatingFork
from conveyor.errors import ConveyorError, NotDeterministic, StageTypeError
from tests.sim.parts import built, labels

SENTENCES = ["to be or not to be", "that is the question", "whether tis nobler"]
SEEN: list[object] = []
NOTES: list[object] = []
calls = 0
SHARED = random.Random(7)


def found(stage: Any, items: Iterable[object] = SENTENCES, **options: Any) -> ConveyorError | None:
    """What a search finds that looks at one schedule."""
    pl: Any = (
        Pipeline[Any]()
        .add(ReplicatingFork(2))
        .add(stage, Processor(str, name="other"))
        .add(Join(2))
    )
    failure = pl.explore(items, schedules=1, **options).failure
    return None if failure is None else failure.error


# ------------------------------------------------------------------------------------ what is found


def seconds(item: str) -> int:
    return round(time.time())


def nanoseconds(item: str) -> int:
    return time_ns() // 10**9


def ticks(item: str) -> int:
    return int(perf_counter()) // 1000


def day(item: str) -> str:
    return time.strftime("%Y-%m-%d")


def year(item: str) -> int:
    return datetime.datetime.now().year


def today(item: str) -> str:
    return f"{item} {datetime.date.today()}"


def imported_inside(item: str) -> int:
    from time import gmtime

    return gmtime().tm_year


def by_a_helper(item: str) -> int:
    return seconds(item)


def drawn(item: str) -> bool:
    return random.random() < 0.5


def chosen(item: str) -> str:
    return choice(item.split())


def drawn_from_a_shared_state(item: str) -> int:
    return SHARED.randrange(10**9)


def words(item: str) -> list[str]:
    return list(set(item.split()))


def displayed(item: str) -> list[str]:
    return [*{word for word in item.split() if word in {"to", "be", "or", "not", "that"}}]


def starred(item: str) -> str:
    return " ".join({*item.split(), "and"})


def first_word(item: str) -> str:
    return next(iter(set(item.split())))


def hashed(item: str) -> int:
    return hash(item) % 1000


def counts_calls(item: str) -> int:
    global calls
    calls += 1
    return calls


def raises_sometimes(item: str) -> str:
    if time.time() > 2e9 or round(time.time()) == 0:
        raise ValueError(item)
    return item


def draws(item: str) -> Iterator[str]:
    for word in item.split():
        yield word
        yield word * random.randrange(1000)


class Stamped(Processor[str, str]):
    def process(self, item: str, /) -> str:
        return f"{item} {round(time.time())}"


LAMBDA: Callable[[str], int] = lambda item: round(time.time())  # noqa: E731  # a function without a name of its own

DISPLAYS: Callable[[str], str] = lambda item: " ".join({letter for letter in item if letter > "a"})  # noqa: E731  # as above

CULPRITS: list[Callable[..., object]] = [
    *(
        seconds,
        nanoseconds,
        ticks,
        day,
        year,
        today,
        imported_inside,
        by_a_helper,
        drawn,
        chosen,
        drawn_from_a_shared_state,
    ),
    *(
        words,
        displayed,
        starred,
        DISPLAYS,
        first_word,
        hashed,
        counts_calls,
        functools.partial(seconds),
        LAMBDA,
    ),
]


@pytest.mark.parametrize("job", CULPRITS)
def test_a_culprit_is_found_and_named(job: Callable[..., object]) -> None:
    error = found(Processor(job, name="culprit"), SENTENCES * 4)
    assert isinstance(error, NotDeterministic)
    assert str(error).startswith("the job of stage 'culprit' is not deterministic: for ")


def test_what_it_gave_is_told() -> None:
    error = found(Processor(seconds, name="culprit"))
    assert "for item 0, 'to be or not to be', it gave " in str(error)


def test_a_flat_map_and_a_class_are_found_too() -> None:
    for stage in (FlatMap(draws, name="culprit"), Stamped(name="culprit")):
        assert "'culprit'" in str(found(stage))


def test_the_order_of_a_set_in_an_item_is_found() -> None:
    def listed(item: set[str]) -> list[str]:
        return list(item)

    assert "'culprit'" in str(
        found(Processor(listed, name="culprit"), [set(text.split()) for text in SENTENCES])
    )


def test_a_global_that_another_lane_changes_is_found_with_the_stage_that_changes_it() -> None:
    pl: Any = Pipeline[str]().add(ReplicatingFork(2))
    pl.add(Processor(into_seen, name="writer"), Processor(how_many_seen, name="reader")).add(
        Join(2)
    )
    error = pl.explore(SENTENCES, schedules=1).failure.error
    assert isinstance(error, NotDeterministic)
    assert "the job of stage 'reader' is not deterministic" in str(error)
    assert "the job of stage 'writer' changes the global variable 'SEEN'" in str(error)


class Cell:
    """Of a table that is large: tells how often it was looked at as a whole."""

    shown = 0

    def __repr__(self) -> str:
        Cell.shown += 1
        return "Cell()"


TABLE = {number: Cell() for number in range(10_000)}


def looked_up(item: int) -> str:
    return type(TABLE[item]).__name__


def test_a_large_global_costs_no_look_at_all_of_it() -> None:
    assert found(Processor(looked_up), range(40)) is None
    assert Cell.shown < 100


def into_seen(item: str) -> str:
    SEEN.append(item)
    return item


def how_many_seen(item: str) -> int:
    return len(SEEN)


# ------------------------------------------------------------------------------- who is not accused


def timed(item: str) -> str:
    began = perf_counter()
    NOTES.append(perf_counter() - began)
    return item


def seeded(item: str) -> float:
    random.seed(item)
    return random.random()


def own_generator(item: str) -> float:
    return random.Random(item).random()


def at_a_time(item: str) -> str:
    return time.strftime("%Y", time.gmtime(86_400 * len(item))) + str(datetime.datetime(2020, 1, 1))


def sorted_words(item: str) -> list[str]:
    return sorted(set(item.split()))


def how_many(item: str) -> tuple[int, bool]:
    return len(frozenset(item.split())), "be" in set(item.split())


def a_set(item: str) -> set[str]:
    return set(item.split())


def sets_inside(item: str) -> dict[str, list[frozenset[str]]]:
    return {item: [frozenset(item.split())]}


def compares_types(item: str) -> tuple[bool, bool]:
    some: object = {item} if item else None
    return type(some) is set, isinstance(some, set)


def compares_dates(item: str) -> bool:
    return type(datetime.datetime(2020, 1, 1)) is datetime.datetime


def same_hash(item: str) -> bool:
    return hash(item) == hash("".join(item))


def numbers(item: str) -> list[int]:
    return list({len(word) for word in item.split()} | set(map(len, item.split())))


class Plain:
    def __init__(self, item: str) -> None:
        self.words = set(item.split())


def an_object(item: str) -> Plain:
    return Plain(item)


@functools.cache
def cached(item: str) -> str:
    return item.upper()


def always_raises(item: str) -> str:
    raise ValueError(item)


def remembering() -> Callable[[str], int]:
    seen: list[str] = []

    def job(item: str) -> int:
        seen.append(item)
        return len(seen)

    return job


class Numbering(Processor[str, int]):
    def setup(self) -> None:
        self.count = 0

    def process(self, item: str, /) -> int:
        self.count += 1
        return self.count


SORTS: Callable[[str], list[str]] = lambda item: sorted({*item})  # noqa: E731  # as above

INNOCENT: list[Any] = [
    *(
        timed,
        seeded,
        own_generator,
        at_a_time,
        sorted_words,
        how_many,
        a_set,
        sets_inside,
        compares_types,
        compares_dates,
    ),
    *(same_hash, numbers, an_object, cached, remembering(), str.upper, len, set, SORTS),
]


@pytest.mark.parametrize("job", INNOCENT)
def test_an_innocent_is_not_accused(job: Callable[[Any], object]) -> None:
    assert found(Processor(job)) is None


def test_a_flat_map_a_class_and_one_that_skips_are_not_accused() -> None:
    for stage in (
        FlatMap(sorted_words),
        FlatMap(str.split),
        Numbering(),
        Processor(always_raises, on_error="skip"),
    ):
        assert found(stage) is None


def test_a_job_that_fails_is_told_as_it_is() -> None:
    assert isinstance(found(Processor(always_raises)), ValueError)


# ------------------------------------------------------------------------------------------- values


def claims_numbers(item: object) -> int:
    return item  # type: ignore[return-value]  # pyright: ignore[reportReturnType]  # a lie


def takes_numbers(item: int) -> int:
    return item


def test_a_value_that_a_stage_does_not_take_is_found_wherever_items_are_looked_at() -> None:
    pl: Any = (
        Pipeline[Any]()
        .add(Processor(claims_numbers))
        .add(Processor(takes_numbers, name="next", on_error="skip"))
    )
    words = "stage 'next' takes int, but item 1 is 'two', which is of type str"
    with pytest.raises(StageTypeError, match=words):
        pl.simulate([1, "two", 3])
    with pytest.raises(StageTypeError, match=words):
        pl.replay([1, "two", 3], "cv1:")
    assert words in str(pl.explore([1, "two", 3], schedules=1).failure.error)
    assert list(pl.simulate([1, 2])) == [1, 2]


class Fickle(Processor[Any, Any]):
    """Looks at the clock, but only where the other lane came first."""

    def setup(self) -> None:
        self.first: Any = None

    def process(self, item: Any, /) -> Any:
        self.first = self.first or item
        return (item, time.time()) if self.first == ("b", 0) else (item, 0)


def test_a_schedule_with_a_culprit_is_made_as_small_as_any_other() -> None:
    pl = built([ReplicatingFork(2)], labels("ab"), [Join(2)], [Fickle()])

    def check(run: Any) -> bool:
        return all(when == 0 for _, when in run)

    failures = [
        pl.explore(range(4), check, strategy="random", seed=seed).failure for seed in range(5)
    ]

    assert all(isinstance(failure.error, NotDeterministic) for failure in failures)
    assert {failure.schedule for failure in failures} == {"cv1:join.0=1"}
    assert max(failure.decisions for failure in failures) > 1
