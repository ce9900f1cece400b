"""Pipelines on a cluster of two machines, which are two raylets on loopback addresses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest

from conveyor import BalancingFork, Join, Pipeline, Processor
from conveyor.errors import HostLost, RunError
from tests.cluster.conftest import host, line, needs_a_place_of_its_own
from tests.helpers import HANGS_S, ROOT, holds_within
from tests.jobs import double, increment
from tests.processes import is_alive

needs_a_place_of_its_own()

import ray  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402
from ray.util.placement_group import placement_group_table  # noqa: E402

from conveyor.cluster import Ray, Resources  # noqa: E402


@pytest.fixture(scope="module")
def machines() -> Iterator[Any]:
    """The one that the program is on is called `left`, the other `right`."""
    cluster = Cluster()
    cluster.add_node(node_ip_address="127.0.0.2", node_name="left", num_cpus=2, num_gpus=2)
    cluster.add_node(node_ip_address="127.0.0.3", node_name="right", num_cpus=2, num_gpus=2)
    ray.init(cluster.address)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("machines")]


@pytest.fixture(autouse=True)
def no_group_is_left() -> Iterator[None]:
    yield
    assert holds_within(lambda: not groups(), HANGS_S)


def groups() -> list[Any]:
    """The placement groups that there are."""
    return [each for each in placement_group_table().values() if each["state"] != "REMOVED"]


def at(name: str) -> Resources:
    return Resources(node=name)


def test_both_machines_work_and_the_report_has_their_names() -> None:
    pl = line(*[Processor(increment)] * 3, Processor(lambda _: host()))
    result = pl.run(range(2000), engine=Ray())
    nodes = [stage.node for stage in result.report.stages.values()]

    assert len(result) == 2000
    assert len(set(result)) == 1
    assert sorted(nodes) == ["left", "left", "right", "right"]
    assert nodes[0] == nodes[1]  # neighbours are on one machine
    assert all(name in str(result.report) for name in ("left", "right"))


def test_a_stage_runs_on_the_machine_that_it_names() -> None:
    engine = Ray(stages={"increment": at("right"), "double": at("127.0.0.2")})
    result = line(Processor(increment), Processor(double)).run(range(500), engine=engine)

    assert result == [2 * (x + 1) for x in range(500)]
    places = {name: stage.node for name, stage in result.report.stages.items()}
    assert places == {"increment": "right", "double": "left"}


def test_each_lane_has_a_graphics_processor_of_its_own_over_all_machines() -> None:
    def where(_: int) -> tuple[int, str]:
        return host(), os.environ["CUDA_VISIBLE_DEVICES"]

    pl: Any = Pipeline[int]().add(BalancingFork()).add(Processor(where)).add(Join())
    engine = Ray(stages={"where": Resources(cpus=0.5, gpus=1, lanes=4)})
    result = pl.run(range(2000), engine=engine)

    assert len(result.report.stages) == 4
    assert len({process for process, _ in result}) == 2
    assert sorted({device for _, device in result}) == ["0", "1"]
    assert len({*result}) == 4


def test_what_there_is_no_room_for_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conveyor.cluster.hosts.BEGIN_S", 1.0)
    taken = ray.remote(num_cpus=2)(Holder)
    holders = [taken.remote() for _ in range(2)]
    ray.get([each.pid.remote() for each in holders])
    try:
        with pytest.raises(RunError, match="the cluster has no room for"):
            line(Processor(increment)).run([1], engine=Ray())
    finally:
        for each in holders:
            ray.kill(each)


class Holder:
    """Has cores, and does nothing."""

    def pid(self) -> int:
        return os.getpid()


DRIVER = """
import os, sys, ray
from itertools import count
from pathlib import Path
from conveyor import Pipe, Pipeline, Processor
from conveyor.cluster import Ray

def who(_):
    stat = Path(f"/proc/{os.getppid()}/stat").read_text()
    return os.getpid(), int(stat.rpartition(")")[2].split()[1])

def both(pair):
    return (*pair, *who(0))

pl = Pipeline[int]()
for job in [who, both, lambda p: p, both]:
    pl.add(Processor(job)).add(Pipe(8))
with pl.stream(count(), engine=Ray(sys.argv[1])) as stream:
    print(*{*next(stream)}, flush=True)
    for _ in stream:
        pass
"""


def test_a_program_that_is_killed_leaves_nothing_on_any_machine(machines: Any) -> None:
    """The memory of the channels has no name: it goes with the processes."""
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, machines.address],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert driver.stdout is not None
    pids = [int(word) for word in driver.stdout.readline().split()]
    assert len(pids) >= 4  # workers, and the hosts of both
    assert groups()
    driver.kill()
    driver.wait(HANGS_S)
    driver.stdout.close()

    assert holds_within(lambda: not any(map(is_alive, pids)), HANGS_S)
    assert holds_within(lambda: not groups(), HANGS_S)


def dies_at(numbers: set[int], folder: Path) -> Any:
    """Gives an array back with one more in each place; its first worker at some does not."""

    def job(array: Any) -> Any:
        number = int(array[0])
        if number in numbers and not (folder / f"{number}").exists():
            (folder / f"{number}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return array + 1

    return job


def test_arrays_cross_between_machines_while_workers_die(tmp_path: Path) -> None:
    np = pytest.importorskip("numpy")
    there = Processor(dies_at({3, 11, 12}, tmp_path), name="there", read_only=True)
    back = Processor(dies_at({8, 16}, tmp_path), name="back")
    engine = Ray(stages={"there": at("right"), "back": at("left")})
    given = (np.full(1_000_000, float(n)) for n in range(30))
    result = line(there, back).run(given, engine=engine)

    assert [(float(a.min()), float(a.max()), a.size) for a in result] == [
        (n + 2, n + 2, 1_000_000) for n in range(30)
    ]
    assert [stage.restarts for stage in result.report.stages.values()] == [3, 2]


def test_a_host_that_is_killed_while_arrays_travel_ends_the_run_with_its_name() -> None:
    np = pytest.importorskip("numpy")

    def there(array: Any) -> tuple[int, Any]:
        return host(), array

    engine = Ray(stages={"there": at("right")})
    arrays = (np.full(1_000_000, float(n)) for n in count())
    with line(Processor(there)).stream(arrays, engine=engine) as stream:
        (killed,) = {process for process, _ in islice(stream, 5)}
        os.kill(killed, signal.SIGKILL)
        with pytest.raises(HostLost, match=r"host 'right' is lost, with .* 'there'"):
            deque(stream, maxlen=0)


def test_the_example_embeds_documents_on_lanes_over_all_machines(machines: Any) -> None:
    script = [sys.executable, "examples/embeddings.py", "--ray", machines.address, "--lanes", "3"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        script,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        timeout=100,
        check=True,
    )
    here = [sys.executable, "examples/embeddings.py"]
    alone = subprocess.run(
        here, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )

    *found, where = done.stdout.splitlines()
    assert found == alone.stdout.splitlines()[:-1]
    assert where == "on left right"


def test_a_run_goes_on_without_a_machine_that_is_gone(
    machines: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The last test: `right` does not come back."""
    (right,) = machines.worker_nodes
    taken: list[int] = []

    def items() -> Iterator[int]:
        yield from range(1500)
        # Else a fast machine is done before it is seen that the other one is gone.
        assert holds_within(lambda: "goes on on the machines that are left" in caplog.text, HANGS_S)
        yield from range(1500, 3000)

    with line(*[Processor(increment)] * 3).stream(items(), engine=Ray()) as stream:
        for result in stream:
            taken.append(result)
            if len(taken) == 100:
                os.kill(right.all_processes["raylet"][0].process.pid, signal.SIGKILL)
        report = stream.report

    assert taken == [*range(3, 3003)]
    assert {stage.node for stage in report.stages.values()} == {"left"}
    assert any("host 'right' is lost" in note and "went on" in note for note in report.notes)
