"""A worker that dies is replaced, and of that nothing is to be seen but in the report."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count, islice, product
from pathlib import Path
from typing import Any

import pytest

from conveyor import (
    BalancingFork,
    Filter,
    FlatMap,
    Join,
    Pipe,
    Processor,
    ReplicatingFork,
    Zip,
    context,
)
from conveyor.errors import RunError, TopologyError, WorkerCrashed
from tests.fatal_jobs import with_pid
from tests.helpers import PROVE, descriptors, new_or_forked, pipeline
from tests.jobs import double, is_even, repeated, same
from tests.store_faults import STORES, Fault, planned

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")

N = 60


def slowly(item: int) -> int:
    threading.Event().wait(0.005)
    return item


class SumSoFar(Processor[int, int]):
    """Gives the sum so far; at the end, how many there were."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.sum = self.seen = 0

    def process(self, item: int, /) -> int:
        self.sum += item
        self.seen += 1
        return self.sum

    def finish(self) -> Iterator[int]:
        yield -self.seen

    def snapshot(self) -> tuple[int, int]:
        return self.sum, self.seen

    def restore(self, state: tuple[int, int], /) -> None:
        self.sum, self.seen = state


class Unsaved(Processor[int, int]):
    """Has a state that dies with its worker."""

    def process(self, item: int, /) -> int:
        return item


TOTALS = [sum(range(item + 1)) for item in range(N)]


def below_five(number: int) -> int:
    return number % 5


# A pipeline around a stage "it", and what must come out of it, sorted where lanes may overtake one
# another.
SHAPES: dict[str, tuple[Callable[[], Any], Any]] = {
    "processor": (lambda: [[Processor(double, name="it")]], [2 * n for n in range(N)]),
    "filter": (lambda: [[Filter(is_even, name="it")]], list(range(0, N, 2))),
    "flat-map": (
        lambda: [[Processor(below_five)], [FlatMap(repeated, name="it")]],
        [n % 5 for n in range(N) for _ in range(n % 5)],
    ),
    "stateful": (lambda: [[SumSoFar(name="it")]], [*TOTALS, -N]),
    "before a replicating fork": (
        lambda: [
            [Processor(double, name="it")],
            [ReplicatingFork(2)],
            [Pipe(4), Processor(same)],
            [Zip(2)],
        ],
        [(2 * n, 2 * n) for n in range(N)],
    ),
    "before a balancing fork": (
        lambda: [
            [Processor(double, name="it")],
            [BalancingFork(2)],
            [Processor(same), Processor(same)],
            [Join(2, ordered=True)],
        ],
        [2 * n for n in range(N)],
    ),
    "in a lane": (
        lambda: [
            [ReplicatingFork(2)],
            [Processor(double, name="it"), Pipe(4)],
            [Join(2)],
            [Processor(same)],
        ],
        sorted([*range(N), *range(0, 2 * N, 2)]),
    ),
    "behind a join": (
        lambda: [
            [ReplicatingFork(2)],
            [Processor(same), Pipe(4)],
            [Join(2)],
            [Processor(double, name="it")],
        ],
        sorted([*range(0, 2 * N, 2)] * 2),
    ),
    "behind an ordered join": (
        lambda: [
            [BalancingFork(2)],
            [Processor(same), Processor(same)],
            [Join(2, ordered=True)],
            [Processor(double, name="it")],
        ],
        [2 * n for n in range(N)],
    ),
    "behind a zip": (
        lambda: [
            [ReplicatingFork(2)],
            [Processor(same), Pipe(4)],
            [Zip(2)],
            [Processor(sum, name="it")],
        ],
        [2 * n for n in range(N)],
    ),
    "stateful, behind a join": (
        lambda: [
            [ReplicatingFork(2)],
            [Processor(same), Pipe(4)],
            [Join(2)],
            [SumSoFar(name="it")],
            [Processor(max_of_all)],
        ],
        [2 * sum(range(N))],
    ),
}


def max_of_all(item: int) -> int | None:
    return item if item == 2 * sum(range(N)) else None


def built(shape: str, start_method: str = "fork") -> Any:
    pl = pipeline(start_method).add(Pipe(4))
    for row in SHAPES[shape][0]():
        pl.add(*row)
    return pl.add(Pipe(4))


def check(shape: str, result: Any) -> int:
    """Nothing is lost, repeated or out of order, and all of it is counted; how often "it" was
    started again."""
    joined = ("join" in shape and "ordered" not in shape) or shape == "in a lane"
    assert (sorted(result) if joined else list(result)) == SHAPES[shape][1]
    for stage in result.report.stages.values():
        assert stage.items_in == (
            2 * stage.items_out if stage.kind == "Zip" else stage.passed + stage.dropped
        )
        assert stage.kind in ("FlatMap", "Zip") or stage.items_out == stage.passed + stage.flushed
    it = result.report.stages["it"]
    assert it.items_in == {"behind a join": 2 * N, "stateful, behind a join": 2 * N}.get(shape, N)
    restarts: int = it.restarts
    return restarts


def die_often(shape: str, start_method: str, faults: list[Fault]) -> int:
    with planned(*faults):
        return check(shape, built(shape, start_method).run(range(N)))


# ------------------------------------------------------------------------ each step of the protocol


NOTED = ("behind an ordered join", "behind a zip")


def is_made(store: str, shape: str) -> bool:
    """Does the worker of "it" make such a store in this shape?"""
    return (store != "note" or shape in NOTED) and (store != "state" or "stateful" in shape)


def deaths() -> Iterator[tuple[str, str, bool]]:
    """Each store in each shape, before it or after it: both, if few shapes have it, or with
    `CONVEYOR_PROVE`; else in turns, so that each store and each shape comes with both."""
    for (x, shape), (y, store) in product(enumerate(SHAPES), enumerate(STORES)):
        few = store in ("note", "state") and is_made(store, shape)
        for after in (False, True):
            if PROVE or few or (x + y) % 2 == after:
                yield shape, store, after


DEATHS = [
    pytest.param(*death, id="-".join([*death[:2], "after" if death[2] else "before"]))
    for death in deaths()
]


@pytest.mark.parametrize(("shape", "store", "after"), DEATHS)
def test_a_death_at_any_store_is_not_to_be_seen(shape: str, store: str, after: bool) -> None:
    once = store in ("closed", "begun", "done")
    restarts = die_often(
        shape,
        "fork",
        [Fault("it", store, 1 if once else 3, after), Fault("it", store, 1, after, life=2)],
    )

    # What a run may do without, or not notice.
    maybe = store.endswith("sleeps") or (store, after) == ("done", True)
    assert maybe or bool(restarts) == is_made(store, shape)


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
@pytest.mark.parametrize("store", ["tail", "head bytes", "closed"])
def test_whatever_the_start_method(store: str, start_method: str) -> None:
    assert die_often("processor", start_method, [Fault("it", store)]) == 1


@pytest.mark.parametrize("store", ["tail", "head", "head bytes", "counts"])
@pytest.mark.parametrize(
    "shape", ["processor", "before a replicating fork", "stateful", "behind an ordered join"]
)
def test_who_goes_on_may_die_too(shape: str, store: str) -> None:
    faults = [
        Fault("it", store, 2, life=1),
        *(Fault("it", "tail", 1, after=True, life=life) for life in (2, 4)),
    ]
    faults += [
        Fault("it", store, 1, life=3),
        Fault("it", "begun", 1, life=5),
        Fault("it", "hand", 1, life=5),
    ]

    assert die_often(shape, "fork", faults) == 5


def test_all_workers_die_at_once_and_again() -> None:
    names = ["a", "it", "c"]
    pl = (
        pipeline()
        .add(Processor(same, name="a"))
        .add(Pipe(4))
        .add(Processor(double, name="it"))
        .add(Pipe(4))
    )
    pl.add(Processor(same, name="c"))
    faults = [
        Fault(name, "head", nth, life=life)
        for name in names
        for nth, life in ((2, 1), (1, 2), (3, 3))
    ]
    with planned(*faults):
        result = pl.run(range(N))

    assert list(result) == [2 * n for n in range(N)]
    assert [result.report.stages[name].restarts for name in names] == [3, 3, 3]


@pytest.mark.parametrize("nth", [1, 2, 5])
def test_a_producer_that_was_not_told_of_room_is_told_when_its_consumer_dies(nth: int) -> None:
    pl = (
        pipeline()
        .add(Processor(same, name="before", retries=1))
        .add(Pipe(1))
        .add(Processor(slowly, name="it", retries=1))
    )
    with planned(Fault("it", "head bytes", nth, after=True)):
        result = pl.run(range(20))

    assert list(result) == list(range(20))


def test_an_unknown_store_is_no_plan() -> None:
    with (
        pytest.raises(ValueError, match="no store is called 'tale'; there are tail"),
        planned(Fault("it", "tale")),
    ):
        pass


# ----------------------------------------------------------------------- killed from outside, often


@new_or_forked
def test_a_stream_goes_on_through_the_deaths_of_its_worker(start_method: str) -> None:
    pl = pipeline(start_method).add(Pipe(4)).add(Processor(with_pid)).add(Pipe(4))
    pids: list[int] = []
    with pl.stream(count()) as stream:
        for expected, (item, pid) in enumerate(stream):
            assert item == expected
            if pid not in pids:
                pids.append(pid)
                os.kill(pid, signal.SIGKILL)
            if len(pids) == 4:
                break
        assert stream.report.stages["with_pid"].restarts >= 3


def test_a_worker_of_an_open_pipeline_that_dies_between_two_runs_is_replaced() -> None:
    with pipeline().add(Processor(with_pid)) as pl:
        ((_, victim),) = pl.run([1])
        for run in range(5):
            os.kill(victim, signal.SIGKILL)
            result = pl.run([run])
            (item, successor), *rest = result
            assert (item, rest) == (run, [])
            assert successor != victim
            victim = successor


def test_workers_in_the_lanes_of_an_adapting_fork_die() -> None:
    def work(item: int) -> int:
        if item % 50 == 7 and context().attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        threading.Event().wait(0.001)
        return item

    result = (
        pipeline()
        .add(BalancingFork(max_lanes=2))
        .add(Processor(work))
        .add(Join(ordered=True))
        .run(range(300))
    )

    assert list(result) == list(range(300))
    assert sum(stage.restarts for stage in result.report.stages.values()) >= 6
    assert (
        sum(stage.items_in for stage in result.report.stages.values() if stage.kind == "Processor")
        == 300
    )


def test_only_the_item_in_hand_is_run_twice_if_a_job_takes_long(tmp_path: Path) -> None:
    def job(item: int) -> int:
        with (tmp_path / "log").open("a") as log:
            log.write(f"{item}\n")
        threading.Event().wait(0.004)
        if item == 150 and context().attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    assert pipeline().add(Processor(job)).run(range(200)) == list(range(200))
    runs = Counter(int(line) for line in (tmp_path / "log").read_text().split())
    assert runs == dict.fromkeys(range(200), 1) | {150: 2}


def test_lanes_get_identical_items_from_a_job_that_never_gives_the_same_twice() -> None:
    def call(item: int) -> tuple[int, bytes]:
        if item % 40 == 3 and context().attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return item, os.urandom(8)

    pl = (
        pipeline()
        .add(Processor(call, name="it"))
        .add(ReplicatingFork(2))
        .add(Pipe(8), Processor(same))
        .add(Zip(2))
    )
    with planned(*(Fault("it", "tail", 5 * life % 7 + 1, life=life) for life in (1, 3, 5))):
        result = pl.run(range(200))

    assert [left for left, _ in result] == [right for _, right in result]
    assert [item for (item, _), _ in result] == list(range(200))
    assert result.report.stages["it"].restarts >= 5


def test_large_records_survive_their_producer() -> None:
    def large(item: int) -> bytes:
        return item.to_bytes(4, "little") * 100_000

    def size(item: bytes) -> tuple[int, int]:
        threading.Event().wait(0.002)
        return int.from_bytes(item[:4], "little"), len(item) - 4 * item.count(item[:4])

    faults = [
        Fault("it", "tail", nth, after, life)
        for life, (nth, after) in enumerate([(3, True), (5, False), (9, True)], 1)
    ]
    with planned(*faults):
        result = pipeline().add(Processor(large, name="it")).add(Processor(size)).run(range(50))

    assert list(result) == [(item, 0) for item in range(50)]


def test_dead_letters_come_once_whenever_their_worker_died() -> None:
    def refuse(item: int) -> int:
        if item % 3 == 0:
            raise ValueError(item)
        return item

    for store in ("counts", "head", "tail", "running"):
        with planned(*(Fault("it", store, life + 2, life=life) for life in range(1, 6))):
            result = (
                pipeline()
                .add(Pipe(8))
                .add(Processor(refuse, on_error="dead_letter", name="it"))
                .add(Pipe(8))
                .run(range(N))
            )
        assert list(result) == [item for item in range(N) if item % 3]
        assert [(letter.ordinal, letter.item) for letter in result.dead_letters] == [
            (n, n) for n in range(0, N, 3)
        ]
        it = result.report.stages["it"]
        assert (it.items_in, it.passed, it.dead_lettered, it.restarts) == (N, N - N // 3, N // 3, 5)


def test_nothing_is_left_by_runs_in_which_workers_died() -> None:
    def run() -> None:
        with planned(*(Fault("it", "head", 2, life=life) for life in range(1, 4))):
            check("in a lane", built("in a lane").run(range(N)))

    run()
    before = descriptors()
    run()

    assert descriptors() == before


# ------------------------------------------------------------------------------------------- states


def test_a_state_that_cannot_be_saved_is_lost_with_its_worker_and_that_is_said() -> None:
    with (
        planned(Fault("it", "head", 5)),
        pytest.raises(WorkerCrashed, match=r"'it'.*SIGKILL.*its state died with it.*snapshot\(\)"),
    ):
        pipeline().add(Unsaved(name="it")).run(range(N))


def test_a_worker_that_had_nothing_in_hand_yet_had_no_state_to_lose() -> None:
    with planned(Fault("it", "begun")):
        assert pipeline().add(Unsaved(name="it")).run(range(N)) == list(range(N))


def test_a_state_goes_on_into_the_next_run_and_through_deaths_between_them() -> None:
    with (
        pipeline().add(SumSoFar(name="it")).add(Processor(same)) as pl,
        planned(Fault("it", "done", 1, after=True)),
    ):
        assert pl.run([1, 2]) == [1, 3, -2]
        assert pl.run([3, 4]) == [6, 10, -4]
        assert pl.run([]) == [-4]


def test_what_can_be_saved_must_be_restorable() -> None:
    class Half(Processor[int, int]):
        def process(self, item: int, /) -> int:
            return item

        def snapshot(self) -> int:
            return 0

    with pytest.raises(TopologyError, match=r"both snapshot\(\) and restore\(state\)"):
        Half()


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_a_state_is_restored_whatever_the_start_method(start_method: str) -> None:
    assert (
        die_often(
            "stateful", start_method, [Fault("it", "head", 4), Fault("it", "state", 3, life=2)]
        )
        == 2
    )


def test_a_state_that_gives_something_else_is_an_error() -> None:
    class Forgets(SumSoFar):
        def process(self, item: int, /) -> int | None:  # type: ignore[override]  # what it gives depends on the process
            return item if self.sum == 0 else None

        def restore(self, state: tuple[int, int], /) -> None:
            self.sum = 1

    with planned(Fault("it", "state", 2)), pytest.raises(RunError, match="did not come again"):
        pipeline().add(Forgets(name="it")).run(islice(count(), 5))
