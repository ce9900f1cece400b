"""Recordings of scripts, whose items are of classes of the script, are replayed by the command
line, too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.helpers import HANGS_S, SCRIPTS, START_METHODS, environment, run_script


def test_the_recordings_of_a_script_conform(tmp_path: Path) -> None:
    for start_method in START_METHODS:
        assert run_script(
            SCRIPTS / "recorded.py", start_method, str(tmp_path / f"{start_method}.cvd")
        ) == ["4"]

    done = subprocess.run(
        [sys.executable, "-m", "conveyor", "conform", str(tmp_path)],
        env=environment("fork"),
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("3/3 accepted\n", "")
