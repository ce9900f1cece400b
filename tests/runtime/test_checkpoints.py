"""A run that is kept in a checkpoint: killed as a whole, it goes on, and its sink shows nothing of
that."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conveyor import Checkpoint, Pipeline, Processor
from conveyor.errors import CheckpointMismatch
from conveyor.io import Lines

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import os, signal, sys
from conveyor import Checkpoint, Pipeline, Processor
from conveyor.io import Lines

class Numbers(Processor[str, str]):
    n = 0

    def process(self, item):
        self.n += 1
        if item == sys.argv[1]:
            os.killpg(0, signal.SIGKILL)
        return f"{item} {self.n}"

    def snapshot(self):
        return self.n

    def restore(self, n):
        self.n = n

Pipeline[str]().add(Numbers(name="numbers")).drain(
    Lines("in.txt"), into=Lines("out.txt"), checkpoint=Checkpoint("state", every_s=0.001)
)
"""


def run_until_killed_at(item: str, folder: Path) -> int:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM, item]
    return subprocess.run(
        command, cwd=folder, env=env, start_new_session=True, timeout=60, check=False
    ).returncode


def test_a_run_whose_every_process_was_killed_goes_on(tmp_path: Path) -> None:
    items = [str(n) for n in range(300)]
    (tmp_path / "in.txt").write_text("\n".join(items) + "\n")
    for item in ("40", "41", "250"):
        assert run_until_killed_at(item, tmp_path) == -signal.SIGKILL
    assert run_until_killed_at("none", tmp_path) == 0
    said = (tmp_path / "out.txt").read_text().splitlines()
    assert said == [f"{item} {n}" for n, item in enumerate(items, 1)]


def double(item: str) -> str:
    return item * 2


def kept(folder: Path, **options: Any) -> Checkpoint:
    return Checkpoint(folder / "state", every_s=0.001, **options)


def test_a_run_that_has_finished_gives_the_report_that_was_kept(tmp_path: Path) -> None:
    pipeline = Pipeline[str]().add(Processor(double))
    out = Lines(tmp_path / "out")
    first = pipeline.drain(["a", "b"], into=out, checkpoint=kept(tmp_path))
    assert pipeline.drain(["a", "b"], into=out, checkpoint=kept(tmp_path)) == first
    assert list(out) == ["aa", "bb"]


def test_the_checkpoint_of_another_run_is_refused_with_the_difference(tmp_path: Path) -> None:
    out = Lines(tmp_path / "out")
    Pipeline[str]().add(Processor(double)).drain(["a"], into=out, checkpoint=kept(tmp_path))
    with pytest.raises(CheckpointMismatch, match=r"stages is .*'other.*, and was .*'double"):
        Pipeline[str]().add(Processor(double, name="other")).drain(
            ["a"], into=out, checkpoint=kept(tmp_path)
        )


def test_an_iterator_cannot_be_asked_again(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="is an iterator, which cannot be asked again"):
        Pipeline[str]().add(Processor(double)).drain(
            iter(["a"]), into=Lines(tmp_path / "out"), checkpoint=kept(tmp_path)
        )
