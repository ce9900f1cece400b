"""Random pipelines, run for real, give what plain loops give."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.chains import chains, values
from tests.helpers import living_children, pipeline
from tests.model import (
    Buffer,
    Chain,
    Diamond,
    Forks,
    Hands,
    Item,
    Joins,
    Map,
    assert_as_promised,
    build,
    must_come_before,
    paired,
    results,
    sources,
    wrapped,
)

real_runs = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

# ---------------------------------------------------------------------------------------- real runs


@settings(real_runs, max_examples=25)
@given(chains([*Hands]), values)
def test_a_run_gives_what_plain_loops_give(chain: Chain, values: list[Any]) -> None:
    assert_as_promised(chain, values, build(chain, pipeline("fork")).run(sources(values)))


@settings(real_runs, max_examples=5)
@given(chains([*Hands]), values)
def test_a_run_by_the_fork_server_gives_what_plain_loops_give(
    chain: Chain, values: list[Any]
) -> None:
    assert_as_promised(chain, values, build(chain, pipeline("forkserver")).run(sources(values)))


@settings(real_runs, max_examples=12)
@given(chains([*Hands]), values)
def test_a_stream_gives_what_plain_loops_give(chain: Chain, values: list[Any]) -> None:
    with build(chain, pipeline("fork")).stream(sources(values)) as stream:
        assert_as_promised(chain, values, list(stream))


@settings(real_runs, max_examples=12)
@given(chains([*Hands]), st.lists(values, min_size=2, max_size=3))
def test_runs_of_one_open_pipeline_do_not_mix(chain: Chain, runs: list[list[Any]]) -> None:
    with build(chain, pipeline("fork")) as pl:
        for values in runs:
            assert_as_promised(chain, values, pl.run(sources(values)))


@settings(real_runs, max_examples=12)
@given(chains([*Hands]), st.integers(80, 120))
def test_many_items_go_through_tight_pipes_unharmed(chain: Chain, count: int) -> None:
    values = list(range(count))

    assert_as_promised(chain, values, build(chain, pipeline("fork")).run(sources(values)))


def test_all_those_runs_leave_no_process() -> None:
    assert living_children() == []


# ---------------------------------------------------------- the model itself, held against examples

QUICKSTART: Chain = (
    Diamond(1, Forks.REPLICATE, ((Map(paired),), (Buffer(1),)), Joins.FIRST_COME, is_marked=True),
)


def item(number: int, lane: int, value: Any) -> Item:
    return ((0, "item", number), (1, "first come", lane)), value


def test_the_model_allows_every_interleaving_of_two_lanes_and_no_other_order() -> None:
    a, b = [item(0, 0, (5, 1)), item(1, 0, (6, 1))], [item(0, 1, 5), item(1, 1, 6)]
    allowed: list[tuple[Item, ...]] = []
    for outputs in permutations([*a, *b]):
        try:
            assert_as_promised(QUICKSTART, [5, 6], outputs)
        except AssertionError:
            continue
        allowed.append(outputs)

    in_order = [
        p
        for p in permutations([*a, *b])
        if p.index(a[0]) < p.index(a[1]) and p.index(b[0]) < p.index(b[1])
    ]
    assert allowed == in_order
    assert len(allowed) == 6


def test_the_model_misses_an_item_that_is_lost_and_one_that_is_repeated() -> None:
    all_of_it = [item(0, 0, (5, 1)), item(0, 1, 5)]

    assert_as_promised(QUICKSTART, [5], all_of_it)
    for wrong in (all_of_it[:1], [*all_of_it, all_of_it[0]], []):
        with pytest.raises(AssertionError):
            assert_as_promised(QUICKSTART, [5], wrong)


def test_the_model_wants_one_order_of_an_ordered_join() -> None:
    lanes: tuple[Chain, ...] = ((Map(wrapped),), (Buffer(1),))
    chain: Chain = (Diamond(1, Forks.REPLICATE, lanes, Joins.ORDERED, is_marked=False),)

    assert [value for _, value in results(chain, sources([5, 6]))] == [[5], 5, [6], 6]


def test_the_model_zips_lanes_item_by_item() -> None:
    chain: Chain = (
        Diamond(1, Forks.REPLICATE, ((Map(wrapped),), (Map(paired),)), Joins.ZIP, is_marked=False),
    )

    assert [value for _, value in results(chain, sources([5, 6]))] == [([5], (5, 1)), ([6], (6, 1))]


def test_two_results_by_different_lanes_of_a_balance_have_no_order() -> None:
    first, second = ((0, "item", 0), (1, "balanced", 1)), ((0, "item", 1), (1, "balanced", 0))

    assert not must_come_before(first, second)
    assert not must_come_before(second, first)
    assert must_come_before(((0, "item", 0), (1, "balanced", 0)), second)
