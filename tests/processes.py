"""A look at processes and descriptors, for tests and for the programs that they start.

The standard library and psutil only: a program that imported a test tool would take three times as
long to start.  Nothing here waits for a fixed time.
"""

from __future__ import annotations

import gc
import os
import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

__all__ = [
    "ROOT",
    "descriptors",
    "holds_within",
    "is_alive",
    "living_children",
    "members",
    "told_of",
]

ROOT = Path(__file__).resolve().parents[1]


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
