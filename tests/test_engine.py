"""A pipeline asks its engine for four things, so another engine can take this machine's place: one
that runs every pipeline in the simulator stands for it here."""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from conveyor import BalancingFork, Join, Pipeline, Placement, Processor, Report, RunResult
from conveyor._builder import drafting, running
from conveyor.core.engine import Deployment, Engine, Give, RunOptions, StopToken, WorkerStart
from conveyor.errors import LifecycleError, RunStopped, TopologyError
from conveyor.graph.pace import Paces, StagePace
from conveyor.graph.topology import Topology
from conveyor.sim.search.api import simulated


@dataclass
class Streamed:
    """A run that gives a result at a time."""

    left: deque[object]
    results: deque[object]
    log: list[str]
    give: Give | None = None
    source_error: BaseException | None = None

    def advance(self) -> bool:
        if self.left:
            self.results.append(self.left.popleft())
        return not self.results

    def report(self) -> Report:
        return Report()

    def letters(self) -> tuple[()]:
        return ()

    def end(self, failed: bool, error: BaseException | None) -> Report:
        self.log.append("stream failed" if failed else "stream done")
        return Report()


@dataclass
class Simulated:
    """A deployment whose runs are simulations."""

    topology: Topology
    log: list[str]
    known: Paces = field(default_factory=dict[str, StagePace])
    outdated: bool = False

    def run(
        self, items: Iterable[object], stop: StopToken, options: RunOptions
    ) -> RunResult[object]:
        stop.check()
        self.log.append(f"run into {options.record}")
        return RunResult(simulated(self.topology, items, 0, None, None, True, None))

    def stream(
        self,
        items: Iterable[object],
        stop: StopToken,
        options: RunOptions,
        results: deque[object],
    ) -> Streamed:
        outputs = simulated(self.topology, items, 0, None, None, True, None)
        return Streamed(deque(outputs), results, self.log)

    def paces(self) -> Paces:
        return {**self.known, f"run {len(self.known)}": StagePace(1.0, 1.0)}

    def is_outdated(self) -> bool:
        return self.outdated

    def is_busy(self) -> bool:
        return False

    def close(self) -> None:
        self.log.append("close")


@dataclass
class InOneThread:
    """The engine; where workers are placed is all that tells two of them apart."""

    placement: Placement | None = None
    log: list[str] = field(default_factory=list[str], compare=False)
    opened: list[Simulated] = field(default_factory=list[Simulated], compare=False)

    def lanes(self) -> int:
        return 3

    def begun_by(self, start: WorkerStart) -> InOneThread:
        self.log.extend([f"preload {name}" for name in start.preload])
        return self

    def open(self, topology: Topology, paces: Paces) -> Deployment:
        self.log.append("open")
        self.opened.append(Simulated(topology, self.log, paces))
        return self.opened[-1]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> InOneThread:
    chosen = InOneThread()

    def engine_for(_: object, placement: Placement | None = None) -> Engine:
        return InOneThread(placement, chosen.log, chosen.opened)

    for module in (drafting, running):
        monkeypatch.setattr(module, "engine_for", engine_for)
    return chosen


def plus_one() -> Pipeline[int, int]:
    return Pipeline[int]().add(Processor(lambda n: n + 1))


def test_a_run_opens_the_engine_and_closes_it(engine: InOneThread, tmp_path: Path) -> None:
    assert plus_one().run([1, 2], record=tmp_path / "a.cvd") == [2, 3]
    assert engine.log == ["open", f"run into {tmp_path / 'a.cvd'}", "close"]


def test_a_program_names_it_and_nothing_else_has_to_know_it() -> None:
    engine = InOneThread()

    assert plus_one().run([1, 2], engine=engine) == [2, 3]
    with Pipeline[int](engine=engine).add(Processor(lambda n: n + 1)) as pl, pl.stream([3]) as one:
        assert list(one) == [4]
    assert engine.log == ["open", "run into None", "close", "open", "stream done", "close"]


def test_inside_with_what_is_open_serves_every_run(engine: InOneThread) -> None:
    with plus_one() as pl:
        assert [pl.run([n]) for n in range(3)] == [[1], [2], [3]]
    assert engine.log == ["open", *["run into None"] * 3, "close"]


def test_what_a_deployment_has_measured_is_told_to_the_next(engine: InOneThread) -> None:
    pl = plus_one()
    for _ in range(3):
        pl.run([1])

    assert [list(each.known) for each in engine.opened] == [[], ["run 0"], ["run 0", "run 1"]]


def test_a_run_that_fails_closes_it(engine: InOneThread) -> None:
    with Pipeline[int]().add(Processor(lambda n: 1 // n)) as pl:
        with pytest.raises(ZeroDivisionError):
            pl.run([0])
        assert pl.run([1]) == [1]
    assert engine.log == ["open", "run into None", "close"] * 2


def test_another_placement_is_another_engine_and_none_asks_for_the_same(
    engine: InOneThread,
) -> None:
    spread, pinned = Placement(), Placement.unpinned()
    with plus_one() as pl:
        for placement in (spread, None, spread, pinned, None):
            pl.run([1], placement=placement)
    assert [word for word in engine.log if "run" not in word] == ["open", "close"] * 2
    assert engine.log.index("close") == 4


def test_outdated_workers_are_not_kept(engine: InOneThread) -> None:
    with plus_one() as pl:
        pl.run([1])
        engine.opened[0].outdated = True
        pl.run([1])
    assert engine.log == ["open", "run into None", "close"] * 2


def test_a_stream_takes_what_the_engine_gives(engine: InOneThread) -> None:
    with plus_one().stream(range(5)) as stream:
        assert list(islice(stream, 2)) == [1, 2]
    assert engine.log == ["open", "stream failed", "close"]
    assert list(plus_one().stream(range(3))) == [1, 2, 3]
    assert engine.log[3:] == ["open", "stream done", "close"]


def test_stop_reaches_a_run_before_it_begins(engine: InOneThread) -> None:
    pl: Any = plus_one()

    class Stopping(InOneThread):
        def open(self, topology: Topology, paces: Paces) -> Deployment:
            pl.stop()
            return super().open(topology, paces)

    pl._session.engine = Stopping(log=engine.log)
    with pytest.raises(RunStopped):
        pl.run([1])
    assert engine.log == ["open", "close"]


def test_an_engine_that_refuses_leaves_the_pipeline_as_it_was(engine: InOneThread) -> None:
    class Refusing(InOneThread):
        def open(self, topology: Topology, paces: Paces) -> Deployment:
            raise LifecycleError("not on a Sunday")

    pl: Any = plus_one()
    pl._session.engine = Refusing()
    with pytest.raises(LifecycleError, match="not on a Sunday"):
        pl.run([1])
    pl._session.engine = engine
    assert pl.run([1]) == [2]


def test_the_engine_says_how_wide_an_adapting_fork_may_be(engine: InOneThread) -> None:
    assert engine.lanes() == 3
    pl = Pipeline[int]().add(BalancingFork()).add(Processor(abs)).add(Join())
    assert sum(stage.kind == "Processor" for stage in pl.topology.stages) == 3


# ------------------------------------------------------------------------------- an engine is named


def test_a_run_may_name_its_engine_in_each_of_its_ways() -> None:
    engine = InOneThread()

    async def beside() -> list[int]:
        async with plus_one().astream([3], engine=engine) as stream:
            return [*await plus_one().arun([2], engine=engine), *[out async for out in stream]]

    assert plus_one().run([1], engine=engine) == [2]
    assert list(plus_one().stream([1], engine=engine)) == [2]
    assert asyncio.run(beside()) == [3, 4]
    assert engine.log.count("open") == 4


def test_a_pipeline_may_name_its_engine_and_so_do_its_copies() -> None:
    engine = InOneThread()
    pl = Pipeline[int](engine=engine, preload=["json"]).add(Processor(lambda n: n + 1))

    assert pl.run([1]) == [2]
    assert copy.copy(pl).run([1]) == [2]
    assert engine.log.count("open") == 2
    assert "preload json" in engine.log


def test_a_run_on_another_engine_than_the_pipeline_is_open_on_opens_that() -> None:
    one, other = InOneThread(), InOneThread(Placement.unpinned())
    with Pipeline[int](engine=one).add(Processor(abs)) as pl:
        assert pl.run([-1]) == [1]
        assert pl.run([-1], engine=other) == [1]
        assert pl.run([-1]) == [1]  # what it is open on
    assert one.log == ["open", "run into None", "close"]
    assert other.log == ["open", "run into None", "run into None", "close"]


def test_cores_of_this_machine_are_refused_where_another_engine_runs_it() -> None:
    engine, placement = InOneThread(), Placement.unpinned()
    with pytest.raises(TopologyError, match=r"placement= names cores of this machine"):
        plus_one().run([1], engine=engine, placement=placement)
    with pytest.raises(TopologyError, match=r"stream\(\): placement="):
        Pipeline[int](engine=engine).add(Processor(abs)).stream([1], placement=placement)
    assert engine.log == []


@pytest.mark.parametrize("no_engine", ["auto", InOneThread, 3])
def test_what_is_no_engine_is_refused_at_once(no_engine: Any) -> None:
    with pytest.raises(TypeError, match=r"must be an engine, such as conveyor\.cluster\.Ray\(\)"):
        plus_one().run([1], engine=no_engine)
    with pytest.raises(TypeError, match="must be an engine"):
        Pipeline[int](engine=no_engine)
