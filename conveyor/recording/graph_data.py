"""A pipeline's graph as plain data, and back.

Knows: every field of the graph, and what it is called in a file.  Must never know: stages, pickles,
files.

The keys are part of the file's format and do not follow the names of classes and attributes.  A
field that has its usual value is left out.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias, assert_never

from conveyor.graph.route import Leaf, data_of_route, route_of_data
from conveyor.graph.topology import (
    Channel,
    Input,
    Kind,
    NodeSpec,
    OrderedInput,
    StageInfo,
    Topology,
    ZipInput,
)

__all__ = ["data_of", "topology_of"]

Data: TypeAlias = dict[str, Any]  # of what JSON can say

# What a field has where it is left out.
NODE: Final[Data] = {
    "inputs": [],
    "join": "",
    "route": None,
    "depth": 0,
    "stamps": False,
    "lanes": [],
    "parts": [],
    "within": None,
    "woken": False,
    "concurrency": None,
    "ordered": True,
    "interleaves": False,
}
CHANNEL: Final[Data] = {"written": False}
ORDERED: Final[Data] = {"balanced": False}


def data_of(topology: Topology) -> dict[str, object]:
    """Gives the graph as JSON can hold it, without the stages of its nodes.

    >>> from conveyor import Pipeline, Pipe
    >>> data_of(Pipeline[int]().add(Pipe(4)).topology)["channels"]
    [{'capacity': 4, 'from': 0, 'to': 1, 'written': True}]
    """
    return {
        "nodes": [data_of_node(node) for node in topology.nodes],
        "channels": [data_of_channel(each) for each in topology.channels],
        "stages": [
            {"name": each.name, "kind": each.kind, "node": each.node} for each in topology.stages
        ],
    }


def topology_of(data: Data) -> Topology:
    """Gives the graph that `data_of` made this of; its nodes have no stages."""
    return Topology(
        tuple(node_of(index, NODE | each) for index, each in enumerate(data["nodes"])),
        tuple(channel_of(index, CHANNEL | each) for index, each in enumerate(data["channels"])),
        tuple(StageInfo(each["name"], each["kind"], each["node"]) for each in data["stages"]),
    )


def without(usual: Data, data: Data) -> dict[str, object]:
    """Leaves out the fields that have their usual value."""
    return {key: each for key, each in data.items() if key not in usual or each != usual[key]}


def data_of_node(node: NodeSpec) -> dict[str, object]:
    fields = {
        "kind": node.kind.value,
        "name": node.name,
        "inputs": [data_of_input(each) for each in node.inputs],
        "join": node.join_name,
        "route": None if node.route is None else data_of_route(node.route),
        "depth": node.depth,
        "stamps": node.stamps,
        "lanes": [list(lane) for lane in node.lanes],
        "parts": list(node.parts),
        "within": node.within,
        "woken": node.is_woken,
        "concurrency": node.concurrency,
        "ordered": node.ordered,
        "interleaves": node.interleaves,
    }
    return without(NODE, fields)


def node_of(index: int, data: Data) -> NodeSpec:
    route = data["route"]
    return NodeSpec(
        index=index,
        kind=Kind(data["kind"]),
        name=data["name"],
        stage=None,
        inputs=tuple(map(input_of, data["inputs"])),
        join_name=data["join"],
        route=None if route is None else route_of_data(route),
        depth=data["depth"],
        stamps=data["stamps"],
        lanes=tuple((fork, lane) for fork, lane in data["lanes"]),
        parts=tuple(data["parts"]),
        within=data["within"],
        is_woken=data["woken"],
        concurrency=data["concurrency"],
        ordered=data["ordered"],
        interleaves=data["interleaves"],
    )


def data_of_channel(channel: Channel) -> dict[str, object]:
    fields = {
        "capacity": channel.capacity,
        "from": channel.producer,
        "to": channel.consumer,
        "written": channel.written,
    }
    return without(CHANNEL, fields)


def channel_of(index: int, data: Data) -> Channel:
    return Channel(index, data["capacity"], data["from"], data["to"], data["written"])


def data_of_input(each: Input) -> object:
    match each:
        case Leaf():
            return each.channel
        case ZipInput():
            return {"zip": each.name, "inputs": [data_of_input(inner) for inner in each.inputs]}
        case OrderedInput():
            fields = {
                "ordered": each.name,
                "inputs": [data_of_input(inner) for inner in each.inputs],
                "balanced": each.balanced,
                "depth": each.depth,
            }
            return without(ORDERED, fields)
        case _:
            assert_never(each)


def input_of(data: Any) -> Input:
    if isinstance(data, int):
        return Leaf(data)
    inputs = tuple(map(input_of, data["inputs"]))
    if "zip" in data:
        return ZipInput(data["zip"], inputs)
    more = ORDERED | data
    return OrderedInput(data["ordered"], inputs, more["balanced"], data["depth"])
