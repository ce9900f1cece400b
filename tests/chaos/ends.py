"""The long cases: each gives a complaint, or nothing if all was as it must be.  Every one runs in a
process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Final

from tests.chaos.watch import end_session, left_of
from tests.helpers import start_script

__all__ = ["ENDS", "parents_killed", "script"]

METHODS: Final = ("fork", "forkserver", "spawn")
STATES: Final = ("idle", "asleep", "busy", "starting")
# How long it takes to import what is needed and start three.
STARTING_S: Final = {"fork": 0.2, "forkserver": 0.5, "spawn": 0.4}


def start(name: str, method: str, *arguments: str) -> subprocess.Popen[str]:
    return start_script(name, method, *arguments, stderr=subprocess.DEVNULL)


def parents_killed(method: str, state: str, times: int) -> str:
    """A parent is killed while its workers are idle, asleep, hold the interpreter, or are being
    started: who is left?"""
    left, slowest, random = 0, 0.0, Random(0)
    for _ in range(times):
        process = (
            start("starts.py", method) if state == "starting" else start("parent.py", method, state)
        )
        assert process.stdout is not None
        ready = process.stdout.readline()
        if state == "starting":
            time.sleep(random.uniform(0, STARTING_S[method]))  # the moment is drawn, to try many
        os.kill(process.pid, signal.SIGKILL)
        killed = time.monotonic()
        left += len(left_of(process.pid))
        slowest = max(slowest, time.monotonic() - killed)
        process.wait()
        end_session(process.pid)
        process.stdout.close()
        if not ready:
            return "the pipeline never got to work"
    print(f"    gone within {1000 * slowest:.0f} ms", flush=True)
    return f"{left} orphans" if left else ""


def script(name: str, method: str, limit_s: float, *arguments: str) -> str:
    """A script that prints nothing if all is well."""
    process = start(name, method, *arguments)
    try:
        said, _ = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        end_session(process.pid)
        process.communicate()
        return "hangs"
    left = left_of(process.pid)
    end_session(process.pid)
    if process.returncode:
        return f"exit code {process.returncode}"
    return said.strip() or (f"{len(left)} orphans" if left else "")


def prompt(how: str, limit_ms: int) -> str:
    return script("prompt.py", "forkserver", 120, how, str(limit_ms))


def hand_overs(method: str, items: int) -> str:
    return script("hand_over.py", method, 300, str(items))


def pause(method: str, seconds: int) -> str:
    return script("pause.py", method, seconds + 30, str(seconds))


ENDS: dict[str, Callable[[], str]] = {
    **{
        f"parent killed, workers {state}, {method}, 100 times": partial(
            parents_killed, method, state, 100
        )
        for method in METHODS
        for state in STATES
    },
    "a job raises: an error of the run within 50 ms": partial(prompt, "raise", 50),
    "a job calls sys.exit: the same": partial(prompt, "exit", 50),
    "a job is interrupted: the same": partial(prompt, "interrupt", 50),
    "workers die in setup: an error within 3 s": partial(prompt, "setup", 3000),
    "300,000 hand-overs through pipes of capacity 1, nobody woken by the net": partial(
        hand_overs, "forkserver", 100_000
    ),
    "a consumer pauses 10 s, workers below 1 % of a core": partial(pause, "forkserver", 10),
}
