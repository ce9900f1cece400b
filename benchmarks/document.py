"""docs/benchmarks.md: a section for each benchmark, between marks, so that each rewrites only its
own.

Knows: marks in a text.  Must never know: what a section says.
"""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

__all__ = ["DOCUMENT", "goals", "replaced", "write_section"]

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"

PREFACE = """# Benchmarks
 Written by `make bench` (one workload: `make bench ONLY=latency`). Each round runs all competitors
in turn, warm, in one tree of processes; figures are medians over the rounds, ratios medians of the
ratios within a round. On a shared machine only the ratios mean much. What a goal says that was
reached is of each of several runs in a row, of which the tables show the last.

On two cores nothing that moves items between processes beats a plain loop on work as fine as `x +
1`: moving an item costs more than the work itself. Processes pay where an item takes some
microseconds or more.
"""

SUMMARY = "summary"
SECTION = re.compile(r"<!-- begin ([\w-]+) -->\n(.*?)\n<!-- end \1 -->\n?", re.DOTALL)
GOAL = re.compile(r"^\| [DPS]\d+ \|.*$", re.MULTILINE)


def replaced(text: str, key: str, body: str) -> str:
    """`text` with this body between the marks of `key`; at its end if they are not there yet.

    >>> replaced(replaced("", "a", "one"), "a", "two")
    '<!-- begin a -->\\ntwo\\n<!-- end a -->\\n'
    """
    section = f"<!-- begin {key} -->\n{body.strip()}\n<!-- end {key} -->\n"
    found = next((match for match in SECTION.finditer(text) if match[1] == key), None)
    if found is None:
        return f"{text}\n{section}" if text else section
    return text[: found.start()] + section + text[found.end() :]


def goals(text: str) -> str:
    """All rows of goals in all sections, by number, as one table."""
    rows = [
        row
        for match in SECTION.finditer(text)
        if match[1] != SUMMARY
        for row in GOAL.findall(match[2])
    ]
    rows.sort(key=lambda row: (row[2], int(row.split("|")[1].strip(" DPS"))))
    return "\n".join(
        ["| goal | what | bound | reached | |", "| --- | --- | --- | --- | --- |", *rows]
    )


def machine() -> str:
    """What the figures were measured on."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{python} on {platform.system()} {platform.machine()}, {cores} cores"


def write_section(key: str, body: str) -> None:
    """Puts one section into the document, and the goals of all into its summary."""
    text = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""
    if SECTION.search(text) is None:
        text = replaced(PREFACE, SUMMARY, "")
    text = replaced(text, key, f"{body}\n\nMeasured with {machine()}.")
    text = replaced(text, SUMMARY, f"## Goals\n\n{goals(text)}")
    DOCUMENT.write_text(text, encoding="utf-8")
