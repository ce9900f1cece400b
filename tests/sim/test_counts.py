"""How many ways there are to run a pipeline: each number is a closed form, worked out here, and the
search finds exactly that.

A *class* is what is decided at each point; an *order* is a sequence of outputs.  No schedule that
the search begins is wasted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import combinations, permutations, product
from math import comb, factorial, prod
from typing import Any

import pytest

from conveyor import BalancingFork, Filter, FlatMap, Join, Pipe, Processor, ReplicatingFork, Zip
from conveyor.sim.schedulers.exhaustive import Exhaustive
from conveyor.stages import Stage
from tests.jobs import double, increment, is_even, repeated, same
from tests.sim.closed_forms import multinomial
from tests.sim.parts import Outcome, below, built, labels, times

# --------------------------------------------------------------------------------- the closed forms


def ballots(lanes: int, m: int) -> int:
    """In how many ways `lanes` equal sequences of m can be interleaved, told apart by items alone.

    Read off how often each item has come: the k-th of an item never after the k-th of the next.
    Those are the standard Young tableaux of m columns and `lanes` rows, counted by their hooks; for
    two lanes they are Catalan's numbers.
    """
    hooks = prod(m - column + lanes - row - 1 for row in range(lanes) for column in range(m))
    return factorial(lanes * m) // hooks


def in_lanes(lanes: int, m: int) -> int:
    """Permutations of m that `lanes` queues beside one another can make of 0, 1, 2, ...: none falls
    `lanes` times in a row."""

    def falls(order: Sequence[int]) -> bool:
        return any(
            list(part) == sorted(part, reverse=True) for part in combinations(order, lanes + 1)
        )

    return sum(not falls(order) for order in permutations(range(m)))


def paths(ends: tuple[int, ...], is_allowed: Callable[[tuple[int, ...]], bool]) -> int:
    """Paths of unit steps from the origin to `ends` on which every point is allowed: a step is a
    read of that lane."""

    @cache
    def count(point: tuple[int, ...]) -> int:
        if min(point) < 0 or not is_allowed(point):
            return 0
        before = [
            (*point[:axis], point[axis] - 1, *point[axis + 1 :]) for axis in range(len(point))
        ]
        return sum(map(count, before)) if any(point) else 1

    return count(ends)


def paths_together(ends: tuple[int, ...], *room: int) -> int:
    """Paths along which no lane is more than another's room ahead of that one: so far can a
    replicating fork be ahead of it."""
    lanes = range(len(ends))

    def is_allowed(point: tuple[int, ...]) -> bool:
        return all(point[one] - point[other] <= room[other] for one in lanes for other in lanes)

    return paths(ends, is_allowed)


def balances(m: int, room: int) -> int:
    """Choices of a balancing fork between two lanes of so much room, times the orders in which its
    items can then be read.

    An item is out once the item that many places before it in its lane has been read; it is out
    after all those before it.
    """
    return sum(
        readings([choices[:at].count(lane) for at, lane in enumerate(choices)], choices, room)
        for choices in both(m)
    )


def both(m: int) -> Iterable[tuple[int, ...]]:
    return product((0, 1), repeat=m)


def readings(place: Sequence[int], lanes: Sequence[int], room: int) -> int:
    """Paths of reads of two lanes: `place` says which item of its lane each item is."""

    def is_allowed(point: tuple[int, ...]) -> bool:
        # The last reads were possible if all items up to the newest of them could be published
        # before.
        newest = max((at for at, lane in enumerate(lanes) if place[at] < point[lane]), default=-1)
        return all(place[at] - room < point[lanes[at]] for at in range(newest + 1))

    return paths((lanes.count(0), lanes.count(1)), is_allowed)


# --------------------------------------------------------------------------------------- the search


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many schedules the exhaustive search began, those included that it gave up."""
    counted: Counter[str] = Counter()
    begin = Exhaustive.begin

    def counts(scheduler: Exhaustive) -> bool:
        another = begin(scheduler)
        counted["schedules"] += another
        return another

    monkeypatch.setattr(Exhaustive, "begin", counts)
    return counted


@pytest.fixture
def counts(begun: Counter[str]) -> Callable[..., tuple[int, int]]:
    """Classes and orders of a pipeline for the items 0, 1, ..., m - 1."""

    def search(m: int, *rows: Sequence[Stage]) -> tuple[int, int]:
        begun.clear()
        found = built(*rows).explore(range(m), strategy="exhaustive", schedules=100_000)
        assert found.complete
        assert found.unseen == 0
        assert found.failure is None
        assert begun["schedules"] == found.schedules == found.classes
        return found.classes, len(found.outputs)

    return search


Counts = Callable[..., tuple[int, int]]

REPLICATED = [*product([2], range(6)), *product([3], range(4)), (4, 1), (4, 2)]


@pytest.mark.parametrize(("lanes", "m"), REPLICATED)
def test_labelled_lanes_of_a_replicate(counts: Counts, lanes: int, m: int) -> None:
    ways = multinomial(*[m] * lanes)

    assert counts(m, [ReplicatingFork(lanes)], labels("abcd"[:lanes]), [Join(lanes)]) == (
        ways,
        ways,
    )


@pytest.mark.parametrize(("lanes", "m"), [*product([2], range(1, 6)), *product([3], range(1, 4))])
def test_identical_lanes_of_a_replicate(counts: Counts, lanes: int, m: int) -> None:
    found = counts(m, [ReplicatingFork(lanes)], [Pipe()] * lanes, [Join(lanes)])

    assert found == (multinomial(*[m] * lanes), ballots(lanes, m))


@pytest.mark.parametrize(("a", "b"), [(0, 3), (1, 3), (1, 4), (2, 3), (2, 5), (3, 4), (4, 2)])
def test_unequal_lanes(counts: Counts, a: int, b: int) -> None:
    ways = comb(a + b, a)

    assert counts(
        max(a, b), [ReplicatingFork(2)], [below(a), below(b)], labels("ab"), [Join(2)]
    ) == (ways, ways)


@pytest.mark.parametrize(("m", "n"), [(1, 2), (2, 2), (1, 4), (2, 3)])
def test_a_lane_that_multiplies(counts: Counts, m: int, n: int) -> None:
    ways = comb(n * m + m, m)

    assert counts(m, [ReplicatingFork(2)], [times(n), Pipe()], labels("ab"), [Join(2)]) == (
        ways,
        ways,
    )


@pytest.mark.parametrize(
    "between", [[], [[Processor(same), Pipe()]]], ids=["joins in one worker", "a worker each"]
)
@pytest.mark.parametrize("m", [1, 2, 3])
def test_nested_joins(counts: Counts, m: int, between: list[Sequence[Stage]]) -> None:
    rows = (
        [ReplicatingFork(2)],
        [ReplicatingFork(2), Pipe()],
        labels("abc"),
        [Join(2), Pipe()],
        *between,
        [Join(2)],
    )
    ways = multinomial(m, m, m)

    assert counts(m, *rows) == (ways, ways)


@pytest.mark.parametrize(
    "between",
    [[], [[Processor(same), Processor(same)]]],
    ids=["joins in one worker", "a worker each"],
)
@pytest.mark.parametrize("m", [1, 2])
def test_a_join_of_two_joins(counts: Counts, m: int, between: list[Sequence[Stage]]) -> None:
    rows = [ReplicatingFork(4)], labels("abcd"), [Join(2), Join(2)], *between, [Join(2)]
    ways = multinomial(m, m, m, m)

    assert counts(m, *rows) == (ways, ways)


@pytest.mark.parametrize("m", [1, 2])
def test_one_diamond_behind_another(counts: Counts, m: int) -> None:
    rows = (
        [ReplicatingFork(2)],
        labels("ab"),
        [Join(2)],
        [ReplicatingFork(2)],
        labels("cd"),
        [Join(2)],
    )
    ways = comb(2 * m, m) * comb(4 * m, 2 * m)

    assert counts(m, *rows) == (ways, ways)


@pytest.mark.parametrize("m", [1, 2, 3])
def test_diamonds_that_do_not_touch(counts: Counts, m: int) -> None:
    rows = (
        [ReplicatingFork(2)],
        [ReplicatingFork(2), ReplicatingFork(2)],
        labels("abcd"),
        [Join(2), Join(2)],
        [Zip(2)],
    )
    ways = comb(2 * m, m) ** 2

    assert counts(m, *rows) == (ways, ways)


def test_three_diamonds_that_do_not_touch(counts: Counts) -> None:
    rows = (
        [ReplicatingFork(3)],
        [ReplicatingFork(2)] * 3,
        labels("abcdef"),
        [Join(2)] * 3,
        [Processor(same)] * 3,
        [Zip(3)],
    )

    assert counts(2, *rows) == (6**3, 6**3)


# Vandermonde: the sum over k of C(m, k) choices times C(m, k) orders of reading k items of one lane
# and m - k of the other.
@pytest.mark.parametrize(
    "fork", [BalancingFork(2), BalancingFork(max_lanes=2)], ids=["fixed", "adapting"]
)
@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_a_balance_chooses_for_each_item(counts: Counts, m: int, fork: BalancingFork) -> None:
    rows = [[Processor(same)], [Join()]] if fork.n is None else [[Processor(same)] * 2, [Join(2)]]

    assert counts(m, [fork], *rows) == (comb(2 * m, m), ballots(2, m))
    assert ballots(2, m) == in_lanes(2, m)


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_a_balance_of_three_lanes(counts: Counts, m: int) -> None:
    shares = [(a, b, m - a - b) for a in range(m + 1) for b in range(m + 1 - a)]

    assert counts(m, [BalancingFork(3)], [Pipe()] * 3, [Join(3)]) == (
        sum(multinomial(*share) ** 2 for share in shares),
        in_lanes(3, m),
    )


@pytest.mark.parametrize("m", [1, 2, 3])
def test_a_balance_inside_a_replicate(counts: Counts, m: int) -> None:
    rows = [ReplicatingFork(2)], [Pipe(), BalancingFork(2)], [Pipe()] * 3, [Join(3)]

    # for k of the m items by one lane, C(m, k) choices and (2m)! / (m! k! (m-k)!) orders
    assert counts(m, *rows)[0] == comb(2 * m, m) ** 2


@pytest.mark.parametrize(("m", "room"), [(2, 1), (3, 1), (4, 1), (3, 2), (4, 2)])
def test_a_balance_waits_for_room_in_the_lane_that_it_chose(
    counts: Counts, m: int, room: int
) -> None:
    assert counts(m, [BalancingFork(2)], [Pipe(room)] * 2, [Join(2)])[0] == balances(m, room)
    assert balances(m, m) == comb(2 * m, m)


TIGHT = [(1, 1), (2, 1), (3, 1), (4, 1), (6, 1), (3, 2), (4, 2), (5, 2), (4, 3)]


@pytest.mark.parametrize(("m", "room"), TIGHT)
def test_tight_lanes_of_a_replicate_cannot_drift_apart(counts: Counts, m: int, room: int) -> None:
    found, _ = counts(m, [ReplicatingFork(2)], [Pipe(room), Pipe(room)], [Join(2)])

    assert found == paths_together((m, m), room, room)


@pytest.mark.parametrize(("m", "a", "b"), [(3, 1, 2), (3, 2, 1), (4, 1, 3), (4, 3, 1), (5, 1, 2)])
def test_lanes_of_unlike_room(counts: Counts, m: int, a: int, b: int) -> None:
    found, _ = counts(m, [ReplicatingFork(2)], [Pipe(a), Pipe(b)], [Join(2)])

    assert found == paths_together((m, m), a, b)


# A job holds what it works on in its inlet until the output is out: so a lane has room for what its
# pipes have, and no more.
@pytest.mark.parametrize(
    ("m", "before", "behind"), [(3, 1, 1), (4, 1, 1), (4, 1, 2), (4, 2, 1), (5, 1, 1)]
)
def test_pipes_before_and_behind_a_job_add_up(
    counts: Counts, m: int, before: int, behind: int
) -> None:
    rows = [ReplicatingFork(2)], [Pipe(before)] * 2, labels("ab"), [Pipe(behind)] * 2, [Join(2)]
    ways = paths_together((m, m), before + behind, before + behind)

    assert counts(m, *rows) == (ways, ways)


@pytest.mark.parametrize(("m", "room"), [(2, 1), (3, 1), (3, 2)])
def test_three_tight_lanes(counts: Counts, m: int, room: int) -> None:
    found, _ = counts(m, [ReplicatingFork(3)], [Pipe(room)] * 3, [Join(3)])

    assert found == paths_together((m, m, m), room, room, room)


@pytest.mark.parametrize("m", [1, 2, 3])
def test_what_is_tight_behind_the_join_changes_nothing(counts: Counts, m: int) -> None:
    rows = (
        [ReplicatingFork(2)],
        labels("ab"),
        [Join(2)],
        [Pipe(1)],
        [Processor(same)],
        [Pipe(1)],
        [Processor(same)],
        [Pipe(1)],
    )
    ways = comb(2 * m, m)

    assert counts(m, *rows) == (ways, ways)


STRAIGHT: dict[str, Sequence[Sequence[Stage]]] = {
    "linear": [
        [Processor(double)],
        [Pipe(1)],
        [FlatMap(repeated)],
        [Filter(is_even)],
        [Pipe(2)],
        [Processor(increment)],
    ],
    "ordered": [
        [ReplicatingFork(3)],
        [Pipe(1), Processor(double), Pipe(1)],
        [Join(3, ordered=True)],
    ],
    "ordered inside ordered": [
        [ReplicatingFork(2)],
        [ReplicatingFork(2), Pipe(1)],
        [Processor(double), Filter(is_even), Pipe(1)],
        [Join(2, ordered=True), Pipe(1)],
        [Join(2, ordered=True)],
    ],
    "zip": [[ReplicatingFork(2)], [Pipe(1), Processor(double)], [Zip(2)]],
    "one lane": [[ReplicatingFork(1)], [Processor(double)]],
}


@pytest.mark.parametrize("name", STRAIGHT)
def test_without_a_first_come_join_and_a_balance_nothing_is_left_to_chance(
    counts: Counts, name: str
) -> None:
    assert counts(6, *STRAIGHT[name]) == (1, 1)


def test_an_ordered_join_hides_what_a_balance_chose(counts: Counts) -> None:
    assert (
        counts(4, [BalancingFork(2)], [Processor(double), Pipe()], [Join(2, ordered=True)])[0]
        == 2**4
    )


# ----------------------------------------------------------------------------------- the quickstart


def test_the_quickstart_without_its_print_has_twenty_outputs() -> None:
    pl: Any = built([ReplicatingFork(2)], [Processor(increment), Pipe()], [Join(2)])
    schedules: dict[Outcome, str] = {}

    def note(run: Any) -> None:
        schedules[tuple(run)] = run.schedule

    found = pl.explore([2, 9, 11], note, strategy="exhaustive")

    assert found.complete
    assert len(found.outputs) == 20
    assert list(pl.replay([2, 9, 11], schedules[3, 10, 12, 2, 9, 11])) == [3, 10, 12, 2, 9, 11]
    assert {
        tuple(pl.replay([2, 9, 11], schedule)) for schedule in schedules.values()
    } == found.outputs


# ----------------------------------------------------------------------------- the forms themselves


def test_the_closed_forms_give_the_numbers_that_are_known() -> None:
    assert [ballots(2, m) for m in range(1, 5)] == [1, 2, 5, 14]
    assert [ballots(3, m) for m in range(1, 4)] == [1, 5, 42]
    assert [in_lanes(3, m) for m in range(1, 5)] == [1, 2, 6, 23]
    assert [paths_together((m, m), 1, 1) for m in (2, 3, 4)] == [4, 8, 16]
    assert [paths_together((m, m), m, m) for m in (1, 2, 3, 4)] == [2, 6, 20, 70]
