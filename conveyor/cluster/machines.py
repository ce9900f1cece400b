"""The machines of a cluster, and which worker goes where.

Knows: what machines have and what stages need.  Must never know: Ray, or what a worker does.

Rule 1.  Neighbours in the pipeline stay on one machine while its cores last; other lanes than the
         first go where the most cores are free.
Rule 2.  What a stage needs is never left out; cores may have more than one worker if there are too
         few.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from conveyor.errors import TopologyError
from conveyor.graph.topology import NodeSpec

__all__ = ["Machine", "Resources", "machines_of", "needs_of", "placed"]


@dataclass(frozen=True, slots=True)
class Resources:
    """What each worker of a stage needs of its machine: cores, graphics processors, bytes of
    memory, other resources by name; or the machine itself, by its name or address."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory: int = 0
    node: str | None = None
    custom: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(slots=True)
class Machine:
    """One machine: its number, name and identifier, and what it has."""

    number: int
    name: str
    identifier: str
    cores: int
    has: Mapping[str, float] = field(default_factory=dict[str, float])


def machines_of(nodes: Iterable[Mapping[str, Any]]) -> list[Machine]:
    """Those that are alive and have cores, as Ray lists them."""
    found = [
        Machine(0, f"{node['NodeName']}", node["NodeID"], int(has["CPU"]), has)
        for node in nodes
        if node["Alive"] and (has := node["Resources"]).get("CPU", 0) >= 1
    ]
    for number, machine in enumerate(found, 1):
        machine.number = number
    return found


def needs_of(stages: Mapping[str, Resources], name: str) -> Resources | None:
    """What the workers of a stage need, if that was said; a lane's name begins with the stage's."""
    return stages.get(name) or stages.get(name.partition("/")[0])


def placed(
    workers: Sequence[NodeSpec], machines: Sequence[Machine], stages: Mapping[str, Resources]
) -> dict[int, int]:
    """The machine of each worker; raises `TopologyError` if there is none that has what a stage
    needs."""
    free = {machine.number: float(machine.cores) for machine in machines}
    left = {machine.number: dict(machine.has) for machine in machines}
    at = machines[0].number
    homes: dict[int, int] = {}
    for spec in workers:
        needs = needs_of(stages, spec.name)
        wanted = wanted_of(needs)
        able = [
            machine.number
            for machine in machines
            if (needs is None or needs.node in (None, machine.name, machine.identifier))
            and all(left[machine.number].get(name, 0) >= n for name, n in wanted.items())
        ]
        if not able:
            raise TopologyError(
                f"Ray(stages=): no machine has what a worker of {spec.name!r} needs, {needs!r}"
            )
        cpus = needs.cpus if needs is not None else 1.0
        is_lane = any(char.isdigit() for char in spec.name.partition("/")[2])
        stays = at in able and free[at] >= cpus and not is_lane
        at = at if stays else max(able, key=lambda number: free[number])
        homes[spec.index] = at
        free[at] -= cpus
        for name, n in wanted.items():
            left[at][name] -= n
    return homes


def wanted_of(needs: Resources | None) -> dict[str, float]:
    """What has to be there, in Ray's words; cores may be shared."""
    if needs is None:
        return {}
    wanted = {"GPU": needs.gpus, "memory": float(needs.memory), **needs.custom}
    return {name: n for name, n in wanted.items() if n}
