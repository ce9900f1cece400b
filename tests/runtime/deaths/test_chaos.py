"""The hammer in a short form, and whether its verifier sees what it is there to see; all of it:
`make chaos`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conveyor import Pipeline
from tests.chaos.board import FILE, Board
from tests.chaos.pipelines import PIPELINES, Found
from tests.chaos.scenario import Spec, judged
from tests.chaos.steps import STEPS, STEPS_OF
from tests.chaos.watch import Outcome, forked, outcome
from tests.helpers import PROVE

# A stage whose output, state and merge are all at stake, and the steps at which most is.
GRAVEST = ("middle of data", "after tail", "after head", "recovery")
KILLED = {
    "stateful": "snapshots",
    "nonce": "replicated",
    "front": "partitioned",
    "join-again": "relayed",
    "pairs": "zipped",
    "pool/0": "adapting",
}

WITHOUT_ORDER = {"side by side"}  # what is done first goes first
WITHOUT_TROUBLE = [
    name for name in PIPELINES if not name.startswith("troubled") and name != "snapshots"
]


@pytest.mark.parametrize("name", WITHOUT_TROUBLE)
def test_a_run_that_nobody_disturbs_is_clean(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FILE, str(tmp_path / "board"))
    spec = Spec(name, "fork", 16, 0, 300, 0, streamed=True)
    found = Outcome(spec, judged(spec, Board.create(tmp_path / "board")))

    assert found.is_clean, found
    assert found.verdict.items == 300


@pytest.mark.parametrize("name", WITHOUT_TROUBLE)
def test_the_verifier_sees_one_output_that_is_missing_or_there_twice_or_in_the_wrong_place(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_items = 12
    monkeypatch.setenv(FILE, str(tmp_path / "board"))
    Board.create(tmp_path / "board")
    pipeline: Any = Pipeline
    outputs = list(PIPELINES[name].build(4, 0, pipeline(start_method="fork")).run(range(n_items)))
    check = PIPELINES[name].check

    assert check(outputs, n_items) == Found()
    for place in range(len(outputs)):
        assert check(outputs[:place] + outputs[place + 1 :], n_items).lost == 1
        assert check([*outputs, outputs[place]], n_items).repeated == 1
    assert bool(check(outputs[::-1], n_items).disorder) == (name not in WITHOUT_ORDER)
    assert check(outputs, n_items + 4).lost


@pytest.mark.parametrize("stage", KILLED)
@pytest.mark.parametrize("place", GRAVEST)
def test_workers_killed_at_a_step_of_the_protocol(stage: str, place: str) -> None:
    found = outcome(Spec(KILLED[stage], "fork", 16, 0, 100, 5, step=(stage, place)), forked)

    assert found.is_clean, found
    assert found.kills == found.verdict.restarts == 5


@pytest.mark.parametrize("place", (STEPS | STEPS_OF["state"]).values())
def test_each_step_is_reached_where_a_worker_has_one_lane(place: str) -> None:
    found = outcome(Spec("gathered", "fork", 16, 0, 100, 2, step=("scan", place)), forked)

    assert found.is_clean, found
    assert found.kills == 2


@pytest.mark.parametrize("name", [name for name in PIPELINES if name != "laden"])  # see the next
def test_workers_killed_at_random(name: str) -> None:
    found = outcome(Spec(name, "fork", 64, 20, 1000, 10, streamed=True), forked)

    assert found.is_clean, found
    assert found.kills >= 10
    assert found.verdict.restarts


@pytest.mark.parametrize("name", PIPELINES)
def test_workers_killed_at_any_moment(name: str) -> None:
    kills = 30 if PROVE else 10  # 7 of the 18 pipelines notice commits before sends by ten
    found = outcome(Spec(name, "fork", 64, 20, 0, kills, restless=True), forked)

    assert found.is_clean, found
    assert found.kills >= kills
    assert found.verdict.moments
