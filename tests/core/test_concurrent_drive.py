"""Items side by side: what is given, in which orders, how many are in hand, and that no death shows
at any store, in any order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import groupby, islice, permutations
from math import factorial
from random import Random
from typing import Any

import pytest

from conveyor.core.channel import Note
from conveyor.core.window import SPAN, SlidingWindow, words_of_window
from conveyor.stages import (
    BalancingFork,
    Filter,
    FlatMap,
    Join,
    Pipe,
    Processor,
    ReplicatingFork,
    Zip,
)
from tests.core.test_death_before_each_store import (
    SCHEDULES,
    Case,
    Outputs,
    by_label,
    call,
    call_for_even,
    calls,
    even_in_order,
    fails_at_first,
    in_order,
    items_of,
    labels,
    many_of_each_in_order,
    pipes,
    places_to_die,
    refuse_odd,
    run,
)
from tests.core.world import World, compiled, every_schedule
from tests.helpers import PROVE
from tests.jobs import same


def orders(n_items: int, concurrency: int, capacity: int = 100) -> list[tuple[int, ...]]:
    """What comes out, for each way of deciding."""
    topology = compiled(
        [Pipe(capacity)],
        [Processor(same, concurrency=concurrency, ordered=False)],
        [Pipe(100)],
    )

    def once(pick: Any) -> tuple[int, ...]:
        return tuple(World(topology).run(range(n_items), pick))

    return list(every_schedule(once))


@pytest.mark.parametrize("n_items", range(6))
def test_with_a_hand_for_each_every_order_is_there_once(n_items: int) -> None:
    found = orders(n_items, 6)

    assert len(found) == factorial(n_items)
    assert set(found) == set(permutations(range(n_items)))


@pytest.mark.parametrize("n_items", range(1, 8))
def test_two_hands_give_a_power_of_two_and_one_gives_one(n_items: int) -> None:
    assert len(set(orders(n_items, 2))) == len(orders(n_items, 2)) == 2 ** (n_items - 1)
    assert orders(n_items, 1) == [tuple(range(n_items))]


def test_an_item_that_is_never_done_first_holds_up_only_what_the_pipe_has_no_room_for() -> None:
    """Beside it, the others pass by two hands, as far as the pipe in front holds them."""
    last = [order.index(0) for order in orders(6, 2, capacity=4)]
    assert max(last) == 3
    assert max(order.index(0) for order in orders(6, 2)) == 5


# ------------------------------------------------------------------------------------------- deaths


def any_order(outputs: Outputs, n_items: int) -> None:
    assert sorted(items_of(outputs)) == list(range(n_items))


def is_of_an_even_item(each: Any) -> bool:
    return bool(each[0] % 2 == 0)


def even_in_any_order(outputs: Outputs, n_items: int) -> None:
    assert sorted(items_of(outputs)) == list(range(0, n_items, 2))


def many_of_each_together(outputs: Outputs, n_items: int) -> None:
    found = [list(group) for _, group in groupby(items_of(outputs), lambda each: each[0])]
    assert sorted(found) == [
        [(item, number) for number in range(item)] for item in range(n_items) if item
    ]


def identical_lanes_in_any_order(outputs: Outputs, n_items: int) -> None:
    lanes = by_label(outputs)
    assert lanes["a"] == lanes["b"]
    any_order(lanes["a"], n_items)


def each_in_one_lane(outputs: Outputs, n_items: int) -> None:
    lanes = by_label(outputs)
    any_order([each for lane in lanes.values() for each in lane], n_items)


def twice_each(outputs: Outputs, n_items: int) -> None:
    lanes = by_label([item for item, _ in outputs])
    assert {label: sorted(items) for label, items in lanes.items()} == {
        label: list(range(n_items)) for label in "ab"
    }
    items_of(outputs)


def pairs(outputs: Outputs, n_items: int) -> None:
    any_order([left for left, _ in outputs], n_items)
    assert [right for _, right in outputs] == list(range(n_items))


CASES = {
    "in order": Case(
        lambda cap, lane: [
            [Pipe(cap)],
            [Processor(call, concurrency=3)],
            [Pipe(lane)],
            [Processor(same)],
        ],
        in_order,
    ),
    "as they are done": Case(
        lambda cap, lane: [
            [Pipe(cap)],
            [Processor(call, concurrency=3, ordered=False)],
            [Pipe(lane)],
            [Processor(same)],
        ],
        any_order,
    ),
    "dropping, in order": Case(
        lambda cap, lane: [
            [Pipe(cap)],
            [Processor(call_for_even, concurrency=2)],
            [Pipe(lane)],
        ],
        even_in_order,
    ),
    "dropping, as they are done": Case(
        lambda cap, lane: [
            [Pipe(cap)],
            [Processor(call_for_even, concurrency=3, ordered=False)],
            [Pipe(lane)],
        ],
        even_in_any_order,
    ),
    "a flat-map in order": Case(
        lambda cap, lane: [[Pipe(cap)], [FlatMap(calls, concurrency=2)], [Pipe(lane)]],
        many_of_each_in_order,
    ),
    "a flat-map, as they are done": Case(
        lambda cap, lane: [
            [Pipe(cap)],
            [FlatMap(calls, concurrency=3, ordered=False)],
            [Pipe(lane)],
        ],
        many_of_each_together,
    ),
    "a filter": Case(
        lambda cap, lane: [
            [Processor(call)],
            [Pipe(cap)],
            [Filter(is_of_an_even_item, concurrency=2, ordered=False)],
            [Pipe(lane)],
        ],
        even_in_any_order,
    ),
    "failing now and then": Case(
        lambda cap, lane: [
            [Pipe(cap)],
            [Processor(fails_at_first, retries=2, concurrency=2, ordered=False)],
            [Pipe(lane)],
        ],
        any_order,
    ),
    "dead letters": Case(
        lambda cap, lane: [
            [Pipe(cap)],
            [Processor(refuse_odd, on_error="dead_letter", concurrency=3, ordered=False)],
            [Pipe(lane)],
        ],
        even_in_any_order,
    ),
    "dead letters, in order": Case(
        lambda cap, lane: [
            [Pipe(cap)],
            [Processor(refuse_odd, on_error="dead_letter", retries=1, concurrency=3)],
            [Pipe(lane)],
        ],
        even_in_order,
    ),
    "replicated": Case(
        lambda cap, lane: [
            [Pipe(cap)],
            [Processor(call, concurrency=2, ordered=False)],
            [ReplicatingFork(2)],
            pipes(2, lane),
            labels("ab"),
            pipes(2, lane),
            [Join(2)],
        ],
        identical_lanes_in_any_order,
    ),
    "balanced": Case(
        lambda cap, lane: [
            [Processor(call, concurrency=2, ordered=False)],
            [BalancingFork(2)],
            pipes(2, lane),
            labels("ab"),
            pipes(2, cap),
            [Join(2)],
        ],
        each_in_one_lane,
    ),
    "in the lanes of a balance": Case(
        lambda cap, lane: [
            [BalancingFork(2)],
            pipes(2, lane),
            [Processor(call, concurrency=2), Processor(call, concurrency=2, ordered=False)],
            [Join(2)],
            [Processor(same)],
            [Pipe(cap)],
        ],
        any_order,
    ),
    "behind a join": Case(
        lambda cap, lane: [
            [ReplicatingFork(2)],
            labels("ab"),
            pipes(2, lane),
            [Join(2)],
            [Processor(call, concurrency=2, ordered=False)],
            [Pipe(cap)],
        ],
        twice_each,
    ),
    "before an ordered join": Case(
        lambda cap, lane: [
            [Processor(call, concurrency=2)],
            [BalancingFork(2)],
            pipes(2, lane),
            [Processor(same), Processor(same)],
            [Join(2, ordered=True)],
            [Pipe(cap)],
        ],
        in_order,
    ),
    "zipped": Case(
        lambda cap, lane: [
            [ReplicatingFork(2)],
            [Processor(call, concurrency=2, ordered=False), Pipe(100)],
            [Zip(2)],
            [Processor(same)],
            [Pipe(cap)],
        ],
        pairs,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_death_at_any_store_is_not_to_be_seen(name: str) -> None:
    topology = compiled(*CASES[name].rows(100, 100))
    for place in places_to_die(topology, 3, 1):
        deaths = 0
        schedules = every_schedule(partial(run, topology, 3, 1, place))
        for died, outputs in islice(schedules, SCHEDULES * (4 if PROVE else 1)):
            CASES[name].holds(outputs, 3)
            deaths += died
        assert deaths, place


@pytest.mark.slow
@pytest.mark.parametrize(("n_items", "cap", "lane"), [(3, 2, 1), (5, 1, 1), (5, 4, 4), (6, 3, 2)])
@pytest.mark.parametrize("name", CASES)
def test_nor_is_it_with_tight_pipes(name: str, n_items: int, cap: int, lane: int) -> None:
    topology = compiled(*CASES[name].rows(cap, lane))
    deaths: Counter[str] = Counter()
    for place in places_to_die(topology, n_items, 1):
        for seed in range(10 if PROVE else 1):
            died, outputs = run(topology, n_items, 1, place, Random(seed).randrange)
            CASES[name].holds(outputs, n_items)
            deaths[place[0]] += died
    assert all(deaths[worker.spec.name] for worker in World(topology).jobs())


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_nor_are_two_deaths_soon_after_one_another(name: str) -> None:
    topology = compiled(*CASES[name].rows(3, 2))
    for place in places_to_die(topology, 4, 1):
        for again in range(6 if PROVE else 3):
            for seed in range(3 if PROVE else 1):
                _, outputs = run(topology, 4, 1, place, Random(seed).randrange, again)
                CASES[name].holds(outputs, 4)


def test_counts_and_orders_go_on_into_the_next_run() -> None:
    topology = compiled([Pipe(3)], [Processor(same, concurrency=2, ordered=False)], [Pipe(2)])
    world = World(topology)
    for seed in range(5):
        assert sorted(world.run(range(6), Random(seed).randrange)) == list(range(6))
        assert [worker.tally.items_in for worker in world.jobs()] == [6]


# ------------------------------------------------------------------------------------------- window


def window(capacity: int = 100) -> Callable[[], SlidingWindow]:
    note = Note([0] * words_of_window(capacity))
    return lambda: SlidingWindow(note)


def test_a_window_remembers_what_is_finished_once_its_record_is_out() -> None:
    made = window()
    first = made()
    first.recall(1, 7, 50)
    for position in (52, 50):
        first.finish(position)
    first.store(8)  # in the record to come

    without, with_it = made(), made()
    with_it.recall(1, 8, 50)
    assert (with_it.base, with_it.finished) == (51, 2)
    with_it.counted(2)
    assert with_it.start == 50
    with_it.counted(2 + 60)  # of which so many came before a checkpoint
    assert with_it.start == -10
    assert [with_it.is_finished(at) for at in range(50, 54)] == [True, False, True, False]
    assert with_it.finished_behind() == (1,)  # 52, which is the next but 51
    without.recall(1, 7, 50)
    assert (without.base, without.finished) == (50, 0)


def test_a_window_is_as_wide_as_the_pipe_and_no_wider_than_its_span() -> None:
    for capacity in (1, 64, 65, 1000, 10 * SPAN):
        wide = window(capacity)()
        wide.recall(1, 0, 0)
        reach = next(n for n in range(10 * SPAN) if not wide.reaches(n))
        assert min(capacity, SPAN) <= reach < min(capacity, SPAN) + 64
