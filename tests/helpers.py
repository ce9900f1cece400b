"""What several test files need: an untyped pipeline, scripts run as scripts, and a look at what is
left over.

Knows the public API only. Nothing here waits for a fixed time: `holds_within` and `eventually` look
again until it is true, or too late.
"""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from conveyor import Pipeline

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
SCRIPTS = TESTS / "scripts"
SEED = TESTS / "seed"

START_METHODS = ("forkserver", "spawn", "fork")
under_each_start_method = pytest.mark.parametrize("start_method", START_METHODS)
PROVE = "CONVEYOR_PROVE" in os.environ  # `make prove`: the same tests, on more
PATIENCE_S = 60.0  # how long anything may take that should be prompt, on a very busy machine
HANGS_S = 100.0  # of a program that hangs: it is killed before the limit of the whole test


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


def run_script(script: Path, start_method: str, *arguments: str) -> list[str]:
    """The lines that a script prints, run as a user runs it; it must end well and say nothing on
    stderr."""
    done = subprocess.run(
        [sys.executable, script, *arguments],
        env=environment(start_method),
        capture_output=True,
        text=True,
        timeout=HANGS_S,
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


def holds_within(
    condition: Callable[[], object], within_s: float, look_every_s: float = 0.005
) -> bool:
    """Looks until the condition holds or it is too late, and says whether it did."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(look_every_s)  # between two looks
    return True


def eventually(condition: Callable[[], object], within_s: float = PATIENCE_S) -> None:
    """Looks until the condition holds; too late is a failure."""
    assert holds_within(condition, within_s), f"not true within {within_s} s"


def is_alive(pid: int) -> bool:
    """Does the process still do anything? A zombie that nobody has waited for does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def members(session: int) -> list[int]:
    """The processes of a session that are alive, helpers of multiprocessing and all."""
    found: list[int] = []
    for pid in psutil.pids():
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) == session and is_alive(pid):
                found.append(pid)
    return found


def living_children() -> list[int]:
    """The processes below this one, but for multiprocessing's own two helpers."""
    me = psutil.Process()
    return [
        child.pid
        for child in me.children(recursive=True)
        if is_alive(child.pid) and not (_parent(child) == me.pid and _is_helper(child))
    ]


def told_of(pid: int) -> str:
    """What a process is, for the message of a test: its number, state, parent and command."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            command = " ".join(process.cmdline())
            return f"{pid} ({process.status()}, child of {process.ppid()}): {command}"
    except psutil.NoSuchProcess:
        return f"{pid} (gone meanwhile)"


def descriptors() -> Counter[str]:
    """The open descriptors of this process, by what they are open on, numbers left out."""
    gc.collect()  # what is only unreachable is not yet leaked
    return Counter(re.sub(r"\d+", "#", _target(fd)) for fd in os.listdir("/dev/fd"))


def told(error: BaseException) -> str:
    """All that a user sees of an error: notes, causes and the tracebacks that came with them."""
    return "".join(traceback.format_exception(error))


def _parent(process: psutil.Process) -> int:
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return 0


def _is_helper(process: psutil.Process) -> bool:
    try:
        words = " ".join(process.cmdline())
    except psutil.Error:
        return False
    # A fork server of multiprocessing's own is one of a test that asks for none of ours: since
    # Python 3.14 that is what it starts by default.
    helpers = ("conveyor.runtime.process.forkserver", "multiprocessing.forkserver")
    return any(helper in words for helper in (*helpers, "multiprocessing.resource_tracker"))


def _target(fd: str) -> str:
    try:
        return os.readlink(f"/dev/fd/{fd}")
    except OSError:  # closed since, or a system without such links
        return "unknown"
