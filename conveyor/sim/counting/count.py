"""How many classes of schedules there are, worked out without running any.

This folder knows pipes as lists and items as numbers.  It must never know the drive loop, nodes or
the search: it is there to check them.

Where a closed form exists it is taken (`closed_form`).  Else a dynamic programme goes over what is
in the pipes, forward from the beginning, and counts equal states once (`states`).

Reads of different joins are independent, so a class is a trace in Mazurkiewicz' sense: the reads of
each join in their order.  Traces are counted by inclusion and exclusion over the sets of joins that
read first (Cartier and Foata, "Problèmes combinatoires de commutation et réarrangements", 1969).
No turn is ever chosen, so an error of the search is not repeated here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from conveyor.errors import ConveyorError
from conveyor.graph.topology import NodeSpec, OrderedInput, zips_of
from conveyor.sim.counting.closed_form import closed_form
from conveyor.sim.counting.inputs import Entry, ordered_in
from conveyor.sim.counting.outcomes import ItemOutcomes, NoAnswer
from conveyor.sim.counting.states import PipelineState, Successors
from conveyor.sim.prepare.prepared import PreparedPipeline

__all__ = ["count_classes"]

MOST_LOOKS: Final = 10_000  # at nodes, to see whether they can go on: about a tenth of a second
MOST_ITEMS: Final = 200  # of a dynamic programme


def count_classes(pipeline: PreparedPipeline, items: Sequence[object]) -> int | None:
    """The number of classes of schedules for these items.

    None where it cannot be worked out: stages that keep a state, jobs that end the run, joins of
    zips, too many states.
    """
    if pipeline.telling_forks or any(
        len(node.inputs) > 1 and zips_of(node.inputs) for node in pipeline.topology.nodes
    ):
        return None
    try:
        outcomes = ItemOutcomes(pipeline)
        found = closed_form(pipeline, outcomes, items)
        if found is None:
            if any(node.spec.chooses_done for node in pipeline.nodes):
                return None
            found = Programme(pipeline, outcomes).count(items)
        outcomes.check_stateless()
    except (NoAnswer, ConveyorError):
        return None
    return found


class Programme:
    """A dynamic programme that counts the ways from the beginning to every end."""

    def __init__(self, pipeline: PreparedPipeline, outcomes: ItemOutcomes) -> None:
        self.pipeline = pipeline
        self.outcomes = outcomes
        self.nodes: Sequence[NodeSpec] = pipeline.topology.nodes
        self.ordered: Sequence[OrderedInput] = [
            each for node in self.nodes for each in ordered_in(node.inputs)
        ]
        self.looks = 0

    def pay(self) -> None:
        """Called before each look at all nodes; raises `NoAnswer` once there were too many."""
        self.looks += len(self.nodes)
        if self.looks > MOST_LOOKS:
            raise NoAnswer

    def count(self, items: Sequence[object]) -> int:
        if len(items) > MOST_ITEMS:
            raise NoAnswer
        channels = len(self.pipeline.topology.channels)
        source: list[Entry] = [(self.number_of(item),) for item in items]
        beginning = PipelineState(
            (*[()] * channels, tuple(source)),
            (None,) * len(self.nodes),
            (0,) * len(self.nodes),
            ((0, 0),) * len(self.ordered),
        )
        # The ways to each state, by the number of decisions taken: a state that can be reached in
        # two ways with the same number of decisions is looked at once.
        levels: dict[int, dict[PipelineState, int]] = defaultdict(lambda: defaultdict(int))
        levels[0][Successors(self, beginning).settled()] = 1
        ends = level = 0
        while levels:
            for state, ways in levels.pop(level, {}).items():
                following = list(Successors(self, state).next()) if ways else []
                ends += ways if not following else 0
                for taken, after in following:
                    # Reads a and b of two joins give one trace, but can be taken as a b, as b a, or
                    # both at once.  Sets of even size count as negative, so 1 + 1 - 1 = 1 remains.
                    levels[level + taken][after] += ways if taken % 2 else -ways
            level += 1
        return ends

    def number_of(self, item: object) -> int:
        """The number that stands for an item which the source is about to take in."""
        results = self.outcomes.come_of(0, item)
        return self.outcomes.numbered(results, results, None)
