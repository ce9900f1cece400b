"""Where the worker processes of a deployment are: on this machine, or on others.

Knows: what is asked of such a place.  Must never know: which place it is.

All that is decided about workers - who is replaced, whose item takes too long, what is stuck - is
decided beside the program, from the memory that it shares with them.  A crew starts processes and
tells of their ends, and it sees to it that this memory is theirs, too.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from conveyor.core.crashes import WorkerDeath
from conveyor.graph.topology import NodeSpec, Topology
from conveyor.runtime.parent.noted import Noted
from conveyor.runtime.parent.shared import Shared
from conveyor.runtime.parent.worker_plan import WorkerPlan
from conveyor.runtime.policies.contract import StoppableWorker

__all__ = ["Birth", "Crew", "Site", "WorkerProcess"]


class Birth(NamedTuple):
    """The worker that a node is to have now: the `life`th, started into `run`, in which others have
    died; `deaths` says how, for each of its stages."""

    spec: NodeSpec
    life: int
    run: int
    deaths: tuple[tuple[WorkerDeath, ...], ...]


class WorkerProcess(StoppableWorker, Protocol):
    """A worker's process; `fd` is readable when it is gone."""

    @property
    def pid(self) -> int: ...
    @property
    def fd(self) -> int: ...
    def wait(self, seconds: float) -> bool:
        """Waits so long for its end, and gives whether it is gone."""
        ...

    def exit_code(self) -> int | None:
        """What it left with, below zero for a signal; None while it is there, or if that is not
        known."""
        ...

    def send(self, number: signal.Signals) -> None:
        """Sends it a signal; does nothing if it is gone."""
        ...

    def close(self) -> None:
        """Gives back what is kept for it here."""
        ...

    def close_copy(self) -> None:
        """In a process that was forked: gives back its copy of that."""
        ...


class Crew(Protocol):
    """The processes of one deployment.  Every call comes from one thread at a time."""

    def start(self, birth: Birth) -> WorkerProcess:
        """A process that has been told all that the worker of a node needs to know.

        Raises `OSError` or `EOFError` if the system gives none, `BrokenPipeError` if it was killed
        before it had begun, and a `RunError` if the place is gone.
        """
        ...

    @property
    def failure(self) -> BaseException | None:
        """What has befallen the place, None: nothing."""
        ...

    def check(self) -> None:
        """Raises what has befallen the place, if anything has; called again and again."""
        ...

    def is_still(self) -> bool:
        """Is nothing on its way between the program and its workers but notifications?"""
        ...

    def where(self, node: int) -> str | None:
        """The name of the machine that a node's worker is on; None: this one."""
        ...

    def cores(self, node: int) -> tuple[int, ...]:
        """The cores that its worker runs on; none: the system places it."""
        ...

    def ask_noted(self, number: int) -> None:
        """What nodes noted at a barrier is wanted; all of them have passed it."""
        ...

    def noted(self, waits: bool = False) -> Mapping[int, Noted] | None:
        """What was asked for, by node; None while it has not come, unless this `waits` for it.

        The thread that runs is woken once it has.  Raises a `RunError` if the place is gone.
        """
        ...

    def remarks(self) -> tuple[str, ...]:
        """What a report has to say of the place."""
        ...

    def close(self) -> None:
        """Gives back the place, once all processes have ended.  Does nothing the second time."""
        ...

    def close_copy(self) -> None:
        """In a process that was forked: gives back its copy of that."""
        ...


class Site(Protocol):
    """What an engine chooses for a deployment."""

    def room(self) -> int:
        """How many workers have a core of their own: where there are more stages, neighbours share
        one."""
        ...

    def may_share(self, stage: str) -> bool:
        """May this stage share a worker with its neighbours?"""
        ...

    def plan(self, topology: Topology) -> WorkerPlan:
        """What is known of the workers before any is started."""
        ...

    def share(self, topology: Topology) -> Shared:
        """The memory that the program shares with them."""
        ...

    def crew(self, plan: WorkerPlan, shared: Shared) -> Crew:
        """The place for their processes, with none in it yet."""
        ...
