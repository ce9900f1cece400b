"""Pipelines on a Ray cluster of this machine."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conveyor import Pipeline, Processor
from conveyor.errors import HostLost, TopologyError
from tests.cluster.conftest import host, line, needs_a_place_of_its_own
from tests.jobs import increment

pytestmark = pytest.mark.processes

needs_a_place_of_its_own()

import ray  # noqa: E402

from conveyor.cluster import Ray, Resources  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray.init("local", num_cpus=2, include_dashboard=False)
    yield
    ray.shutdown()


def test_runs_of_an_open_pipeline_give_what_one_machine_gives() -> None:
    with line(*[Processor(increment)] * 3) as pl:
        for n in (0, 10, 3000):
            assert pl.run(range(n), engine=Ray()) == [x + 3 for x in range(n)]


def kill_once(path: Path) -> Any:
    def job(x: int) -> int:
        if x == 100 and not path.exists():
            path.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return x

    return job


def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    pl = line(Processor(increment), Processor(kill_once(tmp_path / "killed")))
    result = pl.run(range(1000), engine=Ray())
    assert result == list(range(1, 1001))
    assert sum(stage.restarts for stage in result.report.stages.values()) == 1


def test_a_host_that_is_killed_ends_the_run_with_its_name() -> None:
    def source() -> Any:
        while True:
            yield 0

    pl = line(Processor(lambda _: host()))
    with pl.stream(source(), engine=Ray()) as stream:
        os.kill(next(stream), signal.SIGKILL)
        with pytest.raises(HostLost, match="is lost"):
            deque(stream, maxlen=0)


def test_what_cannot_be_is_refused_in_words() -> None:
    with pytest.raises(TopologyError, match="fork server"):
        Pipeline[int](engine=Ray(), start_method="fork")
    with pytest.raises(TopologyError, match="no machine has what a worker of 'increment' needs"):
        line(Processor(increment)).run([1], engine=Ray(stages={"increment": Resources(gpus=4)}))
    with pytest.raises(TopologyError, match="no stage 'encrement'"):
        line(Processor(increment)).run([1], engine=Ray(stages={"encrement": Resources()}))
