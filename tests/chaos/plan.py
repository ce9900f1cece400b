"""Which scenarios make up the whole: every step of every kind of stage, and random kills through
every pipeline."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Final

from tests.chaos.pipelines import PIPELINES
from tests.chaos.scenario import Spec
from tests.chaos.steps import STEPS, STEPS_OF

__all__ = [
    "HOSTS",
    "KINDS",
    "host_kills",
    "kills_on_hosts",
    "random_kills",
    "restless_kills",
    "step_kills",
]

# The kinds of stage and their positions: a pipeline, and the stage in it whose workers die.
KINDS: Final = {
    "map, at the source": ("line", "map"),
    "filter": ("line", "filter"),
    "flat-map": ("line", "flat"),
    "map, before the sink": ("line", "last"),
    "stateful, with snapshots": ("snapshots", "stateful"),
    "a running fold": ("gathered", "scan"),
    "a state for each key": ("keyed", "keyed"),
    "windows of time": ("windowed", "windowed"),
    "before a replicating fork": ("replicated", "nonce"),
    "in a lane of it": ("replicated", "a"),
    "behind a join": ("replicated", "behind"),
    "relay, a join and a fork": ("relayed", "join-again"),
    "behind a zip": ("zipped", "pairs"),
    "before a balancing fork": ("balanced", "front"),
    "in a lane of it ": ("balanced", "a"),
    "before a fork that looks at its items": ("partitioned", "front"),
    "before one whose lanes an ordered join takes": ("split", "nonce"),
    "in a lane of that": ("split", "b"),
    "in a lane of an ordered join": ("ordered", "b"),
    "in a lane of an adapting fork": ("adapting", "pool/0"),
}
MORE: Final = {
    "stateful, with snapshots": "state",
    "a running fold": "state",
    "a state for each key": "state",
    "windows of time": "state",
    "before a replicating fork": "fork",
    "relay, a join and a fork": "fork",
    "before a fork that looks at its items": "fork",
    "before one whose lanes an ordered join takes": "fork",
    "behind a zip": "zip",
}

HOSTS: Final = 2

METHODS: Final = {"fork": 5, "forkserver": 4, "spawn": 1}  # of ten seeds
CAPACITIES: Final = (1, 5, 64, 1024, 16384)


def step_kills(kills: int) -> dict[str, list[Spec]]:
    """For each kind of stage, a scenario for each step; the capacities of the pipes take turns."""
    plan: dict[str, list[Spec]] = {}
    for kind, (pipeline, stage) in KINDS.items():
        steps = STEPS | (STEPS_OF[MORE[kind]] if kind in MORE else {})
        plan[kind] = [
            Spec(
                pipeline,
                "fork",
                (4, 64)[number % 2],
                20,
                100,
                kills,
                number,
                number % 3 == 0,
                (stage, place),
                90.0,
            )
            for number, place in enumerate(steps.values())
        ]
    return plan


def restless_kills(kills: int, first_seed: int, seeds: int) -> dict[str, list[Spec]]:
    """For each seed a scenario of each pipeline, under one start method, in which no moment is
    spared."""
    order = [method for method, share in METHODS.items() for _ in range(share)]
    share = -(-kills // (seeds * len(PIPELINES)))
    plan: dict[str, list[Spec]] = {}
    for seed in range(first_seed, first_seed + seeds):
        random, method = Random(seed), order[seed * 3 % len(order)]
        plan[f"seed {seed}, {method}"] = [
            Spec(
                name,
                method,
                random.choice(CAPACITIES),
                20,
                0,
                share,
                1000 * seed + number,
                restless=True,
                seconds=600,
            )
            for number, name in enumerate(PIPELINES)
        ]
    return plan


def random_kills(kills: int, items: int, first_seed: int, seeds: int) -> dict[str, list[Spec]]:
    """For each seed a scenario of each pipeline, under one start method."""
    order = [method for method, share in METHODS.items() for _ in range(share)]
    scenarios = seeds * len(PIPELINES)
    share, load = -(-kills // scenarios), -(-items // scenarios)
    plan: dict[str, list[Spec]] = {}
    for seed in range(first_seed, first_seed + seeds):
        random, method = Random(seed), order[seed * 3 % len(order)]
        plan[f"seed {seed}, {method}"] = [
            Spec(
                name,
                method,
                random.choice(CAPACITIES),
                20,
                load,
                share,
                1000 * seed + number,
                number % 2 == 0,
                seconds=240,
            )
            for number, name in enumerate(PIPELINES)
        ]
    return plan


def kills_on_hosts(kills: int, seed: int) -> list[Spec]:
    """A scenario of each pipeline on hosts, in which workers are killed."""
    random, share = Random(seed), -(-kills // len(PIPELINES))
    return [
        Spec(
            name,
            "forkserver",
            random.choice(CAPACITIES),
            20,
            0,
            share,
            1000 * seed + number,
            number % 2 == 0,
            seconds=900,
            hosts=HOSTS,
        )
        for number, name in enumerate(PIPELINES)
    ]


def host_kills(kills: int, seed: int) -> list[Spec]:
    """The same, and it is hosts that are killed; one more than may die in a pipeline."""
    return [
        replace(spec, streamed=False, hosts=3, loses_hosts=True)
        for spec in kills_on_hosts(kills, seed)
    ]
