"""The seed's examples, word for word, as scripts without a main guard, under each start method."""

from __future__ import annotations

import os
import runpy
import subprocess
from typing import NoReturn

import pytest

from tests.helpers import SEED, new_or_forked, run_script, under_each_start_method

QUICKSTARTS = ("quickstart", "quickstart_built_before_with", "quickstart_without_with")
FRAGMENTS = (
    "fragment_processor",
    "fragment_processor_pipe_processor",
    "fragment_two_processors",
    "fragment_replicating_fork_left_open",
    "fragment_balancing_fork_left_open",
)
SEVERAL_RUNS = ("two_runs", "two_runs_in_with")


def assert_interleaved(lines: list[str], *lanes: list[str]) -> None:
    """Exactly the lines of all lanes, each lane in its own order; no two lanes share a line."""
    assert sorted(lines) == sorted(line for lane in lanes for line in lane)
    for lane in lanes:
        assert [line for line in lines if line in lane] == lane


def test_every_script_is_run_by_a_test() -> None:
    assert {file.stem for file in SEED.glob("*.py")} == {
        *QUICKSTARTS,
        *FRAGMENTS,
        *SEVERAL_RUNS,
        "fourth_root",
    }


@under_each_start_method
@pytest.mark.parametrize("script", QUICKSTARTS)
def test_the_quickstart_prints_both_lanes_each_in_its_order(script: str, start_method: str) -> None:
    lines = run_script(SEED / f"{script}.py", start_method)

    assert_interleaved(lines, ["3", "10", "12"], ["2", "9", "11"])


@new_or_forked
def test_the_fourth_root_and_the_cube_come_each_in_its_order(start_method: str) -> None:
    lines = run_script(SEED / "fourth_root.py", start_method)

    assert_interleaved(lines, ["2.0", "1.3160740129524924", "3.0"], ["4096", "27", "531441"])


@new_or_forked
@pytest.mark.parametrize("script", SEVERAL_RUNS)
def test_a_second_run_begins_when_the_first_has_printed_everything(
    script: str, start_method: str
) -> None:
    assert run_script(SEED / f"{script}.py", start_method) == ["3", "10", "12", "31", "41"]


@pytest.mark.parametrize("script", FRAGMENTS)
def test_a_pipeline_that_is_only_built_prints_nothing_and_ends_well(script: str) -> None:
    assert run_script(SEED / f"{script}.py", "forkserver") == []


@under_each_start_method
@pytest.mark.parametrize("script", FRAGMENTS)
def test_a_pipeline_that_is_only_built_starts_no_process(
    script: str, start_method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a process was started")

    monkeypatch.setenv("CONVEYOR_START_METHOD", start_method)
    monkeypatch.setattr(os, "fork", refuse)
    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr("multiprocessing.util.spawnv_passfds", refuse)

    runpy.run_path(str(SEED / f"{script}.py"), run_name="__main__")
