"""Pipelines on a Ray cluster of this machine."""

from __future__ import annotations

import asyncio
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
from tests.runtime.test_concurrency import met, met_in_the_loop

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


HANDS = 16
IN_HAND = {"threads": met, "coroutines": met_in_the_loop}


@pytest.mark.parametrize("kind", IN_HAND)
@pytest.mark.parametrize("ordered", [True, False])
def test_as_many_items_are_in_hand_as_was_said(kind: str, ordered: bool) -> None:
    """Each is done only once so many are at it."""
    job = Processor[int, int](IN_HAND[kind](HANDS), concurrency=HANDS, ordered=ordered)
    pl = line(Processor(increment), job, Processor(increment))
    expected = [x + 2 for x in range(20 * HANDS)]
    results = list(pl.run(range(20 * HANDS), engine=Ray()))
    assert sorted(results) == expected
    assert not ordered or results == expected


def dies_once_at(numbers: set[int], folder: Path, is_async: bool) -> Any:
    """A job whose worker dies at some items, while others are in hand; the first time only."""

    def job(x: int) -> int:
        if x in numbers and not (folder / f"{x}").exists():
            (folder / f"{x}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return x

    async def later(x: int) -> int:
        await asyncio.sleep(0.001 * (x % 5))
        return job(x)

    return later if is_async else job


@pytest.mark.parametrize("is_async", [False, True], ids=["threads", "coroutines"])
def test_a_worker_with_many_items_in_hand_that_dies_loses_and_repeats_nothing(
    is_async: bool, tmp_path: Path
) -> None:
    job = dies_once_at({40, 41, 300}, tmp_path, is_async)
    pl = line(Processor(increment), Processor(job, concurrency=HANDS, name="job"))
    with pl.stream(range(600), engine=Ray()) as stream:
        assert list(stream) == [x + 1 for x in range(600)]
    assert stream.report.stages["job"].restarts >= 2
    assert stream.report.stages["job"].items_in == 600


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
