"""Time in the simulator: what comes due before the next item is decided, every way of it once;
where nothing decides, it passes by itself, as far as it has to.

The expected values are closed forms and small models that know no simulator, and what the second
world of the tests reaches by stepping its loops one by one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import islice
from math import comb
from random import Random
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor import (
    Batch,
    Filter,
    Join,
    PerKey,
    Pipe,
    Pipeline,
    Processor,
    ReplicatingFork,
    Simulation,
    Throttle,
    Unbatch,
    Zip,
)
from conveyor.errors import Deadlock, ScheduleMismatch, TopologyError
from conveyor.sim import Faults
from conveyor.sim.schedulers.scheduler import Default
from conveyor.stages import Stage
from tests.core.world import World, compiled, every_schedule
from tests.helpers import PROVE
from tests.sim.parts import below, built, labels

Rows: TypeAlias = list[list[Stage]]

# ------------------------------------------------------------------------------- ways of cutting


def cuttings(items: Sequence[int], n: int) -> Iterator[tuple[list[int], ...]]:
    """Every way to cut `items` into lists of at most `n`."""
    if not items:
        yield ()
    for size in range(1, min(n, len(items)) + 1):
        for rest in cuttings(items[size:], n):
            yield (list(items[:size]), *rest)


@cache
def compositions(m: int, n: int) -> int:
    """In how many ways m is a sum of parts from 1 to n: Fibonacci's numbers for n = 2, and so on.

    >>> [compositions(m, 2) for m in range(6)], [compositions(m, 9) for m in range(6)]
    ([1, 1, 2, 3, 5, 8], [1, 1, 2, 4, 8, 16])
    """
    return 1 if m == 0 else sum(compositions(m - part, n) for part in range(1, min(m, n) + 1))


@pytest.mark.parametrize("n", [1, 2, 3, 9])
@pytest.mark.parametrize("m", range(7))
def test_a_batch_is_cut_in_every_way_each_exactly_once(m: int, n: int) -> None:
    found = built([Batch(n, within_s=1.0)]).explore(range(m), strategy="exhaustive")

    assert found.complete
    assert found.classes == len(found.outputs) == compositions(m, n)
    expected = {repr([*cut]) for cut in cuttings(range(m), n)}
    assert searched([[Batch(n, within_s=1.0)]], m) == expected


@pytest.mark.parametrize("m", [1, 2, 3])
def test_each_order_of_a_join_is_cut_in_every_way(m: int) -> None:
    pl = built([ReplicatingFork(2)], labels("ab"), [Join(2)], [Batch(99, within_s=1.0)])
    found = pl.explore(range(m), strategy="exhaustive")

    assert found.classes == len(found.outputs) == comb(2 * m, m) * 2 ** (2 * m - 1)


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_batches_of_batches_are_cut_on_their_own(m: int) -> None:
    pl = built([Batch(99, within_s=1.0)], [Batch(99, within_s=1.0)])
    found = pl.explore(range(m), strategy="exhaustive")

    assert found.classes == sum(
        comb(m - 1, parts - 1) * 2 ** (parts - 1) for parts in range(1, m + 1)
    )


@pytest.mark.parametrize("m", range(5))
def test_to_be_held_up_changes_nothing_of_what_is_counted(m: int) -> None:
    for room in (1, 9):
        held_up: Rows = [
            [ReplicatingFork(2)],
            [Pipe(room), Pipe(room)],
            [Throttle(1), Throttle(2)],
            [Pipe(room), Pipe(room)],
            [Join(2)],
        ]
        found = built(*held_up).explore(range(m), strategy="exhaustive")

        assert built(*held_up).count(range(m)) == found.classes


def test_without_a_time_nothing_is_decided() -> None:
    assert built([Batch(2)]).explore(range(5), strategy="exhaustive").classes == 1


def test_nor_is_it_where_nothing_is_held_or_nothing_more_comes() -> None:
    assert built([Batch(1, within_s=1.0)]).simulate(range(5)).decisions == ()
    assert built([Batch(3, within_s=1.0)]).simulate([7]).decisions == ()


# ----------------------------------------------------------------------- beside the second world


def key_of(item: int) -> int:
    return item % 2


class Numbered(Processor[int, tuple[int, ...]]):
    """Gives, at its end, all that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.items: tuple[int, ...] = ()

    def process(self, item: int, /) -> None:
        self.items += (item,)

    def finish(self) -> Iterator[tuple[int, ...]]:
        yield self.items

    def snapshot(self) -> tuple[int, ...]:
        return self.items

    def restore(self, state: tuple[int, ...]) -> None:
        self.items = state


def is_even(item: int) -> bool:
    return item % 2 == 0


SMALL: dict[str, Callable[[], Rows]] = {
    "a batch": lambda: [[Batch(2, within_s=1.0)]],
    "a batch in a short pipe": lambda: [[Pipe(1)], [Batch(3, within_s=1.0)], [Pipe(1)]],
    "a batch behind one that drops": lambda: [[Filter(is_even)], [Batch(2, within_s=1.0)]],
    "two batches": lambda: [[Batch(2, within_s=1.0)], [Pipe(1)], [Batch(2, within_s=1.0)]],
    "a batch beside a short lane": lambda: [
        [ReplicatingFork(2)],
        [Batch(2, within_s=1.0), Pipe(1)],
        [Join(2)],
    ],
    "a batch in each short lane": lambda: [
        [ReplicatingFork(2)],
        [Pipe(1), Pipe(1)],
        [Batch(3, within_s=1.0), Batch(2, within_s=1.0)],
        [Pipe(1), Pipe(1)],
        [Join(2)],
    ],
    "a batch behind a join": lambda: [
        [ReplicatingFork(2)],
        [Pipe(1), Pipe(1)],
        [Join(2)],
        [Batch(2, within_s=1.0)],
    ],
    "a batch between two joins": lambda: [
        [ReplicatingFork(3)],
        [Pipe(1), Pipe(1), Pipe(1)],
        [Join(2), Pipe(2)],
        [Batch(2, within_s=1.0), Pipe(1)],
        [Join(2)],
    ],
    "a batch before a zip": lambda: [
        [ReplicatingFork(2)],
        [Batch(3, within_s=1.0), Pipe(1)],
        [Zip(2)],
    ],
    "keys": lambda: [[PerKey(key_of, Numbered, idle_s=1.0)]],
    "keys in a short lane": lambda: [
        [ReplicatingFork(2)],
        [PerKey(key_of, Numbered, idle_s=1.0), Pipe(1)],
        [Join(2)],
    ],
    "throttled": lambda: [[ReplicatingFork(2)], [Throttle(1), Pipe(1)], [Join(2)]],
}


def searched(rows: Rows, n_items: int, **options: Any) -> set[str]:
    """What the search for every class gives."""
    seen: set[str] = set()

    def see(run: Simulation[Any]) -> None:
        seen.add(repr([*run]))

    found = built(*rows).explore(
        range(n_items),
        see,
        strategy="exhaustive",
        schedules=50_000,
        **options,
    )
    assert found.failure is None
    assert found.complete
    return seen


@pytest.mark.parametrize("name", SMALL)
def test_what_steps_one_by_one_can_give_is_what_the_search_finds(name: str) -> None:
    # Three items between two joins have more than 20,000 schedules, two have 344.
    items = range(2 if name == "a batch between two joins" and not PROVE else 3)
    topology = compiled(*SMALL[name]())
    decided = {
        *islice(every_schedule(lambda pick: repr([*World(topology).run(items, pick)])), 20_000)
    }
    shuffled = {repr([*World(topology).shuffle(items, Random(seed))]) for seed in range(300)}

    assert searched(SMALL[name](), len(items)) == decided
    assert shuffled <= decided


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a batch", "two batches", "keys", "throttled"])
def test_deaths_add_nothing_to_that(name: str) -> None:
    with_deaths = searched(SMALL[name](), 3, faults=Faults())

    assert with_deaths == searched(SMALL[name](), 3)


# ---------------------------------------------------------------------------- time that passes


def leaving(arrivals: Sequence[float], n: int, per_s: float) -> list[float]:
    """When each item leaves: at once, or when the n-th before it left `per_s` ago."""
    left: list[float] = []
    for at, arrival in enumerate(arrivals):
        earlier = left[at - n] + per_s if at >= n else 0.0
        left.append(max(arrival, left[-1] if left else 0.0, earlier))
    return left


def cut_by_the_clock(
    arrivals: Sequence[float], n: int, within_s: float
) -> list[tuple[float, list[int]]]:
    """The lists of at most `n`, and when each is given out, if what is due goes before an item that
    comes later or just then."""
    lists: list[tuple[float, list[int]]] = []
    held: list[int] = []
    by = 0.0
    for item, arrival in enumerate(arrivals):
        if held and by <= arrival:
            lists.append((by, held))
            held = []
        if not held:
            by = arrival + within_s
        held.append(item)
        if len(held) == n:
            lists.append((arrival, held))
            held = []
    if held:
        lists.append((min(by, arrivals[-1]), held))
    return lists


counts = st.integers(1, 4)
spans = st.sampled_from([0.25, 0.5, 1.0, 1.5, 3.0])


@settings(deadline=None, max_examples=60)
@given(counts, spans, counts, spans, st.integers(0, 12))
def test_items_leave_as_soon_as_they_may(
    n: int, per_s: float, behind: int, longer_s: float, m: int
) -> None:
    run = built([Throttle(n, per_s)], [Throttle(behind, longer_s)]).simulate(range(m))

    assert run == list(range(m))
    assert list(run.times) == leaving(leaving([0.0] * m, n, per_s), behind, longer_s)
    assert all(
        late - early >= longer_s for early, late in zip(run.times, run.times[behind:], strict=False)
    )


@settings(deadline=None, max_examples=60)
@given(counts, spans, counts, spans, st.integers(0, 12))
def test_by_default_lists_are_cut_as_the_clock_says(
    n: int, per_s: float, size: int, within_s: float, m: int
) -> None:
    pl = built([Throttle(n, per_s)], [Batch(size, within_s=within_s)])
    run = pl.simulate(range(m), scheduler=Default())

    expected = cut_by_the_clock(leaving([0.0] * m, n, per_s), size, within_s) if m else []
    assert list(zip(run.times, run, strict=True)) == expected


def test_room_that_comes_late_is_waited_for() -> None:
    pl = built([ReplicatingFork(2)], [Pipe(2), Pipe(9)], [Throttle(1), Pipe()], [Join(2)])
    run = pl.simulate(range(5), scheduler=Default())

    first = deque(at for at, item in zip(run.times, run, strict=True) if item == 4)
    assert run.times[-1] == 4.0
    assert min(first) >= 2.0  # the fork waits until the third item has left the short lane


def test_time_passes_where_nothing_else_can_go_on() -> None:
    rows: Rows = [[ReplicatingFork(2)], [Batch(9), Pipe(2)], [Zip(2)]]
    with pytest.raises(Deadlock):
        built(*rows).simulate(range(5))

    rows[1] = [Batch(9, within_s=1.0), Pipe(2)]
    run = built(*rows).simulate(range(5), scheduler=Default())
    assert run[0] == ([0, 1], 0)
    assert run.times[0] == 1.0


def test_times_are_zero_where_no_stage_looks_at_them() -> None:
    assert built([Processor(abs)]).simulate([1, 2]).times == (0.0, 0.0)


def test_the_same_seed_gives_the_same_times() -> None:
    def once() -> Any:
        return built([Throttle(2)], [Batch(3, within_s=0.5)]).simulate(range(9), seed=5)

    assert once().times == once().times
    assert once().schedule == once().schedule


# --------------------------------------------------------------------------------- the decision


def test_a_cut_is_named_by_what_was_read_before_and_replayed() -> None:
    pl = built([Batch(9, within_s=1.0)])

    assert pl.replay(range(4), "cv1:batch~timer.2=1") == [[0, 1], [2, 3]]
    assert pl.replay(range(4), "cv1:batch~timer.1=1;batch~timer.3=1") == [[0], [1], [2, 3]]
    for seed in range(8):
        run = pl.simulate(range(6), seed=seed)
        assert pl.replay(range(6), run.schedule) == run


def test_a_cut_that_cannot_be_is_refused() -> None:
    with pytest.raises(ScheduleMismatch, match=r"'batch~timer' #0: the schedule wants 1"):
        built([Batch(9, within_s=1.0)]).replay(range(4), "cv1:batch~timer.0=1")


def test_a_failure_is_made_as_small_as_can_be_and_told_in_words() -> None:
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    pl = built([Batch(4, within_s=1.0)], [Processor(total)])

    def has_no_15(run: Simulation[Any]) -> bool:
        return 15 not in run

    found = pl.explore(range(1, 9), has_no_15)

    assert found.failure is not None
    assert found.failure.schedule == "cv1:batch~timer.2=1"
    assert found.failure.words == "in 'batch' what is held comes due first (#2)"


@pytest.mark.parametrize("death", ["due", "due*2", "due1", "0.begun", "1.saved", "end.closed0"])
def test_a_death_while_something_is_due_has_a_name(death: str) -> None:
    place = death if "." in death else f"2.{death}"
    pl = built([Batch(9, within_s=1.0)])
    run = pl.replay(range(4), f"cv1:batch~timer.2=1;!batch.{place}")

    assert run == [[0, 1], [2, 3]]
    assert run.report.stages["batch"].restarts == 1


def test_what_comes_due_has_no_place_in_the_order_of_a_join() -> None:
    for inside in (Batch(2, within_s=1.0), PerKey(key_of, Numbered, idle_s=1.0)):
        pl = built([ReplicatingFork(2)], [inside, Pipe()])
        with pytest.raises(TopologyError, match="as time goes by has no place in it"):
            pl.add(Join(2, ordered=True))
    built([ReplicatingFork(2)], [Batch(2), Throttle(1)], [Join(2, ordered=True)])


def test_keys_are_let_go_of_in_the_order_of_their_last_items() -> None:
    items = [0, 1, 2, 0]
    found = searched([[PerKey(lambda item: item, Numbered, idle_s=1.0)]], len(items) - 1)

    # Of 0, 1 and 2 those that are idle before the next item comes are a part of those before.
    assert found == {repr([(0,), (1,), (2,)])}
    pl = built([PerKey(lambda item: item, Numbered, idle_s=1.0)])
    late = {repr([*pl.simulate(items, seed=seed)]) for seed in range(64)}
    assert late == {
        repr([(0, 0), (1,), (2,)]),
        repr([(0,), (1,), (2,), (0,)]),
        repr([(1,), (0, 0), (2,)]),
        repr([(1,), (2,), (0, 0)]),
    }


def test_a_key_is_idle_by_the_virtual_clock() -> None:
    pl = built([Throttle(1)], [PerKey(key_of, Numbered, idle_s=2.5)])
    run = pl.simulate([0, 2, 1, 3, 5, 7], scheduler=Default())

    assert list(zip(run.times, run, strict=True)) == [(3.5, (0, 2)), (5.0, (1, 3, 5, 7))]


def test_unbatched_batches_are_what_they_were() -> None:
    pl = built([below(9)], [Batch(4, within_s=1.0)], [Unbatch()])
    found = pl.explore(range(6), strategy="exhaustive")

    assert {*found.outputs} == {tuple(range(6))}


def test_the_trace_tells_what_came_due() -> None:
    run = built([Batch(9, within_s=1.0)]).replay(range(3), "cv1:batch~timer.2=1")

    assert "#2 takes 1, not 0" in str(run.trace)
    assert any(event.worker == "batch" and event.outputs == ("[0, 1]",) for event in run.trace)


def test_a_stage_of_its_own_name_is_asked_by_that() -> None:
    pl = Pipeline[int]().add(Batch(9, within_s=1.0, name="gather"))

    assert pl.replay([1, 2], "cv1:gather~timer.1=1") == [[1], [2]]
