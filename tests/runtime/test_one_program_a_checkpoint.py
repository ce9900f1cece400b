"""A checkpoint is one program's at a time: another that comes meanwhile is refused, and disturbs
nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conveyor import Checkpoint, Pipeline, Processor
from conveyor.errors import LifecycleError
from conveyor.io import Lines
from tests.helpers import pipeline

pytestmark = pytest.mark.processes

# Holds the checkpoint until its standard input ends, or until it is killed
OTHER = """
import sys
from conveyor import Checkpoint, Pipeline, Processor
from conveyor.io import Lines

def numbers():
    yield 0
    print("under way", flush=True)
    sys.stdin.read()
    yield from range(1, 100)

class Numbers:
    def identity(self): return "numbers"
    def open(self, position):
        return ((each, each) for each in numbers() if position is None or each > position)

Pipeline(start_method=sys.argv[2]).add(Processor(str)).drain(
    Numbers(), into=Lines(sys.argv[1] + "/out"), checkpoint=Checkpoint(sys.argv[1] + "/state", 60)
)
"""


class Numbers:
    """The same source, which waits for nobody."""

    def identity(self) -> str:
        return "numbers"

    def open(self, position: int | None) -> Any:
        return ((each, each) for each in range(100) if position is None or each > position)


def other(folder: Path, start_method: str = "forkserver") -> subprocess.Popen[str]:
    program = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(folder), start_method],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "under way\n"
    return program


def drained(folder: Path, *, fresh: bool = False) -> None:
    kept = Checkpoint(folder / "state", 60, fresh=fresh)
    pl: Any = pipeline()
    pl.add(Processor(str)).drain(Numbers(), into=Lines(str(folder / "out")), checkpoint=kept)


def written(folder: Path) -> list[int]:
    return [int(line) for line in (folder / "out").read_text().split()]


@pytest.mark.parametrize("fresh", [False, True])
def test_a_second_program_is_refused_and_the_first_is_not_disturbed(
    tmp_path: Path, fresh: bool
) -> None:
    program = other(tmp_path)

    with pytest.raises(LifecycleError, match="state is in use: another program keeps its run"):
        drained(tmp_path, fresh=fresh)

    program.communicate("", timeout=60)
    assert program.returncode == 0
    drained(tmp_path)  # it has finished
    assert written(tmp_path) == list(range(100))


@pytest.mark.parametrize("start_method", ["fork", "forkserver"])
def test_who_comes_after_a_program_that_was_killed_goes_on(
    tmp_path: Path, start_method: str
) -> None:
    """Workers that were forked have the lock, too, until they notice."""
    program = other(tmp_path, start_method)
    program.send_signal(signal.SIGKILL)

    drained(tmp_path)

    program.communicate(timeout=60)
    assert written(tmp_path) == list(range(100))


def test_a_program_may_have_it_again_whatever_its_run_came_to(tmp_path: Path) -> None:
    def refuses(number: int) -> str:
        raise ValueError(number)

    pl: Any = Pipeline().add(Processor(refuses, name="str"))
    for _ in range(2):
        with pytest.raises(ValueError, match="0"):
            pl.drain([0], into=Lines(str(tmp_path / "out")), checkpoint=Checkpoint(tmp_path / "s"))

    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path\n"
            "from conveyor.runtime.parent.directory_lock import DirectoryLock\n"
            "DirectoryLock(Path(sys.argv[1]))",
            str(tmp_path / "s"),
        ],
        timeout=60,
    )
    assert said.returncode == 0, "this program has let go of it"
