"""A run that is kept in a checkpoint while its workers are on several machines."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conveyor import (
    BalancingFork,
    Checkpoint,
    Join,
    Pipe,
    Pipeline,
    Processor,
    ReplicatingFork,
)
from conveyor.io import Lines
from tests.hosts import InThisProcess
from tests.jobs import double, increment

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("nothing_is_left_behind")]

ROOT = Path(__file__).resolve().parents[3]


class Numbers(Processor[int, str]):
    """Counts its items, in one lane or another; its worker dies at one of them, once."""

    n = 0

    def __init__(self, dies_at: int, once: Path) -> None:
        super().__init__(name="numbers")
        self.dies_at = dies_at
        self.once = once

    def process(self, item: int) -> str:
        self.n += 1
        if item == self.dies_at and not self.once.exists():
            self.once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return f"{item} {self.n}"

    def snapshot(self) -> int:
        return self.n

    def restore(self, n: int) -> None:
        self.n = n


def kept(folder: Path) -> Checkpoint:
    return Checkpoint(folder / "state", every_s=0.001)


def test_a_worker_that_dies_on_its_host_leaves_no_trace_in_what_is_kept(tmp_path: Path) -> None:
    pl: Any = Pipeline[int]().add(Processor(increment)).add(Numbers(200, tmp_path / "once"))
    out = Lines(tmp_path / "out")
    report = pl.drain(range(400), into=out, checkpoint=kept(tmp_path), engine=InThisProcess(2))
    assert list(out) == [f"{n} {n}" for n in range(1, 401)]
    assert report.stages["numbers"].restarts == 1
    assert report.stages["numbers"].items_in == 400


def test_barriers_cross_where_lanes_part_and_meet_again(tmp_path: Path) -> None:
    pl: Any = Pipeline[int]().add(BalancingFork(2)).add(Processor(increment), Processor(double))
    pl.add(ReplicatingFork(2), ReplicatingFork(2)).add(Pipe(8), Pipe(8), Pipe(8), Pipe(8))
    pl.add(Join(4)).add(Processor(str))
    out = Lines(tmp_path / "out")
    pl.drain(range(0, 400, 2), into=out, checkpoint=kept(tmp_path), engine=InThisProcess(3))
    found = [int(line) for line in out]
    odd = sorted(n for n in found if n % 2)
    even = sorted(n for n in found if not n % 2)
    assert sorted([n - 1 for n in odd] + [n // 2 for n in even]) == sorted([*range(0, 400, 2)] * 2)


KILLED = """
import os, signal, sys
from conveyor import Checkpoint, Pipeline, Processor
from tests.hosts import InThisProcess

class Numbers(Processor[int, str]):
    n = 0

    def process(self, item):
        self.n += 1
        if item == int(sys.argv[1]):
            os.killpg(0, signal.SIGKILL)
        return f"{item} {self.n}"

    def snapshot(self):
        return self.n

    def restore(self, n):
        self.n = n

pl = Pipeline[int]().add(Processor(lambda n: 1 // (n % 10) + n, on_error="dead_letter", name="a"))
with pl.add(Numbers(name="numbers")).stream(
    range(80), checkpoint=Checkpoint("state", every_s=0.001), engine=InThisProcess(2)
) as stream, open("out", "a") as out:
    for result in stream:
        print(result, file=out, flush=True)
        stream.acknowledge()
print(len(stream.dead_letters))
"""


def test_a_program_that_is_killed_with_all_its_hosts_goes_on_when_it_is_started_again(
    tmp_path: Path,
) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}

    def run(dies_at: int) -> tuple[int, str]:
        command = [sys.executable, "-c", KILLED, str(dies_at)]
        ended = subprocess.run(
            command,
            cwd=tmp_path,
            env=env,
            start_new_session=True,
            timeout=60,
            check=False,
            capture_output=True,
            text=True,
        )
        return ended.returncode, ended.stdout

    assert run(44) == (-signal.SIGKILL, "")
    assert run(63) == (-signal.SIGKILL, "")
    assert run(-1) == (0, "8\n")
    lasting = [n + (n % 10 == 1) for n in range(80) if n % 10]
    numbered = [f"{item} {n}" for n, item in enumerate(lasting, 1)]
    # What was taken and not durable yet comes again: as it was, and in its order.
    found = (tmp_path / "out").read_text().splitlines()
    assert list(dict.fromkeys(found)) == numbered
