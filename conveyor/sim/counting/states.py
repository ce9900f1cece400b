"""The states of a pipeline, and which states can follow one.

A state is where every node has gone as far as it can without a decision: without a read of a join,
or the choice of a lane.  This file knows pipes as lists and items as numbers.  It must never know
the drive loop, or how ways through the states are counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final, NamedTuple, Protocol, TypeAlias

from conveyor.graph.route import Leaf, Route, Select, balances, leaves, resolved
from conveyor.graph.topology import Input, NodeSpec, OrderedInput
from conveyor.sim.counting.inputs import MARK, Entry, Inputs, Turn, not_last
from conveyor.sim.counting.outcomes import NOWHERE, ItemOutcomes, NoAnswer, Results
from conveyor.sim.prepare.prepared import PreparedPipeline

__all__ = ["PipelineState", "Successors"]

# Outputs that go out together: of each, its numbers by channel, and its stamps.
Emission: TypeAlias = tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]


class Hand(NamedTuple):
    """An item that a node has in hand.

    source: the input it came from; out: how many of its emissions are out; chosen: the lanes that
    were chosen for the next one, so far.
    """

    source: int = 0
    out: int = 0
    chosen: tuple[int, ...] = ()


FINISHED: Final = Hand(-1)


class PipelineState(NamedTuple):
    """Everything that what follows depends on.

    pipes: the entries of each, the last of which leads to the source; hands: what each node has in
    hand; stamped: how many outputs of each node were stamped; turns: of each ordered join, by its
    place.
    """

    pipes: tuple[tuple[Entry, ...], ...]
    hands: tuple[Hand | None, ...]
    stamped: tuple[int, ...]
    turns: tuple[Turn, ...]


class Shared(Protocol):
    """What all states of one pipeline have in common."""

    pipeline: PreparedPipeline
    outcomes: ItemOutcomes
    nodes: Sequence[NodeSpec]
    ordered: Sequence[OrderedInput]

    def pay(self) -> None:
        """Called before each look at all nodes; raises `NoAnswer` once there were too many."""
        ...


class Successors:
    """A state that is being changed into one that follows it."""

    def __init__(self, programme: Shared, state: PipelineState) -> None:
        self.programme = programme
        self.nodes = programme.nodes
        self.outcomes = programme.outcomes
        self.channels = programme.pipeline.topology.channels
        self.hands = list(state.hands)
        self.stamped = list(state.stamped)
        self.inputs = Inputs(state.pipes, state.turns, programme.ordered, self.is_closed)

    def frozen(self) -> PipelineState:
        pipes, turns = self.inputs.pipes, self.inputs.turns
        return PipelineState(
            tuple(map(tuple, pipes)), tuple(self.hands), tuple(self.stamped), tuple(turns)
        )

    def next(self) -> Iterator[tuple[int, PipelineState]]:
        """Every set of independent decisions that can be taken now: how many they are, and what
        follows.

        A choice of a lane is taken alone, before any read: it is independent of everything that
        other nodes do.
        """
        here = self.frozen()
        for node in self.nodes:
            lanes = self.to_choose(node)
            if lanes:
                yield from (
                    (1, Successors(self.programme, here).chosen(node, lane))
                    for lane in range(lanes)
                )
                return
        joins = [
            (node, self.options(node))
            for node in self.nodes
            if len(node.inputs) > 1 and self.hands[node.index] is None
        ]
        ready = [(node, options) for node, options in joins if options]
        for reads in product(*[[None, *options] for _, options in ready]):
            taken = [
                (node, lane)
                for (node, _), lane in zip(ready, reads, strict=True)
                if lane is not None
            ]
            if taken:
                yield len(taken), Successors(self.programme, here).read(taken)

    def chosen(self, node: NodeSpec, lane: int) -> PipelineState:
        hand = self.hands[node.index]
        assert hand is not None
        self.hands[node.index] = hand._replace(chosen=(*hand.chosen, lane))
        return self.settled()

    def read(self, reads: Sequence[tuple[NodeSpec, int]]) -> PipelineState:
        for node, lane in reads:
            self.hands[node.index] = Hand(lane)
        return self.settled()

    def settled(self) -> PipelineState:
        """The state once every node has gone as far as it can without a decision.

        The order in which the nodes move does not matter: between two decisions the pipeline is a
        Kahn network.  Raises `NoAnswer` where that does not hold.
        """
        moved = [True]
        while any(moved):
            self.programme.pay()
            moved = [self.moves(node) for node in self.nodes]
        for node in self.nodes:
            hand = self.hands[node.index]
            if hand is None or hand is FINISHED:
                continue
            if self.inputs.has_marks(self.inputs_of(node)[hand.source]):
                # The marks may as well have been taken away before the item came: that depends on
                # when the join looks, and that is no decision.
                raise NoAnswer
        return self.frozen()

    def moves(self, node: NodeSpec) -> bool:
        """Lets a node take one step without a decision, if it can; did it?"""
        hand = self.hands[node.index]
        if hand is FINISHED:
            return False
        if hand is None:
            if len(node.inputs) > 1:
                if self.options(node) or not all(map(self.inputs.has_ended, node.inputs)):
                    return False
                self.hands[node.index] = FINISHED
            elif self.inputs.look(self.inputs_of(node)[0]) is not None:
                self.hands[node.index] = Hand()
            elif self.inputs.has_ended(self.inputs_of(node)[0]):
                self.hands[node.index] = FINISHED
            else:
                return False
            return True
        return self.sends(node, hand)

    def sends(self, node: NodeSpec, hand: Hand) -> bool:
        """Sends the next emission of the item in hand, if there is room in every lane that it
        takes; was there?"""
        source = self.inputs_of(node)[hand.source]
        emissions = self.emissions(node, self.inputs.look(source))
        if hand.out < len(emissions):
            emission = emissions[hand.out]
            targets = lanes_taken(node.route, hand.chosen)
            if not isinstance(targets, int):
                targets = self.targets_of(node, emission, targets)
            if isinstance(targets, int) or any(
                len(self.inputs.pipes[c]) + len(emission) > self.channels[c].capacity
                for c in targets
            ):
                return False
            self.publish(node, emission, targets)
            hand = Hand(hand.source, hand.out + 1)
            self.hands[node.index] = hand
        if hand.out >= len(emissions):
            self.inputs.take(source)
            self.hands[node.index] = None
        return True

    def targets_of(self, node: NodeSpec, emission: Emission, targets: Sequence[int]) -> list[int]:
        """Those of some channels behind a node that take an emission, which is of one item where
        its fork looks at that."""
        below = self.outcomes.leaves[node.index]
        (numbers, _), *_ = emission
        return [channel for channel in targets if numbers[below.index(channel)] != NOWHERE]

    def publish(self, node: NodeSpec, emission: Emission, targets: Sequence[int]) -> None:
        below = self.outcomes.leaves[node.index]
        for numbers, stamps in emission:
            if node.stamps:
                stamps = (*stamps, self.stamped[node.index], True)
                self.stamped[node.index] += 1
            for channel in targets:
                self.inputs.pipes[channel].append((numbers[below.index(channel)], *stamps))

    def to_choose(self, node: NodeSpec) -> int:
        """Among how many lanes the next emission of the item in hand chooses; 0 if it has none to
        choose."""
        hand = self.hands[node.index]
        if hand is None or hand is FINISHED:
            return 0
        targets = lanes_taken(node.route, hand.chosen)
        return targets if isinstance(targets, int) else 0

    def emissions(self, node: NodeSpec, entry: Entry | None) -> list[Emission]:
        """What comes of an item, in emissions that fit into the smallest pipe behind the node;
        single outputs where a lane is chosen."""
        assert entry is not None
        item, *stamps = entry
        below = self.outcomes.leaves[node.index]
        results: Results = () if item == MARK else self.outcomes.results_of(node.index, item)
        if not results:
            marks = (MARK,) * len(below)
            if isinstance(node.route, Select):  # a mark goes to the first lane
                first = leaves(node.route.lanes[0])
                marks = tuple(MARK if channel in first else NOWHERE for channel in below)
            return [((marks, tuple(stamps)),)] if node.depth else []
        unfinished = not_last(stamps)
        outputs = [
            *[(numbers, unfinished) for numbers in results[:-1]],
            (results[-1], tuple(stamps)),
        ]
        most = min((self.channels[channel].capacity for channel in below), default=len(outputs))
        if balances(node.route) or isinstance(node.route, Select):
            most = 1
        return [tuple(outputs[at : at + most]) for at in range(0, len(outputs), most)]

    def inputs_of(self, node: NodeSpec) -> Sequence[Input]:
        return node.inputs if node.inputs else (Leaf(len(self.channels)),)

    def options(self, node: NodeSpec) -> list[int]:
        """The lanes of a join that have something."""
        return [lane for lane, each in enumerate(node.inputs) if self.inputs.look(each) is not None]

    def is_closed(self, channel: int) -> bool:
        """Has the producer of a channel finished?  The source is full from the beginning."""
        if channel == len(self.channels):
            return True
        return self.hands[self.channels[channel].producer] is FINISHED


def lanes_taken(route: Route | None, chosen: Sequence[int]) -> list[int] | int:
    """The channels that a record goes to, once every lane is chosen; else among how many lanes to
    choose next."""
    targets, _, missing = resolved(route, chosen) if route is not None else ([], (), 0)
    return missing or targets
