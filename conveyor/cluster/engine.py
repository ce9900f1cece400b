"""The engine that runs pipelines on a Ray cluster.

Knows: what may be chosen for it, and what is refused.  Must never know: how hosts talk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType

from conveyor.cluster.machines import Machine, Resources, machines_of, needs_of
from conveyor.core import engine as core
from conveyor.core.engine import Deployment
from conveyor.core.keeping import Keeping
from conveyor.errors import RunError, TopologyError
from conveyor.graph.pace import Paces
from conveyor.graph.topology import Topology
from conveyor.report import without_lanes
from conveyor.runtime.worker_start import WorkerStart

__all__ = ["Ray"]


@dataclass(frozen=True, slots=True)
class Ray:
    """A Ray cluster: the one at `address` ("auto": that of this machine), or without an address the
    one that the program is connected to, or else one that is started on this machine.

    `stages` says by the name of a stage what its workers need.  Raises `TopologyError` for an
    address of a Ray client, which would keep the program out of the cluster.

    >>> Ray("ray://head:10001")
    Traceback (most recent call last):
    conveyor.errors.TopologyError: Ray('ray://head:10001'): the program is a part of the cluster, \
and a Ray client is none; run it there, by `ray job submit`, with Ray("auto")
    """

    address: str | None = None
    stages: Mapping[str, Resources] = field(default_factory=dict[str, Resources])
    start: WorkerStart = field(default_factory=WorkerStart, repr=False)

    def __post_init__(self) -> None:
        if self.address is not None and self.address.startswith("ray://"):
            raise TopologyError(
                f"Ray({self.address!r}): the program is a part of the cluster, and a Ray client is "
                'none; run it there, by `ray job submit`, with Ray("auto")'
            )
        for name, needs in self.stages.items():
            if not isinstance(needs, Resources):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers need not check types
                raise TopologyError(
                    f"Ray(stages=): what {name!r} needs is {needs!r}; it must be Resources(...)"
                )

    def lanes(self) -> int:
        """How many lanes a fork that adapts has: as many as the cluster has cores, 64 at most."""
        return max(1, min(64, sum(each.cores for each in self.machines())))

    def lanes_of(self, stage: str) -> int | None:
        """How many lanes the fork that adapts around a stage has, if that was said."""
        needs = needs_of(self.stages, stage)
        return None if needs is None else needs.lanes

    def begun_by(self, start: core.WorkerStart) -> Ray:
        if start.method is not None:
            raise TopologyError(
                f"start_method={start.method!r}: on a cluster each host starts its workers by a "
                "fork server; leave it out"
            )
        return replace(self, start=WorkerStart(None, start.initializer, start.preload))

    def open(self, topology: Topology, paces: Paces) -> Deployment:
        return self.open_kept(topology, paces, None)

    def open_kept(self, topology: Topology, paces: Paces, keeping: Keeping | None) -> Deployment:
        """Opens it for a run that is kept in a checkpoint."""
        from conveyor.runtime.hosts.deployment import HostsDeployment
        from conveyor.runtime.hosts.site import check_elsewhere

        names = [spec.name for spec in topology.nodes[1:-1]]
        known = {*names, *map(without_lanes, names)}
        if unknown := [name for name in self.stages if name not in known]:
            raise TopologyError(
                f"Ray(stages=): there is no stage {unknown[0]!r}; there are {', '.join(names)}"
            )
        if not installed().is_initialized():  # else it is found when hosts are told, which is soon
            check_elsewhere(topology, self.start)
        machines = self.machines()

        from conveyor.cluster.hosts import RayHosts

        hosts = RayHosts(machines, self.stages)
        return HostsDeployment(topology, self.start, hosts, paces, keeping)

    def machines(self) -> list[Machine]:
        """Those of the cluster, to which the program is connected by this; its own is the first.

        Raises `TopologyError` for a cluster of another version of Python or Ray, and `RunError` if
        Ray is not installed, or there is no cluster at the address.
        """
        ray = installed()
        if not ray.is_initialized():
            try:
                ray.init(self.address, log_to_driver=True)
            except RuntimeError as error:
                if "version mismatch" not in str(error).lower():
                    raise
                raise TopologyError(
                    f"{self!r}: what is pickled here is not the same there. "
                    + " ".join(str(error).split())
                ) from error
            except ConnectionError as error:
                raise RunError(f"{self!r}: {error}") from error
        here = ray.get_runtime_context().get_node_id()
        return machines_of(sorted(ray.nodes(), key=lambda node: bool(node["NodeID"] != here)))


def installed() -> ModuleType:
    """Ray; raises `RunError` if it is not installed."""
    try:
        import ray
    except ImportError as error:
        raise RunError("engine=Ray() needs Ray: pip install 'typed-conveyor[ray]'") from error
    return ray
