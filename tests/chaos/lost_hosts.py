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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final

from conveyor import Checkpoint, Pipeline
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
EVERY_S: Final = 0.02


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
            kept = self.random.random() < 0.3 and can_be_kept(pl)
            self.run_once(pl, engine, victim, is_first=True, kept=kept)
            again = self.random.random() < 0.3 and not (kept or self.pipeline.remembers)
            if again:  # on the same hosts, or on those that are left
                next_victim = None if victim is None else Victim(self)
                self.run_once(pl, engine, next_victim, is_first=False)

    def run_once(
        self,
        pl: Any,
        engine: InProcesses,
        victim: Victim | None,
        is_first: bool,
        kept: bool = False,
    ) -> None:
        size = self.random.choice(SIZES)
        self.items += size
        before = len(engine.networks) or 1
        items = Items(self, engine, size, victim)
        try:
            outputs = self.outputs_kept(pl, items) if kept else self.outputs(pl, items)
        except HostLost as error:
            if not any(repr(name) in str(error) for name in self.killed):  # whole
                raise
            if may_go_on(pl, is_first):  # the pipeline has still other hosts
                raise
            self.ends["with its name"] += victim is not None
        else:
            went_on = len(engine.networks) > before + items.times_left
            self.ends["gone on" if went_on else "over before"] += victim is not None
            self.found += self.pipeline.check(outputs, size)

    def outputs(self, pl: Any, items: Items) -> list[object]:
        if self.random.random() < 0.5:
            return list(pl.run(iter(items), engine=items.engine))
        with pl.stream(iter(items), engine=items.engine) as stream:
            return list(stream)

    def outputs_kept(self, pl: Any, items: Items) -> list[object]:
        """The same, of a run that is kept in a checkpoint."""
        with TemporaryDirectory() as folder:
            checkpoint = Checkpoint(Path(folder), every_s=EVERY_S)
            if self.random.random() < 0.5:
                return drained(pl, items, checkpoint)
            return self.acknowledged(pl, items, checkpoint)

    def acknowledged(self, pl: Any, items: Items, checkpoint: Checkpoint) -> list[object]:
        """What a program takes and acknowledges, which may leave the stream and open it again."""
        taken: list[object] = []
        if self.random.random() < 0.5:
            items.times_left = 1
            taken += acknowledged(pl, items, checkpoint, self.random.randrange(items.size))
        return [*taken, *acknowledged(pl, items, checkpoint, None)]


class Items:
    """The items of one run; at one of them, the first time that it is given, the victim is
    chosen."""

    def __init__(
        self, runs: LostHosts, engine: InProcesses, size: int, victim: Victim | None
    ) -> None:
        self.board = runs.board
        self.engine = engine
        self.size = size
        self.victim = victim
        self.times_left = 0  # a stream of them
        self.at = runs.random.randrange(size)

    def __iter__(self) -> Iterator[int]:
        for number in range(self.size):
            if number == self.at and self.victim is not None:
                self.victim.is_chosen(self.engine.networks[-1])
                self.victim = None
            self.board.pulled += 1
            yield number


class Results:
    """A sink that keeps results in memory, by their epoch."""

    def __init__(self) -> None:
        self.epochs: dict[int, list[object]] = {}
        self.epoch = 0

    def open(self, epoch: int, /) -> None:
        self.epochs = {each: there for each, there in self.epochs.items() if each < epoch}
        self.epoch = epoch

    def write(self, items: Sequence[object], /) -> None:
        self.epochs.setdefault(self.epoch, []).extend(items)

    def prepare(self, epoch: int, /) -> None: ...

    def commit(self, epoch: int, /) -> None:
        self.epoch = epoch + 1

    def abort(self) -> None:
        self.epochs.pop(self.epoch, None)

    def identity(self) -> str:
        return "results"


def drained(pl: Any, items: Items, checkpoint: Checkpoint) -> list[object]:
    """What the sink of a run has in the end."""
    sink = Results()
    pl.drain(items, into=sink, checkpoint=checkpoint, engine=items.engine)
    return [result for _, there in sorted(sink.epochs.items()) for result in there]


def acknowledged(
    pl: Any, items: Items, checkpoint: Checkpoint, most: int | None
) -> Iterator[object]:
    """So many results of a stream, each of which is acknowledged; None: all."""
    with pl.stream(items, checkpoint=checkpoint, engine=items.engine) as stream:
        for result in islice(stream, most):
            stream.acknowledge()
            yield result


def can_be_kept(pl: Any) -> bool:
    try:
        check_can_be_kept(pl.topology)
    except TopologyError:
        return False
    return True


def may_go_on(pl: Any, is_first: bool) -> bool:
    """Must its runs go on, this one too?"""
    return can_be_kept(pl) and (
        is_first or not any(spec.is_restorable for spec in pl.topology.nodes)
    )


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
