"""A stream that is kept in a checkpoint, on a cluster that loses a machine."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from conveyor import Checkpoint, Processor
from tests.cluster.conftest import line, needs_a_place_of_its_own
from tests.helpers import HANGS_S, holds_within, takes_long
from tests.jobs import KeptNumber, increment

needs_a_place_of_its_own()

import ray  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402

from conveyor.cluster import Ray  # noqa: E402

pytestmark = [pytest.mark.processes, takes_long]


@pytest.fixture
def machines() -> Iterator[Any]:
    """The one that the program is on is called `left`, the other `right`."""
    cluster = Cluster()
    for number, name in enumerate(("left", "right"), 2):
        cluster.add_node(node_ip_address=f"127.0.0.{number}", node_name=name, num_cpus=2)
    ray.init(cluster.address)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


class Numbers:
    """So many, of which the second half comes once the log says that the run has gone on."""

    def __init__(self, n: int, caplog: pytest.LogCaptureFixture) -> None:
        self.n = n
        self.caplog = caplog

    def open(self, position: int | None) -> Iterator[tuple[int, int]]:
        for number in range(position or 0, self.n):
            if number == self.n // 2:
                assert holds_within(self.has_gone_on, HANGS_S)
            yield number, number + 1

    def has_gone_on(self) -> bool:
        return "goes on on the machines that are left" in self.caplog.text

    def identity(self) -> str:
        return "numbers"


async def increment_later(number: int) -> int:
    await asyncio.sleep(0.001 * (number % 3))
    return number + 1


def expected(n: int) -> list[tuple[int, int]]:
    return [(number + 2, number + 1) for number in range(n)]


def test_it_goes_on_without_it_and_when_called_again_on_what_is_left(
    machines: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """With items in hand, in threads and in an event loop, and a state."""
    (right,) = machines.worker_nodes
    checkpoint = Checkpoint(tmp_path / "state", every_s=0.3)
    source = Numbers(2000, caplog)

    def stream() -> Any:
        jobs = [
            Processor(increment, concurrency=4),
            Processor(increment_later, concurrency=50),
            KeptNumber(),
        ]
        return line(*jobs).stream(source, checkpoint=checkpoint, engine=Ray())

    taken: list[Any] = []
    with stream() as results:
        for result in islice(results, 1500):
            taken.append(result)
            results.acknowledge()
            if len(taken) == 100:
                os.kill(right.all_processes["raylet"][0].process.pid, signal.SIGKILL)
        notes = results.report.notes
    assert taken == expected(1500)
    assert any("host 'right' is lost" in note and "went on" in note for note in notes)

    # Ray itself is told of it later.
    assert holds_within(lambda: sum(each["Alive"] for each in ray.nodes()) == 1, HANGS_S)
    with stream() as results:
        assert list(results) == expected(2000)[1500:]
    assert {stage.node for stage in results.report.stages.values()} == {"left"}
