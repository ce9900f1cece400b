"""A recording says before which store a worker died, and its replay dies there; a time that ran out
is a timer."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from conveyor import (
    BalancingFork,
    Filter,
    FlatMap,
    Join,
    Pipe,
    Processor,
    ReplicatingFork,
    SplittingFork,
    Zip,
)
from conveyor.errors import ItemTimeout
from conveyor.recording.crash_points import Timeout
from conveyor.recording.reader import Recording
from conveyor.sim.schedule import Schedule
from tests.conformance.jobs import Remembered, Stuck, increment, label, odd, repeated, stuck
from tests.helpers import pipeline
from tests.jobs import double
from tests.store_faults import Fault, planned

SINGLY = Pipe(2)  # a quarter of its capacity, but one item at least, is what a slice has


class Sums(Processor[int, int]):
    """Says at the end what it has seen, in two parts."""

    def __init__(self) -> None:
        super().__init__(name="sums")
        self.total = 0

    def snapshot(self) -> object:
        return self.total

    def restore(self, state: object, /) -> None:
        assert isinstance(state, int)
        self.total = state

    def process(self, item: int, /) -> None:
        self.total += item

    def finish(self) -> Iterable[int]:
        yield self.total
        yield -self.total
        self.total = 0


def thrice(item: int) -> Iterator[int]:
    for _ in range(3):
        yield item


def in_a_row() -> Any:
    return (
        pipeline()
        .add(SINGLY)
        .add(Processor(double, name="x"))
        .add(SINGLY)
        .add(Processor(increment))
    )


def filtered() -> Any:
    return pipeline().add(SINGLY).add(Filter(odd, name="x")).add(SINGLY).add(Processor(increment))


def replicated() -> Any:
    return (
        pipeline()
        .add(SINGLY)
        .add(Processor(double, name="x"))
        .add(ReplicatingFork(2))
        .add(SINGLY, SINGLY)
        .add(Join(2))
    )


def flat() -> Any:
    """Outputs go out two by two."""
    return (
        pipeline().add(SINGLY).add(FlatMap(thrice, name="x")).add(SINGLY).add(Processor(increment))
    )


def flat_replicated() -> Any:
    return (
        pipeline()
        .add(SINGLY)
        .add(FlatMap(thrice, name="x"))
        .add(ReplicatingFork(2))
        .add(SINGLY, SINGLY)
        .add(Join(2))
    )


def remembered() -> Any:
    return pipeline().add(SINGLY).add(Remembered(name="x")).add(SINGLY).add(Processor(label))


def summed() -> Any:
    return pipeline().add(SINGLY).add(Sums()).add(Pipe(1)).add(Processor(increment))


def joined() -> Any:
    lanes = (
        pipeline()
        .add(BalancingFork(2))
        .add(SINGLY, SINGLY)
        .add(Processor(increment), Processor(double))
        .add(SINGLY, SINGLY)
    )
    return (
        lanes.add(Join(2))
        .add(FlatMap(repeated, name="x"))
        .add(BalancingFork(2))
        .add(SINGLY, SINGLY)
        .add(Join(2))
    )


def zipped() -> Any:
    lanes = (
        pipeline()
        .add(ReplicatingFork(2))
        .add(SINGLY, SINGLY)
        .add(Processor(increment), Processor(double))
    )
    return (
        lanes.add(SINGLY, SINGLY)
        .add(Zip(2))
        .add(Processor(sum, name="x"))
        .add(SINGLY)
        .add(Processor(increment))
    )


class Case(NamedTuple):
    """A worker of a pipeline dies at the nth store of a name; in a schedule that is called so."""

    build: Any
    store: str
    nth: int
    told: str
    after: bool = False


CASES = [
    Case(in_a_row, "tail", 1, "!x.0.taken"),
    Case(in_a_row, "tail", 3, "!x.2.taken"),
    Case(in_a_row, "head", 3, "!x.2.emitted"),
    Case(in_a_row, "head", 3, "!x.3.taken", after=True),
    Case(in_a_row, "closed", 1, "!x.end.closed0"),
    Case(in_a_row, "closed", 1, "!x.end.closed1", after=True),
    Case(filtered, "head", 4, "!x.3.emitted"),
    Case(replicated, "tail", 5, "!x.2.taken"),
    Case(replicated, "tail", 6, "!x.2.copied1"),
    Case(replicated, "head", 3, "!x.2.emitted"),
    Case(replicated, "closed", 2, "!x.end.closed1"),
    Case(flat, "tail", 3, "!x.1.taken"),
    Case(flat, "tail", 4, "!x.1.emitted2"),
    Case(flat, "head", 2, "!x.1.emitted"),
    Case(flat_replicated, "tail", 6, "!x.1.early1"),
    Case(flat_replicated, "tail", 7, "!x.1.emitted2"),
    Case(flat_replicated, "tail", 8, "!x.1.copied1"),
    Case(remembered, "state", 1, "!x.0.begun"),
    Case(remembered, "tail", 2, "!x.1.taken"),
    Case(remembered, "state", 3, "!x.1.emitted"),
    Case(remembered, "head", 2, "!x.1.saved"),
    Case(summed, "tail", 2, "!sums.end.emitted1"),
    Case(summed, "closed", 1, "!sums.end.closed0"),
    Case(zipped, "tail", 2, "!x.2.taken"),
    Case(zipped, "head", 4, "!x.3.emitted"),
]


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case.build.__name__} {case.told} {case.after}"
)
def test_a_death_is_recorded_and_replayed_before_the_store_at_which_it_was(
    case: Case, tmp_path: Path
) -> None:
    path = tmp_path / "run.cvd"
    worker = case.told[1 : case.told.index(".")]
    with planned(Fault(worker, case.store, case.nth, case.after)):
        result = case.build().run(range(6), record=path)
    assert result.report.stages[worker].restarts == 1

    (crash,) = Recording.read(path.read_bytes(), "run.cvd").crashes
    assert (
        f"!{crash.worker}.{'end' if crash.point.item is None else crash.point.item}"
        f".{crash.point.step}" == case.told
    )
    replayed = case.build().replay(range(6), path)
    assert replayed == result
    (death,) = Schedule.parse(replayed.schedule).deaths
    # Whether the job had begun, or had given the next output, nobody can know: the replay dies
    # before.
    step = case.told.rpartition(".")[2]
    assert death.step in (step, step.replace("taken", "held"), step.replace("emitted", "held"))
    assert str(death).startswith(case.told.rpartition(".")[0])
    assert case.build().replay(range(6), replayed.schedule) == result


@pytest.mark.parametrize("store", ["tail", "head", "head bytes", "closed"])
def test_wherever_a_worker_behind_a_join_dies_the_same_items_come_again(
    store: str, tmp_path: Path
) -> None:
    """Half an item out pins the join: that decision is not taken again."""
    path = tmp_path / "run.cvd"
    died = 0
    for nth in count(1):
        with planned(Fault("x", store, nth)):
            result = joined().run(range(6), record=path)
        replayed = joined().replay(range(6), path)
        assert replayed == result
        assert joined().replay(range(6), replayed.schedule) == result
        if not result.report.stages["x"].restarts:
            break
        died += 1
    assert died


def split() -> Any:
    """Several outputs of an item go out in one record, in two lanes."""
    lanes = pipeline().add(Pipe(64)).add(FlatMap(up_to, name="x")).add(SplittingFork(odd))
    return lanes.add(Pipe(64), Pipe(64)).add(Processor(label), Pipe(9)).add(Join(2))


def up_to(item: int) -> range:
    return range(item)


@pytest.mark.parametrize("store", ["tail", "head"])
def test_wherever_it_dies_between_the_parts_of_a_record_they_come_once(
    store: str, tmp_path: Path
) -> None:
    path = tmp_path / "run.cvd"
    expected = [("b", n) for item in range(7) for n in range(item) if odd(n)]
    expected_even = [n for item in range(7) for n in range(item) if not odd(n)]
    died = 0
    for nth in count(1):
        with planned(Fault("x", store, nth)):
            result = split().run(range(7), record=path)
        assert [each for each in result if isinstance(each, tuple)] == expected
        assert [each for each in result if not isinstance(each, tuple)] == expected_even
        replayed = split().replay(range(7), path)
        assert replayed == result
        assert split().replay(range(7), replayed.schedule) == result
        if not result.report.stages["x"].restarts:
            break
        died += 1
    assert died > 1


# -------------------------------------------------------------------------------------- time limits


def limited(retries: int) -> Any:
    return (
        pipeline()
        .add(SINGLY)
        .add(Processor(stuck, name="x", timeout_s=0.05, retries=retries, on_error="dead_letter"))
        .add(SINGLY)
        .add(Processor(increment))
    )


@pytest.mark.parametrize("retries", [0, 1])
def test_a_time_that_ran_out_is_recorded_as_the_decision_that_a_simulated_run_has(
    retries: int, tmp_path: Path
) -> None:
    path = tmp_path / "run.cvd"
    result = limited(retries).run(range(10), record=path)
    (letter,) = result.dead_letters

    recording = Recording.read(path.read_bytes(), "run.cvd")
    assert (recording.crashes, len(recording.timeouts)) == ((), retries + 1)
    replayed = limited(retries).replay(range(10), path)
    assert replayed == result
    (same,) = replayed.dead_letters
    assert (same.ordinal, same.attempts, repr(same.exception)) == (
        letter.ordinal,
        letter.attempts,
        repr(letter.exception),
    )
    assert replayed.schedule == "cv1:" + ";".join(
        f"x~timer.{7 + attempt}=1" for attempt in range(retries + 1)
    )
    assert limited(retries).replay(range(10), replayed.schedule) == result


def test_a_recording_with_a_time_that_ran_out_shrinks_to_that(tmp_path: Path) -> None:
    path, here = tmp_path / "run.cvd", os.getpid()

    def stuck_elsewhere(item: int) -> int:
        if item == 7 and os.getpid() != here:
            time.sleep(5)
        return item

    limited_twice = Processor(stuck_elsewhere, name="x", timeout_s=0.05, on_error="skip")
    lanes = pipeline().add(ReplicatingFork(2)).add(limited_twice, Processor(double)).add(Join(2))
    lanes.run(range(10), record=path)

    def check(run: Any) -> bool:
        return len(run) == 20

    failure = lanes.explore(range(10), check, start=path).failure
    assert failure.number == 1
    assert failure.schedule.count("=1") == failure.schedule.count("x~timer.") == 1
    assert len(lanes.replay(range(10), failure.schedule)) == 19


def test_a_time_limit_that_takes_a_state_with_it_ends_the_run_and_its_replay(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.cvd"
    pl = (
        pipeline()
        .add(SINGLY)
        .add(Stuck(name="x", timeout_s=0.05, on_error="skip"))
        .add(Processor(label))
    )
    with pytest.raises(ItemTimeout, match="its state died with it") as real:
        pl.run(range(10), record=path)
    recording = Recording.read(path.read_bytes(), "run.cvd")
    assert (recording.crashes, recording.timeouts) == ((), (Timeout("x", 0, 7),))
    with pytest.raises(ItemTimeout) as replayed:
        pl.replay(range(10), path)
    assert str(replayed.value) == str(real.value)
    with pytest.raises(ItemTimeout):
        pl.replay(range(10), "cv1:x~timer.7=1")


def gives_two_and_kills(program: int, item: int) -> Iterator[int]:
    yield item
    time.sleep(0.05)  # longer than outputs gather
    yield item
    if item == 3:
        assert os.getpid() != program, "a replay goes on where the worker had died"
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_replay_does_not_ask_a_job_for_more_that_killed_with_its_next_output(
    tmp_path: Path,
) -> None:
    """What was out by then had left as it had lain for long."""
    job: Any = partial(gives_two_and_kills, os.getpid())
    pl = pipeline().add(FlatMap(job, on_error="dead_letter", name="x"))
    path = tmp_path / "run.cvd"
    run = pl.run(range(5), record=path)

    again = pl.replay(range(5), path)

    assert again == run
    assert [repr(each.exception) for each in again.dead_letters] == [
        repr(each.exception) for each in run.dead_letters
    ]
    assert pl.replay(range(5), again.schedule) == run
    assert [each.item for each in run.dead_letters] == [3]
