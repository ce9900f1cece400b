"""What a prompt or a notebook echoes is short, and says what is there."""

from __future__ import annotations

from conveyor import BalancingFork, Join, Pipe, Pipeline, Processor, ReplicatingFork
from tests.helpers import pipeline


def double(number: int) -> int:
    return 2 * number


def forked() -> Pipeline[int, int]:
    return Pipeline[int]().add(ReplicatingFork(2)).add(Processor(double), Pipe(3)).add(Join(2))


def test_a_pipeline_shows_its_rows() -> None:
    assert repr(Pipeline[int]()) == "Pipeline()"
    assert repr(forked()) == "Pipeline(ReplicatingFork(2) | Processor(double), Pipe(3) | Join(2))"
    assert (
        repr(Pipeline[int]().add(BalancingFork(2))) == "Pipeline(BalancingFork(2) | 2 lanes open)"
    )


def test_of_a_long_pipeline_the_ends_are_shown() -> None:
    pl = pipeline()
    for number in range(100):
        pl.add(Processor(double, name=f"{number}"))
    assert repr(pl).count("|") == 12
    assert "| ... |" in repr(pl)


def test_a_topology_and_a_report_are_shown_in_one_line() -> None:
    pl = forked()
    assert repr(pl.topology) == "Topology(3 nodes: source, double, sink; 3 channels)"
    assert "c0" in str(pl.topology)
    report = pl.simulate([1, 2]).report
    assert repr(report).startswith("Report(0.000 s; ")
    assert "double 2 in, 2 out" in repr(report)
    assert "items_in" in str(report)
