"""What a job is told of its items where several share a worker and that worker dies: as if each had
one for itself."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conveyor import BalancingFork, Filter, Join, Processor, ReplicatingFork, Zip, context
from conveyor.errors import PoisonItem
from conveyor.runtime import Placement
from conveyor.runtime.parent import local_crew
from tests.fatal_jobs import dies_until
from tests.helpers import (
    new_or_forked,
    pipeline,
)
from tests.jobs import increment, same

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")

BAD = 31


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that all that may share a worker does."""
    monkeypatch.setattr(local_crew, "usable_cores", lambda: [0])


def pays(ledger: Path, item: int) -> tuple[int, str, int]:
    """An effect that must not happen twice, looked up where it may have been; the worker is killed
    once, right behind it."""
    said = context()
    if said.attempt == 1 or said.item_id not in ledger.read_text().split():
        with ledger.open("a") as lines:
            lines.write(f"{item} {said.item_id}\n")
    if item == BAD and said.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return item, said.item_id, said.attempt


def pays_in_a_list(ledger: Path, item: list[int]) -> tuple[int, str, int]:
    return pays(ledger, item[0])


def in_list(item: int) -> list[int]:
    return [item]


def none_of_three(item: int) -> bool:
    return item % 3 != 0


def some(item: int) -> int | None:
    return item if item % 3 else None


def up(item: int) -> int:
    return item + 1


def down(item: int) -> int:
    return item - 1


def chained(ledger: Path) -> Any:
    return (
        pipeline()
        .add(Processor(abs))
        .add(Processor(abs))
        .add(Processor(partial(pays, ledger), name="pay"))
    )


def first_of_them(ledger: Path) -> Any:
    return (
        pipeline()
        .add(Processor(partial(pays, ledger), name="pay"))
        .add(Processor(tuple))
        .add(Processor(tuple))
    )


def in_the_middle(ledger: Path) -> Any:
    return (
        pipeline()
        .add(Processor(abs))
        .add(Processor(partial(pays, ledger), name="pay"))
        .add(Processor(tuple))
    )


def behind_a_filter(ledger: Path) -> Any:
    pl = (
        pipeline()
        .add(Processor(abs))
        .add(Filter(none_of_three))
        .add(Processor(partial(pays, ledger), name="pay"))
    )
    return pl.add(Processor(tuple))


def behind_a_job_that_drops(ledger: Path) -> Any:
    return pipeline().add(Processor(some)).add(Processor(partial(pays, ledger), name="pay"))


def behind_what_is_no_atom(ledger: Path) -> Any:
    return (
        pipeline()
        .add(Processor(in_list))
        .add(Processor(partial(pays_in_a_list, ledger), name="pay"))
    )


def behind_operators(ledger: Path) -> Any:
    pl = pipeline().add(Processor(up)).add(Processor(down))
    return pl.add(Processor(partial(pays, ledger), name="pay")).add(Processor(tuple))


def in_lanes(ledger: Path) -> Any:
    return (
        pipeline()
        .add(BalancingFork(2))
        .add(Processor(abs), Processor(abs))
        .add(*both(ledger))
        .add(Join(2))
    )


def in_lanes_of_an_ordered_join(ledger: Path) -> Any:
    pl = (
        pipeline()
        .add(BalancingFork(2))
        .add(Filter(none_of_three), Processor(abs))
        .add(Processor(abs), Processor(some))
    )
    return pl.add(*both(ledger)).add(Join(2, ordered=True))


def behind_a_join(ledger: Path) -> Any:
    pl = (
        pipeline().add(ReplicatingFork(2)).add(Filter(none_of_three), Filter(is_third)).add(Join(2))
    )
    return pl.add(Processor(abs)).add(Processor(partial(pays, ledger), name="pay"))


def is_third(item: int) -> bool:
    return item % 3 == 0


def both(ledger: Path) -> tuple[Any, Any]:
    return Processor(partial(pays, ledger), name="pay"), Processor(
        partial(pays, ledger), name="pay-too"
    )


SHAPES = [
    chained,
    first_of_them,
    in_the_middle,
    behind_a_filter,
    behind_a_job_that_drops,
    behind_what_is_no_atom,
    behind_operators,
    in_lanes,
    in_lanes_of_an_ordered_join,
    behind_a_join,
]


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("build", SHAPES)
def test_an_effect_that_asks_for_its_attempt_happens_once(
    build: Callable[[Path], Any], fuse: bool, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    result = build(ledger).run(range(60), placement=Placement(fuse=fuse))
    assert any(note.startswith("one worker for") for note in result.report.notes) == fuse

    paid = [line.split() for line in ledger.read_text().splitlines()]
    told = {item: (item_id, attempt) for item, item_id, attempt in result}
    assert Counter(int(item) for item, _ in paid) == Counter(told.keys()), "each once"
    assert {int(item): item_id for item, item_id in paid} == {
        item: item_id for item, (item_id, _) in told.items()
    }
    assert len({item_id for item_id, _ in told.values()}) == len(told), "no two items have the same"
    assert told[BAD][1] == 2
    assert sum(stage.restarts > 0 for stage in result.report.stages.values()) >= 1


@pytest.mark.parametrize(
    "build",
    [chained, behind_a_filter, behind_a_job_that_drops, behind_what_is_no_atom, behind_operators],
)
def test_and_its_item_has_the_id_that_it_has_where_each_job_has_a_worker(
    build: Callable[[Path], Any], tmp_path: Path
) -> None:
    pl = build(tmp_path / "ledger")
    fused, apart = [
        [told[:2] for told in pl.run(range(60), placement=Placement(fuse=fuse))]
        for fuse in (True, False)
    ]

    assert fused == apart
    assert fused[:20] == [told[:2] for told in pl.simulate(range(BAD))][:20]


@new_or_forked
def test_it_may_die_twice_with_an_item_alone_and_no_more(start_method: str) -> None:
    def build(attempts: int) -> Any:
        return (
            pipeline(start_method)
            .add(Processor(increment))
            .add(Processor(partial(dies_until, BAD, attempts), name="job"))
        )

    assert (BAD, 3) in build(3).run(range(60))
    with pytest.raises(PoisonItem, match=r"stage 'job': [34] workers died"):
        build(99).run(range(60))


def dies_always(item: int) -> int:
    if item == BAD:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("job", [same, none_of_three, up])
def test_an_item_that_kills_every_worker_is_named_as_the_stage_has_it(job: Any, fuse: bool) -> None:
    pl = pipeline().add(Processor(abs)).add(Filter(job) if job is none_of_three else Processor(job))
    with pytest.raises(PoisonItem, match="'killer'") as caught:
        pl.add(Processor(dies_always, name="killer")).add(Processor(abs)).run(
            range(60), placement=Placement(fuse=fuse)
        )

    came = [
        up(item) if job is up else item
        for item in range(60)
        if job is not none_of_three or none_of_three(item)
    ]
    (note,) = [note for note in caught.value.__notes__ if note.startswith("in stage")]
    assert note.startswith("in stage 'killer'")
    assert note.endswith(f"item {came.index(BAD)}: {BAD}")


@pytest.mark.parametrize(
    "build", [chained, in_the_middle, behind_a_filter, in_lanes_of_an_ordered_join, behind_a_join]
)
def test_a_recording_of_it_is_replayed_with_the_same_attempts(
    build: Callable[[Path], Any], tmp_path: Path
) -> None:
    path = tmp_path / "run.cvd"
    result = build(tmp_path / "ledger").run(range(60), record=path)
    assert max(attempt for _, _, attempt in result) == 2

    (tmp_path / "ledger").write_text("")
    replay = build(tmp_path / "ledger").replay(range(60), path)

    assert replay == result


def told(item: Any) -> tuple[Any, str]:
    return item, context().item_id


def of_lanes() -> Any:
    pl = (
        pipeline()
        .add(ReplicatingFork(2))
        .add(Filter(none_of_three), Filter(is_third))
        .add(Processor(abs), Processor(some))
    )
    return pl.add(Processor(told, name="a"), Processor(told, name="b"))


def joined() -> Any:
    return of_lanes().add(Join(2))


def joined_in_order() -> Any:
    return of_lanes().add(Join(2, ordered=True))


def behind_an_ordered_join() -> Any:
    pl = (
        pipeline()
        .add(ReplicatingFork(2))
        .add(Filter(none_of_three), Filter(is_third))
        .add(Join(2, ordered=True))
    )
    return pl.add(Processor(abs)).add(Processor(told))


def behind_a_zip() -> Any:
    return (
        pipeline()
        .add(ReplicatingFork(2))
        .add(Filter(none_of_three), Processor(abs))
        .add(Zip(2))
        .add(Processor(told))
    )


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("build", [joined, joined_in_order, behind_an_ordered_join, behind_a_zip])
def test_ids_are_those_of_the_simulator_in_each_run_of_an_open_pipeline(
    build: Callable[[], Any], fuse: bool
) -> None:
    simulated = sorted(build().simulate(range(20)))
    with build() as pl:
        runs = [sorted(pl.run(range(20), placement=Placement(fuse=fuse))) for _ in range(2)]

    assert runs == [simulated, simulated]
