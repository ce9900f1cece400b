"""Many runs on hosts, of which one is killed at a moment that is drawn: the run goes on without it,
or it was over already, and everything is there.  What cannot go on ends with the name of the host.
Nothing of either is left.

Knows the public API, what must come out, and the processes of hosts.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from conveyor import Pipeline
from conveyor.errors import HostLost, TopologyError
from conveyor.graph.keeping import check_can_be_kept
from tests.chaos.board import Board
from tests.chaos.pipelines import Found, Hammered
from tests.host_processes import InProcesses, ProcessNetwork
from tests.processes import holds_within, members

__all__ = ["LostHosts"]

SIZES: Final = (1, 30, 300, 3000)
LATER_S: Final = (0.0, 0.001, 0.01, 0.1, 0.5)
GONE_S: Final = 10.0  # for all processes of a run


@dataclass
class LostHosts:
    """Runs `pipeline` on so many hosts until enough of them were killed; `ends` says in how many
    runs that was survived, ended them, or came too late."""

    board: Board
    pipeline: Hammered
    capacity: int
    microseconds: int
    hosts: int
    random: Random
    found: Found = field(default_factory=Found)
    ends: Counter[str] = field(default_factory=Counter[str])
    killed: list[str] = field(default_factory=list[str])  # the names of hosts, some a moment later
    items: int = 0
    left: int = 0

    def work(self, kills: int, deadline: float) -> None:
        self.run(None)
        there = set(members(os.getsid(0)))  # and what helpers a first run leaves behind for good
        while self.board.kills < kills and time.monotonic() < deadline:
            self.run(Victim(self))
            if not holds_within(lambda: there.issuperset(members(os.getsid(0))), GONE_S):
                self.left += len(set(members(os.getsid(0))) - there)

    def run(self, victim: Victim | None) -> None:
        engine = InProcesses(self.hosts)
        pl: Any = Pipeline
        pl = self.pipeline.build(self.capacity, self.microseconds, pl())
        with pl:
            self.run_once(pl, engine, victim, is_first=True)
            again = self.random.random() < 0.3 and not self.pipeline.remembers
            if again:  # on the same hosts, or on those that are left
                next_victim = None if victim is None else Victim(self)
                self.run_once(pl, engine, next_victim, is_first=False)

    def run_once(self, pl: Any, engine: InProcesses, victim: Victim | None, is_first: bool) -> None:
        size = self.random.choice(SIZES)
        self.items += size
        before = len(engine.networks) or 1
        try:
            outputs = self.outputs(pl, engine, size, victim)
        except HostLost as error:
            if not any(repr(name) in str(error) for name in self.killed):  # whole
                raise
            if may_go_on(pl, is_first):  # the pipeline has still other hosts
                raise
            self.ends["with its name"] += victim is not None
        else:
            went_on = len(engine.networks) > before
            self.ends["gone on" if went_on else "over before"] += victim is not None
            self.found += self.pipeline.check(outputs, size)

    def outputs(
        self, pl: Any, engine: InProcesses, size: int, victim: Victim | None
    ) -> list[object]:
        at = self.random.randrange(size)
        streamed = self.random.random() < 0.5

        def source() -> Iterator[int]:
            for number in range(size):
                if victim is not None and number == at:
                    victim.is_chosen(engine.networks[-1])
                self.board.pulled += 1
                yield number

        if not streamed:
            return list(pl.run(source(), engine=engine))
        with pl.stream(source(), engine=engine) as stream:
            return list(stream)


def may_go_on(pl: Any, is_first: bool) -> bool:
    """Must its runs go on, this one too?"""
    try:
        check_can_be_kept(pl.topology)
    except TopologyError:
        return False
    return is_first or not any(spec.is_restorable for spec in pl.topology.nodes)


class Victim:
    """A host that is killed in a moment."""

    def __init__(self, runs: LostHosts) -> None:
        self.runs = runs
        self.random = Random(runs.random.random())

    def is_chosen(self, network: ProcessNetwork) -> None:
        host = self.random.choice([*network.hosts.values()])
        self.runs.killed.append(host.name)
        self.runs.board.kills += 1
        later = self.random.choice(LATER_S)  # drawn, so that it dies at work, idle and at the end
        threading.Timer(later, host.kill).start()
