"""Hosts as actors of Ray: how they begin, are heard and end.

Knows: Ray.  Must never know: what is in a letter.

Rule 1.  The program cannot be called: it asks each host for its letters, and the host answers when
         it has one, or in a moment.
Rule 2.  No call is repeated by Ray and no actor started again: what is lost is told.
Rule 3.  A deployment has one placement group, with a bundle for each host, and it goes with the
         deployment, or with the program.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import ray
from ray.util.placement_group import (
    PlacementGroup,
    placement_group,
    placement_group_table,
    remove_placement_group,
)
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from conveyor.cluster.calls import IN, OUT, Calls, FromHost, in_short
from conveyor.cluster.machines import (
    Machine,
    Resources,
    bundle_of,
    check_python,
    cpus_of,
    devices_of,
    gpus_of,
    needs_of,
    placed,
)
from conveyor.cluster.reach import Reach
from conveyor.errors import RunError
from conveyor.graph.topology import NodeSpec
from conveyor.runtime.hosts.host import Host
from conveyor.runtime.hosts.messages import Letter, Plan
from conveyor.runtime.hosts.wire import Deliver, Wire
from conveyor.runtime.mirror.mirror import PROGRAM

if TYPE_CHECKING:
    from conveyor.runtime.hosts.site import PlanFor

__all__ = ["RayHosts"]

BEGIN_S: Final = 60.0
SILENT_S: Final = 2.0  # several times as long as a host ever is
END_S: Final = 5.0
DEVICES: Final = "CUDA_VISIBLE_DEVICES"

AS_ACTOR: Final[dict[str, Any]] = {
    "max_restarts": 0,
    "max_task_retries": 0,
    "concurrency_groups": {"in": 1, "out": 1},
}


class Facts(NamedTuple):
    """What a host says of itself: its Python, and the graphics processors that it was given."""

    python: tuple[int, int]
    devices: Sequence[object]


class HostActor:
    """One machine."""

    def clock(self) -> int:
        return perf_counter_ns()

    def facts(self) -> Facts:
        return Facts(sys.version_info[:2], ray.get_gpu_ids())

    def begin(self, plan: Plan) -> None:
        sys.path[:] = plan.path
        self.host = Host(plan)

    def meet(self, me: int, actors: dict[int, Any], names: dict[int, str]) -> None:
        self.wire = FromHost(me, actors, self.host.woken, names)

    def serve(self) -> None:
        self.host.serve(self.wire)

    def deliver(self, sender: int, letter: Letter) -> None:
        self.host.arrived(sender, letter)

    def fetch(self) -> list[Letter]:
        return self.wire.fetch()

    def stop(self) -> None:
        self.host.stop()


class RayHosts:
    """The machines of a cluster, for one deployment."""

    def __init__(self, machines: Sequence[Machine], stages: Mapping[str, Resources]) -> None:
        if not machines:
            raise RunError("the Ray cluster has no machine with a core")
        self.machines = machines
        self.stages = stages
        self.workers: Sequence[NodeSpec] = ()

    def room(self) -> int:
        return sum(machine.cores for machine in self.machines)

    def may_share(self, stage: str) -> bool:
        return needs_of(self.stages, stage) is None

    def place(self, workers: Sequence[NodeSpec]) -> Mapping[int, int]:
        self.workers = workers
        return placed(workers, self.machines, self.stages)

    def near(self) -> int | None:
        """The machine that the program is on, unless hosts have an image of their own, in which
        they could not reach it."""
        here = ray.get_runtime_context()
        if {"image_uri", "container"} & {*here.runtime_env}:
            return None
        me = here.get_node_id()
        return next((each.number for each in self.machines if each.identifier == me), None)

    def without(self, machine: int) -> RayHosts:
        alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
        left = [
            each for each in self.machines if each.number != machine and each.identifier in alive
        ]
        return RayHosts(left, self.stages)

    def begin(self, homes: Mapping[int, int], plan_for: PlanFor) -> RayNetwork:
        chosen = [each for each in self.machines if each.number in homes.values()]
        here = {
            each.number: [spec for spec in self.workers if homes[spec.index] == each.number]
            for each in chosen
        }
        network = RayNetwork()
        try:
            network.reserve(
                {each.number: bundle_of(each, here[each.number], self.stages) for each in chosen}
            )
            facts = network.facts()
            for number, specs in here.items():
                plan = plan_for(number, network.clock(number))
                network.tell(number, self.of_this_cluster(plan, specs, facts[number]))
            network.meet()
        except ray.exceptions.RayError as error:
            network.close()
            raise RunError(f"a host could not begin: {str(error).strip()}") from error
        except BaseException:
            network.close()
            raise
        return network

    def of_this_cluster(self, plan: Plan, specs: Sequence[NodeSpec], facts: Facts) -> Plan:
        """A plan with what its host gives to each worker: cores, and graphics processors."""
        cores = {spec.index: max(1, int(cpus_of(self.stages, spec))) for spec in specs}
        devices = devices_of(facts.devices, gpus_of(self.stages, specs))
        environs = {node: {DEVICES: ",".join(ids)} for node, ids in devices.items()}
        return plan._replace(wanted={**plan.wanted, **cores}, environs=environs)


class RayNetwork:
    """The hosts of one deployment."""

    def __init__(self) -> None:
        self.group: PlacementGroup | None = None
        self.called: dict[int, str] = {}
        self.reach: dict[int, Reach] = {}
        self.actors: dict[int, Any] = {}
        self.serving: dict[int, Any] = {}
        self.gone: tuple[int, str] | None = None
        self.is_closed = False
        self.threads: list[threading.Thread] = []

    def reserve(self, bundles: Mapping[int, dict[str, float]]) -> None:
        """Has room made for each host on a machine of its own, and an actor begin there."""
        self.group = placement_group([*bundles.values()], strategy="STRICT_SPREAD")
        if not self.group.wait(BEGIN_S):
            raise RunError(
                f"no host could begin in {BEGIN_S:.0f} s: the cluster has no room for "
                f"{'; '.join(map(str, bundles.values()))}, each on a machine of its own; other "
                "actors may have it"
            )
        nodes = {node["NodeID"]: node for node in ray.nodes()}
        places = placement_group_table(self.group)["bundles_to_node_id"]
        for at, (number, bundle) in enumerate(bundles.items()):
            node = nodes[places[at]]
            self.called[number] = str(node["NodeName"])
            self.reach[number] = Reach(node["NodeManagerAddress"], node["NodeManagerPort"])
            own = {name: n for name, n in bundle.items() if name not in ("CPU", "GPU", "memory")}
            as_host = ray.remote(
                **AS_ACTOR,
                num_cpus=bundle["CPU"],
                num_gpus=bundle.get("GPU", 0),
                memory=bundle.get("memory"),
                resources=own,
                scheduling_strategy=PlacementGroupSchedulingStrategy(self.group, at),
            )
            self.actors[number] = as_host(HostActor).remote()

    def facts(self) -> dict[int, Facts]:
        """What each host says of itself, once it is there.

        Raises `TopologyError` if one runs another minor version of Python.
        """
        asked = [actor.facts.remote() for actor in self.actors.values()]
        try:
            found = dict(zip(self.actors, ray.get(asked, timeout=BEGIN_S), strict=True))
        except ray.exceptions.GetTimeoutError as error:
            names = ", ".join(map(repr, self.called.values()))
            raise RunError(f"no host could begin on {names} in {BEGIN_S:.0f} s") from error
        for number, facts in found.items():
            check_python(self.called[number], facts.python, sys.version_info[:2])
        return found

    def clock(self, number: int) -> int:
        """What to add to the times of a host for those of the program."""
        before = perf_counter_ns()
        theirs = ray.get(self.actors[number].clock.options(**IN).remote(), timeout=BEGIN_S)
        return (before + perf_counter_ns()) // 2 - int(theirs)

    def tell(self, number: int, plan: Plan) -> None:
        """Has one host begin."""
        ray.get(self.actors[number].begin.remote(plan), timeout=BEGIN_S)

    def meet(self) -> None:
        """Each host knows the others from now on."""
        others = {
            me: {each: actor for each, actor in self.actors.items() if each != me}
            for me in self.actors
        }
        ray.get(
            [actor.meet.remote(me, others[me], self.called) for me, actor in self.actors.items()]
        )
        self.serving = {me: actor.serve.remote() for me, actor in self.actors.items()}

    def names(self) -> dict[int, str]:
        return self.called

    def connect(self, deliver: Deliver, woken: Callable[[], None]) -> Wire:
        lock = threading.Lock()
        for me, actor in self.actors.items():
            asks = threading.Thread(
                target=self.fetch, args=(me, actor, deliver, woken, lock), daemon=True
            )
            self.threads.append(asks)
            asks.start()
        return Calls(PROGRAM, self.actors, woken, self.lose)

    def lose(self, me: int, why: str) -> None:
        """A host is gone; the first counts."""
        self.gone = self.gone or (me, why)

    def fetch(
        self, me: int, actor: Any, deliver: Deliver, woken: Callable[[], None], lock: threading.Lock
    ) -> None:
        """Asks one host for its letters, again and again."""
        while not self.is_closed:
            try:
                letters = self.heard(me, actor.fetch.options(**OUT).remote())
            except Exception as error:  # a letter may not be readable here, either
                if not self.is_closed:
                    self.lose(me, in_short(error))
                    woken()
                return
            with lock:
                for letter in letters:
                    if not self.is_closed:
                        deliver(me, letter)

    def heard(self, me: int, asked: Any) -> list[Letter]:
        """What a host answers.  Raises `ConnectionError` if its machine is gone."""
        reach = self.reach[me]
        while True:
            try:
                letters: list[Letter] = ray.get(asked, timeout=SILENT_S)
            except ray.exceptions.GetTimeoutError:
                if self.is_closed:
                    raise
                reach.look()
            else:
                reach.look_now_and_then()
                return letters

    def lost(self) -> tuple[int, str] | None:
        return self.gone

    def close(self) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        if self.serving:
            for actor in self.actors.values():
                actor.stop.options(**IN).remote()
            lost = None if self.gone is None else self.gone[0]
            served = [each for me, each in self.serving.items() if me != lost]
            ray.wait(served, num_returns=len(served), timeout=END_S)
        for actor in self.actors.values():
            ray.kill(actor)
        if self.group is not None:
            # Ray waits for a cluster that is gone without a limit; the group is gone with it
            self.threads.append(
                threading.Thread(target=remove_placement_group, args=(self.group,), daemon=True)
            )
            self.threads[-1].start()
        for thread in self.threads:
            thread.join(END_S)
