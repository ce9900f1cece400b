"""What comes of an item at each node, worked out by calling the jobs, and kept as numbers.

This file knows what jobs give.  It must never know pipes, schedules, the drive loop or nodes: it is
there to check them.

To count ways it is enough to know how many outputs come of an item, how many of each of these, and
so on.  Items of which the same comes have the same number.  Only in front of a zip an item keeps
its value: what becomes of it depends on its partners.
"""

from __future__ import annotations

import pickle
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias, assert_never, cast

from conveyor.core.selecting import lanes_by
from conveyor.core.steering import closes
from conveyor.errors import ConveyorError
from conveyor.graph.route import Select, balances, leaves
from conveyor.graph.topology import Kind, ZipInput, all_inputs, channels_of
from conveyor.items.atoms import is_atom
from conveyor.items.current_item import CURRENT
from conveyor.items.sealing import Sealed, seal
from conveyor.sim.interruption import pass_on
from conveyor.sim.prepare.prepared import AnyJob, PreparedNode, PreparedPipeline
from conveyor.sim.prepare.stage_copy import StageCopy
from conveyor.stages import (
    Gives,
    completed,
    gives_of,
    is_async,
    job_of,
    name_wanted,
    only_function,
    policy_of,
)

__all__ = ["NOWHERE", "ItemOutcomes", "NoAnswer", "Parts", "Results"]

# An item by its number; behind a zip, the items of the tuple.
Parts: TypeAlias = "int | tuple[Parts, ...]"
AnyCall: TypeAlias = Callable[[object], object]
# One for each output: its number in each channel behind the node, or `NOWHERE`.
Results: TypeAlias = tuple[tuple[int, ...], ...]

NOWHERE: Final = -2  # in a channel that an output does not go to, as its fork says

MOST_CALLS: Final = 4000


class NoAnswer(Exception):
    """The number of classes cannot be worked out, or not in the time that it is worth."""


class ItemOutcomes:
    """The items of one pipeline as numbers.

    All methods raise `NoAnswer` where a job ends the run, or jobs are called too often.
    """

    def __init__(self, pipeline: PreparedPipeline) -> None:
        self.pipeline = pipeline
        self.of_nodes = {node.spec.index: NodeOutcomes(node) for node in pipeline.nodes}
        self.consumer = [channel.consumer for channel in pipeline.topology.channels]
        self.leaves = [
            leaves(node.route) if node.route is not None else [] for node in pipeline.topology.nodes
        ]
        self.keeps_value = {
            channel
            for node in pipeline.topology.nodes
            for each in all_inputs(node.inputs)
            if isinstance(each, ZipInput)
            for channel in channels_of(each.inputs)
        }
        self.numbers: dict[object, int] = {}
        self.results: list[Results] = []  # by number
        self.values: list[object] = []  # by number, of items in front of a zip
        self.known: dict[tuple[int, object], int] = {}
        self.of_parts: dict[tuple[int, Parts], Results] = {}
        self.calls = 0

    def number(self, channel: int, item: object) -> int:
        """The number of an item in a channel."""
        data = item.data if isinstance(item, Sealed) else pickle.dumps(item)
        found = self.known.get((channel, data))
        if found is None:
            keeps = channel in self.keeps_value
            results: Results = () if keeps else self.come_of(self.consumer[channel], item)
            found = self.numbered((data,) if keeps else results, results, item if keeps else None)
            self.known[channel, data] = found
        return found

    def numbered(self, key: object, results: Results, value: object) -> int:
        if key not in self.numbers:
            self.numbers[key] = len(self.results)
            self.results.append(results)
            self.values.append(value)
        return self.numbers[key]

    def come_of(self, node: int, item: object) -> Results:
        """What comes of an item at a node."""
        outputs: list[tuple[int, ...]] = []
        for output in self.of_nodes[node](item):
            self.calls += 1
            if self.calls > MOST_CALLS:
                raise NoAnswer
            taken = self.of_nodes[node].taken_by(output, self.leaves[node])
            if taken:
                outputs.append(
                    tuple(
                        self.number(leaf, output) if leaf in taken else NOWHERE
                        for leaf in self.leaves[node]
                    )
                )
        return tuple(outputs)

    def results_of(self, node: int, item: Parts) -> Results:
        """What comes at a node of an item with a number, or of a tuple of such items."""
        if isinstance(item, int):
            return self.results[item]
        if (node, item) not in self.of_parts:
            value = self.value(item)
            self.of_parts[node, item] = self.come_of(node, value if is_atom(value) else seal(value))
        return self.of_parts[node, item]

    def value(self, item: Parts) -> object:
        if not isinstance(item, int):
            return tuple(map(self.value, item))
        value = self.values[item]
        return value.open() if isinstance(value, Sealed) else value

    def check_stateless(self) -> None:
        """Raises `NoAnswer` if a job has remembered something of what it was given."""
        for work in self.of_nodes.values():
            work.check_unchanged()


class NodeOutcomes:
    """What one node gives for an item."""

    def __init__(self, node: PreparedNode) -> None:
        self.gives: Callable[[object], Iterable[object]]
        self.name = node.spec.name
        self.spec = node.spec
        if isinstance(self.spec.route, Select) and balances(self.spec.route):
            raise NoAnswer
        self.copy: StageCopy | None = None
        self.ends_run = True
        if node.spec.stage is None:
            self.gives = nothing if node.spec.kind is Kind.SINK else itself
        elif gives_of(node.spec.stage) is Gives.UNOPENED:  # its state says only when
            self.gives = itself
        elif only_function(node.spec.stage) is None:
            raise NoAnswer
        else:
            stage, private = copy = node.copy()
            if not node.is_stateless:
                if node.packed is None:  # what it holds is the program's
                    raise NoAnswer
                self.copy, self.before = copy, copy.packed()
            gives = outputs_of(stage)
            self.gives = (
                gives
                if private is None
                else cast("Callable[[object], Iterable[object]]", private.iterated(gives))
            )
            self.ends_run = policy_of(stage)[0] == "raise"

    def __call__(self, item: object) -> Iterator[object]:
        """The outputs of an item, sealed if they could change.

        If its job fails and the run goes on, those that were given before.
        """
        CURRENT.outside(self.name)
        try:
            for output in self.gives(item):
                yield output if isinstance(output, Sealed) or is_atom(output) else seal(output)
        except BaseException as error:
            pass_on(error)
            if isinstance(error, (ConveyorError, NoAnswer)) or closes(error):
                raise
            if self.ends_run or not isinstance(error, Exception):
                raise NoAnswer from error

    def taken_by(self, output: object, below: Sequence[int]) -> Sequence[int]:
        """Those of the channels below the node that take an output."""
        fork, route = self.spec.fork, self.spec.route
        if fork is None or not isinstance(route, Select):
            return below
        try:
            (lane,) = lanes_by(fork, len(route.lanes))([opened(output)])
        except BaseException as error:
            pass_on(error)
            ends_run = fork.stage_options.on_error == "raise" or not isinstance(error, Exception)
            if ends_run or self.spec.depth:  # or where a mark takes the place of the item
                raise NoAnswer from error
            return ()
        return leaves(route.lanes[lane])

    def check_unchanged(self) -> None:
        if self.copy is not None and self.copy.packed() != self.before:
            raise NoAnswer


def outputs_of(stage: AnyJob) -> Callable[[object], Iterable[object]]:
    job = job_of(stage)
    if is_async(stage):
        from conveyor.sim.code.virtual_loop import VirtualLoop

        job = awaited(job, VirtualLoop(name_wanted(stage)).run)

    def filtered(item: object) -> Iterable[object]:
        return [item] if job(opened(item)) else []

    def mapped(item: object) -> Iterable[object]:
        result = job(opened(item))
        return [] if result is None else [result]

    def flattened(item: object) -> Iterable[object]:
        return cast("Iterable[object]", job(opened(item)))

    def every_result(item: object) -> Iterable[object]:
        return [job(opened(item))]

    def tapped(item: object) -> Iterable[object]:
        job(opened(item))
        return [item]

    gives = gives_of(stage)
    match gives:
        case Gives.RESULT:
            return mapped
        case Gives.EVERY_RESULT:
            return every_result
        case Gives.ITEM:
            return filtered
        case Gives.SAME_ITEM:
            return tapped
        case Gives.EACH:
            return flattened
        case Gives.UNOPENED:
            return itself
        case _:
            assert_never(gives)


def awaited(job: AnyCall, awaits: Callable[[Awaitable[object]], object]) -> AnyCall:
    """The job; what it gives is awaited."""
    return lambda item: completed(job(item), awaits)


def opened(item: object) -> object:
    return item.open() if isinstance(item, Sealed) else item


def itself(item: object) -> Iterable[object]:
    return (item,)


def nothing(item: object) -> Iterable[object]:
    return ()
