"""The same pipelines with their workers on several hosts, each with a memory of its own: what comes
out, is counted and is reported is what one machine gives."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from conveyor import (
    BalancingFork,
    FlatMap,
    Join,
    Pipe,
    Pipeline,
    Processor,
    ReplicatingFork,
    Zip,
    context,
)
from conveyor.errors import Deadlock, HostLost, ItemTimeout
from conveyor.report import DeadLetter
from conveyor.runtime.hosts.crew import HostsCrew
from conveyor.runtime.hosts.messages import Started
from conveyor.runtime.mirror import channels
from tests.chains import chains, values
from tests.host_processes import InProcesses
from tests.hosts import InThisProcess, Network
from tests.jobs import increment, kill_once
from tests.model import Chain, assert_as_promised, build, sources
from tests.processes import descriptors

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("nothing_is_left_behind")]


def inverse_from_50(number: int) -> int:
    return 1 // (number - 50)


def inverse_of_last_digit(number: int) -> int:
    return 1 // (number % 10)


def of_zeros(size: int) -> bytearray:
    return bytearray(size)


def with_a_dot(data: bytearray) -> bytes:
    return bytes(data) + b"."


def of_first_and_size(data: bytearray) -> int:
    return data[0] * len(data)


def odd_ones_forty_times(number: int) -> list[int]:
    return [number] * (number % 2) * 40


def line(*jobs: Any) -> Any:
    pl: Any = Pipeline[Any]().add(Pipe(64))
    for job in jobs:
        pl.add(job).add(Pipe(64))
    return pl


@settings(
    deadline=None,
    max_examples=int(os.environ.get("CONVEYOR_TOPOLOGIES", "4")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(chains(), values)
def test_any_topology_gives_what_plain_loops_give(chain: Chain, values: list[Any]) -> None:
    pl = build(chain, Pipeline())
    assert_as_promised(chain, values, pl.run(sources(values), engine=InThisProcess(3)))


def test_the_report_counts_as_on_one_machine_and_runs_of_an_open_pipeline_do_not_mix() -> None:
    engine = InThisProcess()
    with line(*[Processor(increment)] * 3) as pl:
        for n in (100, 0, 1000):
            result = pl.run(range(n), engine=engine)
            assert result == [x + 3 for x in range(n)]
            assert [stage.items_in for stage in result.report.stages.values()] == [n] * 3
    assert len(engine.networks) == 1


def test_a_worker_that_dies_is_replaced_on_its_host_and_nothing_is_lost(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    pl = line(
        Processor(increment),
        Processor(kill_once(tmp_path / "a")),
        Processor(kill_once(tmp_path / "b")),
    )
    result = pl.run(range(1000), engine=InThisProcess())
    assert result == list(range(1, 1001))
    assert sum(stage.restarts for stage in result.report.stages.values()) == 4


def test_an_error_comes_with_its_notes_and_dead_letters_with_theirs() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        line(Processor(increment), Processor(inverse_from_50)).run(
            range(100), engine=InThisProcess()
        )
    assert any("ordinal 49" in note or "item" in note for note in caught.value.__notes__)
    pl = line(Processor(increment), Processor(inverse_of_last_digit, on_error="dead_letter"))
    result = pl.run(range(100), engine=InThisProcess())
    assert len(result.dead_letters) == 10
    assert len(result) == 90


def test_a_stream_takes_only_as_much_as_its_results_are_taken() -> None:
    given = 0

    def source() -> Any:
        nonlocal given
        for number in count():
            given += 1
            yield number

    pl = line(Processor(increment), Processor(increment))
    with pl.stream(source(), engine=InThisProcess()) as stream:
        first: list[int] = list(islice(stream, 500))
        assert first == [x + 2 for x in range(500)]
        assert given < 2000


def test_large_buffers_cross_between_hosts() -> None:
    pl = line(Processor(of_zeros), Processor(with_a_dot), Processor[bytes, int](len))
    sizes = [1, 1 << 16, 1 << 20, 5 << 20, 3]
    assert pl.run(sizes, engine=InThisProcess()) == [size + 1 for size in sizes]


def test_a_large_buffer_crosses_once_for_all_lanes_on_a_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int] = []
    carry = Network.carry

    def weighed(network: Network, sender: int, to: int, letter: bytes) -> None:
        sizes.append(len(letter))
        carry(network, sender, to, letter)

    monkeypatch.setattr(Network, "carry", weighed)
    size = 4 << 20  # together they are more than a producer may have out: memory is used again
    given = [bytearray([n]) * size for n in range(24)]
    pl: Any = Pipeline[bytearray]().add(Pipe(2)).add(ReplicatingFork(3))
    pl.add(*[Processor(of_first_and_size)] * 3).add(Join(3))
    found = pl.run(given, engine=InThisProcess(1))
    assert sorted(found) == sorted([n * size for n in range(24)] * 3)
    assert 24 * size < sum(sizes) < 25 * size


def test_a_run_is_not_over_before_all_its_dead_letters_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channels, "AT_ONCE", 1)  # as if each were large
    pl = line(Processor(inverse_of_last_digit, on_error="dead_letter"))
    result = pl.run([0] * 100, engine=InThisProcess())
    assert len(result.dead_letters) == 100


def test_an_item_that_takes_too_long_ends_where_its_stage_says() -> None:
    pl = line(Processor(increment), Processor[float, None](time.sleep, timeout_s=0.3))
    with pytest.raises(ItemTimeout, match="sleep"):
        pl.run([0.0, 60.0], engine=InThisProcess())


def hangs_in_a_thread(item: int) -> int:
    if item in (3, 60):
        time.sleep(600)
    return item


async def hangs_in_an_event_loop(item: int) -> int:
    if item in (10, 80):
        await asyncio.sleep(600)
    return item


class HangsAtFirst(Processor[int, int]):
    """Counts, which it goes on with where another worker was."""

    def setup(self) -> None:
        self.seen = 0

    async def process(self, item: int) -> int:
        if item == 40 and context().attempt == 1:
            await asyncio.sleep(600)
        self.seen += 1
        return self.seen

    def snapshot(self) -> int:
        return self.seen

    def restore(self, state: int) -> None:
        self.seen = state


def test_each_item_in_hand_has_its_time_limit_on_other_machines_too(tmp_path: Path) -> None:
    """A thread costs its worker, a coroutine does not; and a replay tells the same."""
    given_up: Any = {"concurrency": 4, "timeout_s": 1.0, "on_error": "dead_letter"}
    pl = line(
        Processor(hangs_in_a_thread, name="thread", **given_up),
        Processor(hangs_in_an_event_loop, name="coroutine", ordered=False, **given_up),
        HangsAtFirst(name="class", concurrency=4, timeout_s=1.0, retries=1),
    )
    path = tmp_path / "run.cvd"
    result = pl.run(range(100), engine=InProcesses(2), record=path)
    letters: list[DeadLetter] = result.dead_letters
    assert all(isinstance(each.exception, ItemTimeout) for each in letters)
    assert sorted(result) == list(range(1, 97))
    late = sorted((each.stage, each.item) for each in letters)
    assert late == [("coroutine", 10), ("coroutine", 80), ("thread", 3), ("thread", 60)]
    assert [stage.restarts for stage in result.report.stages.values()] == [2, 0, 0]
    again = pl.replay(range(100), path)
    assert again == result
    assert {each.item for each in again.dead_letters} == {3, 10, 60, 80}


def test_pipes_that_wait_for_one_another_in_a_circle_are_found_across_hosts(tmp_path: Path) -> None:
    pl: Any = Pipeline[int]()
    pl.add(Pipe(2)).add(ReplicatingFork(2)).add(Pipe(2), Pipe(2))
    pl.add(FlatMap(odd_ones_forty_times), Processor(increment))
    pl.add(Pipe(2), Pipe(2)).add(Zip(2)).add(Processor(str))
    with pytest.raises(Deadlock) as here:
        pl.run([0] * 200 + [1] * 200)
    with pytest.raises(Deadlock) as there:
        # Recorded, so that it has no barriers, at which what waits in one lane is set aside
        pl.run([0] * 200 + [1] * 200, engine=InThisProcess(), record=tmp_path / "run.cvd")
    assert str(there.value) == str(here.value)


def test_what_jobs_log_reaches_the_program(caplog: pytest.LogCaptureFixture) -> None:
    def speak(x: int) -> int:
        logging.getLogger("far").warning("item %d", x)
        return x

    line(Processor(increment), Processor(speak)).run(range(5), engine=InThisProcess())
    assert [each.getMessage() for each in caplog.records if each.name == "far"] == [
        f"item {x}" for x in range(1, 6)
    ]


def test_a_recorded_run_is_replayed_in_the_simulator(tmp_path: Path) -> None:
    pl: Any = Pipeline[int]()
    pl.add(BalancingFork(2)).add(Processor(increment), Processor(increment)).add(Join(2))
    result = pl.run(range(200), engine=InThisProcess(), record=tmp_path / "a.cvd")
    assert list(pl.replay(range(200), tmp_path / "a.cvd")) == result


def test_a_worker_with_several_items_in_hand_dies_in_a_recorded_run(tmp_path: Path) -> None:
    pl = line(Processor(kill_once(tmp_path), concurrency=8, ordered=False))
    result = pl.run(range(400), engine=InThisProcess(), record=tmp_path / "a.cvd")
    assert sorted(result) == [*range(400)]
    assert sum(stage.restarts for stage in result.report.stages.values()) == 2
    assert list(pl.replay(range(400), tmp_path / "a.cvd")) == result


def test_a_host_that_is_gone_the_moment_its_worker_has_started_leaves_nothing_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has_started, pl = HostsCrew.has_started, line(Processor(increment))
    pl.run([1], engine=InThisProcess())  # what a first run leaves open for good
    before = descriptors()

    def and_is_gone(crew: HostsCrew, message: Started) -> None:
        crew.failure = HostLost("it was unplugged")
        has_started(crew, message)

    monkeypatch.setattr(HostsCrew, "has_started", and_is_gone)
    with pytest.raises(HostLost, match="unplugged"):
        pl.run([1], engine=InThisProcess())
    assert descriptors() == before


def test_a_host_that_is_gone_once_the_run_is_over_takes_nothing_from_it() -> None:
    engine = InThisProcess()
    with line(Processor(increment), Processor(increment)) as pl:
        assert pl.run(range(10), engine=engine) == [x + 2 for x in range(10)]
        engine.networks[0].gone = 2, "it was unplugged"
