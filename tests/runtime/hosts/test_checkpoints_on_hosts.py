"""A run that is kept in a checkpoint while its workers are on several machines."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
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
from conveyor.errors import HostLost
from conveyor.io import Lines
from tests.host_processes import InProcesses
from tests.hosts import InThisProcess
from tests.jobs import KeptNumber, double, increment

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


# ---------------------------------------------------------------------- without one of its machines


def lose(engine: InThisProcess, machine: int) -> None:
    network = engine.networks[-1]
    if isinstance(engine, InProcesses):
        network.hosts[machine].kill()
    else:
        network.gone = machine, "it was unplugged"


class Losing:
    """Numbers; behind some of them a machine is lost, the first time that they are given."""

    def __init__(self, engine: InThisProcess, losses: dict[int, int], n: int = 300) -> None:
        self.engine = engine
        self.losses = losses  # the machine that is lost, by the number
        self.n = n
        self.opened: list[int | None] = []
        self.asked: list[str] = []

    def open(self, position: int | None) -> Iterator[tuple[int, int]]:
        self.opened.append(position)
        self.asked.append("open")
        try:
            for number in range(position or 0, self.n):
                if (machine := self.losses.pop(number, None)) is not None:
                    self.lose(machine)
                yield number, number + 1
        finally:
            self.asked.append("close")

    def lose(self, machine: int) -> None:
        lose(self.engine, machine)

    def identity(self) -> str:
        return "numbers, and machines that are lost"


class Told(Lines):
    """A file that says what is asked of it besides results."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked: list[str] = []

    def open(self, begin: Any) -> Any:
        self.asked.append("open")
        file: Any = super()
        return file.open(begin)

    def commit(self, epoch: int) -> None:
        self.asked.append("commit")
        super().commit(epoch)

    def abort(self) -> None:
        self.asked.append("abort")
        super().abort()


def numbered() -> Any:
    """Three stages, the one in the middle of which counts."""
    pl: Any = Pipeline[int]().add(Processor(increment)).add(Pipe(8)).add(KeptNumber())
    return pl.add(Pipe(8)).add(Processor(str))


def lines(n: int) -> list[str]:
    return [str((number, number)) for number in range(1, n + 1)]


@pytest.mark.parametrize("kind", [InThisProcess, InProcesses])
def test_a_run_goes_on_from_its_newest_epoch_without_two_machines_that_are_lost(
    kind: type[InThisProcess], tmp_path: Path
) -> None:
    engine = kind(3)
    source, out = Losing(engine, {100: 3, 200: 1}), Told(tmp_path / "out")
    report = numbered().drain(source, into=out, checkpoint=kept(tmp_path), engine=engine)
    assert list(out) == lines(300)
    assert source.asked == ["open", "close"] * 3
    first, second, third = (position or 0 for position in source.opened)
    assert 0 == first <= second <= 101
    assert second <= third <= 201
    assert third > 0
    asked = " ".join(out.asked)
    assert asked.count("abort open") == asked.count("abort") == 2
    assert [stage.items_in for stage in report.stages.values()] == [300] * 3
    went_on = [note for note in report.notes if "the run went on without it, " in note]
    assert len(went_on) == 2
    assert "of its checkpoint" in went_on[1]
    # What was kept is the report of a run that has finished.
    again = numbered().drain(source, into=out, checkpoint=kept(tmp_path), engine=engine)
    assert again == report


def test_a_run_of_which_nothing_is_durable_yet_goes_on_from_its_beginning(tmp_path: Path) -> None:
    engine = InThisProcess(2)
    source, out = Losing(engine, {40: 1}), Lines(tmp_path / "out")
    seldom = Checkpoint(tmp_path / "state", every_s=1000)
    report = numbered().drain(source, into=out, checkpoint=seldom, engine=engine)
    assert list(out) == lines(300)
    assert source.opened == [None, None]
    assert any("from its beginning, as no epoch was durable yet" in each for each in report.notes)


def test_items_that_were_given_up_before_a_machine_was_lost_are_counted_once(
    tmp_path: Path,
) -> None:
    engine = InThisProcess(2)
    pl: Any = Pipeline[int]().add(Processor(lambda n: n // (n % 10), on_error="dead_letter"))
    pl.add(Pipe(8)).add(Processor(str))
    out = Lines(tmp_path / "out")
    source = Losing(engine, {150: 2})
    report = pl.drain(source, into=out, checkpoint=kept(tmp_path), engine=engine)
    assert list(out) == [str(n // (n % 10)) for n in range(300) if n % 10]
    assert [stage.dead_lettered for stage in report.stages.values()] == [30, 0]


class Once(Lines):
    """A file that is opened once, and no more."""

    is_open = False

    def open(self, begin: Any) -> Any:
        if self.is_open:
            raise PermissionError("it is locked")
        self.is_open = True
        file: Any = super()
        return file.open(begin)


def test_a_sink_that_cannot_be_opened_again_says_so_beside_the_machine_that_was_lost(
    tmp_path: Path,
) -> None:
    engine = InThisProcess(2)
    source, out = Losing(engine, {40: 1}), Once(tmp_path / "out")
    with pytest.raises(PermissionError, match="it is locked") as raised:
        numbered().drain(source, into=out, checkpoint=kept(tmp_path), engine=engine)
    assert isinstance(raised.value.__context__, HostLost)
    assert source.asked == ["open", "close"]


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
