"""What mypy keeps from run to run is of the plugin that is there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import conveyor

SNAPSHOT = """
from mypy.build import take_module_snapshot
import conveyor.mypy_plugin
print(take_module_snapshot(conveyor.mypy_plugin))
"""


def snapshot(root: Path) -> str:
    """What mypy compares to tell whether what it kept is of the plugin in `root`."""
    ran = subprocess.run(
        [sys.executable, "-B", "-c", SNAPSHOT],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return ran.stdout


def test_mypy_looks_again_where_what_the_plugin_is_made_of_has_changed(tmp_path: Path) -> None:
    shutil.copytree(
        Path(conveyor.__file__).parent,
        tmp_path / "conveyor",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    before = snapshot(tmp_path)
    assert snapshot(tmp_path) == before
    with (tmp_path / "conveyor" / "_mypy" / "judge.py").open("a") as judge:
        judge.write("\n# another judge\n")
    assert snapshot(tmp_path) != before
