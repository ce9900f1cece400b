"""The engine that runs pipelines on a Ray cluster.

Knows: what may be chosen for it, and what is refused.  Must never know: how hosts talk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from conveyor.cluster.machines import Machine, Resources, machines_of
from conveyor.core import engine as core
from conveyor.core.engine import Deployment
from conveyor.errors import RunError, TopologyError
from conveyor.graph.pace import Paces
from conveyor.graph.topology import Topology
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

    def lanes(self) -> int:
        """How many lanes a fork that adapts has: as many as the cluster has cores, 64 at most."""
        return max(1, min(64, sum(each.cores for each in self.machines())))

    def begun_by(self, start: core.WorkerStart) -> Ray:
        if start.method is not None:
            raise TopologyError(
                f"start_method={start.method!r}: on a cluster each host starts its workers by a "
                "fork server; leave it out"
            )
        return replace(self, start=WorkerStart(None, start.initializer, start.preload))

    def open(self, topology: Topology, paces: Paces) -> Deployment:
        from conveyor.cluster.hosts import RayHosts
        from conveyor.runtime.hosts.site import HostsSite, with_fixed_lanes
        from conveyor.runtime.parent.deployment import ProgramDeployment

        names = {spec.name.partition("/")[0] for spec in topology.nodes[1:-1]}
        names |= {spec.name for spec in topology.nodes[1:-1]}
        if unknown := [name for name in self.stages if name not in names]:
            raise TopologyError(
                f"Ray(stages=): there is no stage {unknown[0]!r}; there are "
                f"{', '.join(spec.name for spec in topology.nodes[1:-1])}"
            )
        hosts = RayHosts(self.machines(), self.stages)
        return ProgramDeployment(with_fixed_lanes(topology), HostsSite(self.start, hosts), paces)

    def machines(self) -> list[Machine]:
        """Those of the cluster, to which the program is connected by this.

        Raises `RunError` if Ray is not installed.
        """
        try:
            import ray
        except ImportError as error:
            raise RunError("engine=Ray() needs Ray: pip install 'typed-conveyor[ray]'") from error
        if not ray.is_initialized():
            ray.init(self.address, log_to_driver=True)
        return machines_of(ray.nodes())
