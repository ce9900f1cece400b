"""The loops that every item passes, and which jobs may take the quick one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.core.kernels import Progress, filter_slice, map_slice, quick_loop
from conveyor.errors import NotPicklable
from conveyor.items.sealing import Sealed, seal

items = st.lists(
    st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    max_size=8,
)


def shown(out: list[object]) -> list[object]:
    return [item.open() if isinstance(item, Sealed) else item for item in out]


def fails_at(bad: object) -> Callable[[object], object]:
    def job(item: object) -> object:
        if item == bad:
            raise KeyboardInterrupt
        return item

    return job


# ---------------------------------------------------------------------------------------- the loops


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
    done, sealed, error = map_slice(
        lambda item: (lambda: item) if item == 2 else [item], [0, 1, 2, 3], out
    )

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


@pytest.mark.parametrize(
    "results", [[1, "a", 2], [(1,), (2, 3)], ["a", (1, [2]), "b"], [True, 1, 1.0]], ids=repr
)
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

    def predicate(item: Any) -> object:
        item.append("changed")
        return True

    filter_slice(predicate, [[1], seal([2])], out)
    assert shown(out) == [[1], [2]]


def test_a_filter_stops_before_an_item_that_fails() -> None:
    out: list[object] = []
    done, sealed, error = filter_slice(fails_at(3), [1, [2], 3, 4], out)

    assert (done, sealed, type(error)) == (2, 1, KeyboardInterrupt)
    assert shown(out) == [1, [2]]


# ----------------------------------------------------------------------- who may take the quick one

CALCULATES = [
    "job = lambda x: x + 1",
    "job = lambda x: (x, (x * 2, -x))",
    "job = lambda x: None if x % 2 else x",
    "job = lambda x: x if x is not None and 0 < x <= 9 else not x",
    "job = lambda x: x and x + 1",
    "job = lambda x: x or None",
    "job = lambda x: x[0]",
    "job = lambda x: x[1:]",
    "job = lambda x: x[:-1]",
    "job = lambda x: x[::2]",
    "job = lambda x: x[x:x]",
    "job = lambda x: (x == '', x != -1, ~x if x is True else False)",
    "job = lambda x: x not in ('a', 1.5) or -1",
    "job = lambda x: 'even' if x % 2 == 0 else ''",
    "job = lambda x: (x if x is not None else 0) ** 2 // 3 - 70_000",
    "job = lambda x: x[0] + 1",
    "job = lambda x, y=3, z=('a', (1, None)): (x, y, z)",
    "job = lambda x, *, y=3: x * y",
    "job = lambda *x: x",
    "job = lambda x: f'{x:>4}{x!r} {x}'",
    "job = lambda x: '%s %s' % (x, 3)",
    "job = lambda x: x in (1, 2, None)",
    "job = lambda x: (y := x + 1) * y",
    "job = lambda x: None",
    """
    def job(x):
        "A docstring."
        total = 0
        while x > 0:
            total += x
            x -= 1
        return total
    """,
    """
    def job(x):
        if x > 3:
            return x * 2
        if x < 0:
            return
    """,
    """
    def job(x):
        a, b = x, 1
        a, b = b, a
        c = d = a
        while True:
            c += 1
            if c > 5:
                break
            elif c == 4:
                continue
        return a, b, c * d
    """,
    """
    def job(x):
        if x:
            found = x
        return found
    """,
    f"job = lambda x: {' + '.join(['(x if x else 1)'] * 99)}",
]

NAMES_AND_CALLS = [
    "job = lambda x: len(x)",
    "job = lambda x: str(x)",
    "job = lambda x: x.real",
    "job = lambda x: x.upper()",
    "job = lambda x: [x]",
    "job = lambda x: {x: x}",
    "job = lambda x: {x}",
    "job = lambda x: x.append(1) or x",
    "job = lambda x, **more: more",
    "job = lambda x, kept=[]: kept.append(x) or kept",
    "job = lambda x, kept=[]: kept",
    "job = lambda x, kept=({},): kept[0]",
    "job = lambda x, *, kept=[]: kept",
    "job = lambda x: ...",
    """
    def job(x):
        assert x
        return x
    """,
    "job = lambda x: x + offset",
    "job = lambda x: log.append(x)",
    "job = lambda x: log",
    "job = lambda x: helper(x)",
    "job = lambda x: job(x - 1) if x else 0",
    "job = lambda x: print(x)",
    "job = lambda x: globals()",
    "job = lambda x: eval('log')",
    "job = lambda x: id(x)",
    "job = lambda x: __import__('os').getpid()",
    "job = lambda x: x.__class__",
    "job = lambda x: [log.append(y) for y in x]",
    "job = lambda x: {log.append(y) for y in x}",
    "job = lambda x: {y: log.append(y) for y in x}",
    "job = lambda x: [y + 1 for y in x]",
    "job = lambda x: [[z for z in log] for y in x]",
    "job = lambda x: sum(log.append(y) for y in x)",
    "job = lambda x: (y for y in (x,))",
    "job = lambda x: sorted(x, key=lambda y: log.append(y))",
    "job = lambda x: lambda: x",
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
        x[0] = 1
        return x
    """,
    """
    def job(x):
        del x[0]
        return x
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
    def job(x):
        yield from x
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
            return x
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
    def job(x):
        for y in x:
            pass
        return y
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
        seen = []
        return lambda x: seen
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
    module: dict[str, Any] = {"log": [], "offset": 1, "helper": str}
    exec(dedent(source), module)
    job: Callable[[object], object] = module["job"]
    return job


atoms = (
    st.integers(-3, 20) | st.text("ab%s", max_size=3) | st.none() | st.booleans() | st.floats(-2, 2)
)
slices_of_atoms = st.lists(
    atoms | st.tuples(atoms, atoms) | st.tuples(st.none(), atoms), min_size=1, max_size=5
)


@pytest.mark.parametrize("source", CALCULATES)
def test_a_job_of_nothing_but_operators_has_a_quick_loop(source: str) -> None:
    assert quick_loop(written(source)) is not None


@given(st.sampled_from(CALCULATES), slices_of_atoms)
def test_the_quick_loop_gives_what_the_careful_one_gives_and_only_atoms(
    source: str, items: list[object]
) -> None:
    job = written(source)
    quick = quick_loop(job)
    assert quick is not None
    out: list[object] = []
    done, sealed, error = map_slice(job, items, out)
    if error is None:
        assert (list(map(repr, quick(items))), done, sealed) == (
            list(map(repr, out)),
            len(items),
            0,
        )
    else:
        with pytest.raises(type(error)):
            quick(items)


@pytest.mark.parametrize("source", CALCULATES)
@pytest.mark.parametrize("item", [None, 0, 1, 2, -1, 7, "", "ab", (None, 1), (2, None), (), True])
def test_a_result_of_none_is_no_output_in_either_loop(source: str, item: object) -> None:
    job, out = written(source), list[object]()
    quick = quick_loop(job)
    assert quick is not None
    if map_slice(job, [item], out).error is None:
        assert quick([item]) == out
        assert None not in out


@pytest.mark.parametrize("source", NAMES_AND_CALLS)
def test_a_job_that_names_or_calls_anything_has_none(source: str) -> None:
    assert quick_loop(written(source)) is None


class Identity:
    """A callable object."""

    def __call__(self, item: object) -> object:
        return item

    def method(self, item: object) -> object:
        return item

    @staticmethod
    def alone(item: object) -> object:
        return item


def kind_of(job: object) -> str:
    return type(job).__name__


NOT_PLAIN: list[object] = [
    Identity(),
    Identity().method,
    print,
    str.upper,
    dict[int, int]().get,
    partial(max, 3),
    int,
    Identity,
]


@pytest.mark.parametrize("job", NOT_PLAIN, ids=kind_of)
def test_only_a_plain_function_is_looked_into(job: Callable[[Any], object]) -> None:
    assert quick_loop(job) is None


def test_a_plain_function_in_a_class_is_a_plain_function() -> None:
    assert quick_loop(Identity.alone) is not None
