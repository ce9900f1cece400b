"""What the program and the hosts of its workers say to one another.

This file knows messages alone.  It must never know how they travel.

Messages from one machine to another arrive in the order in which they were sent, each once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from conveyor.core.crashes import WorkerDeath
from conveyor.core.epochs import NodeState
from conveyor.graph.topology import Topology
from conveyor.items.main_module import Definitions
from conveyor.runtime.mirror.news import News

__all__ = [
    "Asked",
    "Ended",
    "Failed",
    "LetGo",
    "Letter",
    "Message",
    "Notes",
    "NotesAsked",
    "Plan",
    "Pressed",
    "Start",
    "Started",
    "Told",
]


class Plan(NamedTuple):
    """All that a host is told when it begins; `me` is its number, `homes` the machine of each
    node, `wanted` how many cores each can use, `clock` what to add to its times for those of the
    program, `environs` what the environment of a worker has beside the host's, by its node; `known`
    what nodes there know from a checkpoint, None if the run is not kept.

    The host of the machine `near`, if there is one, has the program's memory, which is lent at the
    address `lender`."""

    topology: Topology
    homes: Mapping[int, int]
    me: int
    stages: Mapping[int, bytes]
    forks: Mapping[int, bytes]
    main: Definitions | None
    path: list[str]
    preload: tuple[str, ...]
    clock: int
    wanted: Mapping[int, int]
    environs: Mapping[int, Mapping[str, str]]
    known: Mapping[int, NodeState] | None = None
    near: int | None = None
    lender: str = ""


class Start(NamedTuple):
    """A worker is wanted; `blocks` are the control blocks of its nodes."""

    node: int
    life: int
    run: int
    deaths: tuple[tuple[WorkerDeath, ...], ...]
    blocks: Mapping[int, bytes]


class Started(NamedTuple):
    """There is one now; or there is none, and that was raised."""

    node: int
    life: int
    pid: int
    cores: tuple[int, ...]
    error: BaseException | None


class Pressed(NamedTuple):
    """A signal is to be sent to a worker."""

    node: int
    life: int
    number: int


class Ended(NamedTuple):
    """A worker is gone; all that it had stored was told before."""

    node: int
    life: int
    exit_code: int | None


class Asked(NamedTuple):
    """A host is to tell all that is new, and then how much it has told and been told so far."""

    number: int


class Told(NamedTuple):
    """What a host was asked: how many news it has sent to each machine and taken from each, and
    which of its workers, by node and life, are stopped now, or were."""

    number: int
    sent: Mapping[int, int]
    taken: Mapping[int, int]
    stopped: Mapping[tuple[int, int], tuple[bool, bool]]


class NotesAsked(NamedTuple):
    """A host is to tell what its nodes noted at a barrier that all have passed."""

    number: int


class Notes(NamedTuple):
    """What they noted, behind all that was new by then."""

    number: int
    nodes: Mapping[int, NodeState]


class LetGo(NamedTuple):
    """Workers are no longer kept on cores of their own: what the report says of it, and the cores
    that each node has now."""

    notes: tuple[str, ...]
    cores: Mapping[int, tuple[int, ...]]


class Failed(NamedTuple):
    """A host cannot go on."""

    error: BaseException


Message: TypeAlias = (
    News | Start | Started | Pressed | Ended | Asked | Told | NotesAsked | Notes | LetGo | Failed
)
Letter: TypeAlias = list[Message]
"""What is sent at once."""
