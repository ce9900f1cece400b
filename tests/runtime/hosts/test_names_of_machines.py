"""On an engine of several machines it is told which one each worker is on; on one there is none to
name."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conveyor import Pipe, Pipeline, Processor, RunResult
from conveyor.cli.status_text import cells_of
from tests.hosts import InThisProcess
from tests.jobs import double, increment
from tests.runtime.test_monitor import HERE, Watcher, url

__all__ = ["url"]  # a fixture

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("nothing_is_left_behind")]

PLACES = {"increment": "host-2", "double": "host-1"}
ENGINE = InThisProcess(2, {"increment": 2, "double": 1})


def pipeline() -> Any:
    return Pipeline[int]().add(Processor(increment)).add(Pipe(64)).add(Processor(double))


def test_the_report_has_the_machine_of_each_worker(tmp_path: Path) -> None:
    result: RunResult[int] = pipeline().run(range(50), engine=ENGINE, trace=tmp_path / "trace")
    report = result.report
    head, _, *rows = str(report).splitlines()

    assert {name: stage.node for name, stage in report.stages.items()} == PLACES
    assert head.split()[-1] == "node"
    assert [row.split()[-1] for row in rows[:2]] == ["host-2", "host-1"]
    assert "on host-2</text>" in report.picture()
    events = json.loads((tmp_path / "trace").read_text())["traceEvents"]
    tracks = [event["args"]["name"] for event in events if event["name"] == "thread_name"]
    assert [text.split()[-1] for text in tracks if "worker" in text] == ["host-2", "host-1"]


def test_a_monitor_shows_the_machine_of_each_worker(
    caplog: pytest.LogCaptureFixture, url: Callable[[], str]
) -> None:
    watcher = Watcher(url)
    pipeline().run(watcher.items(), engine=ENGINE, monitor=HERE)
    workers = watcher.last()["workers"]

    assert {worker["stages"][0]: worker["node"] for worker in workers} == PLACES
    assert [worker["memory"] for worker in workers] == [None, None]  # as of no process here
    assert [cells_of(worker)[3].partition(" on ")[2] for worker in workers] == ["host-2", "host-1"]
    started = [each.getMessage() for each in caplog.records if "was started" in each.msg]
    assert [text.partition(" on 'host-")[2] for text in started] == ["2'", "1'"]


def test_on_one_machine_none_is_named(
    caplog: pytest.LogCaptureFixture, url: Callable[[], str]
) -> None:
    caplog.set_level(logging.INFO, "conveyor")
    watcher = Watcher(url)
    report = pipeline().run(watcher.items(), monitor=HERE).report

    assert {stage.node for stage in report.stages.values()} == {None}
    assert "node" not in str(report).split()
    (worker,) = {worker["node"] for worker in watcher.last()["workers"]}
    assert worker is None
    assert " on '" not in caplog.text
