"""How far a run has come, from its counts."""

from __future__ import annotations

import pytest

from conveyor import BalancingFork, Join, Pipeline, Processor, ReplicatingFork, Zip
from conveyor.graph.fusion import fuse
from conveyor.graph.topology import Kind
from conveyor.progress import Progress, progress_of
from conveyor.report import Report, StageReport
from conveyor.reporting.through import share_through
from tests.jobs import double


def report(seconds: float = 4.0, **numbers: float) -> Report:
    return Report({"f": StageReport("f", "Processor", **numbers)}, seconds)  # type: ignore[arg-type]  # by name


def test_the_rest_takes_as_long_an_item_as_what_is_done() -> None:
    progress = progress_of(report(), {}, total=100, taken=50, through=0.4)

    assert (progress.done, progress.rate, progress.remaining_s) == (20, 5.0, 16.0)


def test_without_a_total_nothing_is_said_of_the_rest() -> None:
    assert progress_of(report(), {}, None, 50, 0.4).remaining_s is None
    assert progress_of(report(0.0), {}, 100, 0, 1.0).remaining_s is None


def test_a_run_that_came_to_its_end_has_done_all_that_was_taken() -> None:
    assert progress_of(report(), {}, 50, 50, 0.9, finished=True, is_whole=True).done == 50
    assert progress_of(report(), {}, 50, 50, 0.9, finished=True).done == 45


def test_times_are_shares_of_the_time_so_far() -> None:
    stage = progress_of(
        report(busy_s=1.0, waiting_s=2.0, blocked_s=9.0), {"f": 7}, None, 0, 1.0
    ).stages["f"]

    assert (stage.busy, stage.waiting, stage.blocked, stage.queued) == (0.25, 0.5, 1.0, 7)


def test_a_line_says_what_matters() -> None:
    line = str(progress_of(report(busy_s=3.0, restarts=2), {"f": 1200}, 10_000, 5000, 0.5))

    assert line == (
        "2,500 of 10,000 done; 625/s; 4 s; 12 s left; slowest: f, busy 75%, 1,200 waiting for it; "
        "2 restarts"
    )
    assert str(Progress(1.0, None, 3, 3.0, None)) == "3 done; 3/s; 1 s"


def chain() -> Pipeline[int, int]:
    return Pipeline[int]().add(Processor(double)).add(Processor(double)).add(Processor(double))


def test_in_a_chain_what_is_through_is_what_has_left_its_last_stage() -> None:
    # 100 went in: 80 are done by the first stage, 50 by the second, 20 by the third.
    share = share_through(chain().topology, {1: (80, 20), 2: (50, 30), 3: (20, 30), 4: (20, 0)})

    assert share == pytest.approx(0.2)


def test_behind_a_fork_the_share_is_the_mean_of_its_lanes() -> None:
    pl = (
        Pipeline[int]().add(BalancingFork(2)).add(Processor(double), Processor(double)).add(Join(2))
    )

    assert share_through(pl.topology, {1: (10, 0), 2: (5, 5)}) == pytest.approx(0.75)


def test_where_nothing_has_come_nothing_is_left() -> None:
    assert share_through(chain().topology, {}) == 1.0


def test_what_waits_at_the_beginning_is_not_through_whatever_comes_behind_it() -> None:
    """A relay stands behind those that read from it: nodes are not in the order of the graph."""
    pl = (
        Pipeline[int]()
        .add(Processor(abs, name="first"))
        .add(ReplicatingFork(2))
        .add(Processor(abs), Processor(abs))
        .add(Join(2))
        .add(ReplicatingFork(2))
        .add(Processor(abs), Processor(abs))
        .add(Zip(2))
    )
    topology = pl.topology
    relay = next(node.index for node in topology.nodes if node.kind is Kind.RELAY)
    assert relay > 4
    assert share_through(topology, {1: (10, 90)}) == pytest.approx(0.1)
    assert share_through(topology, {1: (10, 90), relay: (1, 1)}) == pytest.approx(0.05)


def test_stages_that_share_a_worker_are_one() -> None:
    pl = Pipeline[int]().add(Processor(abs, name="first")).add(Processor(abs)).add(Processor(abs))
    fused = fuse(pl.topology, 1)
    assert [node.within for node in fused.nodes] == [None, None, 1, 1, None]
    assert share_through(fused, {1: (10, 90)}) == pytest.approx(0.1)
