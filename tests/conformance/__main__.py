"""Records real runs by the thousand, and does each again in the simulator.

python -m tests.conformance [--recordings 2000] [--only NAME] [--seed 0]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from tests.conformance.compare import Recorded, sizes
from tests.conformance.topologies import CASES, Case

PER_PIPELINE, PER_PIPELINE_KILLED = 20, 6


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance")
    parser.add_argument("--recordings", type=int, default=2000)
    parser.add_argument("--only", choices=CASES)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    cases = {asked.only: CASES[asked.only]} if asked.only else CASES
    share = -(-asked.recordings // len(cases))
    started, done, diverged = time.perf_counter(), 0, 0
    with tempfile.TemporaryDirectory() as directory:
        for number, (name, case) in enumerate(cases.items()):
            count = min(share, asked.recordings - done)
            found, deaths = recorded(case, Path(directory), count, Random(f"{asked.seed} {name}"))
            done += count
            diverged += len(found)
            died = f", {deaths} workers died" if deaths else ""
            print(
                f"{number + 1:2} {name:22} {count - len(found)}/{count} accepted{died}", flush=True
            )
            for text in found[:3]:
                print(f"   {text[:2000]}", flush=True)
    print(f"{done - diverged}/{done} accepted in {time.perf_counter() - started:.0f} s")
    return 1 if diverged else 0


def recorded(case: Case, directory: Path, count: int, random: Random) -> tuple[list[str], int]:
    """Records a pipeline so often, on one core and on all, with load and without: what differed,
    and how many workers died."""
    found: list[str] = []
    deaths = 0
    cores = os.sched_getaffinity(0)
    together = PER_PIPELINE_KILLED if case.killed else PER_PIPELINE
    for turn, first in enumerate(range(0, count, together)):
        load = (
            multiprocessing.get_context("fork").Process(target=burn, daemon=True)
            if turn % 3 == 2
            else None
        )
        if load is not None:
            load.start()
        if turn % 2:
            os.sched_setaffinity(0, {min(cores)})
        try:
            with Recorded(case, directory / "run.cvd", random) as recording:
                for number in range(first, min(first + together, count)):
                    streamed = (
                        random.choice([None, None, None, 0, 1, 7, 1 << 30])
                        if case.streams
                        else None
                    )
                    items = range(sizes(random, case.most))
                    if difference := recording.divergence(items, streamed):
                        found.append(
                            f"recording {number}, {len(items)} items, streamed {streamed}:"
                            f" {difference}"
                        )
                deaths += recording.deaths
        finally:
            os.sched_setaffinity(0, cores)
            if load is not None:
                load.terminate()
                load.join()
    return found, deaths


def burn() -> None:
    while True:
        pass


if __name__ == "__main__":
    sys.exit(main())
