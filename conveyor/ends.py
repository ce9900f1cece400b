"""The channel ends of one node: which channels it reads and writes, as its part of the topology says.

Knows: inputs, routes, and what an ordered join needs around a node.  Must never know: what a channel is made of, who steps the
node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol

from typing_extensions import TypeVar

from conveyor.channel import Inlet, ZipInlet
from conveyor.nodes import Node
from conveyor.ordered import OrderedInlet, StampNode, TrackedNode
from conveyor.route import leaves, taken
from conveyor.topology import Input, Kind, NodeSpec, OrderedInput, ZipInput

__all__ = ["AnyOutlet", "Ends"]


class AnyOutlet(Protocol):
    """What is asked of an outlet here."""

    @property
    def tail(self) -> int: ...


In = TypeVar("In", bound=Inlet)
Out = TypeVar("Out", bound=AnyOutlet)


class Ends(Generic[In, Out]):
    """Made from the topology; `inlet` and `outlet` give the ends of a channel by its number.

    `inputs` is what the node reads, `inlets` are the channels below that, left to right.
    """

    def __init__(self, spec: NodeSpec, inlet: Callable[[int], In], outlet: Callable[[int], Out]) -> None:
        self.inlets: list[In] = []
        self.zips: dict[str, ZipInlet] = {}
        self.inputs = [self.read(each, inlet) for each in spec.inputs]
        self.outlets = [outlet(channel) for channel in leaves(spec.route)] if spec.route is not None else []

    def read(self, source: Input, inlet: Callable[[int], In]) -> Inlet:
        if isinstance(source, ZipInput):
            zipped = self.zips[source.name] = ZipInlet([self.read(each, inlet) for each in source.inputs])
            return zipped
        if isinstance(source, OrderedInput):
            return OrderedInlet([self.read(each, inlet) for each in source.inputs], source.balanced, source.depth)
        end = inlet(source.channel)
        self.inlets.append(end)
        return end

    def stamped(self, spec: NodeSpec, node: Node) -> Node:
        """`node`, with what an ordered join behind or around it needs."""
        if spec.depth and spec.kind is Kind.JOB:
            node = TrackedNode(node, spec.depth)
        route = spec.route
        if spec.stamps and route is not None:
            node = StampNode(node, lambda: taken(route, [outlet.tail for outlet in self.outlets]), spec.depth)
        return node
