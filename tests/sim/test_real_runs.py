"""What real processes give is among what the simulator says can come out."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import pytest

from conveyor import Processor
from conveyor.stages import Stage
from tests.helpers import PROVE
from tests.sim.parts import Outcome, built
from tests.sim.topologies import TOPOLOGIES, items

pytestmark = pytest.mark.processes

RUNS = 200 if PROVE else 10

TRIED = [
    "diamond",
    "tight lanes",
    "tight all around",
    "a lane that drops",
    "a lane that multiplies",
    "three tight lanes",
    "balance",
    "tight balance",
    "many out of one, balanced",
    "balance in a replicate",
    "adapting",
    "adapting, tight",
    "nested joins",
    "a join behind a join",
    "one diamond behind another",
    "a balance behind a join",
    "ordered, with drops, beside another lane",
    "zip beside another lane",
]


def hesitates(job: Any) -> Any:
    """The job, after a pause of its own length each time, or none: so that workers overtake one
    another."""

    def late(item: Any) -> Any:
        how_long = os.urandom(1)[
            0
        ]  # forked workers share the state of every other source of chance
        if how_long > 128:
            time.sleep((how_long - 128) * 3e-6)
        return job(item)

    return late


def hesitant(rows: Sequence[Sequence[Stage]]) -> list[list[Stage]]:
    return [
        [
            Processor(hesitates(stage.stage_options.fn)) if type(stage) is Processor else stage
            for stage in row
        ]
        for row in rows
    ]


@cache
def known(name: str) -> set[Outcome]:
    found = built(*TOPOLOGIES[name]()).explore(
        items(name), strategy="exhaustive", schedules=100_000
    )
    assert found.complete
    return set(found.outputs)


@pytest.fixture(params=[1, 2], ids=["one core", "two cores"])
def cores(request: pytest.FixtureRequest) -> Iterator[None]:
    """So many cores for this process and all that it starts."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system does not let a process choose its cores")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[: request.param])
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.usefixtures("cores")
@pytest.mark.parametrize("name", TRIED)
def test_what_real_runs_give_can_come_out_of_the_simulator(name: str) -> None:
    with built(*hesitant(TOPOLOGIES[name]()), start_method="fork") as pl:
        seen = {tuple(pl.run(items(name))) for _ in range(RUNS)}

    assert seen <= known(name)
