"""A run under way as it is seen at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from conveyor.progress import Progress

__all__ = ["Failure", "Fill", "How", "Snapshot", "Activity", "WorkerSeen"]


class Activity(Enum):
    """What a stage, or its worker, is about."""

    CLOSED = "closed"  # its lane is not open
    STARTING = "starting"
    SETTING_UP = "setting up"
    WORKING = "working"
    WAITING = "waiting"  # for items
    BLOCKED = "blocked"  # for want of room behind it
    RESTARTING = "restarting"  # it has died, and another takes over in a moment
    DONE = "done"


class How(Enum):
    """How a run ended."""

    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


class Fill(NamedTuple):
    """How many items are in a channel, of how many that it has room for."""

    queued: int
    capacity: int


class WorkerSeen(NamedTuple):
    """A worker: the stages that it runs, and where; `cores` is empty where the system chooses,
    `node` the name of its machine, None if that is the program's."""

    stages: tuple[str, ...]
    pid: int | None
    cores: tuple[int, ...]
    state: Activity
    restarts: int
    node: str | None = None


class Failure(NamedTuple):
    """Something that went wrong, so many seconds after the run began; `stage` is empty where it is
    of none."""

    at_s: float
    stage: str
    text: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at one moment.

    states: what each stage is about; channels: in the order of the topology's; failures: the last
    ones, the newest at the end; ended: how, once it has.
    """

    progress: Progress
    states: Mapping[str, Activity] = field(default_factory=dict[str, Activity])
    channels: tuple[Fill, ...] = ()
    workers: tuple[WorkerSeen, ...] = ()
    failures: tuple[Failure, ...] = ()
    ended: How | None = None
