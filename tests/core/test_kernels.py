"""The loops that every item passes, and which jobs may take the quick one."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.codec import Sealed, seal
from conveyor.errors import NotPicklable
from conveyor.kernels import Progress, filter_slice, is_self_contained, map_freely, map_slice

items = st.lists(st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2), max_size=8)


def shown(out: list[object]) -> list[object]:
    return [item.open() if isinstance(item, Sealed) else item for item in out]


def fails_at(bad: object) -> Callable[[object], object]:
    def job(item: object) -> object:
        if item == bad:
            raise KeyboardInterrupt
        return item

    return job


# ------------------------------------------------------------------------------------------------------------- the loops


@given(items)
def test_a_map_gives_all_results_but_none(items: list[object]) -> None:
    out: list[object] = ["there before"]
    progress = map_slice(lambda item: item, items, out)

    assert shown(out) == ["there before", *(item for item in items if item is not None)]
    assert progress == Progress(len(items), sum(isinstance(item, list) for item in items), None)


@given(items.filter(lambda items: 99 not in items), items)
def test_a_map_stops_before_an_item_that_fails(before: list[object], behind: list[object]) -> None:
    out: list[object] = []
    done, _, error = map_slice(fails_at(99), [*before, 99, *behind], out)

    assert (done, type(error)) == (len(before), KeyboardInterrupt)
    assert shown(out) == [item for item in before if item is not None]


def test_a_result_that_cannot_be_pickled_is_its_items_error() -> None:
    out: list[object] = []
    done, sealed, error = map_slice(lambda item: fails_at if item == 2 else [item], [0, 1, 2, 3], out)

    assert (done, sealed, type(error)) == (2, 2, NotPicklable)
    assert shown(out) == [[0], [1]]


def test_a_result_that_is_changed_afterwards_is_what_it_was() -> None:
    total: list[int] = []
    out: list[object] = []

    def job(item: object) -> object:
        assert isinstance(item, int)
        total.append(item)
        return total

    map_slice(job, [1, 2, 3], out)
    assert shown(out) == [[1], [1, 2], [1, 2, 3]]


@pytest.mark.parametrize("results", [[1, "a", 2], [(1,), (2, 3)], ["a", (1, [2]), "b"], [True, 1, 1.0]], ids=repr)
def test_results_of_mixed_types_keep_their_types(results: list[Any]) -> None:
    out: list[object] = []
    map_slice(lambda at: results[at] if isinstance(at, int) else None, range(len(results)), out)

    assert [(type(item), item) for item in shown(out)] == [(type(item), item) for item in results]


@given(items)
def test_a_filter_passes_items_as_they_came(items: list[object]) -> None:
    out: list[object] = []
    progress = filter_slice(lambda item: item != [] and item != 0, items, out)

    kept = [item for item in items if item != [] and item != 0]
    assert shown(out) == kept
    assert progress == Progress(len(items), sum(isinstance(item, list) for item in kept), None)


def test_a_filter_that_changes_its_item_passes_it_unchanged() -> None:
    out: list[object] = []

    def predicate(item: object) -> object:
        assert isinstance(item, list)
        item.append("changed")
        return True

    filter_slice(predicate, [[1], seal([2])], out)
    assert shown(out) == [[1], [2]]


def test_a_filter_stops_before_an_item_that_fails() -> None:
    out: list[object] = []
    done, sealed, error = filter_slice(fails_at(3), [1, [2], 3, 4], out)

    assert (done, sealed, type(error)) == (2, 1, KeyboardInterrupt)
    assert shown(out) == [1, [2]]


@given(st.lists(st.integers()))
def test_the_quick_loop_gives_what_the_careful_one_gives(items: list[object]) -> None:
    out: list[object] = []

    def job(item: object) -> object:
        assert isinstance(item, int)
        return item * 2 if item % 3 else None

    map_slice(job, items, out)
    assert map_freely(job, items) == out


# ----------------------------------------------------------------------------------------------- who may take the quick one

SELF_CONTAINED = [
    "job = lambda x: x + 1",
    "job = lambda x: (x, [x], {x: {x}})",
    "job = lambda x: None if x % 2 else x",
    "job = lambda x, y=3: x**y",
    "job = lambda x, y=('a', (1, None)): (x, y)",
    "job = lambda x: len(str(abs(x)))",
    "job = lambda x: x.strip().upper().split(',')",
    "job = lambda x: f'{x:>10}{x!r}'",
    "job = lambda x: '%s %d' % (x, 3)",
    "job = lambda x: sorted(x.split(), reverse=True)[1:-1]",
    "job = lambda x: x.real if x is not None and 0 < x <= 9 else not x",
    "job = lambda x: sum(range(*x))",
    "job = lambda x: max(enumerate(reversed(x)))",
    """
    def job(x):
        total = 0
        for number in range(x):
            if number % 3 == 0:
                continue
            total += number
        while total > 100:
            total //= 2
        return total
    """,
    """
    def job(text):
        seen = {}
        for word in text.split():
            seen[word] = seen.get(word, 0) + 1
        return seen
    """,
    """
    def job(x):
        try:
            first, *rest = x
            del first
            return rest
        except:
            return 1 / x
        finally:
            x = None
    """,
    """
    def job(x):
        "A docstring."
        match x:
            case 0:
                return "none"
            case [a, b]:
                return (b, a)
            case {"key": value}:
                return value
        assert x, "no x"
        return (y := x) + y
    """,
]

REACHES_OUT = [
    "job = lambda x: x + offset",
    "job = lambda x: log.append(x)",
    "job = lambda x: helper(x)",
    "job = lambda x: job(x - 1) if x else 0",
    "len = helper; job = lambda x: len(x)",
    "job = lambda x: print(x)",
    "job = lambda x: open(x).read()",
    "job = lambda x: next(x)",
    "job = lambda x: iter([x])",
    "job = lambda x: globals()",
    "job = lambda x: eval('log')",
    "job = lambda x: exec('log.append(x)')",
    "job = lambda x: getattr(x, '__class__')",
    "job = lambda x: setattr(x, 'seen', 1)",
    "job = lambda x: vars(x)",
    "job = lambda x: type(x)",
    "job = lambda x: id(x)",
    "job = lambda x: hash(x)",
    "job = lambda x: __import__('os').getpid()",
    "job = lambda x: x.__class__",
    "job = lambda x: x._hidden",
    "job = lambda x: x.__init__()",
    "job = lambda x: [log.append(y) for y in x]",
    "job = lambda x: {log.append(y) for y in x}",
    "job = lambda x: {y: log.append(y) for y in x}",
    "job = lambda x: [y + offset for y in x]",
    "job = lambda x: [[z for z in log] for y in x]",
    "job = lambda x: [len(y) for y in x]; len = helper",
    "job = lambda x: sum(log.append(y) for y in x)",
    "job = lambda x: (y for y in [x])",
    "job = lambda x: sorted(x, key=lambda y: log.append(y))",
    "job = lambda x: lambda: x",
    "job = lambda x, kept=[]: kept.append(x) or kept",
    "job = lambda x, kept=({},): kept",
    "job = lambda x, *, kept=3: kept",
    "job = lambda x, kept=log: kept",
    """
    def job(x):
        global last
        last = x
    """,
    """
    def job(x):
        global offset
        del offset
    """,
    """
    def job(x):
        x.seen = True
        return x
    """,
    """
    def job(x):
        del x.seen
    """,
    """
    def job(x):
        import os
        return os.getpid()
    """,
    """
    def job(x):
        from os import getpid
        return getpid()
    """,
    """
    def job(x):
        yield x
    """,
    """
    async def job(x):
        return await x
    """,
    """
    def job(x):
        class Thing:
            seen = x
        return Thing
    """,
    """
    def job(x):
        def inner():
            return log
        return inner()
    """,
    """
    def job(x):
        job.calls = x
    """,
    """
    def job(x):
        raise ValueError(x)
    """,
    """
    def make():
        seen = []
        def job(x):
            seen.append(x)
            return seen
        return job
    job = make()
    """,
    """
    def make():
        count = 0
        def job(x):
            nonlocal count
            count += 1
            return count
        return job
    job = make()
    """,
    """
    def make(offset):
        return lambda x: [y + offset for y in x]
    job = make(1)
    """,
    """
    class Base:
        def times(self, x):
            return x
    class Derived(Base):
        def times(self, x):
            return super().times(x)
    job = Derived.times
    """,
]


def written(source: str) -> Callable[[object], object]:
    """The job that a piece of source defines, in a module of its own."""
    module: dict[str, Any] = {"log": [], "offset": 1, "helper": lambda x: x}
    exec(dedent(source), module)
    job: Callable[[object], object] = module["job"]
    return job


@pytest.mark.parametrize("source", SELF_CONTAINED)
def test_a_job_that_uses_its_item_and_harmless_builtins_is_self_contained(source: str) -> None:
    assert is_self_contained(written(source))


@pytest.mark.parametrize("source", REACHES_OUT)
def test_a_job_that_might_see_more_is_not(source: str) -> None:
    assert not is_self_contained(written(source))


class Counter:
    """A callable object."""

    def __call__(self, item: object) -> object:
        return item

    def method(self, item: object) -> object:
        return item

    @staticmethod
    def alone(item: object) -> object:
        return item


@pytest.mark.parametrize(
    "job", [Counter(), Counter().method, print, math.sqrt, str.upper, {}.get, partial(max, 3), int, Counter]
)
def test_only_a_plain_function_is_looked_into(job: Callable[[Any], object]) -> None:
    assert not is_self_contained(job)


def test_a_plain_function_in_a_class_is_a_plain_function() -> None:
    assert is_self_contained(Counter.alone)


@given(st.sampled_from(SELF_CONTAINED), st.lists(st.integers(-3, 20), max_size=4))
def test_a_self_contained_job_gives_the_same_again(source: str, items: list[int]) -> None:
    job = written(source)

    def outcome(item: int) -> tuple[object, ...]:
        try:
            return (repr(job(item)),)
        except Exception as error:
            return type(error), str(error)

    assert [outcome(item) for item in items] == [outcome(item) for item in reversed(items)][::-1]
