"""A topology as a picture: which boxes and arrows there are."""

from __future__ import annotations

from operator import methodcaller

from conveyor import BalancingFork, Join, Pipe, Pipeline, Processor, ReplicatingFork, Zip
from conveyor.graph.topology import Topology
from tests.jobs import double


def drawn(topology: Topology) -> set[tuple[str, str]]:
    """The arrows, by the names of their boxes."""
    figure = topology.figure
    return {(figure.boxes[a].name, figure.boxes[b].name) for a, b, _ in figure.arrows}


def test_forks_and_joins_stand_between_the_stages_that_they_connect() -> None:
    pl = (
        Pipeline[int]()
        .add(Processor(double, name="read"))
        .add(ReplicatingFork(2, name="both"))
        .add(Processor(double, name="left"), Processor(double, name="right"))
        .add(Join(2, name="merge"))
    )

    assert drawn(pl.topology) == {
        ("source", "read"),
        ("read", "both"),
        ("both", "left"),
        ("both", "right"),
        ("left", "merge"),
        ("right", "merge"),
        ("merge", "sink"),
    }


def test_nested_forks_zips_and_ordered_joins_are_boxes_of_their_own() -> None:
    pl = (
        Pipeline[int]()
        .add(ReplicatingFork(2, name="both"))
        .add(BalancingFork(2, name="pool"), Pipe())
        .add(Processor(double, name="a"), Processor(double, name="b"), Pipe())
        .add(Join(2, ordered=True, name="in order"), Pipe())
        .add(Zip(2, name="pair"))
    )

    assert {("pool", "a"), ("pool", "b"), ("b", "in order"), ("in order", "pair")} <= drawn(
        pl.topology
    )


def test_an_arrow_says_how_much_a_written_pipe_holds() -> None:
    pl = Pipeline[int]().add(Processor(double)).add(Pipe(20_000)).add(Processor(double))

    assert [label for _, _, label in pl.topology.figure.arrows if label] == ["20,000"]


def test_a_topology_draws_itself_in_three_languages() -> None:
    topology = Pipeline[int]().add(Processor(double)).topology

    assert topology.picture().startswith("<svg")
    assert methodcaller("_repr_svg_")(topology) == topology.picture()  # as a notebook asks for it
    assert topology.to_mermaid().startswith("flowchart LR\n")
    assert topology.to_dot().startswith("digraph pipeline {\n")
