"""A stream that is kept in a checkpoint goes on without a machine that is lost: each result is
given once while it is open, and what was acknowledged never comes again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from conveyor import BalancingFork, Checkpoint, Join, Pipeline, Processor, Stream
from conveyor.errors import HostLost, TopologyError
from conveyor.graph.keeping import check_can_be_kept
from tests.chains import chains, values
from tests.host_processes import InProcesses
from tests.hosts import InThisProcess
from tests.jobs import increment
from tests.model import Chain, assert_as_promised, build, sources
from tests.runtime.hosts.test_checkpoints_on_hosts import Losing, kept, lines, lose, numbered

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("nothing_is_left_behind")]


def first(n: int | None, results: Iterator[Any]) -> list[Any]:
    """So many results; None: all."""
    return list(islice(results, n))


class OnAndOn:
    """Numbers, until there are enough."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.given = 0
        self.enough = False

    def open(self, position: int | None) -> Iterator[tuple[int, int]]:
        self.asked.append("open")
        self.given = position or 0
        try:
            while not self.enough:
                self.given += 1
                yield self.given - 1, self.given
        finally:
            self.asked.append("close")

    def identity(self) -> str:
        return "numbers"


def taken_while_machines_are_lost(
    stream: Stream[str], source: OnAndOn, engine: InThisProcess, machines: list[int]
) -> Iterator[str]:
    """Results, between which machines are lost, each one when the run has gone on without that
    before."""
    at, lives = 50, len(engine.networks)
    for number, result in enumerate(stream, 1):
        yield result
        if number >= at and len(engine.networks) == lives:
            if machines:
                lose(engine, machines.pop(0))
                at, lives = number + 50, lives + 1
            else:
                source.enough = True


@pytest.mark.parametrize("kind", [InThisProcess, InProcesses])
@pytest.mark.parametrize("every_s", [0.001, 0.05, 1000])
def test_a_kept_stream_goes_on_without_two_machines_and_gives_each_result_once(
    kind: type[InThisProcess], every_s: float, tmp_path: Path
) -> None:
    engine, source, taken = kind(3), OnAndOn(), list[str]()
    checkpoint = Checkpoint(tmp_path / "state", every_s=every_s)
    with numbered().stream(source, checkpoint=checkpoint, engine=engine) as stream:
        for result in taken_while_machines_are_lost(stream, source, engine, [3, 1]):
            taken.append(result)
            stream.acknowledge()
    assert taken == lines(source.given)
    assert len(engine.networks) == 3
    assert source.asked == ["open", "close"]  # it is open in all lives
    assert [stage.items_in for stage in stream.report.stages.values()] == [source.given] * 3
    went_on = [note for note in stream.report.notes if "the run went on without it, " in note]
    assert len(went_on) == 2
    assert not any("behind item 0 " in note for note in went_on)
    # What was kept is the report of a run that has finished, and all was acknowledged.
    with numbered().stream(source, checkpoint=checkpoint, engine=engine) as again:
        assert list(again) == []
    assert again.report.notes[:-1] == stream.report.notes


def test_a_kept_stream_of_a_program_that_is_asynchronous_goes_on_too(tmp_path: Path) -> None:
    engine, taken = InThisProcess(2), list[str]()

    async def take() -> None:
        source = Losing(engine, {150: 2})
        async with numbered().astream(source, checkpoint=kept(tmp_path), engine=engine) as stream:
            async for result in stream:
                taken.append(result)
                stream.acknowledge()

    asyncio.run(take())
    assert taken == lines(300)
    assert len(engine.networks) == 2


def in_lanes() -> Any:
    """Two lanes whose results come in any order."""
    lanes: Any = Pipeline[int]().add(BalancingFork(2))
    return lanes.add(Processor(increment, name="one"), Processor(increment, name="two")).add(
        Join(2)
    )


@pytest.mark.parametrize("takes", [1, 90, 170, 299])
def test_what_was_taken_before_and_after_a_machine_was_lost_comes_again_only_unacknowledged(
    takes: int, tmp_path: Path
) -> None:
    """Also where lanes give results in another order when they are made again."""
    engine = InThisProcess(3)
    source = Losing(engine, {150: 2})
    with in_lanes().stream(source, checkpoint=kept(tmp_path), engine=engine) as stream:
        done = first(takes, stream)
        stream.acknowledge()
        besides = first(20, stream)
    with in_lanes().stream(Losing(engine, {}), checkpoint=kept(tmp_path), engine=engine) as stream:
        again = first(None, stream)
    assert again[: len(besides)] == besides
    assert sorted(done + again) == [*range(1, 301)]


def test_closing_a_stream_makes_durable_what_was_acknowledged_and_does_no_more_work(
    tmp_path: Path,
) -> None:
    """On one machine the run goes on to a barrier for that."""
    engine, seldom = InThisProcess(2), Checkpoint(tmp_path / "state", every_s=1000)
    source = Losing(engine, {}, n=40)
    with numbered().stream(source, checkpoint=seldom, engine=engine) as stream:
        assert first(7, stream) == lines(7)
        stream.acknowledge()
        engine.networks[-1].gone = 1, "it was unplugged"
        engine.networks[-1].gone = 2, "it was unplugged, too"
    assert (
        first(None, numbered().stream(Losing(engine, {}, n=40), checkpoint=seldom)) == lines(40)[7:]
    )


def test_a_stream_that_ends_with_its_last_machine_has_what_was_acknowledged(
    tmp_path: Path,
) -> None:
    engine, source, taken = InThisProcess(2), OnAndOn(), list[str]()
    seldom = Checkpoint(tmp_path / "state", every_s=1000)
    with numbered().stream(source, checkpoint=seldom, engine=engine) as stream:
        results = taken_while_machines_are_lost(stream, source, engine, [1, 2])
        taken += islice(results, 70)
        stream.acknowledge()
        with pytest.raises(HostLost, match="'host-2' is lost"):
            taken.extend(results)
    assert taken == lines(len(taken))
    assert len(taken) >= 100
    again = numbered().stream(source, checkpoint=seldom)
    assert first(100, again) == lines(170)[70:]
    again.close()


def test_a_source_that_fails_fails_behind_the_results_before_and_goes_on_when_called_again(
    tmp_path: Path,
) -> None:
    engine = InThisProcess(2)

    class Failing(Losing):
        def open(self, position: int | None) -> Iterator[tuple[int, int]]:
            for number, behind in super().open(position):
                if number == 80:
                    raise LookupError("no more")
                yield number, behind

    failing = Failing(engine, {40: 2})
    with numbered().stream(failing, checkpoint=kept(tmp_path), engine=engine) as stream:
        assert first(80, stream) == lines(80)
        stream.acknowledge()
        with pytest.raises(LookupError, match="no more"):
            next(stream)
    # What no barrier had come behind comes again, if nothing else was durable in the end.
    rest = first(
        None, numbered().stream(Losing(engine, {}), checkpoint=kept(tmp_path), engine=engine)
    )
    assert rest == lines(300)[300 - len(rest) :]
    assert len(rest) >= 220


@settings(
    deadline=None,
    max_examples=int(os.environ.get("CONVEYOR_LOSSES", "3")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(chains(), values, st.integers(0, 1 << 32))
def test_any_topology_that_loses_a_machine_and_is_left_has_given_each_result_once(
    chain: Chain, values: list[Any], seed: int
) -> None:
    random, engine = Random(seed), InThisProcess(3)
    items = sources(values)
    try:
        check_can_be_kept(build(chain, Pipeline()).topology)
    except TopologyError:
        assume(False)
    at = random.randrange(len(items) + 1)

    class Items(Losing):
        def open(self, position: int | None) -> Iterator[Any]:
            for number in range(position or 0, len(items) + 1):
                if number == at and self.losses:
                    self.losses.clear()
                    if machines := engine.networks[-1].machines:
                        self.lose(random.choice(machines))
                if number < len(items):
                    yield items[number], number + 1

    taken, source = list[Any](), Items(engine, {at: 1})
    with TemporaryDirectory() as folder:
        checkpoint = Checkpoint(folder, every_s=random.choice([0.001, 0.02, 1000]))
        for most in (random.randrange(2 * len(items) + 1), None):
            pl = build(chain, Pipeline())
            with pl.stream(source, checkpoint=checkpoint, engine=engine) as stream:
                for result in islice(stream, most):
                    taken.append(result)
                    stream.acknowledge()
    assert_as_promised(chain, values, taken)
