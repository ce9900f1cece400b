"""How many classes of schedules there are, worked out without running any.

Knows: pipes as lists, items as numbers.  Must never know: the drive loop, nodes, the search: it is
there to check them.

Where no pipe can ever be full and nothing is balanced, each join may read its lanes in any order,
whatever the others do: the number is a product of multinomials.  Else it is a dynamic programme
over what is in the pipes, forward from the beginning: a state is where everything has gone as far
as it can without reading from a join, and equal states are counted once.

Reads of different joins do not touch one another, so a class is a trace in Mazurkiewicz' sense: the
reads of each join in their order.  Traces are counted by inclusion and exclusion over the sets of
joins that read first (Cartier and Foata, "Problèmes combinatoires de commutation et
réarrangements", 1969): no turn is ever chosen, so nothing here is like the search.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import product
from math import factorial, prod
from typing import Final, NamedTuple, TypeAlias, assert_never

from conveyor.errors import ConveyorError
from conveyor.graph.route import Leaf, Route, balances, resolved
from conveyor.graph.topology import Input, NodeSpec, OrderedInput, ZipInput, all_inputs
from conveyor.sim.counting.outcomes import ItemOutcomes, NoAnswer, Parts, Results
from conveyor.sim.prepare.prepared import PreparedPipeline

__all__ = ["count_classes"]

MOST_LOOKS: Final = 10_000  # at nodes, to see whether they can go on: about a tenth of a second
MOST_ITEMS: Final = 200  # of a dynamic programme

# An item, and its stamps as in `ordered`: pairs of origin and last.
Entry: TypeAlias = tuple[Parts, *tuple[int, ...]]
Piece: TypeAlias = tuple[
    tuple[tuple[int, ...], tuple[int, ...]], ...
]  # of each output: its numbers by channel, its stamps

MARK: Final = -1  # in the place of an item that gave nothing
NO_STAMPS: Final[tuple[int, ...]] = ()


def count_classes(pipeline: PreparedPipeline, items: Sequence[object]) -> int | None:
    """How many; None where that cannot be worked out: stages that keep a state, jobs that end the
    run, too many states."""
    if pipeline.telling_forks or any(
        len(node.inputs) > 1 and has_zip(node.inputs) for node in pipeline.topology.nodes
    ):
        return None
    try:
        outcomes = ItemOutcomes(pipeline)
        found = Roomy(pipeline, outcomes).count(items)
        if found is None:
            found = Programme(pipeline, outcomes).count(items)
        outcomes.check_stateless()
    except (NoAnswer, ConveyorError):
        return None
    return found


# -------------------------------------------------------------------------------------------------------
# the closed form


class Roomy:
    """The product of multinomials, where every pipe has room for all that ever goes through it."""

    def __init__(self, pipeline: PreparedPipeline, outcomes: ItemOutcomes) -> None:
        self.pipeline = pipeline
        self.outcomes = outcomes

    def count(self, items: Sequence[object]) -> int | None:
        if not all(is_plain(node.spec) for node in self.pipeline.nodes):
            return None
        passed: Counter[int] = Counter()  # items, by channel
        todo: list[tuple[int, Results]] = [(0, self.outcomes.come_of(0, item)) for item in items]
        while todo:
            node, results = todo.pop()
            for numbers in results:
                for channel, number in zip(self.outcomes.leaves[node], numbers, strict=True):
                    passed[channel] += 1
                    todo.append((self.outcomes.consumer[channel], self.outcomes.results[number]))
        if any(
            passed[channel.index] > channel.capacity for channel in self.pipeline.topology.channels
        ):
            return None
        return prod(
            multinomial([passed[c] for c in lanes_of(node.spec)]) for node in self.pipeline.nodes
        )


def is_plain(node: NodeSpec) -> bool:
    return all(isinstance(each, Leaf) for each in node.inputs) and not balances(node.route)


def lanes_of(node: NodeSpec) -> list[int]:
    return [each.channel for each in node.inputs if isinstance(each, Leaf)]


def multinomial(parts: Sequence[int]) -> int:
    """In how many orders so many items of each lane can be read.

    >>> multinomial([3, 3]), multinomial([2, 2, 2]), multinomial([5])
    (20, 90, 1)
    """
    return factorial(sum(parts)) // prod(map(factorial, parts))


# ------------------------------------------------------------------------------------------------
# the dynamic programme


class Hand(NamedTuple):
    """An item that a node has in hand: of which input, how many pieces of it are out, which lanes
    the next one is to take."""

    source: int = 0
    out: int = 0
    chosen: tuple[int, ...] = ()


FINISHED: Final = Hand(-1)


class State(NamedTuple):
    """What is in each pipe, the last of which leads to the source; what each node has in hand; how
    many outputs of each node were stamped; what comes next at each ordered join, by its place."""

    pipes: tuple[tuple[Entry, ...], ...]
    hands: tuple[Hand | None, ...]
    stamped: tuple[int, ...]
    turns: tuple[tuple[int, int], ...]


class Programme:
    """Counts ways from state to state."""

    def __init__(self, pipeline: PreparedPipeline, outcomes: ItemOutcomes) -> None:
        self.pipeline = pipeline
        self.outcomes = outcomes
        self.nodes = pipeline.topology.nodes
        self.ordered = [each for node in self.nodes for each in ordered_in(node.inputs)]
        self.looks = 0

    def pay(self) -> None:
        """Raises `NoAnswer` once it has been enough."""
        self.looks += len(self.nodes)
        if self.looks > MOST_LOOKS:
            raise NoAnswer

    def count(self, items: Sequence[object]) -> int:
        if len(items) > MOST_ITEMS:
            raise NoAnswer
        channels = len(self.pipeline.topology.channels)
        source: list[Entry] = [(self.number_of(item),) for item in items]
        beginning = State(
            (*[()] * channels, tuple(source)),
            (None,) * len(self.nodes),
            (0,) * len(self.nodes),
            ((0, 0),) * len(self.ordered),
        )
        levels: dict[int, dict[State, int]] = defaultdict(
            lambda: defaultdict(int)
        )  # ways to each state, by decisions taken
        levels[0][Step(self, beginning).settled()] = 1
        ends = level = 0
        while levels:
            for state, ways in levels.pop(level, {}).items():
                following = list(Step(self, state).next()) if ways else []
                ends += ways if not following else 0
                for taken, after in following:
                    levels[level + taken][after] += ways if taken % 2 else -ways
            level += 1
        return ends

    def number_of(self, item: object) -> int:
        """The number of an item that the source is about to take in."""
        results = self.outcomes.come_of(0, item)
        return self.outcomes.numbered(results, results, None)


class Step:
    """A state on its way to the next."""

    def __init__(self, programme: Programme, state: State) -> None:
        self.programme = programme
        self.nodes = programme.nodes
        self.outcomes = programme.outcomes
        self.channels = programme.pipeline.topology.channels
        self.pipes = list(map(list, state.pipes))
        self.hands = list(state.hands)
        self.stamped = list(state.stamped)
        self.turns = list(state.turns)

    def frozen(self) -> State:
        return State(
            tuple(map(tuple, self.pipes)), tuple(self.hands), tuple(self.stamped), tuple(self.turns)
        )

    def next(self) -> Iterator[tuple[int, State]]:
        """Every set of decisions that can be taken at once: how many they are, and the state behind
        them."""
        here = self.frozen()
        for node in self.nodes:
            lanes = self.to_choose(node)
            if lanes:
                yield from (
                    (1, Step(self.programme, here).chosen(node, lane)) for lane in range(lanes)
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
                yield len(taken), Step(self.programme, here).read(taken)

    def chosen(self, node: NodeSpec, lane: int) -> State:
        hand = self.hands[node.index]
        assert hand is not None
        self.hands[node.index] = hand._replace(chosen=(*hand.chosen, lane))
        return self.settled()

    def read(self, reads: Sequence[tuple[NodeSpec, int]]) -> State:
        for node, lane in reads:
            self.hands[node.index] = Hand(lane)
        return self.settled()

    def settled(self) -> State:
        """Everybody goes on as far as they can, but for a read of a join and the choice of a
        balance."""
        moved = [True]
        while any(moved):
            self.programme.pay()
            moved = [self.moves(node) for node in self.nodes]
        for node in self.nodes:
            hand = self.hands[node.index]
            if hand is not None and hand is not FINISHED and self.marks_in_hand(node, hand):
                raise NoAnswer  # they may as well have been taken before the item came: that depends on who looks when
        return self.frozen()

    def moves(self, node: NodeSpec) -> bool:
        """Can a node do anything?  Then it does."""
        hand = self.hands[node.index]
        if hand is FINISHED:
            return False
        if hand is None:
            if len(node.inputs) > 1:
                if self.options(node) or not all(map(self.has_ended, node.inputs)):
                    return False
                self.hands[node.index] = FINISHED
            elif self.look(self.inputs(node)[0]) is not None:
                self.hands[node.index] = Hand()
            elif self.has_ended(self.inputs(node)[0]):
                self.hands[node.index] = FINISHED
            else:
                return False
            return True
        return self.sends(node, hand)

    def sends(self, node: NodeSpec, hand: Hand) -> bool:
        """The next piece of the item in hand goes out, if there is room in every lane that it
        takes."""
        source = self.inputs(node)[hand.source]
        pieces = self.pieces(node, self.look(source))
        if hand.out < len(pieces):
            piece = pieces[hand.out]
            targets = lanes_taken(node.route, hand.chosen)
            if isinstance(targets, int) or any(
                len(self.pipes[c]) + len(piece) > self.channels[c].capacity for c in targets
            ):
                return False
            self.publish(node, piece, targets)
            hand = Hand(hand.source, hand.out + 1)
            self.hands[node.index] = hand
        if hand.out >= len(pieces):
            self.take(source)
            self.hands[node.index] = None
        return True

    def publish(self, node: NodeSpec, piece: Piece, targets: Sequence[int]) -> None:
        below = self.outcomes.leaves[node.index]
        for numbers, stamps in piece:
            if node.stamps:
                stamps = (*stamps, self.stamped[node.index], True)
                self.stamped[node.index] += 1
            for channel in targets:
                self.pipes[channel].append((numbers[below.index(channel)], *stamps))

    def to_choose(self, node: NodeSpec) -> int:
        """How many lanes there are to choose from for the next piece of the item in hand; 0 if
        there is no choice."""
        hand = self.hands[node.index]
        if hand is None or hand is FINISHED:
            return 0
        targets = lanes_taken(node.route, hand.chosen)
        return targets if isinstance(targets, int) else 0

    def pieces(self, node: NodeSpec, entry: Entry | None) -> list[Piece]:
        """What comes of an item, in pieces that fit into the smallest pipe behind; one by one where
        a lane is chosen."""
        assert entry is not None
        item, *stamps = entry
        below = self.outcomes.leaves[node.index]
        results: Results = () if item == MARK else self.outcomes.results_of(node.index, item)
        if not results:
            return [(((MARK,) * len(below), tuple(stamps)),)] if node.depth else []
        unfinished = not_last(stamps)
        outputs = [
            *[(numbers, unfinished) for numbers in results[:-1]],
            (results[-1], tuple(stamps)),
        ]
        most = min((self.channels[channel].capacity for channel in below), default=len(outputs))
        if balances(node.route):
            most = 1
        return [tuple(outputs[at : at + most]) for at in range(0, len(outputs), most)]

    # ------------------------------------------------------------------------------------------------------------
    # inputs

    def inputs(self, node: NodeSpec) -> Sequence[Input]:
        return node.inputs if node.inputs else (Leaf(len(self.channels)),)

    def options(self, node: NodeSpec) -> list[int]:
        return [lane for lane, source in enumerate(node.inputs) if self.look(source) is not None]

    def look(self, source: Input) -> Entry | None:
        """The next item of an input; what is in its way and says nothing is taken away."""
        match source:
            case Leaf():
                pipe = self.pipes[source.channel]
                return pipe[0] if pipe else None
            case ZipInput():
                return self.look_at_zip(source)
            case OrderedInput():
                while True:
                    shown, lanes, turn = self.look_at_ordered(source)
                    if shown is not None or not lanes:
                        return shown
                    self.take_ordered(source, lanes, turn)
            case _:
                assert_never(source)

    def look_at_zip(self, source: ZipInput) -> Entry | None:
        entries = [self.look(each) for each in source.inputs]
        found = [entry[0] for entry in entries if entry is not None]
        if len(found) == len(entries):
            return (tuple(found),)
        if any(map(self.has_ended, source.inputs)):
            for each in source.inputs:
                while self.look(each) is not None:
                    self.take(each)
        return None

    def look_at_ordered(
        self, source: OrderedInput
    ) -> tuple[Entry | None, list[int], tuple[int, int]]:
        """The next item, the lanes of what there is up to it, and whose turn it is then."""
        heads = [self.look(each) for each in source.inputs]
        origin, lane = self.turns[self.programme.ordered.index(source)]
        lanes: list[int] = []
        while True:
            mine = [
                at
                for at in (range(len(heads)) if source.balanced else (lane,))
                if comes_of(heads[at], origin)
            ]
            if not mine:
                return None, lanes, (origin, lane)
            at = mine[0]
            entry = heads[at]
            assert entry is not None
            heads[at] = None
            lanes.append(at)
            item, *stamps = entry
            if stamps.pop():
                lane = 0 if source.balanced else (at + 1) % len(heads)
                origin += lane == 0
            kept = tuple(stamps[:-1])
            if not source.balanced and at < len(heads) - 1:
                kept = not_last(kept)
            if item != MARK or any(kept[1::2]):
                return (item, *kept), lanes, (origin, lane)

    def has_ended(self, source: Input) -> bool:
        """Will nothing more come?"""
        if isinstance(source, Leaf):
            if source.channel == len(self.channels):
                return not self.pipes[-1]
            return (
                not self.pipes[source.channel]
                and self.hands[self.channels[source.channel].producer] is FINISHED
            )
        return self.look(source) is None and all(map(self.has_ended, source.inputs))

    def take(self, source: Input) -> None:
        """The next item of an input is done."""
        match source:
            case Leaf():
                del self.pipes[source.channel][0]
            case ZipInput():
                for each in source.inputs:
                    self.take(each)
            case OrderedInput():
                _, lanes, turn = self.look_at_ordered(source)
                self.take_ordered(source, lanes, turn)
            case _:
                assert_never(source)

    def take_ordered(
        self, source: OrderedInput, lanes: Sequence[int], turn: tuple[int, int]
    ) -> None:
        for lane in lanes:
            self.take(source.inputs[lane])
        self.turns[self.programme.ordered.index(source)] = turn

    def marks_in_hand(self, node: NodeSpec, hand: Hand) -> bool:
        return any(
            len(self.look_at_ordered(each)[1]) > 1
            for each in ordered_in([self.inputs(node)[hand.source]])
        )


def comes_of(entry: Entry | None, origin: int) -> bool:
    return entry is not None and len(entry) > 2 and entry[-2] == origin


def not_last(stamps: Sequence[int]) -> tuple[int, ...]:
    return tuple(False if place % 2 else stamp for place, stamp in enumerate(stamps))


def lanes_taken(route: Route | None, chosen: Sequence[int]) -> list[int] | int:
    """The channels that a record goes to, once enough is chosen; else how many lanes there are to
    choose from next."""
    targets, _, missing = resolved(route, chosen) if route is not None else ([], (), 0)
    return missing or targets


def ordered_in(inputs: Sequence[Input]) -> list[OrderedInput]:
    return [each for each in all_inputs(inputs) if isinstance(each, OrderedInput)]


def has_zip(inputs: Sequence[Input]) -> bool:
    return any(isinstance(each, ZipInput) for each in all_inputs(inputs))
