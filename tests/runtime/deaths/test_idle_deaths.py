"""Workers that are killed while nothing is asked of them: the run goes on, however often it
happens.  More: `make chaos`."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conveyor import BalancingFork, FlatMap, Join, Pipe, Processor, ReplicatingFork, Zip
from conveyor.errors import WorkerCrashed
from conveyor.runtime.parent.supervisor import Supervisor
from conveyor.runtime.step.contract import FOR_ROOM
from tests.chaos.watch import workers
from tests.helpers import (
    eventually,
    new_or_forked,
    pipeline,
    under_each_start_method,
)
from tests.jobs import double, increment, repeated

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")

MORE_THAN_ALLOWED = 12  # as many in a row end the run, if they count


@pytest.fixture
def supervisors(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Those that are made: what workers are about nobody else can tell."""
    made: list[Any] = []
    init = Supervisor.__init__

    def kept(supervisor: Supervisor, *arguments: Any) -> None:
        made.append(supervisor)
        init(supervisor, *arguments)

    monkeypatch.setattr(Supervisor, "__init__", kept)
    return made


def there() -> list[int]:
    return list(workers(os.getpid()))


def killed(pids: Iterable[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def restarts(run: Any) -> int:
    return sum(stage.restarts for stage in run.report.stages.values())


class Sums(Processor[int, int]):
    """Adds up, and says at the end how far it came."""

    def __init__(self) -> None:
        super().__init__(name="sums")
        self.total = 0

    def process(self, item: int, /) -> int:
        self.total += item
        return self.total

    def finish(self) -> Iterator[int]:
        yield -self.total


class Restorable(Sums):
    def snapshot(self) -> int:
        return self.total

    def restore(self, state: int, /) -> None:
        self.total = state


def in_a_row(start_method: str) -> Any:
    return pipeline(start_method).add(Processor(increment)).add(Processor(double))


def with_states(start_method: str) -> Any:
    return pipeline(start_method).add(Restorable()).add(FlatMap(repeated))


def zipped(start_method: str) -> Any:
    """With a relay between the zip and the fork."""
    pl = (
        pipeline(start_method)
        .add(ReplicatingFork(2))
        .add(Processor(increment), Processor(double))
        .add(Zip(2))
    )
    return pl.add(ReplicatingFork(2)).add(Processor(sum), Processor(max)).add(Join(2))


def balanced(start_method: str) -> Any:
    return (
        pipeline(start_method)
        .add(BalancingFork(2))
        .add(Processor(double), Processor(double))
        .add(Join(2, ordered=True))
    )


def adapting(start_method: str) -> Any:
    return (
        pipeline(start_method).add(BalancingFork(max_lanes=2)).add(Processor(increment)).add(Join())
    )


SHAPES = [in_a_row, with_states, zipped, balanced, adapting]


# ----------------------------------------------------------------------- workers with nothing to do


@pytest.mark.parametrize("build", SHAPES)
def test_workers_that_wait_for_items_may_be_killed_again_and_again(
    build: Callable[[str], Any],
) -> None:
    """All of them at once, as by the system, each time they are there again."""
    taken: list[int] = []

    def source() -> Iterator[int]:
        yield from range(20)
        eventually(lambda: len(taken) >= 20)
        all_of_them = len(there())
        dead: set[int] = set()

        def are_there() -> bool:
            return len({*there()} - dead) == all_of_them

        for _ in range(MORE_THAN_ALLOWED):
            eventually(are_there)
            pids = {*there()} - dead
            killed(pids)
            dead.update(pids)
        yield from range(20, 40)

    with build("fork").stream(source()) as stream:
        for result in stream:
            taken.append(result)
    undisturbed = build("fork").run(range(40))

    assert sorted(taken) == sorted(undisturbed) if build is zipped else taken == undisturbed
    assert restarts(stream) >= MORE_THAN_ALLOWED


@under_each_start_method
@pytest.mark.parametrize("done_before", [0, 20])
def test_and_while_they_start(start_method: str, done_before: int) -> None:
    """Each as soon as it is there, whatever it is about."""
    done = threading.Event()
    seen: set[int] = set()

    def kill() -> None:
        while len(seen) < 2 * MORE_THAN_ALLOWED:
            new = [pid for pid in there() if pid not in seen]
            seen.update(new)
            for pid in new:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        done.set()

    def source() -> Iterator[int]:
        yield from range(done_before)
        killer.start()
        done.wait()
        yield from range(done_before, 40)

    killer = threading.Thread(target=kill, daemon=True)
    with in_a_row(start_method).stream(source()) as stream:
        assert list(stream) == [2 * (item + 1) for item in range(40)]


@new_or_forked
def test_workers_that_are_warm_may_be_killed_between_runs(start_method: str) -> None:
    with in_a_row(start_method) as pl:
        for _ in range(MORE_THAN_ALLOWED if start_method == "fork" else 3):
            assert pl.run(range(10)) == [2 * (item + 1) for item in range(10)]
            killed(there())


def test_workers_that_wait_for_room_may_be_killed_again_and_again(supervisors: list[Any]) -> None:
    """Each has an item in hand, whose job has long returned."""
    pl = (
        pipeline()
        .add(Pipe(1))
        .add(Processor(increment))
        .add(Pipe(1))
        .add(Processor(double))
        .add(Pipe(1))
    )
    with pl.stream(range(40)) as stream:
        results = [next(stream)]
        (supervisor,) = supervisors
        for _ in range(MORE_THAN_ALLOWED):
            while not all(
                supervisor.shared.blocks[worker.index].wait_reason().kind == FOR_ROOM
                for worker in supervisor.processes.plan.specs
            ):
                supervisor.sleep(5)  # the consumer looks after them, and takes nothing
            before = restarts(stream)
            killed(there())
            while restarts(stream) < before + 2:
                supervisor.sleep(5)
        results += list(stream)

    assert results == [2 * (item + 1) for item in range(40)]


@pytest.mark.parametrize("stage", ["first", "second"])
def test_a_worker_that_is_killed_when_it_has_done_its_part_is_not_missed(
    stage: str, supervisors: list[Any]
) -> None:
    pl = (
        pipeline()
        .add(Processor(increment, name="first"))
        .add(Pipe(64))
        .add(Processor(double, name="second"))
        .add(Pipe(1))
    )
    with pl.stream(range(20)) as stream:
        results = [next(stream)]
        pid = stream.report.stages[stage].pid
        (supervisor,) = supervisors
        if stage == "first":
            eventually(lambda: supervisor.shared.blocks[1].done == supervisor.run)
        killed([pid])
        results += list(stream)

    assert results == [2 * (item + 1) for item in range(20)]


def raises_until(file: Path, item: int) -> int:
    if item == 1 and not file.exists():
        raise ValueError(item)
    return item


def test_a_worker_that_waits_before_another_attempt_is_not_killed_by_its_item(
    tmp_path: Path, supervisors: list[Any]
) -> None:
    job = Processor(partial(raises_until, tmp_path / "go"), name="job", retries=100)
    with pipeline().add(Pipe(1)).add(job).stream(iter(range(5))) as stream:
        (supervisor,) = supervisors

        def is_waiting() -> bool:
            """It is at the item, and its job is not."""
            block = supervisor.shared.blocks[1]
            return bool(
                block.tally(supervisor.run).items_in >= 1
                and block.has_begun()
                and block.running == 0
            )

        def may_be_killed(number: int) -> bool:
            return restarts(stream) == number and bool(there()) and is_waiting()

        def kill() -> None:
            for number in range(5):
                eventually(partial(may_be_killed, number))
                killed(there())
            (tmp_path / "go").touch()

        killer = threading.Thread(target=kill)
        killer.start()
        results = list(stream)
        killer.join()

    assert results == list(range(5))


# ----------------------------------------------------------------------------- states that are gone


def test_a_state_that_is_lost_when_its_worker_has_done_its_part_is_an_error_of_the_next_run_only(
    supervisors: list[Any],
) -> None:
    """Its run has all that came of it; another would begin with nothing."""
    with pipeline().add(Sums()).add(Pipe(64)).add(Processor(abs)).add(Pipe(1)) as pl:
        with pl.stream(range(5)) as stream:
            (supervisor,) = supervisors
            results = [next(stream)]
            eventually(lambda: supervisor.shared.blocks[1].done == supervisor.run)
            killed([stream.report.stages["sums"].pid])
            results += list(stream)
        assert results == [0, 1, 3, 6, 10, 10]
        with pytest.raises(WorkerCrashed, match=r"'sums'.*its state died with it"):
            pl.run(range(5))
        assert pl.run(range(5)) == [0, 1, 3, 6, 10, 10], "with new workers"


@under_each_start_method
def test_a_state_that_is_lost_while_nothing_happens_ends_the_run_at_once(start_method: str) -> None:
    go_on = threading.Event()

    def source() -> Iterator[int]:
        yield from range(5)
        go_on.wait(30)

    with pipeline(start_method).add(Sums()).stream(source()) as stream:
        assert [next(stream) for _ in range(5)] == [0, 1, 3, 6, 10]
        threading.Timer(0.1, killed, (there(),)).start()
        with pytest.raises(WorkerCrashed, match=r"'sums'.*its state died with it"):
            next(stream)
        assert not go_on.is_set()
    go_on.set()


def test_a_state_that_is_lost_between_runs_is_an_error_of_the_next() -> None:
    with pipeline().add(Sums()) as pl:
        assert pl.run(range(3)) == [0, 1, 3, -3]
        killed(there())
        with pytest.raises(WorkerCrashed, match=r"'sums'.*its state died with it"):
            pl.run(range(3))


def test_a_worker_that_had_no_state_yet_is_replaced() -> None:
    with pipeline().add(Sums()) as pl:
        pl.run([])
        killed(there())
        assert pl.run(range(3)) == [0, 1, 3, -3]


# --------------------------------------------------------------------------- what is left of deaths


def dies_at(file: str, every: int, until: int, item: int) -> int:
    """Kills its worker at each item of so many, the first time that it sees it."""
    if item < until and item % every == 0 and not os.path.exists(f"{file}{item}"):
        with open(f"{file}{item}", "x"):
            pass
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_what_is_remembered_of_deaths_does_not_grow(tmp_path: Any, supervisors: list[Any]) -> None:
    """So the hundredth worker is told no more, and takes as much at a time, as the second."""
    job = Processor(partial(dies_at, f"{tmp_path}/", 10, 500), name="job")
    with pipeline().add(job).stream(range(5000)) as stream:
        policy = supervisors[0].restart_policy
        told = [len(policy.history(1)[0]) for _ in stream]

    assert restarts(stream) == 50
    assert max(told) <= 3
    assert stream.report.stages["job"].batches < 2500, "what is not in question goes together again"
