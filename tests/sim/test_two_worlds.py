"""What the simulator says cannot happen does not happen for real, and the other way round: above
all, a deadlock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any

import pytest

import conveyor.runtime.parent.local_crew as local_crew
from conveyor import BalancingFork, Filter, Join, Pipe, Processor, ReplicatingFork, Zip
from conveyor.errors import Deadlock
from conveyor.graph.fusion import fuse, fused_names
from tests.helpers import PROVE, START_METHODS, pipeline
from tests.sim.bounded import STUCK, All, endings, pipeline_rows, real_ending
from tests.sim.parts import built

pytestmark = pytest.mark.processes

SEEDS = range(400) if PROVE else range(10)


@pytest.fixture
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine with one core: neighbours share a worker where they may."""
    monkeypatch.setattr(local_crew, "usable_cores", lambda: [0])


@pytest.fixture
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_crew, "usable_cores", lambda: list(range(64)))


def given_one_by_one(items: Iterable[Any]) -> Iterator[Any]:
    yield from items


# ----------------------------------------------------------------------------- the end of the input


def beside_one_that_gathers(room: int, start_method: str = "fork") -> Any:
    return pipeline(start_method).add(ReplicatingFork(2)).add(Pipe(room), All()).add(Zip(2))


@pytest.mark.parametrize(
    "given", [list, tuple, iter, given_one_by_one, dict.fromkeys], ids=lambda given: given.__name__
)
@pytest.mark.parametrize("streamed", [False, True], ids=["run", "stream"])
def test_an_input_ends_behind_its_last_item_whatever_kind_it_is_of(
    given: Callable[[Any], Any], streamed: bool
) -> None:
    pairs = tuple((n, n) for n in range(4))

    assert endings(beside_one_that_gathers(4), range(4)) == {pairs}
    assert real_ending(beside_one_that_gathers(4), given(range(4)), streamed) == pairs


@pytest.mark.parametrize("streamed", [False, True], ids=["run", "stream"])
def test_and_one_item_more_than_there_is_room_for_is_stuck_in_both_worlds(streamed: bool) -> None:
    assert endings(beside_one_that_gathers(3), range(4)) == {STUCK}
    assert real_ending(beside_one_that_gathers(3), given_one_by_one(range(4)), streamed) == STUCK


@pytest.mark.parametrize("start_method", START_METHODS)
def test_so_it_is_under_every_start_method(start_method: str) -> None:
    assert beside_one_that_gathers(4, start_method).run(given_one_by_one(range(4))) == [
        (n, n) for n in range(4)
    ]


def test_an_error_that_the_source_raises_at_its_end_comes_behind_the_results() -> None:
    def source() -> Iterator[int]:
        yield from range(4)
        raise OSError("gone")

    results: list[Any] = []
    with (
        beside_one_that_gathers(4).stream(source()) as stream,
        pytest.raises(OSError, match="gone"),
    ):
        results.extend(stream)

    assert results == [(n, n) for n in range(4)]


# ------------------------------------------------------------------- neighbours that share a worker


def textual(item: Any) -> Any:
    return int(str(item))


def dropping(item: Any) -> Any:
    return item if int(str(item)) % 4 == 0 else None


def long_lane_beside_one_that_gathers(first: Callable[[Any], Any]) -> Any:
    lanes = pipeline().add(ReplicatingFork(2)).add(Processor(first, name="a"), All())
    return lanes.add(Processor(textual, name="b"), Processor(textual, name="c")).add(Zip(2))


@pytest.mark.usefixtures("one_core")
@pytest.mark.parametrize("first", [textual, dropping])
def test_a_lane_before_a_zip_holds_as_much_on_one_core_as_on_many(
    first: Callable[[Any], Any],
) -> None:
    items = range(40_000)  # more than the two pipes of one worker hold

    kept = [n for n in items if first(n) is not None]
    expected = list(zip(kept, items, strict=False))
    assert long_lane_beside_one_that_gathers(first).run(items) == expected


def jobs_of(*names: str) -> list[Processor[Any, Any]]:
    return [Processor(textual, name=name) for name in names]


def test_only_neighbours_between_a_fork_and_its_zip_keep_workers_of_their_own() -> None:
    lanes = (
        pipeline()
        .add(jobs_of("a")[0])
        .add(jobs_of("b")[0])
        .add(ReplicatingFork(2))
        .add(*jobs_of("c", "d"))
    )
    zipped = lanes.add(*jobs_of("e", "f")).add(Zip(2)).add(jobs_of("g")[0]).add(jobs_of("h")[0])

    assert fused_names(fuse(zipped.topology, 1)) == [["a", "b"], ["g", "h"]]


def test_where_a_zip_has_lanes_of_its_own_those_of_another_diamond_share_workers_as_ever() -> None:
    joined = (
        pipeline()
        .add(ReplicatingFork(2))
        .add(*jobs_of("a", "b"))
        .add(*jobs_of("c", "d"))
        .add(Join(2))
    )
    zipped = (
        joined.add(jobs_of("e")[0])
        .add(ReplicatingFork(2))
        .add(*jobs_of("f", "g"))
        .add(*jobs_of("h", "i"))
        .add(Zip(2))
    )

    assert sorted(fused_names(fuse(zipped.topology, 1))) == [["a", "c"], ["b", "d"]]


# -------------------------------------------------------------- lanes that are given little at once


def slow_true(item: Any) -> bool:
    time.sleep(0.003)
    return True


def slow(item: Any) -> Any:
    time.sleep(0.003)
    return item


def anything(item: Any) -> bool:
    return True


def nested_balances() -> Any:
    lanes = pipeline().add(BalancingFork(2)).add(BalancingFork(2), Pipe())
    return lanes.add(*[Filter(anything) for _ in range(3)]).add(Zip(3))


def slow_lanes_beside_one_that_gathers() -> Any:
    lanes = pipeline().add(ReplicatingFork(2)).add(BalancingFork(2), All())
    lanes = (
        lanes.add(Processor(slow), Processor(slow), Pipe())
        .add(Pipe(1), Pipe(1), Pipe())
        .add(Join(2), Pipe())
    )
    return lanes.add(Processor(textual), Pipe()).add(Pipe(1), Pipe()).add(Zip(2))


@pytest.mark.parametrize("streamed", [False, True], ids=["run", "stream"])
def test_lanes_whose_speed_is_not_known_hold_what_their_pipes_hold(streamed: bool) -> None:
    known = endings(nested_balances(), range(4))

    assert known is not None
    assert STUCK not in known
    assert real_ending(nested_balances(), range(4), streamed) in known


@pytest.mark.parametrize("streamed", [False, True], ids=["run", "stream"])
def test_so_do_slow_ones(streamed: bool) -> None:
    found: Any = real_ending(slow_lanes_beside_one_that_gathers(), range(7), streamed)

    assert found != STUCK
    assert sorted(first for first, _ in found) == [second for _, second in found] == list(range(7))


def test_what_was_given_to_them_then_is_recorded_and_done_again(tmp_path: Any) -> None:
    result = slow_lanes_beside_one_that_gathers().run(range(20), record=tmp_path / "run.cvd")

    assert slow_lanes_beside_one_that_gathers().replay(range(20), tmp_path / "run.cvd") == result


def test_lanes_of_a_worker_that_is_no_source_do_so_too() -> None:
    lanes = pipeline().add(Processor(textual)).add(ReplicatingFork(2)).add(BalancingFork(2), All())
    pl = (
        lanes.add(Processor(slow), Processor(slow), Pipe())
        .add(Join(2, ordered=True), Pipe())
        .add(Zip(2))
    )

    assert pl.run(range(12)) == [(n, n) for n in range(12)]


def test_pipes_that_are_really_full_are_a_deadlock_there_too() -> None:
    lanes = (
        pipeline()
        .add(ReplicatingFork(2))
        .add(BalancingFork(2), All())
        .add(Pipe(2), Pipe(2), Pipe())
    )
    pl = (
        lanes.add(Filter(slow_true), Filter(slow_true), Pipe())
        .add(Pipe(1), Pipe(1), Pipe())
        .add(Zip(3))
    )

    with pytest.raises(Deadlock, match="is full: 2 of 2 items"):
        pl.run(range(30))


# -------------------------------------------------------------------------- items that are not tiny


def weighed(room: int) -> Any:
    return pipeline().add(ReplicatingFork(2)).add(Pipe(room), All()).add(Zip(2))


@pytest.mark.parametrize("start_method", START_METHODS)
def test_a_pipe_holds_as_many_items_as_it_says_if_they_are_large(start_method: str) -> None:
    items = [bytes([n]) * 3000 for n in range(10)]

    pl = pipeline(start_method).add(ReplicatingFork(2)).add(Pipe(10), All()).add(Zip(2))
    assert pl.run(items) == [(item, item) for item in items]


@pytest.mark.parametrize(("room", "size"), [(10, 200_000), (100, 300), (1000, 5000)])
@pytest.mark.parametrize("given", [list, given_one_by_one], ids=lambda given: given.__name__)
def test_whatever_their_size(room: int, size: int, given: Callable[[Any], Any]) -> None:
    items = [n.to_bytes(2, "big") + bytes(size) for n in range(room)]

    assert weighed(room).run(given(items)) == [(item, item) for item in items]


def test_a_pipe_that_holds_all_the_items_it_may_is_a_deadlock_as_in_the_simulator() -> None:
    items = [bytes(3000)] * 11

    assert endings(weighed(10), items) == {STUCK}
    with pytest.raises(Deadlock, match="is full: 10 of 10 items"):
        weighed(10).run(items)


# ------------------------------------------------------------------------------- any small pipeline


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_real_run_comes_to_is_among_what_a_complete_search_finds(
    seed: int, request: pytest.FixtureRequest
) -> None:
    rows, count = pipeline_rows(Random(seed))
    known = endings(built(*rows), range(count))
    if known is None:
        pytest.skip("too many schedules")

    for cores in ("one_core", "many_cores"):
        request.getfixturevalue(cores)
        with built(*rows, start_method="fork") as pl:
            found = {real_ending(pl, list(range(count)), streamed) for streamed in (False, True)}
            found |= {real_ending(pl, iter(range(count)), streamed) for streamed in (False, True)}

        assert found <= known, cores
