"""Random pipelines, run for real, give what plain loops give."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers import living_children, pipeline
from tests.model import (
    CHANGES,
    Buffer,
    Chain,
    Copies,
    Diamond,
    Drop,
    Forks,
    Item,
    Joins,
    Keep,
    Map,
    Part,
    assert_as_promised,
    build,
    is_exact,
    must_come_before,
    paired,
    results,
    sources,
    wrapped,
)

pytestmark = pytest.mark.timeout(90)

MOST_WORKERS = 10
real_runs = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

values = st.lists(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
        ),
        max_leaves=4,
    ),
    max_size=12,
)


class Site:
    """Numbers the places of a topology, and counts the workers that it may still have."""

    def __init__(self, workers: int) -> None:
        self.number = 0
        self.workers = workers

    def next(self) -> int:
        self.number += 1
        return self.number


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    return draw_chain(draw, Site(MOST_WORKERS), depth=2, least=1, ordered=False, may_zip=True)


def draw_chain(draw: st.DrawFn, site: Site, *, depth: int, least: int, ordered: bool, may_zip: bool) -> Chain:
    """Ordered: inside an ordered join, which takes only such.  May zip: the order of the items so far is promised."""
    chain: list[Part] = []
    for _ in range(draw(st.integers(least, least + depth))):
        if depth and site.workers >= 2 and draw(st.booleans()):
            chain.append(draw_diamond(draw, site, depth=depth, ordered=ordered, may_zip=may_zip and is_exact(chain)))
        else:
            chain.append(draw_stage(draw, site))
    return tuple(chain)


def draw_stage(draw: st.DrawFn, site: Site) -> Part:
    kind = draw(st.sampled_from(["map", "drop", "keep", "copies", "pipe"])) if site.workers > 0 else "pipe"
    if kind == "pipe":
        return Buffer(draw(st.sampled_from([1, 2, 3, 7, 16384])))
    site.workers -= 1
    match kind:
        case "map":
            return Map(draw(st.sampled_from(CHANGES)))
        case "drop":
            return Drop()
        case "keep":
            return Keep()
        case _:
            return Copies(site.next())


def draw_diamond(draw: st.DrawFn, site: Site, *, depth: int, ordered: bool, may_zip: bool) -> Part:
    joins = [Joins.ORDERED] if ordered else [Joins.FIRST_COME] * 3 + [Joins.ORDERED] * 2 + [Joins.ZIP] * may_zip
    join = draw(st.sampled_from(joins))
    forks = [Forks.REPLICATE] * 3 + [Forks.BALANCE] * 2 + [Forks.ADAPT]
    fork = Forks.REPLICATE if join is Joins.ZIP else draw(st.sampled_from(forks))
    width = draw(st.integers(2, 3))
    place = site.next()
    marked = fork is not Forks.ADAPT and join is Joins.FIRST_COME and draw(st.sampled_from([True, True, False]))
    marked = marked or (fork is Forks.REPLICATE and join is Joins.ORDERED)
    site.workers -= width * marked
    if join is Joins.ZIP:
        lanes = draw_lanes_to_zip(draw, site, width)
    elif fork is Forks.REPLICATE:
        lanes = tuple(
            draw_chain(draw, site, depth=depth - 1, least=0, ordered=join is Joins.ORDERED, may_zip=may_zip)
            for _ in range(width)
        )
    else:  # all lanes alike, each with workers of its own
        share = Site(site.workers // width)
        share.number = site.number
        lane_depth = 0 if fork is Forks.ADAPT else depth - 1
        lane = draw_chain(draw, share, depth=lane_depth, least=1, ordered=join is Joins.ORDERED, may_zip=False)
        site.number = share.number
        site.workers = share.workers * width
        lanes = (lane,) if fork is Forks.ADAPT else (lane,) * width
    return Diamond(place, fork, lanes, join, marked)


def draw_lanes_to_zip(draw: st.DrawFn, site: Site, width: int) -> tuple[Chain, ...]:
    """Lanes in step may have tight pipes; lanes that drift apart must have roomy ones, or a zip waits for ever."""
    site.workers -= 1  # makes one item of a tuple
    in_step = st.builds(Map, st.sampled_from(CHANGES)) | st.builds(Buffer, st.integers(1, 3))
    lanes: tuple[Chain, ...]
    if draw(st.booleans()):
        lanes = tuple(tuple(draw(st.lists(in_step, min_size=1, max_size=2))) for _ in range(width))
    else:
        apart: list[list[Part]] = [[Drop(), Keep(), Copies(site.next()), Map(wrapped)] for _ in range(width)]
        lanes = tuple((draw(st.sampled_from(parts)),) for parts in apart)
    site.workers -= sum(not isinstance(part, Buffer) for lane in lanes for part in lane)
    return lanes


# ----------------------------------------------------------------------------------------------------------- real runs


@settings(real_runs, max_examples=25)
@given(chains(), values)
def test_a_run_gives_what_plain_loops_give(chain: Chain, values: list[Any]) -> None:
    assert_as_promised(chain, values, build(chain, pipeline("fork")).run(sources(values)))


@settings(real_runs, max_examples=5)
@given(chains(), values)
def test_a_run_by_the_fork_server_gives_what_plain_loops_give(chain: Chain, values: list[Any]) -> None:
    assert_as_promised(chain, values, build(chain, pipeline("forkserver")).run(sources(values)))


@settings(real_runs, max_examples=12)
@given(chains(), values)
def test_a_stream_gives_what_plain_loops_give(chain: Chain, values: list[Any]) -> None:
    with build(chain, pipeline("fork")).stream(sources(values)) as stream:
        assert_as_promised(chain, values, list(stream))


@settings(real_runs, max_examples=12)
@given(chains(), st.lists(values, min_size=2, max_size=3))
def test_runs_of_one_open_pipeline_do_not_mix(chain: Chain, runs: list[list[Any]]) -> None:
    with build(chain, pipeline("fork")) as pl:
        for values in runs:
            assert_as_promised(chain, values, pl.run(sources(values)))


@settings(real_runs, max_examples=12)
@given(chains(), st.integers(80, 120))
def test_many_items_go_through_tight_pipes_unharmed(chain: Chain, count: int) -> None:
    values = list(range(count))

    assert_as_promised(chain, values, build(chain, pipeline("fork")).run(sources(values)))


def test_all_those_runs_leave_no_process() -> None:
    assert living_children() == []


# ----------------------------------------------------------------------------- the model itself, held against examples

QUICKSTART: Chain = (Diamond(1, Forks.REPLICATE, ((Map(paired),), (Buffer(1),)), Joins.FIRST_COME, is_marked=True),)


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

    in_order = [p for p in permutations([*a, *b]) if p.index(a[0]) < p.index(a[1]) and p.index(b[0]) < p.index(b[1])]
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
    chain: Chain = (Diamond(1, Forks.REPLICATE, ((Map(wrapped),), (Map(paired),)), Joins.ZIP, is_marked=False),)

    assert [value for _, value in results(chain, sources([5, 6]))] == [([5], (5, 1)), ([6], (6, 1))]


def test_two_results_by_different_lanes_of_a_balance_have_no_order() -> None:
    first, second = ((0, "item", 0), (1, "balanced", 1)), ((0, "item", 1), (1, "balanced", 0))

    assert not must_come_before(first, second)
    assert not must_come_before(second, first)
    assert must_come_before(((0, "item", 0), (1, "balanced", 0)), second)
