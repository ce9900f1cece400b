"""What becomes of the same faults in several libraries; writes the table into docs/reliability.md:
`make faults`.

Every case runs in a process and session of its own, which is killed when its time is over: then it
hangs.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.fault_cases import FAULTS, ITEMS, LIBRARIES, RUNS, VERDICT

ROOT: Final = Path(__file__).resolve().parents[1]
DOCUMENT: Final = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- peers: written by make faults -->", "<!-- /peers -->"
LIMIT_S: Final = 20.0
ORPHANS_AFTER_S: Final = 2.0


def case(library: str, fault: str) -> str:
    """What happened, in a few words."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "benchmarks.fault_cases", library, fault, directory]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(LIMIT_S)
            hangs = False
        except subprocess.TimeoutExpired:
            hangs = True
        words = orphans(process.pid) if fault == "parent killed" else ""
        end_session(process.pid)
        process.wait()
        if fault == "parent killed":
            return "hangs" if hangs else words
        verdict = Path(directory) / VERDICT
        found: Mapping[str, Any] | None = (
            json.loads(verdict.read_text()) if verdict.exists() else None
        )
        if "megabytes" in (found or {}):
            assert found is not None
            return (
                f"{found['megabytes']:,} MB, {found['ahead']:,} items ahead, {found['came']} taken"
            )
        again = (
            Counter((Path(directory) / RUNS).read_text().split())
            if (Path(directory) / RUNS).exists()
            else Counter[str]()
        )
        return in_words(
            None if hangs else found,
            sorted(number for number, count in again.items() if count > 1),
            process,
        )


def in_words(
    found: Mapping[str, Any] | None, again: list[str], process: subprocess.Popen[bytes]
) -> str:
    """The verdict on a case whose results and errors were counted."""
    if found is None:
        return (
            "**hangs**"
            if process.returncode == -signal.SIGKILL
            else f"ends with exit code {process.returncode}"
        )
    came, errors = found["came"], list(found["errors"])
    text = f"all {came} results" if came == ITEMS else f"{came} results"
    if came < ITEMS and not errors:
        text = f"**silently loses {ITEMS - came}**"
    if came and not found["in order"]:
        text += ", not in order"
    if found["repeated"]:
        text += f", {found['repeated']} repeated"
    if errors:
        text += f", {errors[0]}" + (
            f" and {len(errors) - 1} more errors" if len(errors) > 1 else ""
        )
    if again:
        text += f"; {len(again)} item{'s'[: len(again) - 1]} ran again"
    return text


def members(session: int) -> list[int]:
    """The processes of a session that are still alive."""
    found: list[int] = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def orphans(session: int) -> str:
    """Who is left of a session whose first process was killed, once that had time to be noticed."""
    time.sleep(ORPHANS_AFTER_S)
    left = len(members(session))
    semaphores = (
        len(list(Path("/dev/shm").glob(f"*-{session}-*"))) if Path("/dev/shm").is_dir() else 0
    )
    text = f"{left} orphans" if left else "none left"
    return text + (f", {semaphores} semaphores" if semaphores else "")


def end_session(session: int) -> None:
    for pid in members(session):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    for leaked in Path("/dev/shm").glob(f"*-{session}-*"):
        leaked.unlink(missing_ok=True)


def version(library: str) -> str | None:
    """The library with its version; the standard library's is Python's; None if it is not
    installed."""
    if library in ("Pool.imap", "ProcessPoolExecutor"):
        return library
    if library == "Conveyor":
        return "**Conveyor**"
    try:
        return f"{library} {importlib.metadata.version(library)}"
    except importlib.metadata.PackageNotFoundError:
        return None


def table(libraries: list[str], faults: list[str]) -> str:
    there = {library: name for library in libraries if (name := version(library)) is not None}
    lines = [
        (
            f"Python {platform.python_version()}, {platform.system()},"
            f" {len(os.sched_getaffinity(0))} cores, {datetime.date.today()}."
        ),
        "",
        "| | " + " | ".join(faults) + " |",
        "| --- " * (1 + len(faults)) + "|",
    ]
    for library, name in there.items():
        cells: list[str] = []
        for fault in faults:
            cells.append(case(library, fault))
            print(f"{library:20} {fault:40} {cells[-1]}", flush=True)
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Show what becomes of faults, in several libraries."
    )
    parser.add_argument(
        "--library",
        action="append",
        choices=list(LIBRARIES),
        help="only this one; the document stays as it is",
    )
    parser.add_argument(
        "--fault",
        action="append",
        choices=list(FAULTS),
        help="only this one; the document stays as it is",
    )
    options = parser.parse_args()
    text = table(options.library or list(LIBRARIES), options.fault or list(FAULTS))
    if options.library or options.fault:
        return
    document = DOCUMENT.read_text(encoding="utf-8")
    new, found = re.subn(
        f"{re.escape(BEGIN)}.*{re.escape(END)}",
        lambda _: f"{BEGIN}\n{text}\n{END}",
        document,
        flags=re.DOTALL,
    )
    assert found == 1, f"{DOCUMENT} has no place for the table"
    DOCUMENT.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
