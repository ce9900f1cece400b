"""Hosts as actors of Ray, and how their letters travel.

Knows: Ray.  Must never know: what is in a letter.

Rule 1.  A call costs as much as many items: letters are gathered for some milliseconds, and two are
         under way to one machine at the most.
Rule 2.  The program cannot be called: it asks each host for its letters, and the host answers when
         it has one.
Rule 3.  No call is repeated by Ray and no actor started again: what is lost is told.
Rule 4.  A deployment has one placement group, with a bundle for each host, and it goes with the
         deployment, or with the program.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
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

from conveyor.cluster.machines import (
    Machine,
    Resources,
    bundle_of,
    check_python,
    cpus_of,
    devices_of,
    needs_of,
    placed,
)
from conveyor.errors import RunError
from conveyor.graph.topology import NodeSpec
from conveyor.runtime.hosts.host import Host
from conveyor.runtime.hosts.messages import Letter, Plan
from conveyor.runtime.hosts.wire import Deliver, Wire
from conveyor.runtime.mirror.mirror import PROGRAM

if TYPE_CHECKING:
    from conveyor.runtime.hosts.site import PlanFor

__all__ = ["RayHosts"]

GATHER_S: Final = 0.004
UNDER_WAY: Final = 2
BEGIN_S: Final = 60.0
POLL_S: Final = 0.5
END_S: Final = 5.0
DEVICES: Final = "CUDA_VISIBLE_DEVICES"

# Calls of a host that must never wait behind another: letters in, and letters out.
IN: Final = {"concurrency_group": "in"}
OUT: Final = {"concurrency_group": "out"}
AS_ACTOR: Final[dict[str, Any]] = {
    "max_restarts": 0,
    "max_task_retries": 0,
    "concurrency_groups": {"in": 1, "out": 1},
}


def in_short(error: BaseException) -> str:
    """The first line of what it says, or of what it is."""
    return (str(error).strip() or repr(error)).splitlines()[0]


class Calls:
    """One machine's way to others that can be called."""

    gather_s = GATHER_S

    def __init__(self, me: int, actors: Mapping[int, Any], woken: Callable[[], None]) -> None:
        self.me = me
        self.actors = actors
        self.woken = woken
        self.under_way = dict.fromkeys(actors, 0)
        self.lock = threading.Lock()
        self.failed: dict[int, str] = {}

    def is_ready(self, to: int) -> bool:
        return self.under_way[to] < UNDER_WAY

    def send(self, to: int, letter: Letter) -> None:
        with self.lock:
            self.under_way[to] += 1
        future = self.actors[to].deliver.options(**IN).remote(self.me, letter).future()
        future.add_done_callback(partial(self.arrived, to))

    def arrived(self, to: int, done: Any) -> None:
        with self.lock:
            self.under_way[to] -= 1
        error = done.exception()
        if error is not None:
            self.failed.setdefault(to, in_short(error))
        self.woken()


class FromHost(Calls):
    """A host's way: to the other hosts by calls, to the program when that asks."""

    def __init__(self, me: int, actors: Mapping[int, Any], woken: Callable[[], None]) -> None:
        super().__init__(me, actors, woken)
        self.asked = threading.Event()
        self.mail: list[Letter] = []
        self.has_mail = threading.Condition()

    def is_ready(self, to: int) -> bool:
        return (self.asked.is_set() and not self.mail) if to == PROGRAM else super().is_ready(to)

    def send(self, to: int, letter: Letter) -> None:
        if to != PROGRAM:
            super().send(to, letter)
            return
        with self.has_mail:
            self.mail.append(letter)
            self.has_mail.notify()

    def fetch(self) -> list[Letter]:
        """What there is for the program, as soon as there is something."""
        self.asked.set()
        self.woken()
        with self.has_mail:
            if not self.mail:
                self.has_mail.wait(POLL_S)
            found, self.mail = self.mail, []
            self.asked.clear()
        return found


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

    def meet(self, me: int, actors: dict[int, Any]) -> None:
        self.wire = FromHost(me, actors, self.host.woken)

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
        needs = {spec.index: needs_of(self.stages, spec.name) for spec in specs}
        gpus = {node: each.gpus for node, each in needs.items() if each is not None and each.gpus}
        environs = {
            node: {DEVICES: ",".join(ids)} for node, ids in devices_of(facts.devices, gpus).items()
        }
        return plan._replace(wanted={**plan.wanted, **cores}, environs=environs)


class RayNetwork:
    """The hosts of one deployment."""

    def __init__(self) -> None:
        self.group: PlacementGroup | None = None
        self.called: dict[int, str] = {}
        self.actors: dict[int, Any] = {}
        self.serving: dict[int, Any] = {}
        self.gone: tuple[int, str] | None = None
        self.is_closed = False
        self.calls: Calls | None = None
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
        names = {node["NodeID"]: str(node["NodeName"]) for node in ray.nodes()}
        places = placement_group_table(self.group)["bundles_to_node_id"]
        for at, (number, bundle) in enumerate(bundles.items()):
            self.called[number] = names[places[at]]
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
        ray.get([actor.meet.remote(me, others[me]) for me, actor in self.actors.items()])
        self.serving = {me: actor.serve.remote() for me, actor in self.actors.items()}

    def names(self) -> dict[int, str]:
        return self.called

    def connect(self, deliver: Deliver, woken: Callable[[], None]) -> Wire:
        self.calls = Calls(PROGRAM, self.actors, woken)
        lock = threading.Lock()
        for me, actor in self.actors.items():
            asks = threading.Thread(
                target=self.fetch, args=(me, actor, deliver, woken, lock), daemon=True
            )
            self.threads.append(asks)
            asks.start()
        return self.calls

    def fetch(
        self, me: int, actor: Any, deliver: Deliver, woken: Callable[[], None], lock: threading.Lock
    ) -> None:
        """Asks one host for its letters, again and again."""
        while not self.is_closed:
            try:
                letters = ray.get(actor.fetch.options(**OUT).remote())
            except Exception as error:  # a letter may not be readable here, either
                if not self.is_closed:
                    self.gone = self.gone or (me, in_short(error))
                    woken()
                return
            with lock:
                for letter in letters:
                    if not self.is_closed:
                        deliver(me, letter)

    def lost(self) -> tuple[int, str] | None:
        if self.gone is None and self.calls is not None and self.calls.failed:
            self.gone = next(iter(self.calls.failed.items()))
        return self.gone

    def close(self) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        if self.serving:
            for actor in self.actors.values():
                actor.stop.options(**IN).remote()
            served = [*self.serving.values()]
            ray.wait(served, num_returns=len(served), timeout=END_S)
        for actor in self.actors.values():
            ray.kill(actor)
        if self.group is not None:
            remove_placement_group(self.group)
        for thread in self.threads:
            thread.join(END_S)
