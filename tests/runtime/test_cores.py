"""What a worker has of the machine: its cores, how many threads numeric libraries start in it, and
that it is kept on a core only while that helps."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from conveyor import BalancingFork, Filter, FlatMap, Join, Pipeline, Processor
from conveyor.errors import TopologyError
from conveyor.reporting.hints import one_thread_notes
from conveyor.runtime import Placement
from conveyor.runtime import placement as placements
from conveyor.runtime.process.numeric_threads import VARIABLES, numeric_libraries
from tests.hosts import InThisProcess

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []

has_two_cores = pytest.mark.skipif(len(CORES) < 2, reason="needs two cores that can be chosen")


def own(_item: object) -> tuple[list[int], str]:
    return sorted(os.sched_getaffinity(0)), os.environ["OMP_NUM_THREADS"]


@pytest.fixture(autouse=True)
def nothing_is_said_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@has_two_cores
@pytest.mark.parametrize("start_method", ["forkserver", "spawn", "fork"])
def test_a_stage_has_as_many_cores_and_threads_as_it_can_use(start_method: str) -> None:
    pl = Pipeline[int](start_method=start_method)  # type: ignore[arg-type]  # one of the methods
    result = pl.add(Processor(own, cores=2)).run([1])

    [(cores, threads)] = result
    assert (len(cores), threads) == (2, "2")
    report = result.report.stages["own"]
    assert (report.cores, report.core) == (2, None)
    assert str(result.report).splitlines()[0].split()[-1] == "cores"


@has_two_cores
def test_a_stage_that_says_nothing_has_one_thread_on_one_core() -> None:
    result = Pipeline[int]().add(Processor(own)).run([1])

    [(cores, threads)] = result
    assert (len(cores), threads) == (1, "1")
    assert result.report.stages["own"].core == cores[0]


@has_two_cores
def test_cores_that_are_named_are_those_and_there_are_as_many_threads() -> None:
    placement = Placement.pinned({"own": CORES[:2]})
    assert Pipeline[int]().add(Processor(own)).run([1], placement=placement) == [(CORES[:2], "2")]


def test_what_is_no_placement_is_refused() -> None:
    cores: Any = {"own": [0]}
    with pytest.raises(TypeError, match=r"it must be a Placement, such as Placement.unpinned\(\)"):
        Pipeline[int]().add(Processor(abs)).run([1], placement=cores)


def test_what_the_program_says_of_threads_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert Pipeline[int]().add(Processor(own, cores=2)).run([1])[0][1] == "7"


def test_more_cores_than_there_are_is_as_many_as_there_are_and_the_report_says_so() -> None:
    result = Pipeline[int]().add(Processor(own, cores=1000)).run([1])

    assert result[0] == (CORES, str(len(CORES)))
    assert [note for note in result.report.notes if "'own' can use 1000 cores" in note]


def test_cores_are_shared_out_side_by_side_while_they_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(placements, "usable_cores", lambda: list(range(8)))

    chosen, notes = Placement().place(["read", "fit", "write"], [1, 4, 1])
    assert sorted(map(len, chosen)) == [1, 1, 4]
    assert len({core for cores in chosen for core in cores}) == 6
    assert notes == ()
    assert Placement().place(["read", "fit", "write"], [1, 6, 2]) == ([(), (), ()], ())
    assert Placement().place(["fit"], [9])[1]


def test_a_fork_that_adapts_has_fewer_lanes_where_each_can_use_several_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from conveyor.runtime.parent import this_machine

    monkeypatch.setattr(this_machine, "usable_physical_cores", lambda: 8)
    for cores, lanes in ((1, 8), (4, 2), (16, 1)):
        pl = Pipeline[int]().add(BalancingFork()).add(Processor(abs, cores=cores)).add(Join())
        assert len([info for info in pl.topology.stages if info.kind == "Processor"]) == lanes


def test_a_stage_that_can_use_several_cores_shares_its_worker_with_no_other() -> None:
    numbers = Pipeline[int]().add(Processor(abs, name="a")).add(Processor(abs, name="b"))
    result = numbers.add(Processor(abs, cores=2, name="c")).add(Processor(abs, name="d")).run([1])
    stages = result.report.stages
    assert [name for name, stage in stages.items() if stage.pid == stages["c"].pid] == ["c"]


def test_the_topology_and_its_picture_say_how_many_cores() -> None:
    topology = Pipeline[int]().add(FlatMap(range, cores=3)).add(Filter(bool)).topology
    assert "range [job, 3 cores]" in str(topology)
    assert "bool [job]" in str(topology)
    assert "3 cores" in topology.picture()


@pytest.mark.parametrize("cores", [0, -1, 1.5, True, "2"])
def test_a_number_of_cores_that_cannot_be_is_refused(cores: object) -> None:
    with pytest.raises(TopologyError, match=r"cores is .*whole number, 1 or more"):
        Processor(abs, cores=cores)  # type: ignore[call-overload]  # what is tried


def test_a_class_says_it_in_its_init() -> None:
    class Fit(Processor[int, int]):
        def __init__(self) -> None:
            super().__init__(cores=2)

        def process(self, item: int) -> int:
            return item

    assert "2 cores" in str(Pipeline[int]().add(Fit()).topology)


# --------------------------------------------------------------------------- kept while it helps


@pytest.fixture
def busy_core() -> Iterator[int]:
    """A core on which another program never rests."""
    work = f"import os; os.sched_setaffinity(0, {{{CORES[0]}}})\nwhile True: pass"
    process = subprocess.Popen([sys.executable, "-c", work])
    yield CORES[0]
    process.kill()
    process.wait()


def until_let_go(seconds: float) -> int:
    """Works until it may run on several cores, so long at most; on how many it may then."""
    until = time.monotonic() + seconds
    while len(os.sched_getaffinity(0)) == 1 and time.monotonic() < until:
        pass
    return len(os.sched_getaffinity(0))


@has_two_cores
@pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="tells of no waits")
@pytest.mark.parametrize("where", [{}, {"engine": InThisProcess(1)}], ids=["here", "on a host"])
def test_a_worker_that_has_to_wait_for_its_core_is_let_go_while_others_are_free(
    where: dict[str, Any], busy_core: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = CORES.index(busy_core)
    monkeypatch.setattr(placements, "_turn", iter([first]))

    result = Pipeline[float]().add(Processor(until_let_go)).run([60.0], **where)

    assert result == [len(CORES)]
    assert result.report.stages["until_let_go"].cores == 0
    assert [note for note in result.report.notes if "was let go from core" in note]


@has_two_cores
def test_a_core_that_the_user_has_named_stays(busy_core: int) -> None:
    placement = Placement.pinned({"until_let_go": [busy_core]})
    result = Pipeline[float]().add(Processor(until_let_go)).run([2.5], placement=placement)
    assert result == [1]


# ------------------------------------------------------------------------- what is said of threads


def test_a_library_with_threads_of_its_own_is_seen_in_a_process() -> None:
    pytest.importorskip("numpy")
    code = "import numpy, sys; print(flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        process.stdout.readline()
        found = numeric_libraries(process.pid)
        process.stdin.close()
    assert {"openblas", "mkl_rt", "blis"} & set(found)
    assert numeric_libraries(process.pid) == ()  # it is gone


def test_it_is_said_only_while_cores_are_free() -> None:
    assert one_thread_notes({"fit": ["openblas", "arrow"]}, 0) == ()
    [note] = one_thread_notes({"fit": ["openblas", "arrow"]}, 1)
    assert note.startswith("fit uses openblas and arrow, which have one thread in a worker")
    assert "1 core is free" in note
