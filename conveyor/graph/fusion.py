"""Which jobs share a worker: neighbours, while there are more workers than cores, and those to whom
handing over costs more than their work.

Knows: a topology, what it may not change, which jobs are next to nothing, what earlier runs have
measured.  Must never know: cores, processes, how it was measured.

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
Rule 5.  What was measured counts for more than what can be seen.  Where each job was measured, it
         weighs what it took.  Stages that cost more to hand over than to do move in with their
         neighbours, also where workers are not short, as long as together they have no more to do
         than the busiest has by itself: so the pace stays, and two stages that are heavy never meet
         but for want of cores.
Rule 6.  Who shares is decided before the workers start, and holds as long as they live: what a
         function keeps to itself (a global, a cache) may not be lost in the middle.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from types import MappingProxyType
from typing import Final, TypeAlias

from conveyor.graph.circles import channels_that_count
from conveyor.graph.pace import Paces
from conveyor.graph.route import Leaf, leaves
from conveyor.graph.topology import Kind, NodeSpec, Topology
from conveyor.items.bytecode import is_slight
from conveyor.stages import Gives, Job, gives_of, is_plain, job_of

__all__ = ["fuse", "fused_names", "home", "sharing_notes", "written_name"]

Links: TypeAlias = "dict[tuple[str, str], list[tuple[int, int]]]"

NOTHING_KNOWN: Final[Paces] = MappingProxyType({})


def fuse(
    topology: Topology,
    workers: int,
    may_move: Callable[[str], bool] = lambda name: True,
    paces: Paces = NOTHING_KNOWN,
) -> Topology:
    """The same nodes and channels on `workers` workers, or as few as may be; on fewer, if some are
    not worth one.

    The node of a worker that runs several jobs names them as its `parts`.  The other nodes among
    these have no inputs and no route any more, and the channels between them are not used.
    `may_move` says, by the name of a stage, whether it may share; `paces` is what is known of the
    stages from earlier runs.
    """
    groups = Groups(topology, paces)
    is_short = len(groups.by_head) > workers
    if is_short or groups.is_measured:
        groups.links = _links(topology, may_move)
    groups.move_light_ones()
    while is_short and groups.links:
        lightest = min(groups.links, key=groups.weight)
        if len(groups.by_head) <= workers and (
            groups.is_measured or groups.weight(lightest)[0] > 1
        ):
            break
        groups.put_together(lightest)
    return _with_groups(topology, [group for group in groups.by_head.values() if len(group) > 1])


class Groups:
    """The nodes of each worker, by the first of them; `links` are those that may still be put
    together."""

    def __init__(self, topology: Topology, paces: Paces) -> None:
        self.topology = topology
        self.paces = paces
        jobs = [spec for spec in topology.nodes if spec.kind in (Kind.JOB, Kind.RELAY)]
        self.by_head = {spec.index: [spec.index] for spec in jobs}
        self.links: Links = {}
        self.is_measured = bool(paces) and all(
            written_name(spec) in paces for spec in jobs if spec.kind is Kind.JOB
        )

    def weight(self, names: tuple[str, str]) -> tuple[float, int]:
        """How much there is to do, and by how many jobs, in the largest group that a link would
        make."""
        together = [
            self.by_head[self.head(before)] + self.by_head[behind]
            for before, behind in self.links[names]
        ]
        return max((sum(map(self.load, group)), len(group)) for group in together)

    def load(self, node: int) -> float:
        """What a job has to do: in seconds, if that is known of all, or whether it matters."""
        spec = self.topology.nodes[node]
        if self.is_measured and spec.stage is not None:
            return self.paces[written_name(spec)].busy_s
        return _matters(spec.stage)

    def put_together(self, names: tuple[str, str]) -> None:
        for before, behind in self.links.pop(names):
            self.by_head[self.head(before)] += self.by_head.pop(behind)

    def move_light_ones(self) -> None:
        """Puts neighbours together of whom one is light, as long as no worker has more to do than
        the busiest stage has by itself."""
        if not self.is_measured:
            return
        busiest = max(pace.busy_s + pace.moving_s for pace in self.paces.values())
        while fitting := [
            names
            for names in self.links
            if self.has_light_side(names) and self.weight(names)[0] <= busiest
        ]:
            self.put_together(min(fitting, key=self.weight))

    def has_light_side(self, names: tuple[str, str]) -> bool:
        before, behind = self.links[names][0]
        return self.is_light(self.head(before)) or self.is_light(behind)

    def is_light(self, head: int) -> bool:
        """Does it cost more to hand its items over to a group than to work on them?"""
        group = [self.paces[written_name(self.topology.nodes[each])] for each in self.by_head[head]]
        return sum(pace.work_s for pace in group) < max(pace.handing_s for pace in group)

    def head(self, member: int) -> int:
        return next(head for head, group in self.by_head.items() if member in group)


def fused_names(topology: Topology) -> list[list[str]]:
    """The names of the stages of each worker that has several."""
    return [
        [topology.nodes[part].name for part in spec.parts] for spec in topology.nodes if spec.parts
    ]


def sharing_notes(
    topology: Topology, paces: Paces = NOTHING_KNOWN, already: Collection[tuple[int, ...]] = ()
) -> tuple[str, ...]:
    """What a report says of each worker that has several stages, and why it has; without those that
    `already` share one."""
    return tuple(
        f"one worker for {topology.title(spec.index)}: "
        + _why([written_name(topology.nodes[part]) for part in spec.parts], paces)
        for spec in topology.nodes
        if spec.parts and spec.parts not in already
    )


def _why(names: list[str], paces: Paces) -> str:
    light = [
        f"{paces[name].handing_s / paces[name].work_s:.1f} times the work of {name}"
        for name in names
        if name in paces and 0 < paces[name].work_s < paces[name].handing_s
    ]
    if light:
        return f"a run has shown that handing over costs {', '.join(light)}"
    return "there are more stages than cores"


def home(topology: Topology, node: int) -> int:
    """The node whose worker runs the job of a node."""
    within = topology.nodes[node].within
    return node if within is None else within


def _links(topology: Topology, may_move: Callable[[str], bool]) -> Links:
    """The pairs of neighbours that may share a worker; under the same names those in the lanes of
    an adapting fork."""
    links: Links = {}
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
                nodes[part],
                kind=Kind.FUSED,
                inputs=(),
                route=None,
                stamps=False,
                within=head,
                fork=None,
            )
        nodes[head] = replace(
            nodes[head],
            route=last.route,
            stamps=last.stamps,
            parts=tuple(group),
            fork=last.fork,
        )
    return replace(topology, nodes=tuple(nodes), channels=tuple(channels))
