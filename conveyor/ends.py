"""The channel ends of one node: which channels it reads and writes, as its part of the topology says.

Knows: inputs, routes, and what an ordered join needs around a node.  Must never know: what a channel is made of, who steps the
node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Protocol

from typing_extensions import TypeVar

from conveyor.channel import Inlet, Note, ZipInlet
from conveyor.nodes import Node
from conveyor.ordered import OrderedInlet, StampNode, TrackedNode
from conveyor.route import leaves, taken
from conveyor.topology import Input, Kind, NodeSpec, OrderedInput, ZipInput

__all__ = ["AnyOutlet", "Ends", "words_of_notes"]


class AnyOutlet(Protocol):
    """What is asked of an outlet here."""

    @property
    def tail(self) -> int: ...


In = TypeVar("In", bound=Inlet)
Out = TypeVar("Out", bound=AnyOutlet)


class Ends(Generic[In, Out]):
    """Made from the topology; `inlet` and `outlet` give the ends of a channel by its number.

    `inputs` is what the node reads, `inlets` are the channels below that, left to right.  `notes` are the words that the node
    keeps where its channels are, as many as `words_of_notes` says.
    """

    def __init__(
        self, spec: NodeSpec, notes: memoryview[int], inlet: Callable[[int], In], outlet: Callable[[int], Out]
    ) -> None:
        self.notes = notes
        self.noted = 0
        self.inlets: list[In] = []
        self.zips: dict[str, ZipInlet] = {}
        self.inputs = [self.read(each, inlet) for each in spec.inputs]
        self.outlets = [outlet(channel) for channel in leaves(spec.route)] if spec.route is not None else []

    def read(self, source: Input, inlet: Callable[[int], In]) -> Inlet:
        if isinstance(source, ZipInput):
            below = [self.read(each, inlet) for each in source.inputs]
            zipped = self.zips[source.name] = ZipInlet(below, self.note(source))
            return zipped
        if isinstance(source, OrderedInput):
            below = [self.read(each, inlet) for each in source.inputs]
            return OrderedInlet(below, source.balanced, source.depth, self.note(source))
        end = inlet(source.channel)
        self.inlets.append(end)
        return end

    def note(self, source: ZipInput | OrderedInput) -> Note:
        first = self.noted
        self.noted += _words_of_note(source)
        return Note(self.notes[first : self.noted])

    def stamped(self, spec: NodeSpec, node: Node) -> Node:
        """`node`, with what an ordered join behind or around it needs."""
        if spec.depth and spec.kind is Kind.JOB:
            node = TrackedNode(node, spec.depth)
        route = spec.route
        if spec.stamps and route is not None:
            node = StampNode(node, lambda: taken(route, [outlet.tail for outlet in self.outlets]), spec.depth)
        return node


def words_of_notes(inputs: Sequence[Input]) -> int:
    """How many words the notes of a node with these inputs take."""
    return sum(
        words_of_notes(each.inputs) + _words_of_note(each) for each in inputs if isinstance(each, ZipInput | OrderedInput)
    )


def _words_of_note(source: ZipInput | OrderedInput) -> int:
    return Note.words_for(len(source.inputs) if isinstance(source, ZipInput) else 2)
