"""Kills workers by the thousand, counts every item, and says what was wrong: `make chaos`.

python -m tests.chaos [--steps N] [--kills N] [--items N] [--seeds N] [--at-once N] [--only
steps|kills|idle|cluster|crowd|ends|machine] [--on-hosts N] [--hosts N] [--crowd N] [--machine N]
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.chaos.crowd import CROWDS
from tests.chaos.ends import ENDS
from tests.chaos.machine import Losses, machine_kills
from tests.chaos.plan import host_kills, kills_on_hosts, random_kills, restless_kills, step_kills
from tests.chaos.tally import Tally, all_of


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="chaos", description="Kill workers by the thousand, and count every item."
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=200,
        help="kills at each step of the protocol, for each kind of stage",
    )
    parser.add_argument(
        "--kills",
        type=int,
        default=10_000,
        help="kills at random times, in all: at work, and as many at any moment",
    )
    parser.add_argument(
        "--items",
        type=int,
        default=1_000_000,
        help="items through pipelines with random kills, at least",
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="the first of them")
    parser.add_argument(
        "--at-once", type=int, default=2, help="how many pipelines run at the same time"
    )
    parser.add_argument(
        "--only", choices=["steps", "kills", "idle", "cluster", "crowd", "ends", "machine"]
    )
    parser.add_argument(
        "--crowd", type=int, default=200, help="kills of workers with a thousand items in hand"
    )
    parser.add_argument(
        "--machine", type=int, default=2_000, help="kills of everything, in runs that are kept"
    )
    parser.add_argument(
        "--on-hosts", type=int, default=2000, help="kills of workers that are on several hosts"
    )
    parser.add_argument("--hosts", type=int, default=200, help="kills of hosts")
    options = parser.parse_args()
    started = time.monotonic()
    tally = Tally()
    if options.only in (None, "steps"):
        print(f"Killed at each step, {options.steps} times for each kind of stage", flush=True)
        for kind, specs in step_kills(options.steps).items():
            print(tally.line(f"  {kind}", all_of(specs, options.at_once)), flush=True)
    if options.only in (None, "kills"):
        print(
            f"Killed at random, seeds {options.seed} to {options.seed + options.seeds - 1}",
            flush=True,
        )
        for kind, specs in random_kills(
            options.kills, options.items, options.seed, options.seeds
        ).items():
            print(tally.line(f"  {kind}", all_of(specs, options.at_once)), flush=True)
    if options.only in (None, "idle"):
        print(
            f"Killed at any moment, at work or not, seeds {options.seed} to"
            f" {options.seed + options.seeds - 1}",
            flush=True,
        )
        for kind, specs in restless_kills(options.kills, options.seed, options.seeds).items():
            print(tally.line(f"  {kind}", all_of(specs, options.at_once)), flush=True)
    if options.only in (None, "crowd"):
        print(f"Killed with 1,000 items in hand, {options.crowd} times each", flush=True)
        for name, crowd in CROWDS.items():
            tally.note(name, crowd(options.crowd))
    if options.only in (None, "cluster"):
        print(f"On several hosts, seed {options.seed}", flush=True)
        on_hosts = {
            "workers, killed at random": kills_on_hosts(options.on_hosts, options.seed),
            "hosts, killed at any moment": host_kills(options.hosts, options.seed),
        }
        for kind, specs in on_hosts.items():
            if not specs[0].kills:
                continue
            print(tally.line(f"  {kind}", all_of(specs, options.at_once)), flush=True)
    if options.only in (None, "ends"):
        print("Ends", flush=True)
        for name, end in ENDS.items():
            tally.note(name, end())
    if options.only != "machine":
        print(tally.summary(time.monotonic() - started))
    losses = Losses()
    if options.only in (None, "machine"):
        print("Killed as a whole, workers and program, and gone on", flush=True)
        for kind, found in machine_kills(options.machine, options.seed):
            print(f"  {kind:45}{found}", flush=True)
            losses.add(found)
        print(f"in all {losses}\n{losses.where()}")
    return 0 if tally.is_clean and not losses.wrong else 1


if __name__ == "__main__":
    sys.exit(main())
