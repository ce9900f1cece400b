"""`doctor`: what this machine has for Conveyor, and what to change."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Final, NamedTuple

from conveyor.cli.exits import DONE, FAILED
from conveyor.cli.items import as_document
from conveyor.errors import SharedMemoryFull, TopologyError
from conveyor.runtime.parent.this_machine import has_one_lock, why_not
from conveyor.runtime.placement import usable_cores, usable_physical_cores
from conveyor.runtime.process.start import START_METHODS, checked_start_method
from conveyor.runtime.shm.memory import Memory

__all__ = ["Finding", "doctor", "findings", "start_method"]

FEWEST_DESCRIPTORS: Final = 1024
TRIED: Final = 1 << 20  # bytes of shared memory
# What makes use of Conveyor, or Conveyor of it, if it is there.
PACKAGES: Final = ("cloudpickle", "psutil", "numpy", "pytest", "hypothesis", "mypy", "pyright")


class Finding(NamedTuple):
    """A fact about this machine; `advice` says what to change, and is empty where all is well."""

    name: str
    fact: str
    advice: str = ""


def doctor(asked: Namespace) -> int:
    """Says what this machine has, and what to change."""
    found = [*findings()]
    if asked.json:
        for finding in found:
            print(as_document(finding._asdict()))
    else:
        width = max(len(finding.name) for finding in found)
        for finding in found:
            print(f"{finding.name:{width}}  {finding.fact}")
            if finding.advice:
                print(f"{'':{width}}  -> {finding.advice}")
    return FAILED if any(finding.advice for finding in found) else DONE


def findings() -> Iterator[Finding]:
    yield Finding("conveyor", version("typed-conveyor"))
    yield python()
    yield Finding("platform", f"{platform.system()} {platform.release()}, {platform.machine()}")
    yield start_method()
    yield cores()
    yield shared_memory()
    yield descriptors()
    for name in PACKAGES:
        yield Finding(name, version_of(name))


def python() -> Finding:
    fact = f"{platform.python_implementation()} {platform.python_version()}, {sys.executable}"
    return Finding("python", fact, why_not(sys.platform, has_one_lock()) or "")


def start_method() -> Finding:
    known = ", ".join(START_METHODS)
    try:
        return Finding("start method", f"{checked_start_method(None)} (of {known})")
    except TopologyError as error:
        advice = f"set CONVEYOR_START_METHOD to one of {known}"
        return Finding("start method", str(error), advice)


def cores() -> Finding:
    usable, physical = len(usable_cores()), usable_physical_cores()
    fact = f"{usable} usable ({physical} physical) of {os.cpu_count()}"
    if usable == 1:
        return Finding("cores", fact, "with one core nothing runs in parallel: allow this more")
    return Finding("cores", fact)


def shared_memory() -> Finding:
    try:
        Memory.create(TRIED).close()
    except SharedMemoryFull as error:
        return Finding("shared memory", "none", str(error))
    return Finding("shared memory", "can be made")


def descriptors() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    fact = f"{soft} files may be open"
    if soft < FEWEST_DESCRIPTORS:
        return Finding("descriptors", fact, f"ulimit -n {min(hard, 4 * FEWEST_DESCRIPTORS)}")
    return Finding("descriptors", fact)


def version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not in this environment" + (
            f"; found at {where}" if (where := shutil.which(package)) else ""
        )
