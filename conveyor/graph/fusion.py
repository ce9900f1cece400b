"""Which jobs share a worker: neighbours, while there are more workers than cores.

Knows: a topology, what it may not change, which jobs are next to nothing.  Must never know: cores,
processes.

Rule 1.  Two neighbours may share a worker if nothing on them or between them asks otherwise: a
         written pipe, a class or a `setup=` (which may have a state, and something to set up),
         options for items that fail, a job that gives any number of outputs. So does a channel
         between a fork and a zip (`circles`): a run in which one lane gathers items, or drops some,
         may come to its end only because the pipes of the others hold so many meanwhile.
Rule 2.  Jobs that share a worker are still nodes of their own in reports, and nothing that comes
         out is different.
Rule 3.  The fewest are put together at a time, and all lanes of an adapting fork alike.
Rule 4.  A job of a few operators (`bytecode.is_slight`) weighs nothing: to move an item costs as
         much.  Where workers are short it joins a neighbour, also beyond that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from conveyor.graph.circles import channels_that_count
from conveyor.graph.route import Leaf, leaves
from conveyor.graph.topology import Kind, NodeSpec, Topology
from conveyor.items.bytecode import is_slight
from conveyor.stages import Gives, Job, gives_of, is_plain, job_of

__all__ = ["fuse", "fused_names", "home", "written_name"]


def fuse(
    topology: Topology, workers: int, may_move: Callable[[str], bool] = lambda name: True
) -> Topology:
    """The same nodes and channels on `workers` workers, or as few as may be; on fewer, if some are
    not worth one.

    The node of a worker that runs several jobs names them as its `parts`.  The other nodes among
    these have no inputs and no route any more, and the channels between them are not used.
    `may_move` says, by the name of a stage, whether it may share.
    """
    groups = {
        spec.index: [spec.index] for spec in topology.nodes if spec.kind in (Kind.JOB, Kind.RELAY)
    }
    links = _links(topology, may_move) if len(groups) > workers else {}

    def weight(names: tuple[str, str]) -> tuple[int, int]:
        """How many jobs that matter, and how many at all, the largest group that a link would
        make has."""
        together = [
            groups[_head(groups, before)] + groups[behind] for before, behind in links[names]
        ]
        return max(
            (sum(_matters(topology.nodes[each].stage) for each in group), len(group))
            for group in together
        )

    while links:
        lightest = min(links, key=weight)
        if len(groups) <= workers and weight(lightest)[0] > 1:
            break
        for before, behind in links.pop(lightest):
            groups[_head(groups, before)] += groups.pop(behind)
    return _with_groups(topology, [group for group in groups.values() if len(group) > 1])


def fused_names(topology: Topology) -> list[list[str]]:
    """The names of the stages of each worker that has several."""
    return [
        [topology.nodes[part].name for part in spec.parts] for spec in topology.nodes if spec.parts
    ]


def home(topology: Topology, node: int) -> int:
    """The node whose worker runs the job of a node."""
    within = topology.nodes[node].within
    return node if within is None else within


def _links(
    topology: Topology, may_move: Callable[[str], bool]
) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """The pairs of neighbours that may share a worker; under the same names those in the lanes of
    an adapting fork."""
    links: dict[tuple[str, str], list[tuple[int, int]]] = {}
    counted = channels_that_count(topology)
    for spec in topology.nodes:
        if not isinstance(spec.route, Leaf) or not _may_share(spec, may_move):
            continue
        channel = topology.channels[spec.route.channel]
        behind = topology.nodes[channel.consumer]
        if channel.index in counted or channel.written:
            continue
        if behind.inputs == (spec.route,) and _may_share(behind, may_move):
            links.setdefault((written_name(spec), written_name(behind)), []).append(
                (spec.index, behind.index)
            )
    return links


def _matters(stage: Job[object, object] | None) -> bool:
    return stage is None or not is_slight(job_of(stage))


def _may_share(spec: NodeSpec, may_move: Callable[[str], bool]) -> bool:
    stage = spec.stage
    return (
        stage is not None
        and is_plain(stage)
        and gives_of(stage) is not Gives.EACH
        and may_move(spec.name)
    )


def written_name(spec: NodeSpec) -> str:
    """The name of a stage without the number of its lane."""
    return spec.name.removesuffix("".join(f"/{lane}" for _, lane in spec.lanes))


def _head(groups: dict[int, list[int]], member: int) -> int:
    return next(head for head, group in groups.items() if member in group)


def _with_groups(topology: Topology, groups: list[list[int]]) -> Topology:
    nodes, channels = list(topology.nodes), list(topology.channels)
    for group in groups:
        head, last = group[0], nodes[group[-1]]
        assert last.route is not None
        for channel in leaves(last.route):
            channels[channel] = replace(channels[channel], producer=head)
        for part in group[:-1]:
            route = nodes[part].route
            assert isinstance(route, Leaf)
            # It is of no use: as little memory as may be.
            channels[route.channel] = replace(channels[route.channel], capacity=1)
        for part in group[1:]:
            nodes[part] = replace(
                nodes[part], kind=Kind.FUSED, inputs=(), route=None, stamps=False, within=head
            )
        nodes[head] = replace(nodes[head], route=last.route, stamps=last.stamps, parts=tuple(group))
    return replace(topology, nodes=tuple(nodes), channels=tuple(channels))
