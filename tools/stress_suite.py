"""Runs the test suite again and again while every core is busy with something else.

A test that sometimes fails is a fault; a loaded machine is where it shows.  Called by `make
test-stress`; shorter: `make test-stress STRESS='--times 3 tests/core'`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

BUFFER_BYTES = 1 << 22


def burn(parent: int) -> None:
    """Keeps one core busy, with arithmetic and with memory, until the parent is gone."""
    buffer = bytearray(BUFFER_BYTES)
    while os.getppid() == parent:
        sum(number & 3 for number in range(100_000))
        buffer = bytearray(buffer)


@contextmanager
def busy_cores(count: int) -> Iterator[None]:
    """Runs `count` processes that compute without pause, for as long as the block lasts."""
    spawn = multiprocessing.get_context("spawn")
    burners = [spawn.Process(target=burn, args=(os.getpid(),), daemon=True) for _ in range(count)]
    for burner in burners:
        burner.start()
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.join()


def run_suite(arguments: Sequence[str]) -> bool:
    """Runs pytest once; gives whether everything passed, and prints what it said if not."""
    command = [sys.executable, "-m", "pytest", "--numprocesses=logical", "-q", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", flush=True)
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="how often the suite is run (20)")
    parser.add_argument(
        "--burners", type=int, default=os.cpu_count() or 1, help="busy processes (one a core)"
    )
    parser.add_argument(
        "arguments", nargs="*", help="what pytest is given: paths, or -k and the like behind --"
    )
    chosen = parser.parse_args()
    failed = 0
    with busy_cores(chosen.burners):
        for number in range(1, chosen.times + 1):
            started = time.monotonic()
            passed = run_suite(chosen.arguments)
            failed += not passed
            took = time.monotonic() - started
            print(
                f"run {number} of {chosen.times}: {'passed' if passed else 'FAILED'} in"
                f" {took:.0f} s",
                flush=True,
            )
    print(
        f"{chosen.times - failed} of {chosen.times} runs passed beside {chosen.burners} busy"
        " processes"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
