"""Random pipelines, stepped in any order with slices of any size, give what plain loops give."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conveyor.graph.topology import Kind
from tests.chains import chains, values
from tests.core.world import World, compiled, first
from tests.model import Chain, assert_as_promised, rows, sources

pytestmark = pytest.mark.slow

in_memory = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
seeds = st.integers(0, 2**32)
most = st.sampled_from([1, 2, 3, 7, 100])


def world(chain: Chain, seed: int, most: int) -> tuple[World, Random]:
    random = Random(seed)
    return World(compiled(*rows(chain)), slices=lambda: random.randint(1, most)), random


@settings(in_memory, max_examples=150)
@given(chains(), values, seeds, most)
def test_steps_in_any_order_give_what_plain_loops_give(
    chain: Chain, values: list[Any], seed: int, most: int
) -> None:
    there, random = world(chain, seed, most)

    assert_as_promised(chain, values, there.shuffle(sources(values), random))


@settings(in_memory, max_examples=75)
@given(chains(), values, seeds)
def test_decisions_alone_give_what_plain_loops_give(
    chain: Chain, values: list[Any], seed: int
) -> None:
    there, random = world(chain, seed, 1)

    assert_as_promised(chain, values, there.run(sources(values), random.randrange))


@settings(in_memory, max_examples=50)
@given(chains(), st.lists(values, min_size=2, max_size=3), seeds, most)
def test_runs_of_the_same_workers_do_not_mix(
    chain: Chain, runs: list[list[Any]], seed: int, most: int
) -> None:
    there, random = world(chain, seed, most)
    for items in runs:
        assert_as_promised(chain, items, there.shuffle(sources(items), random))


@settings(in_memory, max_examples=25)
@given(chains(), st.integers(80, 120), seeds)
def test_many_items_go_through_tight_pipes_unharmed(chain: Chain, count: int, seed: int) -> None:
    there, random = world(chain, seed, 9)

    assert_as_promised(chain, list(range(count)), there.shuffle(sources(range(count)), random))


@settings(in_memory, max_examples=50)
@given(chains(), values, seeds, most)
def test_every_item_is_accounted_for(chain: Chain, values: list[Any], seed: int, most: int) -> None:
    there, random = world(chain, seed, most)
    outputs = there.shuffle(sources(values), random)

    for worker in there.in_order:
        assert worker.tally.in_hand == 0 or worker.spec.kind is Kind.SINK
        assert all(channel.queued() == 0 for channel in there.channels)
    assert there.workers["source"].tally.items_in == len(values)
    assert there.workers["sink"].tally.items_in == len(outputs)


@settings(in_memory, max_examples=30)
@given(chains(), values)
def test_the_same_decisions_give_the_same_again(chain: Chain, values: list[Any]) -> None:
    topology = compiled(*rows(chain))

    assert World(topology).run(sources(values), first) == World(topology).run(
        sources(values), first
    )
