"""Several hosts on this machine, each with its own memory and workers: what a cluster is to
Conveyor, without a cluster."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import Any

from conveyor.core import engine as core
from conveyor.core.engine import Deployment
from conveyor.core.keeping import Keeping
from conveyor.errors import RunError, TopologyError
from conveyor.graph.pace import Paces
from conveyor.graph.topology import NodeSpec, Topology
from conveyor.runtime.hosts import wire
from conveyor.runtime.hosts.deployment import HostsDeployment
from conveyor.runtime.hosts.host import Host
from conveyor.runtime.hosts.messages import Letter
from conveyor.runtime.hosts.site import PlanFor
from conveyor.runtime.hosts.wire import Deliver, Wire
from conveyor.runtime.mirror.mirror import PROGRAM
from conveyor.runtime.worker_start import WorkerStart


@dataclass
class Pipes:
    """Letters are handed over as they are, after a pickle; `gather_s` holds them back."""

    network: Network
    me: int
    gather_s: float

    def is_ready(self, to: int) -> bool:
        return True

    def send(self, to: int, letter: Letter) -> None:
        self.network.carry(self.me, to, pickle.dumps(letter, 5))


class Network:
    """Hosts in threads of this process."""

    def __init__(
        self, homes: Mapping[int, int], plan_for: PlanFor, gather_s: float, by_name: str
    ) -> None:
        self.machines = sorted({*homes.values()} - {PROGRAM})
        self.hosts = {machine: Host(plan_for(machine, 0)) for machine in self.machines}
        self.gather_s = gather_s
        self.by_name = by_name
        self.deliver: Deliver | None = None
        self.gone: tuple[int, str] | None = None
        self.lock = threading.Lock()
        self.threads = {
            machine: threading.Thread(
                target=host.serve, args=(Pipes(self, machine, gather_s),), daemon=True
            )
            for machine, host in self.hosts.items()
        }

    def names(self) -> dict[int, str]:
        return {machine: f"{self.by_name}{machine}" for machine in self.machines}

    def connect(self, deliver: Deliver, woken: Callable[[], None]) -> Wire:
        self.deliver = deliver
        for thread in self.threads.values():
            thread.start()
        return Pipes(self, PROGRAM, self.gather_s)

    def carry(self, sender: int, to: int, letter: bytes) -> None:
        if self.gone is not None and self.gone[0] in (sender, to):
            return
        if to == PROGRAM:
            assert self.deliver is not None
            with self.lock:
                self.deliver(sender, pickle.loads(letter))
        else:
            self.hosts[to].arrived(sender, pickle.loads(letter))

    def lost(self) -> tuple[int, str] | None:
        return self.gone

    def close(self) -> None:
        for host in self.hosts.values():
            host.stop()
        for thread in self.threads.values():
            thread.join()


@dataclass
class InThisProcess:
    """The engine: so many hosts; workers are dealt out to them in turn, or as `at` says by the
    names of their stages.  `on_ours` is the one that is on the program's machine.  With fewer
    `cores` than stages, neighbours share a worker."""

    hosts: int = 2
    at: Mapping[str, int] = field(default_factory=dict[str, int])
    gather_s: float = 0.0
    on_ours: int | None = None
    cores: int = 64
    start: WorkerStart = field(default_factory=WorkerStart)
    networks: list[Any] = field(default_factory=list[Any], compare=False)
    lost: frozenset[int] = frozenset()

    def lanes(self) -> int:
        return 3

    def begun_by(self, start: core.WorkerStart) -> InThisProcess:
        start = WorkerStart(start.method, start.initializer, start.preload)
        return replace(self, start=start)

    def open(self, topology: Topology, paces: Paces) -> Deployment:
        return self.open_kept(topology, paces, None)

    def open_kept(self, topology: Topology, paces: Paces, keeping: Keeping | None) -> Deployment:
        return HostsDeployment(topology, self.start, self, paces, keeping)

    def room(self) -> int:
        return self.cores

    def may_share(self, stage: str) -> bool:
        return True

    def place(self, workers: Sequence[NodeSpec]) -> Mapping[int, int]:
        left = [each for each in range(1, self.hosts + 1) if each not in self.lost]
        turn = cycle(left)
        homes = {spec.index: self.at.get(spec.name) or next(turn) for spec in workers}
        if gone := [spec.name for spec in workers if homes[spec.index] in self.lost]:
            raise TopologyError(f"the machine of {gone[0]!r} is lost")
        return homes

    def without(self, machine: int) -> InThisProcess:
        lost = self.lost | {machine}
        if len(lost) == self.hosts:
            raise RunError("no machine is left")
        return replace(self, lost=lost)

    def near(self) -> int | None:
        return self.on_ours

    def begin(self, homes: Mapping[int, int], plan_for: PlanFor) -> wire.Network:
        network = Network(homes, plan_for, self.gather_s, "host-")
        self.networks.append(network)
        return network
