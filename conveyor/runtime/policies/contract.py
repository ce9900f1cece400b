"""What the policies of this folder ask of workers and of channels.

This file knows protocols alone.  An engine that has its workers elsewhere than on this machine
offers objects like these, and has the restart policy, the time limits and the watchdog as they are.
"""

from __future__ import annotations

from typing import Protocol

from conveyor.core.crashes import Moment, WorkerDeath
from conveyor.report import Tally
from conveyor.runtime.step.contract import WaitReason

__all__ = [
    "ChannelView",
    "Inputs",
    "ItemClock",
    "SleepState",
    "StoppableWorker",
    "WorkerRecord",
]


class ItemClock(Protocol):
    """Since when a job with a time limit has been at its item."""

    @property
    def item_since(self) -> int:
        """Nanoseconds of `perf_counter`, unlike those of any other item; 0: it is at none."""
        ...


class WorkerRecord(ItemClock, Protocol):
    """What a worker leaves for the time after its death, as it stands for one node."""

    @property
    def done(self) -> int:
        """The last run that it has finished."""
        ...

    @property
    def running(self) -> int:
        """Which of its jobs was at work, counted from 1; 0: none was."""
        ...

    def has_begun(self) -> bool:
        """Has any worker of this node ever taken an item in hand?"""
        ...

    def moment(self, run: int, has_input: bool) -> Moment:
        """What the dead worker was about."""
        ...

    def take_death(self, run: int, running: bool, timed_out: bool, how: str) -> WorkerDeath | None:
        """What it had in hand; from now on the node has nothing in hand."""
        ...

    def tally(self, run: int) -> Tally:
        """What it had counted in this run."""
        ...


class Inputs(Protocol):
    """What lies before each node, by its number."""

    def committed(self, node: int) -> int:
        """How many items it has committed since its channels were made."""
        ...

    def has_input(self, node: int) -> bool:
        """Is there anything before it that it has not committed?"""
        ...


class StoppableWorker(Protocol):
    """A process that the system, or a debugger, may have stopped."""

    def is_stopped(self) -> bool: ...
    def was_stopped(self) -> bool:
        """Since it was started."""
        ...


class SleepState(Protocol):
    """Whether a worker sleeps, as it says itself."""

    @property
    def done(self) -> int:
        """The last run that it has finished."""
        ...

    @property
    def sleeps(self) -> int:
        """How often it went to sleep."""
        ...

    @property
    def soft_limits_lifted(self) -> bool: ...
    def wait_reason(self) -> WaitReason: ...
    def lift_soft_limits(self) -> None:
        """Has it go beyond what only keeps things even, from now on."""
        ...


class ChannelView(Protocol):
    """How a channel stands at one moment."""

    @property
    def capacity(self) -> int: ...
    @property
    def queued(self) -> int:
        """Items published and not committed."""
        ...

    @property
    def ended(self) -> int:
        """The last run whose end its producer has told."""
        ...

    def is_empty(self) -> bool: ...
    def has_room_for(self, items: int) -> bool:
        """Is there room for so many?  Whether their bytes fit is another question."""
        ...
