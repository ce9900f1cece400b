"""A seed gives the same outputs, report, trace and schedule on every interpreter; and nothing
outside can have a say in it.

`alike.txt` is what `tests/scripts/tells.py` prints.  Where the simulator is meant to tell something
else, make it anew:

    PYTHONPATH=. .venv/bin/python tests/scripts/tells.py > tests/sim/alike.txt
"""

from __future__ import annotations

import difflib
import os
import subprocess
import sys
from pathlib import Path

import cloudpickle
import pytest
import typing_extensions

from tests.helpers import HANGS_S, ROOT, SCRIPTS
from tools.find_pythons import VERSIONS, find

pytestmark = pytest.mark.processes

GOLDEN = Path(__file__).parent / "alike.txt"
OTHERS = [
    version for version in VERSIONS if version != f"{sys.version_info[0]}.{sys.version_info[1]}"
]


def told_by(python: str, script: str, hash_seed: str = "random") -> str:
    """What a script prints under an interpreter that has nothing of its own: the libraries are lent
    by this one."""
    libraries = {
        str(Path(module).parent)
        for module in (typing_extensions.__file__, str(Path(cloudpickle.__file__).parent))
    }
    path = os.pathsep.join([str(ROOT), *sorted(libraries)])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [python, SCRIPTS / script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return done.stdout


def assert_as_written(told: str) -> None:
    different = difflib.unified_diff(
        GOLDEN.read_text().splitlines(), told.splitlines(), "alike.txt", "told", lineterm="", n=2
    )
    assert not (lines := list(different)), "\n".join(lines[:40])


@pytest.mark.parametrize("hash_seed", ["0", "1", "random"])
def test_the_order_of_hashes_has_no_say(hash_seed: str) -> None:
    assert_as_written(told_by(sys.executable, "tells.py", hash_seed))


@pytest.mark.parametrize("version", OTHERS)
def test_another_python_tells_the_same(version: str) -> None:
    python = find(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")

    assert_as_written(told_by(str(python), "tells.py"))


def test_no_process_no_thread_and_no_clock() -> None:
    assert told_by(sys.executable, "poisoned.py") == "nobody drank\n"
