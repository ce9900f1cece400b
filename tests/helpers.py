"""What several test files need: an untyped pipeline, scripts run as scripts, and a look at what is
left over.

Knows the public API only. Nothing here waits for a fixed time: `eventually` looks again until it is
true, or too late.
"""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conveyor import Pipeline
from tests.processes import ROOT as ROOT
from tests.processes import descriptors as descriptors
from tests.processes import holds_within as holds_within
from tests.processes import is_alive as is_alive
from tests.processes import living_children as living_children
from tests.processes import members as members
from tests.processes import told_of as told_of

TESTS = ROOT / "tests"
SCRIPTS = TESTS / "scripts"
SEED = TESTS / "seed"

START_METHODS = ("forkserver", "spawn", "fork")
under_each_start_method = pytest.mark.parametrize("start_method", START_METHODS)
PROVE = "CONVEYOR_PROVE" in os.environ  # `make prove`: the same tests, on more
# A worker of the fork server and one in an interpreter of its own have nothing of the program, and
# read what they get by one function: where it matters only that a worker is new, or is not, the
# cheaper of the two does.
new_or_forked = pytest.mark.parametrize(
    "start_method", START_METHODS if PROVE else ("forkserver", "fork")
)
PATIENCE_S = 60.0  # how long anything may take that should be prompt, on a very busy machine
HANGS_S = 100.0  # of a program that hangs: it is killed before the limit of the whole test
# The same of one that takes a core for seconds, which a busy machine gives it bit by bit; its test
# has a limit of its own.
LONG_HANGS_S = 500.0
takes_long = pytest.mark.timeout(600)


def pipeline(start_method: str = "fork", **options: Any) -> Any:
    """An empty pipeline, by fork unless said otherwise, because that is quick.

    Untyped on purpose: types have tests of their own, and these tests also make the mistakes that
    types prevent.
    """
    make: Any = Pipeline
    return make(start_method=start_method, **options)


def environment(start_method: str) -> dict[str, str]:
    """The environment of a script that runs under a start method without naming it."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "CONVEYOR_START_METHOD": start_method, "PYTHONPATH": path}


def run_script(
    script: Path, start_method: str, *arguments: str, hangs_s: float = HANGS_S
) -> list[str]:
    """The lines that a script prints, run as a user runs it; it must end well and say nothing on
    stderr."""
    done = subprocess.run(
        [sys.executable, script, *arguments],
        env=environment(start_method),
        capture_output=True,
        text=True,
        timeout=hangs_s,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


def start_script(
    script: str, start_method: str, *arguments: str, stderr: int = subprocess.PIPE
) -> subprocess.Popen[str]:
    """Starts one of `SCRIPTS` as a user would, in a session of its own, and reads none of it."""
    return subprocess.Popen(
        [sys.executable, SCRIPTS / script, *arguments],
        env=environment(start_method),
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        start_new_session=True,
    )


def eventually(condition: Callable[[], object], within_s: float = PATIENCE_S) -> None:
    """Looks until the condition holds; too late is a failure."""
    assert holds_within(condition, within_s), f"not true within {within_s} s"


def told(error: BaseException) -> str:
    """All that a user sees of an error: notes, causes and the tracebacks that came with them."""
    return "".join(traceback.format_exception(error))
