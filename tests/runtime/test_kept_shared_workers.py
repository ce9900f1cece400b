"""A run that is kept goes on whichever of its stages share a worker, in this life or the one
before."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conveyor import BalancingFork, Checkpoint, Filter, Join, Pipeline, Processor, context
from conveyor.io import Lines
from conveyor.runtime import Placement
from conveyor.runtime.parent import local_crew

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("nothing_is_left_behind")]

N_ITEMS = 1_000
SHARED, APART = Placement(), Placement(fuse=False)


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that all that may share a worker does."""
    monkeypatch.setattr(local_crew, "usable_cores", lambda: [0])


class TheEnd(Exception):
    """A life ends here."""


def parsed(line: str) -> int:
    return int(line)


def none_of_three(item: int) -> bool:
    return item % 3 != 0


def told(item: int) -> str:
    return f"{item} {context().item_id}"


def same(line: str) -> str:
    return line


def ending(folder: Path | None) -> Callable[[str], str]:
    """A job that ends the life once the run is kept."""

    def job(line: str) -> str:
        if folder is not None and [*folder.glob("*.json")]:
            raise TheEnd
        return line

    return job


def one_behind_the_other(folder: Path | None) -> Any:
    return (
        Pipeline[str](start_method="fork")
        .add(Processor(parsed))
        .add(Filter(none_of_three))
        .add(Processor(told))
        .add(Processor(ending(folder), name="ending"))
    )


def in_ordered_lanes(folder: Path | None) -> Any:
    return (
        Pipeline[str](start_method="fork")
        .add(BalancingFork(2))
        .add(Processor(parsed), Processor(parsed))
        .add(Filter(none_of_three), Filter(none_of_three))
        .add(Processor(told), Processor(told))
        .add(Join(2, ordered=True))
        .add(Processor(ending(folder), name="ending"))
    )


def a_life(folder: Path, pipeline: Any, placement: Placement, every_s: float) -> Any:
    return pipeline.drain(
        Lines(folder / "in"),
        into=Lines(folder / "out"),
        checkpoint=Checkpoint(folder / "state", every_s=every_s),
        placement=placement,
    )


@pytest.mark.parametrize(("before", "behind"), [(SHARED, APART), (APART, SHARED)])
@pytest.mark.parametrize("build", [one_behind_the_other, in_ordered_lanes])
def test_a_run_goes_on_with_its_stages_shared_out_in_another_way(
    build: Callable[[Path | None], Any], before: Placement, behind: Placement, tmp_path: Path
) -> None:
    (tmp_path / "in").write_text("".join(f"{n}\n" for n in range(N_ITEMS)))
    with pytest.raises(TheEnd):
        a_life(tmp_path, build(tmp_path / "state"), before, 0.001)
    report = a_life(tmp_path, build(None), behind, 60)

    said = [line.split() for line in Lines(tmp_path / "out")]
    left = [n for n in range(N_ITEMS) if n % 3]
    assert [int(item) for item, _ in said] == left
    came = [
        sum(of.items_in for stage, of in report.stages.items() if stage.startswith(name))
        for name in ("parsed", "none_of_three", "told", "ending")
    ]
    assert came == [N_ITEMS, N_ITEMS, len(left), len(left)]
    shared = [note for note in report.notes if note.startswith("one worker for")]
    assert bool(shared) == (behind is SHARED)
    if build is one_behind_the_other:  # in lanes what counts is only that they are no two items'
        assert [id_ for _, id_ in said] == [f"told:0:{n}" for n in range(len(left))]
    assert len({id_ for _, id_ in said}) == len(left)


def told_by_two(died: Path, item: int) -> str:
    """The worker dies once, at an item in the middle of each life."""
    if item % 100 == 1 and not died.exists():
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return told(item)


def test_a_shared_worker_dies_alone_before_everything_does_and_behind_it(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("".join(f"{n}\n" for n in range(N_ITEMS)))

    def pipeline(life: int, folder: Path | None) -> Any:
        return (
            Pipeline[str](start_method="fork")
            .add(Processor(parsed))
            .add(Filter(none_of_three))
            .add(Processor(partial(told_by_two, tmp_path / f"died {life}"), name="told"))
            .add(Processor(ending(folder), name="ending"))
        )

    with pytest.raises(TheEnd):
        a_life(tmp_path, pipeline(1, tmp_path / "state"), SHARED, 0.001)
    report = a_life(tmp_path, pipeline(2, None), SHARED, 0.001)

    left = [n for n in range(N_ITEMS) if n % 3]
    said = [line.split() for line in Lines(tmp_path / "out")]
    assert said == [[str(item), f"told:0:{n}"] for n, item in enumerate(left)]
    came = [report.stages[name].items_in for name in ("parsed", "none_of_three", "told")]
    assert came == [N_ITEMS, N_ITEMS, len(left)]
    assert {died.name for died in tmp_path.glob("died *")} == {"died 1", "died 2"}
