"""What a worker is told when it starts, and what it reports.

This file knows messages alone.  It must never know how they travel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from conveyor.core.crashes import WorkerDeath
from conveyor.core.failures import SentLetter
from conveyor.graph.topology import Topology
from conveyor.items.main_module import Definitions
from conveyor.runtime.process.circumstances import Circumstances
from conveyor.runtime.shm.layout import LayoutFactory

__all__ = ["Order", "RolledBack", "SentDeadLetter"]


@dataclass(slots=True, kw_only=True)
class Order:
    """All that a worker is told when it starts.

    Descriptors (`memory`, `lifeline`, those in `wakeups` and `circumstances`) are the parent's
    numbers.  `run` is the one under way, in which others may have died before this worker:
    `deaths` says how, for each of its stages.  `fork` is the one behind them, packed, if it has a
    function of the user's.
    """

    topology: Topology
    node: int
    stages: tuple[bytes, ...]
    fork: bytes | None
    size: int  # of the memory, in bytes
    memory: int
    lifeline: int
    wakeups: dict[int, tuple[int, int]]
    circumstances: Circumstances
    path: list[str]
    main: Definitions | None
    run: int
    deaths: tuple[tuple[WorkerDeath, ...], ...]
    layout: LayoutFactory


class SentDeadLetter(NamedTuple):
    """A dead letter on its way to the parent."""

    node: int
    letter: SentLetter


class RolledBack(NamedTuple):
    """A worker took over where another died: dead letters of a stage, or of the fork behind it, are
    void from this ordinal on, but those of the ordinals `behind`."""

    stage: str
    ordinal: int
    behind: tuple[int, ...] = ()
