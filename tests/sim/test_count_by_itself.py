"""How many classes of schedules there are: against closed forms, and against the search that tries
them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from math import comb
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor import (
    BalancingFork,
    Filter,
    FlatMap,
    Join,
    Pipe,
    Pipeline,
    Processor,
    ReplicatingFork,
    Zip,
    context,
)
from tests.chains import chains
from tests.jobs import Total, double, is_even, only_even, repeated
from tests.model import Chain, build, sources
from tests.sim.closed_forms import multinomial

ENOUGH = 300


def lattice_paths(m: int, apart: int) -> int:
    """Paths of unit steps from (0, 0) to (m, m) on which x and y are never more than `apart`
    apart."""

    @cache
    def paths(x: int, y: int) -> int:
        if min(x, y) < 0 or abs(x - y) > apart:
            return 0
        return 1 if x == y == 0 else paths(x - 1, y) + paths(x, y - 1)

    return paths(m, m)


def with_rows(*rows: Sequence[Any]) -> Any:
    pl: Any = Pipeline[Any]()
    for row in rows:
        pl.add(*row)
    return pl


def replicated(*lanes: Any) -> Any:
    return Pipeline[Any]().add(ReplicatingFork(len(lanes))).add(*lanes).add(Join(len(lanes)))


@pytest.mark.parametrize("m", [1, 2, 3, 4, 50])
@pytest.mark.parametrize("lanes", [2, 3])
def test_roomy_lanes_are_read_in_every_order(lanes: int, m: int) -> None:
    assert replicated(*[Processor(double)] * lanes).count(range(m)) == multinomial(*[m] * lanes)


def test_lanes_that_drop_and_multiply_are_of_the_length_that_is_left() -> None:
    lanes = replicated(Processor(only_even), FlatMap(repeated), Filter(is_even))
    assert lanes.count([1, 2, 4]) == multinomial(2, 1 + 2 + 4, 2)


@pytest.mark.parametrize("m", [1, 2, 3])
def test_joins_one_behind_the_other_multiply(m: int) -> None:
    rows = (
        [ReplicatingFork(2)],
        [ReplicatingFork(2), Pipe()],
        [Processor(double)] * 3,
        [Join(2), Pipe()],
    )
    pl = with_rows(*rows, [Processor(double), Pipe()], [Join(2)])
    assert pl.count(range(m)) == multinomial(m, m, m)


@pytest.mark.parametrize("m", [1, 2])
def test_joins_beside_each_other_read_in_any_turn_and_it_makes_no_difference(m: int) -> None:
    rows = [ReplicatingFork(2)], [BalancingFork(2)] * 2, [Pipe()] * 4, [Join(2)] * 2, [Zip(2)]
    assert with_rows(*rows).count(range(m)) == comb(2 * m, m) ** 2


def test_what_an_ordered_join_leaves_out_is_nothing_to_read() -> None:
    rows = [ReplicatingFork(2)], [ReplicatingFork(2), Pipe()], [Filter(is_even), Pipe(), Pipe()]
    pl = with_rows(*rows, [Join(2, ordered=True), Pipe()], [Join(2)])
    assert pl.count([0, 1, 2]) == multinomial(2 + 3, 3)


@pytest.mark.parametrize("m", [1, 2, 3, 4, 12])
def test_a_balance_has_all_choices_and_its_join_all_orders_of_each(m: int) -> None:
    balanced: Any = Pipeline[int]().add(BalancingFork(2)).add(Pipe(), Pipe()).add(Join(2))
    adapting: Any = Pipeline[int]().add(BalancingFork()).add(Processor(double)).add(Join())
    assert balanced.count(range(m)) == adapting.count(range(m)) == comb(2 * m, m)


@pytest.mark.parametrize(("m", "capacity"), [(2, 1), (3, 1), (4, 1), (3, 2), (5, 2), (9, 3)])
def test_tight_lanes_cannot_drift_apart(m: int, capacity: int) -> None:
    assert replicated(Pipe(capacity), Pipe(capacity)).count(range(m)) == lattice_paths(m, capacity)


def test_where_nothing_is_decided_there_is_one() -> None:
    zipped: Any = (
        Pipeline[int]().add(ReplicatingFork(2)).add(Pipe(1), Processor(double)).add(Zip(2))
    )
    ordered: Any = (
        Pipeline[int]()
        .add(ReplicatingFork(2))
        .add(Filter(is_even), Pipe(1))
        .add(Join(2, ordered=True))
    )
    assert (
        zipped.count(range(9))
        == ordered.count(range(9))
        == Pipeline[int]().add(Processor(double)).count([1])
        == 1
    )


def test_what_becomes_of_a_zipped_item_hangs_on_its_partner() -> None:
    def alike(pair: tuple[int, int]) -> bool:
        return pair[0] == pair[1]

    pl: Any = (
        Pipeline[int]()
        .add(ReplicatingFork(3))
        .add(Filter(is_even), Pipe(), Pipe())
        .add(Zip(2), Pipe())
    )
    pl.add(Filter(alike), Pipe()).add(Join(2))
    # (2, 1) and (4, 2) are left out, as their parts are not alike; (2, 2) is not: it is the first
    # of both lanes
    assert [pl.count(items) for items in ([1, 2, 3, 4], [2, 3, 4], [2, 4, 3])] == [
        1,
        comb(4, 1),
        comb(5, 2),
    ]


@settings(deadline=None, max_examples=60)
@given(chains(), st.lists(st.integers(0, 5), min_size=1, max_size=3))
def test_a_complete_search_finds_as_many(chain: Chain, numbers: list[int]) -> None:
    pl, items = build(chain, Pipeline()), sources(numbers)
    counted = pl.count(items)
    if counted is not None and counted <= ENOUGH:
        found = pl.explore(items, strategy="exhaustive", schedules=ENOUGH + 1)
        assert (found.classes, found.complete, found.unseen) == (counted, True, 0)


def test_a_search_that_finds_another_number_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(plan: object, items: object) -> int:
        return 21

    monkeypatch.setattr("conveyor.sim.search.api.count_classes", wrong)
    with pytest.raises(AssertionError, match="20 classes were found, and there are 21"):
        replicated(Pipe(), Pipe()).explore(range(3), strategy="exhaustive")


def test_what_is_still_unseen_is_exact_and_asked_for_only_when_it_matters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []

    def count(plan: object, items: object) -> int:
        asked.append(items)
        return 70

    monkeypatch.setattr("conveyor.sim.search.api.count_classes", count)
    found = replicated(Pipe(), Pipe()).explore(range(4), strategy="random", schedules=10)
    assert not asked
    assert found.unseen == 70 - found.classes
    assert not found.complete
    assert len(asked) == 1


def raises(item: int) -> int:
    raise ValueError(item)


def asks(item: int) -> int:
    return context().attempt


def never_ends(item: int) -> Iterator[int]:
    while True:
        yield item


def counting() -> Callable[[int], int | None]:
    seen: list[int] = []

    def job(item: int) -> int | None:
        seen.append(item)
        return item if len(seen) > 2 else None

    return job


NO_ANSWER: dict[str, Callable[[], Any]] = {
    "a stage with a state": lambda: Total(),
    "a function that remembers": lambda: Processor(counting()),
    "a job that ends the run": lambda: Processor(raises),
    "a job that asks for its item": lambda: Processor(asks, on_error="skip"),
    "a job that never ends": lambda: FlatMap(never_ends),
}


@pytest.mark.parametrize("name", NO_ANSWER)
def test_there_is_no_answer_for(name: str) -> None:
    assert replicated(NO_ANSWER[name](), Pipe()).count([1, 2, 3]) is None


def test_an_item_that_is_skipped_gives_nothing() -> None:
    assert replicated(Processor(raises, on_error="skip"), Pipe()).count([1, 2, 3]) == 1


def test_too_many_states_are_no_answer() -> None:
    pl = with_rows(
        [ReplicatingFork(4)], [Pipe(9)] * 4, [Join(2), Join(2)], [Pipe(3)] * 2, [Join(2)]
    )
    assert pl.count(range(40)) is None
