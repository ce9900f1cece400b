"""How many ways there are to run a pipeline: each number is a closed form, worked out here, and found by trying them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from math import comb, factorial
from random import Random

import pytest

from conveyor.stages import BalancingFork, Filter, FlatMap, Join, Pipe, Processor, ReplicatingFork, Stage, Zip
from conveyor.topology import Topology
from tests.core.world import World, compiled, every_schedule
from tests.jobs import double, increment, is_even, repeated

Outcome = tuple[object, ...]


def outcomes(topology: Topology, n_items: int) -> list[Outcome]:
    """What comes out, for each class of schedules once."""
    return [tuple(out) for out in every_schedule(lambda pick: World(topology).run(range(n_items), pick))]


def labelled(label: str) -> Processor[object, object]:
    def job(item: object) -> object:
        return (label, item)

    return Processor(job, name=label)


def below(bound: int) -> Filter[int]:
    def keep(item: int) -> bool:
        return item < bound

    return Filter(keep)


def same(item: object) -> object:
    return item


def labels(n: int) -> Sequence[Stage]:
    return [labelled(name) for name in "abc"[:n]]


def multinomial(*parts: int) -> int:
    ways = factorial(sum(parts))
    for part in parts:
        ways //= factorial(part)
    return ways


def catalan(m: int) -> int:
    return comb(2 * m, m) // (m + 1)


def lattice_paths(m: int, apart: int) -> int:
    """Paths of unit steps from (0, 0) to (m, m) on which x and y are never more than `apart` apart."""

    @cache
    def paths(x: int, y: int) -> int:
        if min(x, y) < 0 or abs(x - y) > apart:
            return 0
        return 1 if x == y == 0 else paths(x - 1, y) + paths(x, y - 1)

    return paths(m, m)


@pytest.mark.parametrize(("lanes", "m"), [(2, 1), (2, 2), (2, 3), (2, 4), (3, 1), (3, 2), (3, 3)])
def test_lanes_of_a_replicate_are_interleaved_in_every_way_and_in_no_other(lanes: int, m: int) -> None:
    found = outcomes(compiled((ReplicatingFork(lanes),), labels(lanes), (Join(lanes),)), m)

    assert len(found) == len(set(found)) == multinomial(*[m] * lanes)
    for out in found:
        for name in "abc"[:lanes]:
            assert [item for item in out if item in [(name, x) for x in range(m)]] == [(name, x) for x in range(m)]


@pytest.mark.parametrize(("a", "b"), [(1, 3), (2, 3), (0, 3), (1, 4)])
def test_unequal_lanes(a: int, b: int) -> None:
    rows = (ReplicatingFork(2),), (below(a), below(b)), labels(2), (Join(2),)
    found = outcomes(compiled(*rows), max(a, b))

    assert len(found) == len(set(found)) == comb(a + b, a)


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_identical_lanes_differ_only_in_what_can_be_told_apart(m: int) -> None:
    found = outcomes(compiled((ReplicatingFork(2),), (Pipe(), Pipe()), (Join(2),)), m)

    assert (len(found), len(set(found))) == (comb(2 * m, m), catalan(m))


@pytest.mark.parametrize("between", [[], [(Processor(same), Pipe())]], ids=["joins in one worker", "a worker each"])
@pytest.mark.parametrize("m", [1, 2, 3])
def test_nested_joins(m: int, between: list[Sequence[Stage]]) -> None:
    rows = (ReplicatingFork(2),), (ReplicatingFork(2), Pipe()), labels(3), (Join(2), Pipe()), *between, (Join(2),)
    found = outcomes(compiled(*rows), m)

    assert len(found) == len(set(found)) == multinomial(m, m, m)


@pytest.mark.parametrize("fork", [BalancingFork(2), BalancingFork(max_lanes=2)], ids=["fixed", "adapting"])
@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_a_balance_chooses_for_each_item(m: int, fork: BalancingFork) -> None:
    adapts = fork.n is None
    lane, join = [Processor(same)] * (1 if adapts else 2), Join() if adapts else Join(2)
    found = outcomes(compiled((fork,), lane, (join,)), m)

    assert (len(found), len(set(found))) == (comb(2 * m, m), catalan(m))


@pytest.mark.parametrize("m", [1, 2, 3])
def test_a_balance_inside_a_replicate(m: int) -> None:
    rows = (ReplicatingFork(2),), (Pipe(), BalancingFork(2)), (Pipe(), Pipe(), Pipe()), (Join(3),)

    # for k of the m items by one lane, C(m, k) choices and (2m)! / (m! k! (m-k)!) orders
    assert len(outcomes(compiled(*rows), m)) == comb(2 * m, m) ** 2


@pytest.mark.parametrize(("m", "capacity"), [(1, 1), (2, 1), (3, 1), (4, 1), (3, 2), (4, 2), (5, 2), (4, 3)])
def test_small_lanes_of_a_replicate_cannot_drift_apart(m: int, capacity: int) -> None:
    topology = compiled((ReplicatingFork(2),), (Pipe(capacity), Pipe(capacity)), (Join(2),))

    assert len(outcomes(topology, m)) == lattice_paths(m, capacity)


def test_the_lattice_is_counted_right() -> None:
    assert [lattice_paths(m, 1) for m in (2, 3, 4)] == [4, 8, 16]
    assert [lattice_paths(m, m) for m in (1, 2, 3, 4)] == [2, 6, 20, 70]


STRAIGHT: dict[str, Sequence[Sequence[Stage]]] = {
    "linear": [[Processor(double)], [Pipe(1)], [FlatMap(repeated)], [Filter(is_even)], [Pipe(2)], [Processor(increment)]],
    "ordered": [[ReplicatingFork(3)], [Pipe(1), Processor(double), Pipe(1)], [Join(3, ordered=True)]],
    "zip": [[ReplicatingFork(2)], [Pipe(1), Processor(double)], [Zip(2)]],
    "no join": [[ReplicatingFork(1)], [Processor(double)]],
}


@pytest.mark.parametrize("name", STRAIGHT)
def test_without_a_join_and_a_balance_nothing_is_left_to_chance(name: str) -> None:
    assert len(outcomes(compiled(*STRAIGHT[name]), 6)) == 1


SMALL: dict[str, Callable[[], Sequence[Sequence[Stage]]]] = {
    "replicate": lambda: [[ReplicatingFork(2)], labels(2), [Join(2)]],
    "tight lanes": lambda: [[ReplicatingFork(2)], labels(2), [Pipe(1), Pipe(1)], [Join(2)]],
    "tight lanes before": lambda: [[ReplicatingFork(2)], [Pipe(1), Pipe(1)], labels(2), [Pipe(1), Pipe(1)], [Join(2)]],
    "tight behind": lambda: [[ReplicatingFork(2)], labels(2), [Join(2)], [Processor(same)], [Pipe(1)]],
    "balance": lambda: [[BalancingFork(2)], labels(2), [Join(2)]],
    "tight balance": lambda: [[BalancingFork(2)], [Pipe(1), Pipe(1)], labels(2), [Join(2)]],
    "balance in replicate": lambda: [[ReplicatingFork(2)], [Pipe(1), BalancingFork(2)], labels(3), [Join(3)]],
    "filter and flat-map": lambda: [[ReplicatingFork(2)], [below(1), FlatMap(repeated)], labels(2), [Join(2)]],
    "ordered inside": lambda: [[BalancingFork(2)], labels(2), [Join(2, ordered=True)]],
    "a balance and two joins": lambda: [[BalancingFork(2)], labels(2), [Join(2)], [BalancingFork(2)], labels(2), [Join(2)]],
}


@pytest.mark.parametrize("name", SMALL)
def test_no_order_of_single_steps_gives_what_the_search_does_not_know(name: str) -> None:
    topology = compiled(*SMALL[name]())
    known = set(outcomes(topology, 2))

    def shuffled(seed: int, most: int) -> Outcome:
        random = Random(seed)
        return tuple(World(topology, slices=lambda: random.randint(1, most)).shuffle(range(2), random))

    assert {shuffled(seed, 1) for seed in range(400)} == known
    assert {shuffled(seed, 2) for seed in range(100)} <= known
