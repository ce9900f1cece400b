"""A schedule names a death without doubt, and a death anywhere is recovered from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from conveyor import FlatMap, Join, Pipe, Pipeline, Processor, ReplicatingFork, Zip, context
from conveyor.errors import ScheduleMismatch, WorkerCrashed
from conveyor.sim.faults import Faults
from conveyor.sim.schedule import Schedule
from tests.helpers import PROVE, pipeline
from tests.sim.random_runs import number_of

pytestmark = pytest.mark.slow

SEEDS = range(300 if PROVE else 100)


def thrice(item: str) -> list[str]:
    return [f"{item}{number}" for number in range(3)]


def tagged(item: str) -> str:
    return f"{item}'"


def copied() -> Any:
    """A flat-map each of whose outputs goes to two lanes."""
    return (
        pipeline()
        .add(FlatMap(thrice, name="fm"))
        .add(ReplicatingFork(2))
        .add(Pipe(1), Processor(tagged))
        .add(Join(2))
    )


def test_a_death_between_two_copies_says_of_which_record() -> None:
    places = Counter[str]()
    for seed in SEEDS:
        run = copied().simulate("ab", seed=seed, faults=Faults(["fm"]))
        again = copied().replay("ab", run.schedule)
        assert (list(again), again.decisions, again.schedule) == (
            list(run),
            run.decisions,
            run.schedule,
        )
        places.update(str(death._replace(wait=0)) for death in Schedule.parse(run.schedule).deaths)
    assert {"!fm.1.copied1", "!fm.1.copied1*2", "!fm.1.copied1*3"} <= places.keys()


def gives_one_and_refuses_at_first(item: str) -> Iterator[str]:
    yield item
    if context().attempt == 1:
        raise ValueError(item)
    yield f"{item} again"


def test_an_item_that_failed_before_its_worker_died_between_copies_is_not_tried_again() -> None:
    """What the newest record says of it stands, in the replay as in the run."""
    outcomes = set[tuple[str, ...]]()
    for seed in SEEDS:
        pl = pipeline().add(FlatMap(gives_one_and_refuses_at_first, name="fm", on_error="skip"))
        pl.add(ReplicatingFork(2)).add(Pipe(), Pipe()).add(Join(2))
        run = pl.simulate("a", seed=seed, faults=Faults(["fm"]))
        again = pl.replay("a", run.schedule)
        assert (list(again), again.schedule) == (list(run), run.schedule)
        if ".copied1" in run.schedule:
            outcomes.add(tuple(run))
    assert outcomes == {("a", "a")}


def test_what_is_found_where_copies_are_under_way_fails_again() -> None:
    found = 0
    for seed in SEEDS[::5]:

        def check(run: Iterable[object], seed: int = seed) -> bool:
            return number_of(seed, *run) % 40 > 0

        failure = copied().explore("ab", check, faults=Faults(["fm"]), seed=seed).failure
        if failure is not None:
            found += 1
            assert not check(copied().replay("ab", failure.schedule))
    assert found


class Many(FlatMap[str, str]):
    """Keeps a state that nobody saves."""

    def setup(self) -> None:
        self.seen = 0

    def process(self, item: str, /) -> list[str]:
        self.seen += 1
        return [f"{item}{number}" for number in range(self.seen)]


def test_a_run_that_a_death_ends_ends_so_again() -> None:
    pl = pipeline().add(Many()).add(ReplicatingFork(2)).add(Pipe(1), Processor(tagged)).add(Join(2))
    ended = 0
    for seed in SEEDS:
        try:
            pl.simulate("abc", seed=seed, faults=Faults())
        except WorkerCrashed as error:
            ended += 1
            (schedule,) = [
                note.split("'")[1] for note in error.__notes__ if note.startswith("replay it")
            ]
            with pytest.raises(WorkerCrashed):
                pl.replay("abc", schedule)
    assert ended


def one(item: int) -> int | None:
    return item if item == 1 else None


def zipped() -> Any:
    """A zip that has something left over."""
    lanes = pipeline().add(ReplicatingFork(3)).add(Processor(abs), Processor(abs), Processor(one))
    return lanes.add(Join(2), Pipe()).add(Zip(2)).add(Processor(max, name="pair"))


def test_a_worker_may_die_while_it_takes_away_what_a_zip_has_left_over() -> None:
    died = set[str]()
    for seed in SEEDS:
        run = zipped().simulate([1, 2, 3], seed=seed, faults=Faults(["pair"]))
        assert list(run) == [1]
        assert run.report.stages["zip"].left_over == 5
        assert zipped().replay([1, 2, 3], run.schedule) == run
        died.update(str(death) for death in Schedule.parse(run.schedule).deaths)
    assert {"!pair.2.emitted", "!pair.5.emitted"} <= died  # a tuple is two items, one of each lane


@pytest.mark.parametrize("strategy", ["portfolio", "exhaustive"])
def test_a_search_goes_on_behind_such_a_death(strategy: Any) -> None:
    found = zipped().explore([1, 2, 3], strategy=strategy, faults=Faults(["pair"]))
    assert found.failure is None
    assert found.outputs == {(1,)}


def test_each_death_of_a_schedule_must_be_died() -> None:
    pl = Pipeline[int]().add(Processor(abs, name="job"))
    assert pl.replay([1], "cv1:!job.0.taken;!job.0.taken").report.stages["job"].restarts == 2
    for wrong in (
        "cv1:!job.0.taken*2",
        "cv1:!job.0.copied1",
        "cv1:!job.0.emitted;!job.0.emitted;!job.0.taken",
    ):
        with pytest.raises(ScheduleMismatch, match="never came to where the schedule has it die"):
            pl.replay([1], wrong)


@pytest.mark.parametrize("hand", ["", "4-x", "x", "4:sleepy", "4:ofx"])
def test_what_was_in_hand_must_be_said_in_a_way_that_can_be_read(hand: str) -> None:
    with pytest.raises(ScheduleMismatch, match=r"in hand|is no part of a schedule"):
        Schedule.parse(f"cv1:!job.0.held@{hand}")


def test_three_deaths_at_one_item_are_poison_in_a_schedule_too() -> None:
    pl = Pipeline[int]().add(Processor(abs, name="job", on_error="dead_letter"))
    run = pl.replay([1, 2], "cv1:!job.0.held;!job.0.held;!job.0.held")
    (letter,) = run.dead_letters
    assert (list(run), letter.item, letter.attempts) == ([2], 1, 3)
    assert pl.replay([1, 2], run.schedule) == run


def test_a_worker_that_is_dead_does_nothing_while_another_comes_back() -> None:
    """It would take the marks away that its zip and its ordered join have still to see."""

    def pl() -> Any:
        lanes = pipeline().add(ReplicatingFork(2)).add(Pipe(), ReplicatingFork(3))
        lanes = lanes.add(Pipe(), Pipe(1), Processor(abs), Processor(abs))
        return (
            lanes.add(Pipe(), Join(3, ordered=True)).add(Zip(2)).add(Processor(len, name="pairs"))
        )

    relay = next(node.name for node in pl().topology.nodes if "-" in node.name)
    deaths = f"!{relay}.0.taken;!{relay}.end.closed0;!pairs.1.emitted"
    assert list(pl().replay([1], f"cv1:{deaths}")) == [2]
