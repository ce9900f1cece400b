"""A host on the program's own machine shares the program's memory: nothing is copied between the
two, and all else is as with any host."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
from collections import deque
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from conveyor import Join, Pipe, Pipeline, Processor, ReplicatingFork
from conveyor.errors import HostLost
from conveyor.graph.topology import Topology
from conveyor.runtime.hosts import lending as at
from conveyor.runtime.hosts.crew import HostsCrew
from conveyor.runtime.hosts.lending import borrowed, lending
from conveyor.runtime.hosts.post import Post
from conveyor.runtime.parent.shared import Shared
from tests.chains import chains, values
from tests.helpers import HANGS_S, holds_within
from tests.host_processes import InProcesses
from tests.hosts import InThisProcess
from tests.jobs import increment, kill_once
from tests.model import Chain, assert_as_promised, build, sources
from tests.processes import descriptors, is_alive

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("nothing_is_left_behind")]


def line(*jobs: Any) -> Any:
    pl: Any = Pipeline[Any]().add(Pipe(64))
    for job in jobs:
        pl.add(job).add(Pipe(64))
    return pl


@pytest.fixture
def posts(monkeypatch: pytest.MonkeyPatch) -> list[Post]:
    """The program's, of all that is opened."""
    found: list[Post] = []
    send_wakes = HostsCrew.send_wakes

    def noted(crew: HostsCrew) -> None:
        if crew.post not in found:
            found.append(crew.post)
        send_wakes(crew)

    monkeypatch.setattr(HostsCrew, "send_wakes", noted)
    return found


@settings(
    deadline=None,
    max_examples=int(os.environ.get("CONVEYOR_TOPOLOGIES", "3")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(chains(), values)
def test_any_topology_gives_what_plain_loops_give_if_one_host_of_two_shares_the_memory(
    chain: Chain, values: list[Any]
) -> None:
    pl = build(chain, Pipeline())
    engine = InThisProcess(2, on_ours=1)
    assert_as_promised(chain, values, pl.run(sources(values), engine=engine))


def doubled(data: bytearray) -> bytearray:
    return data + data


def test_nothing_is_copied_between_the_program_and_a_host_that_shares_its_memory(
    posts: list[Post],
) -> None:
    sizes = [1, 1 << 16, 5 << 20, 3]
    pl = line(Processor(doubled), Processor[bytearray, int](len))
    assert pl.run(map(bytearray, sizes), engine=InProcesses(1, on_ours=1)) == [
        2 * size for size in sizes
    ]
    (post,) = posts
    assert not post.sent
    assert not post.taken


def test_workers_that_die_on_either_side_are_replaced_and_nothing_is_lost(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    near = Processor(kill_once(tmp_path / "a"), name="near")
    far = Processor(kill_once(tmp_path / "b"), name="far")
    engine = InThisProcess(2, at={"near": 1, "far": 2, "increment": 1}, on_ours=1)
    pl = line(near, far, Processor(increment))
    result = pl.run(range(1000), engine=engine, record=tmp_path / "a.cvd")
    assert result == list(range(1, 1001))
    assert [stage.restarts for stage in result.report.stages.values()] == [2, 2, 0]
    assert list(pl.replay(range(1000), tmp_path / "a.cvd")) == result


def test_the_trace_of_a_run_has_what_its_workers_did(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    line(Processor(increment)).run(range(500), engine=InThisProcess(1, on_ours=1), trace=path)
    events = json.loads(path.read_text())["traceEvents"]
    assert "increment" in {each["name"] for each in events if each["ph"] == "X"}


def parent_and_me(_: int) -> tuple[int, int]:
    return os.getppid(), os.getpid()


def test_a_host_that_is_killed_ends_the_run_with_its_name_and_its_workers_go_with_it() -> None:
    engine = InProcesses(1, on_ours=1)
    with line(Processor(parent_and_me)).stream(count(), engine=engine) as stream:
        _, worker = next(stream)
        engine.networks[0].hosts[1].kill()
        with pytest.raises(HostLost, match="is lost, with the workers of 'parent_and_me'"):
            deque(stream, maxlen=0)
    assert holds_within(lambda: not is_alive(worker), HANGS_S)


def test_a_host_that_cannot_begin_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(address: str, nodes: int) -> Any:
        raise ConnectionRefusedError(address)

    line(Processor(increment)).run([1], engine=InThisProcess(1, on_ours=1))
    before, folder = descriptors(), set(Path(tempfile.gettempdir()).glob("conveyor-*"))
    monkeypatch.setattr("conveyor.runtime.hosts.host.borrowed", no_memory)
    with pytest.raises(ConnectionRefusedError):
        line(Processor(increment)).run([1], engine=InThisProcess(1, on_ours=1))
    assert descriptors() == before
    assert set(Path(tempfile.gettempdir()).glob("conveyor-*")) <= folder


def topology() -> Topology:
    pl: Any = Pipeline[int]().add(ReplicatingFork(40)).add(*[Processor(increment)] * 40)
    found: Topology = pl.add(Join(40)).topology
    return found


def test_as_many_descriptors_are_lent_as_there_are_and_the_socket_is_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at, "AT_ONCE", 10)
    (deep := tmp_path / ("d" * 90)).mkdir()  # too long for the address of a socket
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    shape = topology()
    shared = Shared(shape)
    with lending(shared) as address:
        lent = borrowed(address, len(shape.nodes))
    there = Shared(shape, lent=lent)
    shared.memory.view[-8:] = b"the same"
    assert bytes(there.memory.view[-8:]) == b"the same"
    for node, wakeup in shared.wakeups.items():
        assert not there.is_notified(node)
        wakeup.notify()
        assert there.is_notified(node)
    assert not Path(address).parent.exists()
    there.close()
    shared.close()


def test_a_host_whose_program_is_gone_is_told_so(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "memory"))
        door.listen()
        leaves = threading.Thread(target=lambda: door.accept()[0].close())
        leaves.start()
        with pytest.raises(ConnectionError):
            borrowed(str(tmp_path / "memory"), 3)
        leaves.join()
