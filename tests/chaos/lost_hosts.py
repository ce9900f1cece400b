"""Many runs on hosts, of which one is killed at a moment that is drawn: the run ends with its name,
or it was over already and everything is there.  Nothing of either is left.

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
from conveyor.errors import HostLost
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
    """Runs `pipeline` on so many hosts until enough of them were killed; `ends` says how often that
    ended a run, and how often it was over already."""

    board: Board
    pipeline: Hammered
    capacity: int
    microseconds: int
    hosts: int
    random: Random
    found: Found = field(default_factory=Found)
    ends: Counter[str] = field(default_factory=Counter[str])
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
        size = self.random.choice(SIZES)
        self.items += size
        with pl:
            try:
                outputs = self.outputs(pl, engine, size, victim)
            except HostLost as error:
                if victim is None or repr(victim.ended) not in str(error):  # whole
                    raise
                self.ends["with its name"] += 1
                if self.random.random() < 0.8:
                    return
                outputs = self.outputs(pl, engine, size, None)  # on hosts that begin anew
            else:
                self.ends["over before"] += victim is not None
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


class Victim:
    """A host that is killed in a moment."""

    def __init__(self, runs: LostHosts) -> None:
        self.board = runs.board
        self.random = Random(runs.random.random())
        self.ended = "nobody"

    def is_chosen(self, network: ProcessNetwork) -> None:
        host = self.random.choice([*network.hosts.values()])
        self.ended = host.name
        self.board.kills += 1
        later = self.random.choice(LATER_S)  # drawn, so that it dies at work, idle and at the end
        threading.Timer(later, host.kill).start()
