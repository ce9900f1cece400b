"""Forks that look at their items, in both worlds: which lane each goes to, what is counted, what
becomes of one on which the fork fails."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import pytest
from typing_extensions import TypeIs

from conveyor import (
    BalancingFork,
    Filter,
    FlatMap,
    Join,
    PartitioningFork,
    Pipe,
    Pipeline,
    Processor,
    ReplicatingFork,
    RoutingFork,
    SplittingFork,
    Zip,
)
from conveyor.errors import JobExited, NotPicklable, StageTypeError, TopologyError
from conveyor.items.stable_hash import stable_hash
from tests.helpers import pipeline

Run = Callable[[Any, Sequence[Any]], Any]

WORDS = [f"word {number}" for number in range(300)]


def really(pl: Any, items: Sequence[Any]) -> Any:
    return pl.run(items)


def simulated(pl: Any, items: Sequence[Any]) -> Any:
    return pl.simulate(items)


@pytest.fixture(params=[pytest.param(really, marks=pytest.mark.processes), simulated])
def run(request: pytest.FixtureRequest) -> Run:
    return request.param  # type: ignore[no-any-return]  # one of those above


def labelled(label: object) -> Processor[Any, Any]:
    def job(item: Any) -> Any:
        return label, item

    return Processor(job)


def lane_of(item: int) -> int:
    return item % 3


def is_odd(item: int) -> bool:
    return item % 2 == 1


def same(item: Any) -> Any:
    return item


class Record:
    """Travels in a pickle, and cannot be changed in secret."""

    def __init__(self, number: int) -> None:
        self.number = number


def number_of(record: Record) -> int:
    record.number += 1  # which nothing sees
    return record.number % 2


def unwrap(record: Record) -> int:
    return record.number


def lanes_of(
    fork: Any, width: int, items: Sequence[Any], run: Run, *before: Any
) -> list[list[Any]]:
    """What comes out of each lane, in its order."""
    pl = pipeline()
    for stage in before:
        pl = pl.add(stage)
    found = run(pl.add(fork).add(*map(labelled, range(width))).add(Join(width)), items)
    return [[item for lane, item in found if lane == each] for each in range(width)]


@pytest.mark.parametrize("before", [[], [Processor(same)]], ids=["first", "behind a processor"])
def test_items_with_the_same_key_go_to_the_same_lane_in_order(run: Run, before: list[Any]) -> None:
    items = [(word, number) for number in range(3) for word in WORDS]

    lanes = lanes_of(PartitioningFork(3, key=lambda item: item[0]), 3, items, run, *before)

    assert lanes == [
        [item for item in items if stable_hash(item[0]) % 3 == lane] for lane in range(3)
    ]


def test_a_router_says_the_lane(run: Run) -> None:
    lanes = lanes_of(RoutingFork(3, lane=lane_of), 3, range(100), run, Processor(same))

    assert lanes == [list(range(lane, 100, 3)) for lane in range(3)]


def test_a_split_has_a_lane_for_those_for_which_it_holds_and_one_for_the_others(run: Run) -> None:
    lanes = lanes_of(SplittingFork(is_odd), 2, range(100), run)

    assert lanes == [list(range(1, 100, 2)), list(range(0, 100, 2))]


def test_none_is_an_item_like_any_other(run: Run) -> None:
    pl = pipeline().add(SplittingFork(bool)).add(Pipe(), Pipe()).add(Join(2, ordered=True))

    assert run(pl, [None, 1, 0]) == [None, 1, 0]


def test_what_a_function_does_to_its_item_is_not_seen(run: Run) -> None:
    pl = pipeline().add(RoutingFork(2, lane=number_of)).add(Processor(unwrap), Processor(unwrap))

    assert run(pl.add(Join(2, ordered=True)), list(map(Record, range(50)))) == list(range(50))


def test_an_ordered_join_gives_back_the_order_of_the_items(run: Run) -> None:
    for fork in (PartitioningFork(2, key=same), SplittingFork(is_odd)):
        pl = pipeline().add(fork).add(Processor(same), Filter(bool)).add(Join(2, ordered=True))
        items = [n for n in range(500) if n]
        assert run(pl, items) == items


def test_forks_may_stand_in_one_another(run: Run) -> None:
    pl = pipeline().add(ReplicatingFork(2)).add(RoutingFork(3, lane=lane_of), SplittingFork(is_odd))
    pl = pl.add(*map(labelled, range(5))).add(Join(5))

    found = run(pl, range(60))

    for lane in range(3):
        assert [item for each, item in found if each == lane] == list(range(lane, 60, 3))
    assert [item for each, item in found if each == 3] == list(range(1, 60, 2))
    assert [item for each, item in found if each == 4] == list(range(0, 60, 2))


def test_a_split_may_have_a_balance_and_a_replicate_in_its_lanes(run: Run) -> None:
    pl = pipeline().add(SplittingFork(is_odd)).add(BalancingFork(2), ReplicatingFork(2))
    pl = pl.add(*map(labelled, range(4))).add(Join(4))

    found = run(pl, range(60))

    odd = [item for each, item in found if each < 2]
    assert sorted(odd) == list(range(1, 60, 2))
    for lane in (2, 3):
        assert [item for each, item in found if each == lane] == list(range(0, 60, 2))


# ---------------------------------------------------------------- as many lanes as there are cores


def lanes_in(found: Any) -> int:
    return sum(name.startswith("same/") for name in found.report.stages)


def test_a_partition_without_a_number_has_two_lanes_in_the_simulator() -> None:
    pl = pipeline().add(PartitioningFork(key=same)).add(Processor(same)).add(Join())

    assert len(pl.topology.nodes) > 2
    assert sorted(pl.simulate(range(20))) == list(range(20))
    assert lanes_in(pl.simulate(range(20))) == 2
    assert lanes_in(pl.simulate(range(20), lanes=3)) == 3


@pytest.mark.processes
def test_and_in_a_replay_what_the_recorded_run_had(tmp_path: Path) -> None:
    pl = pipeline().add(PartitioningFork(key=same, max_lanes=1)).add(Processor(same)).add(Join())
    found = pl.run(range(50), record=tmp_path / "run.cvd")

    assert lanes_in(found) == 1
    assert pl.replay(range(50), tmp_path / "run.cvd") == found


@pytest.mark.processes
def test_in_a_run_it_has_no_more_than_cores_and_a_key_stays_in_one_however_often_it_comes() -> None:
    def place(item: int) -> tuple[int, int]:
        return item % 40, os.getpid()

    pl = pipeline().add(PartitioningFork(key=lambda item: item % 40)).add(Processor(place))
    with pl.add(Join()) as opened:
        workers = dict(opened.run(range(40)))
        again = opened.run(range(400))
    assert len(set(workers.values())) <= (os.cpu_count() or 1)
    assert set(again) == {*workers.items()}  # in the next run of an open pipeline, too


@pytest.mark.processes
def test_the_function_of_a_fork_runs_in_the_worker_before_it() -> None:
    def is_of_its_worker(pid: int) -> bool:
        return pid == os.getpid()

    def place(item: int) -> int:
        return os.getpid()

    forked = pipeline().add(SplittingFork(is_of_its_worker)).add(labelled(True), labelled(False))
    behind = pipeline().add(Processor(place)).add(forked).add(Join(2))
    assert {is_there for is_there, _ in behind.run(range(20))} == {True}
    first = pipeline().add(forked).add(Join(2))  # the source is in the program's own process
    assert first.run([os.getpid()]) == [(True, os.getpid())]


@pytest.mark.processes
def test_a_run_with_it_can_be_done_again(tmp_path: Path) -> None:
    for ordered in (False, True):
        pl = pipeline().add(PartitioningFork(key=same)).add(Processor(same))
        pl = pl.add(Join(ordered=ordered))
        found = pl.run(range(500), record=tmp_path / "run.cvd")
        assert pl.replay(range(500), tmp_path / "run.cvd") == found


# ------------------------------------------------------------------------- when the function fails


def unless_seven(item: int) -> int:
    if item == 7:
        raise ZeroDivisionError("seven")
    return item % 2


def counts(stage: Any) -> tuple[int, ...]:
    return (
        stage.items_in,
        stage.items_out,
        stage.passed,
        stage.dropped + stage.skipped + stage.dead_lettered + stage.failed,
        stage.fork_failed,
        stage.in_hand,
    )


@pytest.mark.parametrize("behind", ["source", "job"])
def test_an_error_names_the_fork_and_the_item(run: Run, behind: str) -> None:
    pl = pipeline() if behind == "source" else pipeline().add(Processor(same))
    pl = pl.add(RoutingFork(2, lane=unless_seven, name="by parity"))

    with pytest.raises(ZeroDivisionError, match="seven") as caught:
        run(pl.add(Pipe(), Pipe()).add(Join(2)), range(20))

    (note,) = [note for note in caught.value.__notes__ if note.startswith("in stage")]
    assert "at the fork 'by parity', item 7: 7" in note


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("on_error", ["skip", "dead_letter"])
@pytest.mark.parametrize("behind", ["source", "same"])
def test_or_the_item_is_left_out_and_counted(
    run: Run, behind: str, on_error: Any, ordered: bool
) -> None:
    pl = pipeline() if behind == "source" else pipeline().add(Processor(same))
    pl = pl.add(RoutingFork(2, lane=unless_seven, name="by parity", on_error=on_error))

    found = run(pl.add(Pipe(), Pipe()).add(Join(2, ordered=ordered)), range(20))

    expected = [n for n in range(20) if n != 7]
    assert (list(found) if ordered else sorted(found)) == expected
    assert counts(found.report.stages[behind]) == (20, 19, 19, 0, 1, 0)
    letters = [(each.stage, each.ordinal, each.item, each.attempts) for each in found.dead_letters]
    assert letters == ([("by parity", 7, 7, 1)] if on_error == "dead_letter" else [])
    assert all(isinstance(each.exception, ZeroDivisionError) for each in found.dead_letters)


def first_above(item: int) -> int:
    """Raises `StopIteration` for 7, as `next` does where there is nothing."""
    return next(each for each in (0, 1, 7) if each > item) % 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: RoutingFork(2, lane=first_above, on_error="dead_letter"),
        lambda: PartitioningFork(2, key=first_above, on_error="dead_letter"),
        lambda: SplittingFork(first_above, on_error="dead_letter"),
    ],
    ids=["route", "partition", "split"],
)
def test_a_function_that_looks_for_what_is_not_there_fails_on_that_item_alone(make: Any) -> None:
    pl = pipeline().add(make()).add(Pipe(), Pipe()).add(Join(2, ordered=True))

    found = pl.simulate([0, 7, 1])

    assert found == [0, 1]
    (letter,) = found.dead_letters
    assert (letter.item, type(letter.exception)) == (7, StopIteration)


class Summed(Processor[int, int]):
    """Gives each item, and at the end the sum and 7."""

    def setup(self) -> None:
        self.sum = 0

    def process(self, item: int, /) -> int:
        self.sum += item
        return item

    def finish(self) -> Iterator[int]:
        yield self.sum
        yield 7


def test_what_finish_gives_counts_beside_the_items(run: Run) -> None:
    pl = pipeline().add(Summed()).add(RoutingFork(2, lane=unless_seven, on_error="skip"))

    found = run(pl.add(Pipe(), Pipe()).add(Join(2, ordered=True)), range(10))

    assert found == [*[n for n in range(10) if n != 7], 45]
    stage = found.report.stages["Summed"]
    assert (stage.items_in, stage.passed, stage.flushed, stage.fork_failed) == (10, 9, 1, 2)
    assert stage.items_out == stage.passed + stage.flushed


def up_to(item: int) -> range:
    return range(item)


def test_of_a_flat_map_its_outputs_count(run: Run) -> None:
    pl = pipeline().add(FlatMap(up_to)).add(RoutingFork(2, lane=unless_seven, on_error="skip"))

    found = run(pl.add(Pipe(), Pipe()).add(Join(2, ordered=True)), range(10))

    assert found == [n for item in range(10) for n in range(item) if n != 7]
    stage = found.report.stages["up_to"]
    assert (stage.items_in, stage.passed, stage.dropped) == (10, 9, 1)
    assert (stage.items_out, stage.fork_failed) == (len(found), 2)


def test_inside_of_an_ordered_join_the_others_do_not_wait_for_it(run: Run) -> None:
    pl = pipeline().add(ReplicatingFork(2)).add(Processor(same), Processor(same))
    pl = pl.add(RoutingFork(2, lane=unless_seven, on_error="skip"), Pipe())
    pl = pl.add(Pipe(), Pipe(), Pipe()).add(Join(2, ordered=True), Pipe())

    found = run(pl.add(Join(2, ordered=True)), range(20))

    assert found == [n for item in range(20) for n in ([item] if item == 7 else [item, item])]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (2, "lane gave 2; it must give the number of a lane, from 0 to 1"),
        (-1, "lane gave -1"),
        pytest.param(10**5000, "lane gave <int whose repr raised ValueError>", id="huge"),
        ("0", "lane gave '0'"),
        (None, "lane gave None"),
        (True, "lane gave True"),
        (0.0, "lane gave 0.0"),
    ],
)
def test_anything_but_the_number_of_a_lane_is_an_error_of_that_item(given: Any, words: str) -> None:
    def lane(item: int) -> Any:
        return given

    pl = pipeline().add(RoutingFork(2, lane=lane)).add(Pipe(), Pipe()).add(Join(2))

    with pytest.raises((TypeError, ValueError)) as caught:
        pl.simulate([1])

    assert words in str(caught.value)
    assert "item 0: 1" in caught.value.__notes__[0]


def test_a_key_without_a_stable_hash_is_one_that_says_which_types_have_one(run: Run) -> None:
    pl = pipeline().add(PartitioningFork(2, key=lambda item: [item], name="by list"))

    with pytest.raises(TypeError, match="has no stable hash: a key can be None, bool") as caught:
        run(pl.add(Pipe(), Pipe()).add(Join(2)), range(3))

    assert "at the fork 'by list', item 0: 0" in caught.value.__notes__[0]


def leaves(item: int) -> int:
    raise SystemExit(3)


@pytest.mark.parametrize("behind", ["source", "job"])
@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_one_that_would_end_its_process_ends_the_run(run: Run, behind: str, on_error: Any) -> None:
    pl = pipeline() if behind == "source" else pipeline().add(Processor(same))
    pl = pl.add(RoutingFork(2, lane=leaves, on_error=on_error)).add(Pipe(), Pipe())

    with pytest.raises((JobExited, SystemExit)):
        run(pl.add(Join(2)), range(3))


@pytest.mark.processes
def test_a_stream_gives_what_came_before_and_then_raises() -> None:
    pl = pipeline().add(RoutingFork(2, lane=unless_seven)).add(Pipe(), Pipe()).add(Join(2))

    with pytest.raises(ZeroDivisionError, match="seven"), pl.stream(range(1_000_000)) as stream:
        assert len(list(stream)) <= 7


def test_a_function_that_cannot_be_sent_to_a_worker_is_refused(run: Run) -> None:
    import threading

    lock = threading.Lock()
    pl = pipeline().add(Processor(same)).add(SplittingFork(lambda item: lock.locked()))

    with pytest.raises(NotPicklable, match="lock"):
        run(pl.add(Pipe(), Pipe()).add(Join(2)), range(3))


# ----------------------------------------------------------------------------- what is not accepted


partitioning: Any = PartitioningFork
routing: Any = RoutingFork
splitting: Any = SplittingFork


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: partitioning(2, key=3), "PartitioningFork: key is 3; it must be a function"),
        (lambda: partitioning(2, key=Pipe()), "it must be a function of one item"),
        (lambda: partitioning(0, key=len), "n is 0; it must be a whole number, 1 or more"),
        (lambda: partitioning(2, key=len, max_lanes=3), "give either n, or max_lanes"),
        (lambda: partitioning(key=len, max_lanes=0), "max_lanes is 0"),
        (lambda: partitioning(2, key=lambda: 1), "exactly one required argument, the item"),
        (lambda: routing(2, lane=up_to_by_one), "a generator says nothing of a lane"),
        (lambda: routing(2, lane=len, on_error="ignore"), "on_error is 'ignore'"),
        (lambda: splitting(bool, name=""), "name is ''"),
        (lambda: splitting(waits), "async function"),
    ],
)
def test_what_is_wrong_is_said_when_it_is_made(make: Any, words: str) -> None:
    with pytest.raises(TopologyError) as caught:
        make()

    assert words in str(caught.value)


def up_to_by_one(item: int) -> Iterator[int]:
    yield item


async def waits(item: int) -> bool:
    return True


@pytest.mark.parametrize(
    "fork",
    [BalancingFork(2), PartitioningFork(2, key=len), RoutingFork(2, lane=len), SplittingFork(bool)],
)
@pytest.mark.parametrize(
    "between",
    [
        [],
        [[Pipe(), Pipe(3)]],
        [[Processor(same), Pipe()], [Pipe(), Processor(same)]],
    ],
)
def test_a_zip_is_refused_where_lanes_cannot_be_equally_long(fork: Any, between: Any) -> None:
    pl = pipeline().add(fork)
    for row in between:
        pl = pl.add(*row)

    with pytest.raises(TopologyError, match=r"goes to one of its lanes 1 and 2 alone, so they are"):
        pl.add(Zip(2))


def test_a_zip_may_stand_behind_stages_that_gather_and_beside_other_lanes() -> None:
    pipeline().add(SplittingFork(bool)).add(Summed(), Summed()).add(Zip(2))
    pipeline().add(SplittingFork(bool)).add(Filter(bool), FlatMap(up_to)).add(Zip(2))
    pl = pipeline().add(ReplicatingFork(2)).add(SplittingFork(bool), Pipe())
    pl.add(Join(2), Pipe()).add(Zip(2))


def upper(text: str) -> str:
    return text.upper()


def size(text: str) -> int:
    return len(text)


def is_int(item: int | str) -> TypeIs[int]:
    return isinstance(item, int)


def is_text(item: object) -> TypeGuard[str]:
    return isinstance(item, str)


def halved(number: int) -> float:
    return number / 2


@pytest.mark.parametrize(
    ("fork", "words"),
    [
        (partitioning(2, key=upper), "takes str, but the lane carries int"),
        (partitioning(key=upper), "takes str, but the lane carries int"),
        (routing(2, lane=size), "takes str, but the lane carries int"),
        (splitting(str.isdigit), "takes str, but the lane carries int"),
        (routing(2, lane=halved), "must give an int, but halved gives float"),
    ],
)
def test_a_function_that_clearly_does_not_fit_its_lane_is_refused(fork: Any, words: str) -> None:
    with pytest.raises(StageTypeError) as caught:
        pipeline().add(Processor(size)).add(fork)

    assert words in str(caught.value)


def either() -> Any:
    return Pipeline[int | str]().add(SplittingFork(is_int))


def test_a_guard_narrows_what_the_lanes_carry() -> None:
    either().add(Processor(halved), Processor(upper))
    with pytest.raises(StageTypeError, match=r"lane 1: .* takes str, but the lane carries int"):
        either().add(Processor(upper), Pipe())
    with pytest.raises(StageTypeError, match=r"lane 2: .* takes float, but the lane carries str"):
        either().add(Pipe(), Processor(float.hex))


def test_one_that_is_not_exact_narrows_the_first_lane_alone() -> None:
    anything: Any = Pipeline[int | str]().add(SplittingFork(is_text))
    with pytest.raises(StageTypeError, match=r"lane 2: .* takes str, but the lane carries int"):
        anything.add(Processor(upper), Processor(upper))


# ------------------------------------------------------------------------------- nothing is decided


def test_a_partition_adds_no_class_by_itself() -> None:
    def explored(key: Callable[[Any], Any]) -> int:
        pl = pipeline().add(PartitioningFork(2, key=key)).add(Pipe(), Pipe()).add(Join(2))
        assert pl.count(range(6)) == pl.explore(range(6), strategy="exhaustive").classes
        return int(pl.count(range(6)))

    assert explored(lambda item: "one") == 1
    assert explored(lambda item: item) > 1
    ordered = pipeline().add(SplittingFork(is_odd)).add(Pipe(), Pipe()).add(Join(2, ordered=True))
    assert ordered.explore(range(6), strategy="exhaustive").classes == 1
    # Reads of a join of a and b items: C(a + b, a).
    split = pipeline().add(SplittingFork(is_odd)).add(Pipe(), Pipe()).add(Join(2))
    assert split.count(range(7)) == 35
    assert split.explore(range(7), strategy="exhaustive").classes == 35


def test_a_topology_shows_them_and_a_schedule_does_not() -> None:
    pl = pipeline().add(RoutingFork(2, lane=lane_of)).add(Pipe(), Pipe()).add(Join(2))

    assert str(pl.topology).splitlines()[0] == "source [source] -> (c0 / c1)"
    assert "routing_fork" not in str(pl.simulate([0, 1, 3, 4], seed=3).schedule)
