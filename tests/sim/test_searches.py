"""When a search ends, what its checks may look at, and what it tells of what it has not seen."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from conveyor import Exploration, Join, Pipe, Pipeline, Processor, ReplicatingFork
from conveyor._builder.builder import Builder
from conveyor.errors import NotDeterministic
from conveyor.sim.search.api import explored
from conveyor.sim.search.options import SearchOptions

LEDGER: list[int] = []


def paid(item: int) -> int:
    LEDGER.append(item)
    return item


def paying() -> Any:
    return (
        Pipeline[int]()
        .add(ReplicatingFork(2))
        .add(Processor(paid, name="paid"), Pipe())
        .add(Join(2))
    )


def copies(lanes: int = 2) -> Any:
    return (
        Pipeline[int]()
        .add(ReplicatingFork(lanes))
        .add(*[Pipe() for _ in range(lanes)])
        .add(Join(lanes))
    )


# ------------------------------------------------------------------------------------------ effects


def takes_and_looks(run: object) -> None:
    seen = list(LEDGER)
    LEDGER.clear()
    assert seen == [1, 2]


def looks_and_takes(run: object) -> None:
    assert LEDGER == [1, 2]
    LEDGER.clear()


class Counts:
    """A check that never takes anything away."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, run: object) -> None:
        self.calls += 1
        assert [1, 2] * self.calls == LEDGER


@pytest.mark.parametrize(
    "options", [{}, {"strategy": "exhaustive"}, {"strategy": "random", "schedules": 100}]
)
@pytest.mark.parametrize("check", [takes_and_looks, looks_and_takes, Counts()])
def test_a_check_sees_the_effects_of_its_own_run_alone(
    check: Callable[[Any], object], options: dict[str, Any]
) -> None:
    LEDGER.clear()
    if isinstance(check, Counts):
        check.calls = 0
    assert paying().explore([1, 2], check, **options).failure is None


def test_a_check_that_depends_on_earlier_runs_is_told_so() -> None:
    seen: list[object] = []

    def check(run: Any) -> None:
        seen.append(run)
        assert len(seen) == 1

    failure = copies().explore([1, 2], check).failure
    assert isinstance(failure.error, NotDeterministic)
    assert isinstance(failure.error.__cause__, AssertionError)
    assert str(failure.error).startswith(
        "the same schedule passed before: the test depends on what an earlier schedule left"
    )
    assert "replay" not in str(failure)


def is_another(run: list[int]) -> bool:
    return run != [1, 1, 2, 2]


def test_a_failure_of_a_schedule_is_still_told_as_one() -> None:
    failure = copies().explore([1, 2], is_another).failure
    assert str(failure).splitlines()[-1] == "replay: pl.replay(items, 'cv1:join.0=1')"


def counts_calls(item: int) -> int:
    LEDGER.append(item)
    return len(LEDGER)


def test_what_is_told_of_a_job_that_is_not_deterministic_finds_it_again() -> None:
    pl: Any = copies().add(Processor(counts_calls))
    failure = pl.explore([1, 2], bool).failure
    assert isinstance(failure.error, NotDeterministic)
    assert (
        str(failure).splitlines()[-1]
        == f"again: pl.explore(items, start={failure.schedule!r}, schedules=1)"
    )
    again = pl.explore([1, 2], start=failure.schedule, schedules=1).failure
    assert isinstance(again.error, NotDeterministic)


# ------------------------------------------------------------------------------------------ the end


class Deadline:
    """A clock that counts how often it is asked."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.asked = 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.asked > self.most


def is_nearly_sorted(run: list[int]) -> bool:
    return sum(one > other for one, other in pairwise(run)) < 10


@pytest.mark.parametrize("most", [3, 30])
def test_a_failure_is_made_smaller_only_as_long_as_there_is_time(most: int) -> None:
    calls: list[object] = []

    def check(run: Any) -> bool:
        calls.append(run)
        return is_nearly_sorted(run)

    pl: Builder[Any, Any] = copies(3)
    found = explored(
        pl._simulated("explore()"),  # pyright: ignore[reportPrivateUsage]  # a clock of its own is what it is for
        range(12),
        check,
        SearchOptions(
            strategy="random", schedules=1000, expired=Deadline(most), seed=0, faults=None
        ),
    )
    assert found.failure is not None
    assert len(calls) <= most + 1


@pytest.mark.parametrize("strategy", ["random", "urw", "portfolio"])
def test_a_search_ends_when_every_class_has_been_seen(strategy: Any) -> None:
    found = copies().explore([1, 2], strategy=strategy, schedules=100_000)
    assert (found.classes, found.complete, found.unseen) == (6, True, 0)
    assert found.schedules < 1000


@pytest.mark.parametrize(("items", "schedules"), [(5, 60), (6, 200), (7, 1000)])
def test_an_exhaustive_search_that_is_cut_short_tells_about_how_much_it_has_not_seen(
    items: int, schedules: int
) -> None:
    """Where nothing counts the classes: the stage keeps a state."""

    class Keeps(Processor[int, int]):
        def process(self, item: int, /) -> int:
            return item

    pl: Any = copies().add(Keeps())
    whole = copies().count(range(items))
    found = pl.explore(range(items), strategy="exhaustive", schedules=schedules)
    assert not found.complete
    assert 0.1 < (found.classes + found.unseen) / whole < 10


# --------------------------------------------------------------------------------------- progress


def test_the_caller_of_a_long_search_is_told_what_was_found_so_far(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from conveyor._builder import simulating

    seen: list[int] = []

    def told(found: Exploration[int]) -> None:
        seen.append(found.schedules)

    copies().explore([1, 2], schedules=20, progress=told)
    assert seen == []  # it is over at once

    monkeypatch.setattr(simulating, "TOLD_EVERY_S", 0.0)
    monkeypatch.setattr(simulating, "SAID_EVERY_S", 0.0)
    copies().explore([1, 2], schedules=5, progress=told)
    assert seen == [1, 2, 3, 4, 5]
    copies().explore([1, 2], schedules=1, progress=True)
    expected = "conveyor: 1 schedules so far, 1 different ones\n"
    assert capsys.readouterr().err == expected
    with pytest.raises(TypeError, match="progress is True, False or a function, not 3"):
        copies().explore([1], progress=3)
