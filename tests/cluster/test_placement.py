"""Which worker goes to which machine, how many lanes a fork has, and what is refused, all without
Ray."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conveyor import BalancingFork, Join, PartitioningFork, Pipe, Pipeline, Processor
from conveyor.cluster import Ray, Resources
from conveyor.cluster.machines import (
    Machine,
    bundle_of,
    devices_of,
    gpus_of,
    machines_of,
    placed,
)
from conveyor.errors import TopologyError
from conveyor.graph.topology import NodeSpec
from conveyor.recording.reader import Recording
from tests.hosts import InThisProcess
from tests.jobs import double, increment


def machine(number: int, cores: int = 4, **has: float) -> Machine:
    return Machine(number, f"m{number}", f"id{number}", cores, has, f"10.0.0.{number}")


def workers_of(pl: Any) -> list[NodeSpec]:
    return list(pl.topology.nodes[1:-1])


def line(n: int) -> list[NodeSpec]:
    pl: Any = Pipeline[int]()
    for at in range(n):
        pl.add(Processor(increment, name=f"s{at}"))
    return workers_of(pl)


class OnLanes(InThisProcess):
    """Hosts with as many lanes as stages ask for."""

    def lanes_of(self, stage: str) -> int | None:
        return {"double": 5, "second": 2}.get(stage)


def lanes(n: int) -> list[NodeSpec]:
    pl: Any = Pipeline[int](engine=Ray(stages={"double": Resources(lanes=n)}))
    pl.add(BalancingFork()).add(Processor(increment)).add(Processor(double)).add(Join())
    return workers_of(pl)


def by_name(workers: list[NodeSpec], homes: Mapping[int, int]) -> dict[str, int]:
    return {spec.name: homes[spec.index] for spec in workers}


def test_neighbours_stay_on_one_machine_while_its_cores_last() -> None:
    workers = line(6)
    homes = placed(workers, [machine(1), machine(2)], {})
    assert [*by_name(workers, homes).values()] == [1, 1, 1, 1, 2, 2]


def test_lanes_are_spread_and_the_stages_of_a_lane_stay_together() -> None:
    workers = lanes(4)
    homes = by_name(workers, placed(workers, [machine(1, 4), machine(2, 4)], {}))
    assert Counter(homes.values()) == {1: 4, 2: 4}
    homes = by_name(workers, placed(workers, [machine(1, 8), machine(2, 6)], {}))
    for lane in range(4):
        assert homes[f"increment/{lane}"] == homes[f"double/{lane}"]


def test_what_stages_need_is_shared_out_and_never_given_twice() -> None:
    workers, gpus = lanes(4), {"double": Resources(gpus=1)}
    homes = by_name(
        workers, placed(workers, [machine(1), machine(2, GPU=3), machine(3, GPU=1)], gpus)
    )
    assert Counter(homes[f"double/{lane}"] for lane in range(4)) == {2: 3, 3: 1}
    with pytest.raises(TopologyError, match="no machine has what a worker of 'double/3' needs"):
        placed(workers, [machine(1), machine(2, GPU=3)], gpus)


@pytest.mark.parametrize("node", ["m2", "id2", "10.0.0.2"])
def test_a_stage_may_name_its_machine(node: str) -> None:
    workers, stages = line(2), {"s0": Resources(node=node)}
    homes = placed(workers, [machine(1), machine(2)], stages)
    assert homes[1] == 2
    assert bundle_of(machine(2), workers[:1], stages) == {"CPU": 1.0, "node:10.0.0.2": 0.001}


def test_a_bundle_is_what_its_workers_need_together() -> None:
    stages = {
        "s0": Resources(cpus=0.5, gpus=0.75, memory=5),
        "s1": Resources(cpus=3, gpus=0.75, memory=6, custom={"disk": 1}),
    }
    assert bundle_of(machine(1, 8), line(3), stages) == {
        "CPU": 5.0,  # 4.5: of more than one, whole ones only
        "GPU": 2.0,
        "memory": 11.0,
        "disk": 1.0,
    }
    assert bundle_of(machine(1, 2), line(3), {})["CPU"] == 2.0  # more workers than cores
    idle = {"s0": Resources(cpus=0)}
    assert 0 < bundle_of(machine(1), line(1), idle)["CPU"] < 0.01  # Ray takes no empty bundle


def test_a_stage_that_uses_several_cores_has_them_reserved() -> None:
    pl: Any = Pipeline[int]().add(Processor(increment, cores=3)).add(Processor(double))
    assert bundle_of(machine(1, 8), workers_of(pl), {})["CPU"] == 4.0


def test_graphics_processors_are_shared_only_by_stages_that_need_a_part() -> None:
    assert devices_of(["a", "b", "c"], {7: 1, 8: 0.5, 9: 1, 10: 0.5}) == {
        8: ("a",),
        10: ("a",),
        7: ("b",),
        9: ("c",),
    }


@pytest.mark.parametrize(
    ("part", "n"), [(0.05, 20), (0.04, 25), (0.1, 10), (1 / 6, 6), (1 / 11, 11)]
)
def test_parts_that_come_to_one_whole_share_it(part: float, n: int) -> None:
    workers, stages = line(n), {f"s{at}": Resources(gpus=part) for at in range(n)}

    assert {*placed(workers, [machine(1, GPU=1)], stages).values()} == {1}
    assert bundle_of(machine(1), workers, stages)["GPU"] == pytest.approx(1.0, abs=1e-9)
    devices = devices_of(["a", "b"], {spec.index: part for spec in workers} | {99: 1})
    assert devices == dict.fromkeys([spec.index for spec in workers], ("a",)) | {99: ("b",)}
    with pytest.raises(TopologyError, match="no machine has what a worker"):
        placed(line(n + 1), [machine(1, GPU=1)], stages | {f"s{n}": Resources(gpus=part)})


def test_no_part_of_a_graphics_processor_is_on_two_of_them() -> None:
    workers, three = lanes(3), {"double": Resources(gpus=0.6)}
    with pytest.raises(TopologyError, match="no machine has what a worker of 'double/2' needs"):
        placed(workers, [machine(1, 8, GPU=2)], three)
    assert {*placed(workers, [machine(1, 8, GPU=3)], three).values()} == {1}
    assert bundle_of(machine(1, 8), workers, three)["GPU"] == 3.0
    needs = gpus_of(three, workers)
    assert sorted(devices_of("abc", needs).values()) == [("a",), ("b",), ("c",)]

    pairs = devices_of("ab", {1: 0.4, 2: 0.6, 3: 0.4, 4: 0.6})
    assert Counter(pairs.values()) == {("a",): 2, ("b",): 2}
    assert pairs[2] != pairs[4]


def test_machines_are_those_that_are_alive_and_have_cores() -> None:
    node = {"NodeName": "m", "NodeID": "i", "NodeManagerAddress": "10.0.0.9", "Alive": True}
    found = machines_of(
        [
            node | {"Resources": {"CPU": 3.0}},
            node | {"Resources": {"GPU": 1.0}},
            node | {"Resources": {"CPU": 3.0}, "Alive": False},
        ]
    )
    assert [(each.number, each.cores, each.address) for each in found] == [(1, 3, "10.0.0.9")]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"cpus": -1}, "cpus is -1; it must be a number, 0 or more"),
        ({"gpus": "1"}, "gpus is '1'"),
        ({"custom": {"disk": None}}, "disk is None"),
        ({"lanes": 1.5}, "lanes is 1.5; it must be a whole number, 1 or more"),
    ],
)
def test_what_is_no_amount_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(TopologyError, match=words):
        Resources(**wrong)


def test_what_is_no_resources_is_refused() -> None:
    with pytest.raises(TopologyError, match=r"what 'f' needs is 3; it must be Resources\(\.\.\.\)"):
        Ray(stages={"f": 3})  # type: ignore[dict-item]  # on purpose


# ---------------------------------------------------------------------------
# lanes


def widths(pl: Any) -> Counter[str]:
    return Counter(info.name.partition("/")[0] for info in pl.topology.stages)


def two_forks() -> Any:
    pl: Any = Pipeline[int](engine=OnLanes())
    pl.add(BalancingFork()).add(Processor(double)).add(Join())
    pl.add(BalancingFork(name="plain")).add(Processor(increment)).add(Join())
    pl.add(PartitioningFork(key=abs)).add(Processor(increment, name="second")).add(Join())
    return pl


def test_each_fork_has_the_lanes_that_a_stage_on_them_asks_for_and_others_the_engines() -> None:
    found = widths(two_forks())
    assert (found["double"], found["increment"], found["second"]) == (5, 3, 2)


def test_ray_is_not_asked_for_its_cores_where_every_fork_was_told() -> None:
    assert [spec.name for spec in lanes(8)][-8:] == [f"double/{lane}" for lane in range(8)]
    assert "ray" not in sys.modules or not sys.modules["ray"].is_initialized()


@pytest.mark.processes
@pytest.mark.usefixtures("nothing_is_left_behind")
def test_a_recording_says_how_many_lanes_each_fork_had(tmp_path: Path) -> None:
    path = tmp_path / "run.cvd"
    pl = two_forks()
    result = pl.run(range(40), record=path)

    assert dict(Recording.read(path.read_bytes(), "run.cvd").lanes_of) == {
        "balancing_fork": 5,
        "partitioning_fork": 2,
    }
    assert list(pl.replay(range(40), path)) == result


def test_lanes_that_cannot_be_are_refused() -> None:
    def on(fork: BalancingFork[Any] | None, *more: str) -> Any:
        pl: Any = Pipeline[int](engine=OnLanes())
        pl.add(*([fork] if fork is not None else [Pipe(3)])).add(Processor(double))
        for name in more:
            pl.add(Processor(increment, name=name))
        return pl.add(Join()) if fork is not None else pl

    with pytest.raises(TopologyError, match="'double' is to be on 5 lanes, and stands on those of"):
        on(None).run([1])
    with pytest.raises(TopologyError, match="'balancing_fork' has 4 at most"):
        on(BalancingFork(max_lanes=4)).run([1])
    with pytest.raises(TopologyError, match="'second' is to be on 2 lanes of 'balancing_fork'"):
        on(BalancingFork(), "second").run([1])


# ---------------------------------------------------------------------------
# a cluster that is not this program's kind


def stranger(error: Exception) -> Any:
    """What `import ray` gives where the cluster does not take this program."""

    def init(address: str | None, *, log_to_driver: bool) -> None:
        raise error

    return SimpleNamespace(is_initialized=lambda: False, init=init)


def test_a_cluster_of_another_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "Version mismatch: The cluster was started with:\n    Ray: 2.60.0\n    Python: 3.12.4\n"
    monkeypatch.setitem(sys.modules, "ray", stranger(RuntimeError(said)))
    with pytest.raises(
        TopologyError, match=r"pickled here is not the same there.*Python: 3\.12\.4"
    ):
        Pipeline[int]().add(Processor(double)).run([1], engine=Ray("auto"))


def test_what_cannot_go_there_is_refused_before_ray_is_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", stranger(AssertionError("it was started")))
    from multiprocessing import Event

    event = Event()

    def waits(number: int) -> int:
        return number if event.wait() else 0

    with pytest.raises(TopologyError, match="variable 'event': an event"):
        Pipeline[int]().add(Processor(waits)).run([1], engine=Ray())
