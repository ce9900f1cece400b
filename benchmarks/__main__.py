"""Runs every workload, prints one table a workload, and writes them all to docs/benchmarks.md.

    python -m benchmarks [--rounds N] [--items N]

Each round runs all competitors one after the other, so that a machine that slows down slows each; medians are over the rounds,
ratios are medians of the ratios within a round.  Absolute figures drift by tens of per cent on a shared machine.
"""

import argparse
import os
import platform
from pathlib import Path

from benchmarks import fine
from benchmarks.table import Table

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"

PREFACE = """# Benchmarks

Written by `make bench`: {python} on {machine}, {cores} cores. Each round runs all competitors in turn; figures are medians over
{rounds} rounds, ratios medians of the ratios within a round. On a shared machine only the ratios mean much.

On two cores nothing that moves items between processes beats a plain loop on work as fine as this: moving an item costs
more than the work itself. Processes pay where an item takes some microseconds or more.
"""


def document(tables: list[Table], rounds: int) -> str:
    preface = PREFACE.format(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        machine=f"{platform.system()} {platform.machine()}",
        cores=len(os.sched_getaffinity(0)),
        rounds=rounds,
    )
    return "\n".join([preface, *(table.markdown() for table in tables)])


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure Conveyor beside its peers.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--items", type=int, default=1_000_000)
    options = parser.parse_args()
    tables = [fine.measure(options.items, options.rounds)]
    text = document(tables, options.rounds)
    print(text)
    DOCUMENT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
