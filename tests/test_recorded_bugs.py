"""The simulator's corpus of bugs, run for real until one shows: its recording fails in the same way, and shrinks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.sim.corpus import CORPUS, Bug

# Not those of a protocol that is broken on purpose: a recording says what a worker that died had done by the protocol's own
# rules.  Nor a global that lanes share, which they do in the simulator only.
SHOWN = {name: bug for name, bug in CORPUS.items() if bug.faults is None and name != "a lane that changes what another sees"}
PATIENCE_S = 60.0


def outcome(run: Any, bug: Bug) -> tuple[list[Any], str]:
    """The outputs, and the error or that the check fails."""
    try:
        outputs = list(run())
    except Exception as error:
        return [], type(error).__name__
    return outputs, "" if bug.check(outputs) else "the check fails"


@pytest.mark.parametrize("bug", SHOWN.values(), ids=SHOWN)
def test_a_bug_that_shows_for_real_shows_again_in_its_replay(bug: Bug, tmp_path: Path) -> None:
    path = tmp_path / "run.cvd"
    deadline = time.monotonic() + PATIENCE_S
    real: tuple[list[Any], str] = [], ""
    while not real[1]:
        if time.monotonic() > deadline:
            pytest.skip("the bug did not show in a minute of real runs")
        real = outcome(lambda: bug.pipeline().run(bug.items, record=path), bug)

    assert outcome(lambda: bug.pipeline().replay(bug.items, path), bug) == real

    found = bug.pipeline().explore(bug.items, bug.check, start=path).failure
    assert found is not None
    assert found.number == 1
    assert outcome(lambda: bug.pipeline().replay(bug.items, found.schedule), bug)[1]
    assert found.schedule.count("=") <= bug.least + 1
