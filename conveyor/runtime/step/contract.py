"""What the policies of this folder ask of channels and of the figures that outlive a worker.

This file knows protocols alone.  An engine that keeps its channels elsewhere than in shared memory
offers objects like these, and has the loop, the batching and the balancing as they are.  It must
never know where a channel is, or how a sleeping process is woken.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

__all__ = [
    "FOR_ITEMS",
    "FOR_NOTHING",
    "FOR_ROOM",
    "FOR_TIME",
    "LaneCounts",
    "PacedInlet",
    "PacedOutlet",
    "WaitReason",
    "WorkFigures",
]


class PacedInlet(Protocol):
    """The consumer's end of a channel, as the policies use it."""

    @property
    def head(self) -> int:
        """How many items have been committed."""
        ...

    def pending(self) -> bool: ...
    def ended(self) -> bool: ...
    def queued(self) -> int:
        """About how many items are published and not committed."""
        ...

    def set_cost(self, nanoseconds: int) -> None:
        """Tells the producer how long this consumer takes for an item."""
        ...

    def sleeps(self, position: int) -> None:
        """Asks to be woken when so many items are published; 0 takes that back."""
        ...


class PacedOutlet(Protocol):
    """The producer's end of a channel, as the policies use it."""

    @property
    def capacity(self) -> int: ...
    @property
    def tail(self) -> int:
        """How many items have been published."""
        ...

    @property
    def at_once(self) -> int:
        """How many items, as large as the last ones, one record may hold."""
        ...

    def queued(self) -> int:
        """How many items are published and not committed."""
        ...

    def cost(self) -> int:
        """Nanoseconds that the consumer takes for an item; 0 while that is not known."""
        ...

    def sleeps(self, position: int) -> None:
        """Asks to be woken when so many items are committed; 0 takes that back."""
        ...

    def knock(self) -> None:
        """Wakes a consumer that sleeps, however many items it waits for."""
        ...


class WorkFigures(Protocol):
    """What is measured of one node, where the parent can read it."""

    def set_running(self, number: int) -> None:
        """Which job of the worker is at work, counted from 1; 0: none is."""
        ...

    def times(self) -> tuple[int, int, int, int]:
        """Busy, waiting and blocked nanoseconds, and how many slices there were."""
        ...

    def write_times(self, busy: int, waiting: int, blocked: int, batches: int) -> None: ...
    def write_moving(self, nanoseconds: int) -> None:
        """How long the worker has been reading, packing and publishing so far."""
        ...

    def add_sample(self, in_jobs: int, nanoseconds: int) -> None:
        """Of so many nanoseconds at work so many were the jobs' own."""
        ...


class LaneCounts(Protocol):
    """How many lanes of each adapting fork are open, and how many its worker asks for."""

    def open_lanes(self, fork: str) -> int: ...
    def wanted_lanes(self, fork: str) -> int: ...
    def want_lanes(self, fork: str, lanes: int) -> None: ...


class WaitReason(NamedTuple):
    """What a loop waits for.

    kind: `FOR_ITEMS`, `FOR_ROOM`, or `FOR_TIME`, which comes by itself; channels: a bit for each
    inlet or outlet in question; items: how many it needs room for.
    """

    kind: int
    channels: int
    items: int = 0


FOR_NOTHING: Final = WaitReason(0, 0)
FOR_ITEMS: Final = 1
FOR_ROOM: Final = 2
FOR_TIME: Final = 3
