"""Runs the workloads, prints what they found and the table of all goals, and writes each into
docs/benchmarks.md.

python -m benchmarks [--rounds N] [--runs N] [WORKLOAD ...]
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from time import perf_counter

from benchmarks.document import DOCUMENT, goals, write_section
from benchmarks.harness import Section, Skipped, busy_elsewhere, in_a_row

WORKLOADS = (
    "fine coarse items logs etl records arrays latency start skew fan ordered memory growth keys "
    "waiting watching looked_at pins profile kept simulator cluster"
).split()


QUIET = 0.05  # of the machine, that others may use


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure Conveyor beside its peers.")
    parser.add_argument(
        "workloads",
        nargs="*",
        metavar="WORKLOAD",
        help=f"of {', '.join(WORKLOADS)}; all if none is named",
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--runs", type=int, default=1, help="in a row; a goal is met if each meets it"
    )
    options = parser.parse_args()
    for unknown in set(options.workloads) - set(WORKLOADS):
        parser.error(f"there is no workload {unknown!r}; they are {', '.join(WORKLOADS)}")
    started = perf_counter()
    for name in options.workloads or WORKLOADS:
        before = busy_elsewhere()
        measure: Callable[[int], Section] = importlib.import_module(f"benchmarks.{name}").measure
        try:
            section = in_a_row([measure(options.rounds) for _ in range(options.runs)]).markdown()
        except Skipped as skipped:
            print(f"{name} is skipped: {skipped}", end="\n\n", flush=True)
            continue
        section += said_of_machine(max(before, busy_elsewhere()))
        print(section, end="\n\n", flush=True)
        write_section(name, section)
    print(goals(DOCUMENT.read_text(encoding="utf-8")))
    print(f"\n{perf_counter() - started:.0f} s in all")


def said_of_machine(busy: float) -> str:
    """What a section adds where others used the machine."""
    if busy < QUIET:
        return ""
    return f"\n\nThe machine was not quiet: others used {busy:.0%} of it."


if __name__ == "__main__":
    main()
