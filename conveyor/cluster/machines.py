"""The machines of a cluster, and which worker goes where.

Knows: what machines have and what stages need.  Must never know: Ray, or what a worker does.

Rule 1.  Neighbours in the pipeline stay on one machine while its cores last; each lane of a fork
         goes where the most cores are free, and its stages stay together.
Rule 2.  What a stage needs is never left out; cores may have more than one worker if there are too
         few.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Any, Final

from conveyor.errors import TopologyError
from conveyor.graph.topology import NodeSpec
from conveyor.report import without_lanes
from conveyor.stages import checked_count, cores_of

__all__ = [
    "Machine",
    "Resources",
    "bundle_of",
    "check_python",
    "cpus_of",
    "devices_of",
    "gpus_of",
    "machines_of",
    "needs_of",
    "placed",
]

A_LITTLE: Final = 0.001  # of a resource that says which machine it is; or of a core, where none is
SLACK: Final = 1e-6  # twenty times 0.05 is a little more than 1


@dataclass(frozen=True, slots=True)
class Resources:
    """What each worker of a stage needs of its machine: cores, graphics processors, bytes of
    memory, other resources by name; or the machine itself, by its name or address.

    `lanes` is how many lanes the fork has that was written without a number and on whose lanes the
    stage stands; by default as many as the cluster has cores.  Raises `TopologyError` for what is
    no such amount.

    >>> Resources(gpus=1, lanes=0)
    Traceback (most recent call last):
    conveyor.errors.TopologyError: Resources: lanes is 0; it must be a whole number, 1 or more
    """

    cpus: float = 1.0
    gpus: float = 0.0
    memory: int = 0
    node: str | None = None
    custom: Mapping[str, float] = field(default_factory=dict[str, float])
    lanes: int | None = None

    def __post_init__(self) -> None:
        amounts: dict[str, object] = {"cpus": self.cpus, "gpus": self.gpus, "memory": self.memory}
        for name, n in (amounts | dict(self.custom)).items():
            if isinstance(n, bool) or not isinstance(n, int | float) or not 0 <= n < inf:
                raise TopologyError(f"Resources: {name} is {n!r}; it must be a number, 0 or more")
        if self.lanes is not None:
            checked_count("Resources", "lanes", self.lanes)


@dataclass(slots=True)
class Machine:
    """One machine: its number, name, identifier and address, and what it has."""

    number: int
    name: str
    identifier: str
    cores: int
    has: Mapping[str, float] = field(default_factory=dict[str, float])
    address: str = ""


def machines_of(nodes: Iterable[Mapping[str, Any]]) -> list[Machine]:
    """Those that are alive and have cores, as Ray lists them."""
    found = [
        Machine(
            0,
            f"{node['NodeName']}",
            node["NodeID"],
            int(has["CPU"]),
            has,
            node.get("NodeManagerAddress", ""),
        )
        for node in nodes
        if node["Alive"] and (has := node["Resources"]).get("CPU", 0) >= 1
    ]
    for number, machine in enumerate(found, 1):
        machine.number = number
    return found


def check_python(machine: str, theirs: tuple[int, int], mine: tuple[int, int]) -> None:
    """Raises `TopologyError` if a machine runs another minor version of Python than the program.

    >>> check_python("gpu-1", (3, 12), (3, 11))
    Traceback (most recent call last):
    conveyor.errors.TopologyError: 'gpu-1' runs Python 3.12, and this program 3.11: what is ...
    """
    if theirs != mine:
        raise TopologyError(
            f"{machine!r} runs Python {theirs[0]}.{theirs[1]}, and this program "
            f"{mine[0]}.{mine[1]}: what is pickled here is not the same there; run both under one "
            "minor version"
        )


def needs_of(stages: Mapping[str, Resources], name: str) -> Resources | None:
    """What the workers of a stage need, if that was said; a lane's name begins with the stage's."""
    return stages.get(name) or stages.get(without_lanes(name))


def cpus_of(stages: Mapping[str, Resources], spec: NodeSpec) -> float:
    """How many cores a worker has: as was said, but never fewer than its stage uses several."""
    needs, uses = needs_of(stages, spec.name), cores_of(spec.stage)
    said = needs.cpus if needs is not None else 1.0
    return max(said, uses) if uses > 1 else said


def wanted_of(needs: Resources | None) -> dict[str, float]:
    """What has to be there beside cores, which may be shared, and graphics processors; in Ray's
    words."""
    if needs is None:
        return {}
    wanted = {"memory": float(needs.memory), **needs.custom}
    return {name: n for name, n in wanted.items() if n}


def gpus_of(stages: Mapping[str, Resources], workers: Sequence[NodeSpec]) -> dict[int, float]:
    """How many graphics processors each of these workers has, by its node, if it has any."""
    needs = {spec.index: needs_of(stages, spec.name) for spec in workers}
    return {node: each.gpus for node, each in needs.items() if each is not None and each.gpus}


def fits(wanted: float, room: float) -> bool:
    return wanted <= room + SLACK


def whole(n: float) -> int:
    """So many at least, as a whole number."""
    return ceil(n - SLACK)


def is_meant(machine: Machine, node: str | None) -> bool:
    return node in (None, machine.name, machine.identifier, machine.address)


def placed(
    workers: Sequence[NodeSpec], machines: Sequence[Machine], stages: Mapping[str, Resources]
) -> dict[int, int]:
    """The machine of each worker; raises `TopologyError` if there is none that has what a stage
    needs."""
    free = {machine.number: float(machine.cores) for machine in machines}
    left = {machine.number: dict(machine.has) for machine in machines}
    gpus: dict[int, dict[int, float]] = {machine.number: {} for machine in machines}
    at = {"": machines[0].number}  # by lane, where its last stage is
    homes: dict[int, int] = {}
    for spec in workers:
        needs, cpus = needs_of(stages, spec.name), cpus_of(stages, spec)
        wanted, its_gpus = wanted_of(needs), gpus_of(stages, [spec])
        able = [
            machine.number
            for machine in machines
            if is_meant(machine, needs.node if needs is not None else None)
            and all(fits(n, left[machine.number].get(name, 0)) for name, n in wanted.items())
            and count_of(gpus[machine.number] | its_gpus) <= machine.has.get("GPU", 0)
        ]
        if not able:
            raise TopologyError(
                f"Ray(stages=): no machine has what a worker of {spec.name!r} needs, {needs!r}, "
                "beside the workers before it"
            )
        lane = spec.name.removeprefix(without_lanes(spec.name))
        stays = at.get(lane)
        if stays not in able or not fits(cpus, free[stays]):
            stays = max(able, key=free.__getitem__)
        homes[spec.index] = at[lane] = stays
        free[stays] -= cpus
        gpus[stays] |= its_gpus
        for name, n in wanted.items():
            left[stays][name] -= n
    return homes


def bundle_of(
    machine: Machine, workers: Sequence[NodeSpec], stages: Mapping[str, Resources]
) -> dict[str, float]:
    """What a host needs for these workers together, in Ray's words."""
    total: dict[str, float] = {}
    cpus = sum(cpus_of(stages, spec) for spec in workers)
    for spec in workers:
        needs = needs_of(stages, spec.name)
        for name, n in wanted_of(needs).items():
            total[name] = total.get(name, 0.0) + n
        if needs is not None and needs.node is not None:
            total[f"node:{machine.address}"] = A_LITTLE
    total["CPU"] = min(cpus, machine.cores) or A_LITTLE
    if gpus := gpus_of(stages, workers):
        several = count_of(gpus)
        total["GPU"] = float(several) if several > 1 else sum(gpus.values())
    # Of more than one, whole ones only.
    return {name: n if n <= 1 else float(whole(n)) for name, n in total.items()}


def devices_of(ids: Sequence[object], gpus: Mapping[int, float]) -> dict[int, tuple[str, ...]]:
    """Which of a host's graphics processors each worker may use, that needs so many of them; one
    that needs a part of one shares it with others.

    >>> devices_of([4, 5, 6], {1: 0.5, 2: 0.5, 3: 2})
    {1: ('4',), 2: ('4',), 3: ('5', '6')}
    """
    return {
        node: tuple(str(each) for each in ids[where.start : where.stop])
        for node, where in shared_out(gpus).items()
    }


def count_of(gpus: Mapping[int, float]) -> int:
    """How many graphics processors these workers take together."""
    return max((where.stop for where in shared_out(gpus).values()), default=0)


def shared_out(gpus: Mapping[int, float]) -> dict[int, range]:
    """The same as `devices_of`, by the places of graphics processors: no part of one is on two.

    >>> shared_out({1: 0.4, 2: 0.6, 3: 0.6})
    {2: range(0, 1), 3: range(1, 2), 1: range(0, 1)}
    """
    free: list[float] = []  # of each that is shared
    found: dict[int, range] = {}
    for node, n in sorted(gpus.items(), key=lambda item: -item[1]):
        if n >= 1:
            continue
        at = next((at for at, room in enumerate(free) if fits(n, room)), len(free))
        if at == len(free):
            free.append(1.0)
        free[at] -= n
        found[node] = range(at, at + 1)
    behind = len(free)
    for node, n in gpus.items():
        if n >= 1:
            found[node] = range(behind, behind + whole(n))
            behind += whole(n)
    return found
