"""What the user writes: checked when it is written, named, shown."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from conveyor.errors import TopologyError
from conveyor.stages import (
    BalancingFork,
    Filter,
    FlatMap,
    Job,
    Join,
    Pipe,
    Processor,
    ReplicatingFork,
    Stage,
    Zip,
    job_of,
    name_wanted,
    policy_of,
)
from tests.jobs import Multiplier, Total, double, repeated

JOBS: tuple[Any, ...] = (Processor, FlatMap, Filter)


class Twice(Processor[int, int]):
    def process(self, item: int, /) -> int:
        return 2 * item


class Unwritten(Processor[int, int]):
    """Has nothing to do, and does not say so before it is asked."""


class UnwrittenFlatMap(FlatMap[int, int]):
    """The same, of a kind that has no process() to inherit."""


def two(item: object, other: object) -> None: ...
def keyword_only(item: object, *, flag: bool) -> None: ...
def none() -> None: ...
def optional(item: object, other: int = 0, *, flag: bool = False) -> object:
    return item, other, flag


def refused(make: Callable[[], object]) -> str:
    with pytest.raises(TopologyError) as failed:
        make()
    return str(failed.value)


@pytest.mark.parametrize("kind", JOBS)
@pytest.mark.parametrize(
    "fn",
    [
        double,
        len,
        str.upper,
        Multiplier(2),
        Multiplier(2).times,
        functools.partial(max, 3),
        optional,
    ],
)
def test_a_job_may_be_made_of_anything_that_takes_one_item(kind: Any, fn: object) -> None:
    assert job_of(kind(fn)) is fn


def test_a_builtin_that_hides_its_signature_is_taken_at_its_word() -> None:
    fn: Any = dict[int, int]().get
    assert job_of(Processor(fn)) is fn
    assert job_of(Processor(int)) is int
    untold: Any = math.hypot
    assert job_of(Processor(untold)) is untold


@pytest.mark.parametrize("kind", JOBS)
@pytest.mark.parametrize("fn", [two, keyword_only, none])
def test_a_job_that_does_not_take_exactly_one_item_is_refused_with_its_signature(
    kind: Any, fn: Any
) -> None:
    text = refused(lambda: kind(fn))

    assert (
        f"{kind.__name__}({fn.__name__}): the function must take exactly one required argument"
        in text
    )
    assert f"{fn.__name__}(" in text.partition(";")[2]


@pytest.mark.parametrize("kind", JOBS)
def test_a_job_that_cannot_be_called_is_refused(kind: Any) -> None:
    assert refused(lambda: kind(3)) == f"{kind.__name__} takes a function of one item, not 3"


@pytest.mark.parametrize("kind", JOBS)
def test_a_job_without_a_function_has_nothing_to_do(kind: Any) -> None:
    assert refused(kind).startswith(f"{kind.__name__}() has nothing to do")


@pytest.mark.parametrize("kind", JOBS)
def test_options_are_checked(kind: Any) -> None:
    for on_error in ("ignore", None, 3):
        text = refused(functools.partial(kind, double, on_error=on_error))
        assert f"on_error is {on_error!r}; it must be one of 'raise', 'skip', 'dead_letter'" in text
    for retries in (-1, True, 1.0, "1", None):
        assert f"retries is {retries!r}" in refused(
            functools.partial(kind, double, retries=retries)
        )
    for timeout_s in (0, -1, True, "1", float("inf"), float("nan")):
        assert f"timeout_s is {timeout_s!r}" in refused(
            functools.partial(kind, double, timeout_s=timeout_s)
        )
    stage = kind(double, on_error="skip", retries=3, timeout_s=2)
    assert policy_of(stage) == ("skip", 3, 2.0)
    assert policy_of(kind(double)) == ("raise", 0, None)


COUNTED: dict[str, Callable[[Any], Stage]] = {
    "capacity": Pipe,
    "ReplicatingFork: n": ReplicatingFork,
    "BalancingFork: n": BalancingFork,
    "Join: n": Join,
    "Zip: n": Zip,
    "max_lanes": lambda n: BalancingFork(max_lanes=n),
}


@pytest.mark.parametrize("what", COUNTED)
@pytest.mark.parametrize("value", [0, -1, True, 1.0, "2"])
def test_counts_are_whole_numbers_of_at_least_one(what: str, value: object) -> None:
    assert f"{what} is {value!r}; it must be a whole number, 1 or more" in refused(
        lambda: COUNTED[what](value)
    )


@pytest.mark.parametrize("kind", [ReplicatingFork, BalancingFork, Join, Zip])
def test_none_is_no_count(kind: Any) -> None:
    assert "n is None" in refused(lambda: kind(None))


def test_a_fork_that_adapts_has_no_count_of_its_own() -> None:
    make: Any = BalancingFork

    assert "either n, or max_lanes" in refused(lambda: make(2, max_lanes=3))
    assert (BalancingFork().n, BalancingFork().max_lanes) == (None, None)
    assert (BalancingFork(max_lanes=3).n, BalancingFork(max_lanes=3).max_lanes) == (None, 3)
    assert (BalancingFork(2).n, BalancingFork(2).max_lanes) == (2, None)
    assert (Join().n, Join(3).n, Join(3).ordered, Join(ordered=True).ordered) == (
        None,
        3,
        False,
        True,
    )


NAMED: list[Callable[..., Stage]] = [
    functools.partial(Processor[int, int], double),
    functools.partial(FlatMap[int, int], repeated),
    Pipe,
    functools.partial(ReplicatingFork, 2),
    functools.partial(BalancingFork, 2),
    functools.partial(Join, 2),
    functools.partial(Zip, 2),
]


@pytest.mark.parametrize("make", NAMED, ids=lambda make: type(make()).__name__)
def test_every_stage_takes_a_name(make: Callable[..., Stage]) -> None:
    assert name_wanted(make(name="mine")) == "mine"
    for name in ("", 3, b"mine"):
        assert f"name is {name!r}; it must be a string" in refused(
            functools.partial(make, name=name)
        )


DEFAULT_NAMES: list[tuple[Any, str]] = [
    (Processor(double), "double"),
    (Processor(functools.partial(functools.partial(max, 1), 2)), "max"),
    (Processor(Multiplier(2)), "Multiplier"),
    (Processor(lambda item: item), "lambda"),
    (Filter(str.isdigit), "isdigit"),
    (Total(), "Total"),
    (Pipe(), "pipe"),
    (ReplicatingFork(2), "replicating_fork"),
    (BalancingFork(), "balancing_fork"),
    (Join(2), "join"),
    (Zip(2), "zip"),
]


@pytest.mark.parametrize(("stage", "name"), DEFAULT_NAMES, ids=[name for _, name in DEFAULT_NAMES])
def test_a_stage_is_called_by_its_function_or_its_kind(stage: Stage, name: str) -> None:
    assert name_wanted(stage) == name


SHOWN: list[tuple[Any, str]] = [
    (Processor(double), "Processor(double)"),
    (FlatMap(repeated), "FlatMap(repeated)"),
    (Filter(bool), "Filter(bool)"),
    (Total(), "Total()"),
    (Pipe(), "Pipe(16384)"),
    (Pipe(3), "Pipe(3)"),
    (ReplicatingFork(2), "ReplicatingFork(2)"),
    (BalancingFork(2), "BalancingFork(2)"),
    (BalancingFork(), "BalancingFork()"),
    (Join(), "Join()"),
    (Join(2), "Join(2)"),
    (Join(2, ordered=True), "Join(2, ordered=True)"),
    (Join(ordered=True), "Join(ordered=True)"),
    (Zip(2), "Zip(2)"),
]


@pytest.mark.parametrize(("stage", "text"), SHOWN, ids=[text for _, text in SHOWN])
def test_a_stage_is_shown_as_it_was_written(stage: Stage, text: str) -> None:
    assert repr(stage) == text


def test_a_stage_that_is_a_class_does_what_it_says() -> None:
    stage = Twice()

    assert stage.is_stateful
    assert job_of(stage)(4) == 8
    assert not Processor(double).is_stateful
    assert Processor(double).process(4) == 8


def test_by_default_a_stage_has_nothing_to_set_up_flush_or_tear_down() -> None:
    stage: Job[int, int] = Twice()
    nothing: Iterable[int] = ()

    assert stage.finish() == nothing
    for call in (stage.setup, stage.teardown):
        call()


def test_a_class_that_does_not_write_process_says_so() -> None:
    assert refused(lambda: job_of(Unwritten())(1)) == "Unwritten has no process() method"
    assert refused(lambda: job_of(UnwrittenFlatMap())) == "UnwrittenFlatMap has no process() method"


class Busy(Processor[int, int]):
    """Uses for itself every name that a stage could have used for what was said of it."""

    def __init__(self) -> None:
        super().__init__(name="busy", on_error="skip", retries=2)
        self.name = self.job = self.retries = self.on_error = self.fn = "mine"

    def process(self, item: int, /) -> int:
        return item


def test_a_subclass_may_use_any_name_for_itself() -> None:
    busy = Busy()

    assert (name_wanted(busy), policy_of(busy), job_of(busy)(3)) == ("busy", ("skip", 2, None), 3)
