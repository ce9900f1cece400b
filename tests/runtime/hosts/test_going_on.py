"""A run on several machines goes on without one that is lost: every result comes once and in its
order, and nobody is told of an end that was none."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from conveyor import FlatMap, Join, Pipe, Pipeline, Processor, ReplicatingFork, Zip
from conveyor.errors import HostLost, TopologyError
from conveyor.graph.keeping import check_can_be_kept
from conveyor.io import Lines
from conveyor.progress import Progress
from tests.chains import chains, values
from tests.host_processes import InProcesses
from tests.hosts import InThisProcess
from tests.jobs import KeptNumber, increment, same
from tests.model import Chain, assert_as_promised, build, sources

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("nothing_is_left_behind")]


def after_a_moment(number: int) -> int:
    time.sleep(0.0005)
    return number


def line() -> Any:
    """Three stages, each on another machine if there are so many; the one in the middle counts."""
    pl: Any = Pipeline[int]().add(Processor(increment)).add(Pipe(16))
    return pl.add(KeptNumber(name="numbered")).add(Pipe(16)).add(Processor(lambda pair: pair))


def counted(n: int, earlier: int = 0) -> list[tuple[int, int]]:
    return [(number, earlier + number) for number in range(1, n + 1)]


def tens(number: int) -> list[int]:
    """Ten numbers for the first of each ten."""
    return [*range(number, number + 10)] if number % 10 == 0 else []


def unplug(engine: InThisProcess, machine: int) -> None:
    engine.networks[-1].gone = machine, "it was unplugged"


def losing(
    n: int, engine: InThisProcess, machines: list[int], given: list[int] | None = None
) -> Iterator[int]:
    """So many numbers, then the first of these machines is lost, and numbers come until the run has
    gone on without it; so it goes on with the next, and ends with so many numbers more."""
    given, networks = [] if given is None else given, len(engine.networks) or 1
    for machine in [*machines, None]:
        upto = len(given) + n
        while len(given) < upto or len(engine.networks) < networks:
            given.append(len(given))
            yield given[-1]
        if machine is not None:
            unplug(engine, machine)
            networks += 1


# ----------------------------------------------------------------------- whatever is lost, and when


@settings(
    deadline=None,
    max_examples=int(os.environ.get("CONVEYOR_LOSSES", "3")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(chains(), values, st.integers(0, 1 << 32))
def test_any_topology_gives_what_plain_loops_give_whichever_machine_is_lost(
    chain: Chain, values: list[Any], seed: int
) -> None:
    random, engine = Random(seed), InThisProcess(3)
    pl, items = build(chain, Pipeline()), sources(values)
    try:
        check_can_be_kept(pl.topology)
    except TopologyError:
        assume(False)
    at = random.randrange(len(items) + 1)

    def given() -> Iterator[Any]:
        yield from items[:at]
        if engine.networks[-1].machines:
            unplug(engine, random.choice(engine.networks[-1].machines))
        yield from items[at:]

    if random.random() < 0.5:
        assert_as_promised(chain, values, pl.run(given(), engine=engine))
    else:
        with pl.stream(given(), engine=engine) as stream:
            assert_as_promised(chain, values, list(stream))


@pytest.mark.parametrize("way", ["run", "stream", "drain"])
def test_two_of_three_machines_are_lost_and_nothing_shows_but_in_report_and_log(
    way: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine, given = InThisProcess(3), list[int]()
    items, results = losing(100, engine, [3, 1], given), list[Any]()
    if way == "run":
        result = line().run(items, engine=engine)
        results, report = list(result), result.report
    elif way == "stream":
        with line().stream(items, engine=engine) as stream:
            results, report = list(stream), stream.report
    else:
        out = Lines(tmp_path / "out")
        report = line().add(Processor(str)).drain(items, into=out, engine=engine)
        results = [tuple(map(int, text[1:-1].split(","))) for text in out]
    assert results == counted(len(given))
    assert {stage.node for stage in report.stages.values()} == {"host-2"}
    assert [stage.items_in for stage in report.stages.values()][:3] == [len(given)] * 3
    lost = [note for note in report.notes if "the run went on without it, behind item" in note]
    assert [note.split(" is lost")[0] for note in lost] == ["host 'host-3'", "host 'host-1'"]
    said = [each.getMessage() for each in caplog.records if "machine" in each.getMessage()]
    assert [text.split(":")[0] for text in said if "lost" in text] == [
        "run 1 has lost a machine"
    ] * 2
    assert sum("goes on on the machines that are left" in text for text in said) == 2


def test_a_host_whose_process_is_killed_is_done_without() -> None:
    engine = InProcesses()
    pl = Pipeline[int]().add(Processor(after_a_moment)).add(Pipe(16)).add(KeptNumber())
    taken = list[Any]()
    with pl.stream(range(400), engine=engine) as stream:
        for result in stream:
            taken.append(result)
            if len(taken) == 100:
                engine.networks[0].hosts[2].kill()
    assert taken == [(number, number + 1) for number in range(400)]
    assert not any(note.endswith("behind item 0") for note in stream.report.notes)
    assert len(engine.networks) == 2


# ------------------------------------------------------------------------------- items and results


def test_items_that_an_iterator_changes_later_come_again_as_they_were() -> None:
    engine, one = InThisProcess(), [0]

    def source() -> Iterator[list[int]]:
        for number in range(60):
            one[0] = number
            if number == 40:
                unplug(engine, 2)
            yield one

    pl = Pipeline[list[int]]().add(Processor(list)).add(Pipe(4)).add(Processor(sum))
    assert pl.run(source(), engine=engine) == [*range(60)]


def test_a_stream_goes_on_while_its_source_waits_and_what_that_gives_then_is_not_lost() -> None:
    engine, may_go_on = InThisProcess(), threading.Event()

    def source() -> Iterator[int]:
        yield from range(20)
        unplug(engine, 1)
        assert may_go_on.wait(60)
        yield from range(20, 40)

    with line().stream(source(), engine=engine) as stream:
        assert [next(stream) for _ in range(20)] == counted(20)
        may_go_on.set()
        assert list(stream) == counted(40)[20:]


def test_results_of_a_stream_come_while_its_source_waits_for_more() -> None:
    asked, engine = threading.Event(), InThisProcess()

    def source() -> Iterator[int]:
        for number in range(3):
            yield number
            assert asked.wait(60)
            asked.clear()

    with line().stream(source(), engine=engine) as stream:
        for number in range(3):
            assert next(stream) == (number + 1, number + 1)
            asked.set()
        assert list(stream) == []


def test_a_source_that_fails_fails_once_and_behind_the_results_before() -> None:
    engine, given = InThisProcess(), list[int]()

    def source() -> Iterator[int]:
        yield from losing(30, engine, [2], given)
        raise LookupError("no more")

    with line().stream(source(), engine=engine) as opened:
        stream: Iterator[Any] = opened
        assert list(islice(stream, 60)) == counted(60)
        assert list(islice(stream, len(given) - 60)) == counted(len(given))[60:]
        with pytest.raises(LookupError, match="no more"):
            next(stream)


def test_items_that_were_given_up_are_told_once() -> None:
    engine, given = InThisProcess(3), list[int]()
    pl: Any = Pipeline[int]().add(Processor(lambda n: 60 // (n % 10), on_error="dead_letter"))
    pl.add(Pipe(8)).add(Processor(increment))
    result = pl.run(losing(50, engine, [1, 2], given), engine=engine)
    assert [letter.item for letter in result.dead_letters] == given[::10]
    assert result == [60 // (n % 10) + 1 for n in given if n % 10]


def test_stages_that_share_a_worker_share_one_again_and_count_on() -> None:
    engine, given = InThisProcess(cores=2), list[int]()
    pl: Any = Pipeline[int]().add(Processor(increment)).add(Processor(after_a_moment))
    pl.add(Processor(increment, name="last"))
    result = pl.run(losing(1000, engine, [1], given), engine=engine)
    assert result == [number + 2 for number in given]
    stages = result.report.stages.values()
    assert len({stage.pid for stage in stages}) < 3
    assert [stage.items_in for stage in stages] == [len(given)] * 3


def test_progress_is_told_of_one_end() -> None:
    engine, told, given = InThisProcess(), list[Progress](), list[int]()
    items = losing(50, engine, [2], given)
    assert line().run(items, engine=engine, progress=told.append) == counted(len(given))
    assert [each.finished for each in told][-1:] == [True]
    assert sum(each.finished for each in told) == 1


# ------------------------------------------------------------------------- runs of an open pipeline


def test_each_run_of_an_open_pipeline_goes_on_without_a_machine() -> None:
    engine = InThisProcess(4)
    pl: Any = Pipeline[int]().add(Processor(increment)).add(Pipe(8)).add(Processor(after_a_moment))
    with pl:
        for machine in (2, 0, 3):
            given: list[int] = []
            items = losing(50, engine, [machine] if machine else [], given)
            assert pl.run(items, engine=engine) == [number + 1 for number in given]
    assert len(engine.networks) == 3


def test_what_a_later_run_began_with_is_known_from_its_first_barrier_on() -> None:
    engine = InThisProcess(3)
    with line() as pl:
        assert pl.run(range(40), engine=engine) == counted(40)
        items = losing(0, engine, [1])
        with pytest.raises(HostLost, match="'host-1' is lost"):
            pl.run(items, engine=engine)


def test_runs_of_an_open_pipeline_are_as_they_would_be_on_one_machine() -> None:
    engine = InThisProcess()
    with line() as there, line() as here:
        for n in (100, 0, 300):
            result, expected = there.run(range(n), engine=engine), here.run(range(n))
            assert list(result) == list(expected)
            assert [stage.items_in for stage in result.report.stages.values()] == [n] * 3
    assert len(engine.networks) == 1


@pytest.mark.parametrize("is_behind", [False, True], ids=["at the sink", "before a stage"])
def test_what_waits_in_a_zip_for_its_partner_comes_back(is_behind: bool) -> None:
    """Of ten items of one lane up to nine wait for theirs, at almost any barrier; results are given
    once one has come through."""
    engine, given, taken = InThisProcess(2), list[int](), list[Any]()
    lanes: Any = Pipeline[int]().add(ReplicatingFork(2))
    pl = lanes.add(FlatMap(tens), Processor(increment)).add(Zip(2))
    if is_behind:
        pl = pl.add(Processor(same))

    def items() -> Iterator[int]:
        for taken_by_then, networks in ((15, 1), (30, 2)):
            while len(taken) < taken_by_then or len(engine.networks) < networks:
                given.append(len(given))
                yield given[-1]
            if networks == 1:
                unplug(engine, 2)

    with pl.stream(items(), engine=engine) as stream:
        for result in stream:
            taken.append(result)
    numbers = [item for number in given for item in tens(number)]
    assert taken == list(zip(numbers, map(increment, given), strict=False))
    assert len(engine.networks) == 2


# ------------------------------------------------------------------------------- what ends with it


def two_lanes() -> Any:
    lanes: Any = Pipeline[int]().add(ReplicatingFork(2))
    return lanes.add(Processor(increment), Processor(increment)).add(Join(2))


def test_a_run_ends_with_its_machine_where_it_cannot_go_on(tmp_path: Path) -> None:
    alone, pinned = InThisProcess(1), InThisProcess(2, {"increment": 2})
    several = Pipeline[int]().add(Processor(increment, concurrency=3))
    cases: list[tuple[Any, InThisProcess, dict[str, Any]]] = [
        (line(), alone, {}),  # there is no other
        (line(), pinned, {}),  # another has not what the stage needs
        (several, InThisProcess(1), {}),
        (two_lanes(), InThisProcess(2), {"record": tmp_path / "run.cvd"}),
    ]
    for pl, engine, options in cases:
        machine = engine.hosts

        def items(engine: InThisProcess = engine, machine: int = machine) -> Iterator[int]:
            yield from losing(20, engine, [machine])

        with pytest.raises(HostLost, match=r"host 'host-\d' is lost.*unplugged"):
            pl.run(items(), engine=engine, **options)
