"""Barriers: where one epoch of a run ends and the next begins, in every channel of a pipeline.

Knows: when a node has reached a barrier, and in which order it passes it on.  Must never know: what
is saved, where, or what a barrier is sent for.

A barrier is no item and takes no room: it is a number and a position, kept beside a channel as the
end of a run is.  What is before it belongs to the epochs up to that number, what is behind it to
later ones.

Rule 1.  A node reads nothing behind a barrier before all of its inputs have reached it; until then
         an input that has looks as if it had ended.  So a join has fewer choices, never a new one.
Rule 2.  A node that has reached it keeps what it knows (`keep`), then sends the barrier on in every
         lane, and only then reads on.
Rule 3.  A node has passed a barrier if and only if all of its lanes have it.  A worker that takes
         over in the middle keeps the same again, and sends it into the lanes that lack it.
Rule 4.  There is one barrier on its way at a time: the next is sent when the last node has passed
         the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from conveyor.core.channel import UNBOUNDED, Inlet

__all__ = ["AtBarrier", "Barriers", "CarriesBarriers", "GatedInlet", "PassesBarriers"]


class AtBarrier(Protocol):
    """Where the newest barrier is, of those that came into a channel."""

    @property
    def barrier(self) -> int:
        """Its number; 0 if there was none."""
        ...

    @property
    def barrier_at(self) -> int:
        """How many items came before it."""
        ...


class CarriesBarriers(Inlet, AtBarrier, Protocol):
    """The consumer's end of a channel that has barriers, too."""


class PassesBarriers(Protocol):
    """The producer's end of one."""

    @property
    def barrier(self) -> int: ...
    def set_barrier(self, number: int) -> None:
        """Puts a barrier behind all that was published, and wakes the consumer."""
        ...


class GatedInlet:
    """The consumer's end of a channel, as far as its newest barrier, if that is not passed yet.

    The producer stores a barrier before it publishes what is behind it.  So whoever sees an item
    from behind it sees the barrier, too, if it looks for the item first.
    """

    __slots__ = ("commit", "inlet", "passed", "position", "start")

    def __init__(self, inlet: CarriesBarriers) -> None:
        self.inlet = inlet
        self.passed = 0  # the number of the newest barrier that its node has passed
        self.start = inlet.start
        self.position = inlet.position
        self.commit = inlet.commit

    @property
    def head(self) -> int:
        return self.inlet.head

    @property
    def is_at_barrier(self) -> bool:
        """Has all been committed that came before a barrier, which is not passed?"""
        inlet = self.inlet
        return inlet.barrier > self.passed and inlet.head == inlet.barrier_at

    @property
    def until(self) -> int:
        """The position of the barrier that is not passed, if there is one."""
        inlet = self.inlet
        return inlet.barrier_at if inlet.barrier > self.passed else UNBOUNDED

    # Both are asked several times a slice, so what `is_at_barrier` says is written out.

    def pending(self) -> bool:
        inlet = self.inlet
        return inlet.pending() and (inlet.barrier <= self.passed or inlet.head != inlet.barrier_at)

    def ended(self) -> bool:
        inlet = self.inlet
        has_ended = inlet.ended()
        return has_ended or (inlet.barrier > self.passed and inlet.head == inlet.barrier_at)

    def peek(self, n: int) -> list[object]:
        inlet = self.inlet
        items = inlet.peek(n)
        if inlet.barrier > self.passed:
            before = inlet.barrier_at - inlet.head
            if before < len(items):
                return inlet.peek(before)
        return items

    def look(self, n: int) -> list[object]:
        inlet = self.inlet
        items = inlet.look(n)
        return items[: inlet.barrier_at - inlet.head] if inlet.barrier > self.passed else items


class Barriers:
    """The barriers of one node: reached at its gates, passed on in its outlets.

    `keep` is called with the number of a barrier that all inputs have reached, before it goes on;
    it may be called a second time, by a worker that takes over.
    """

    def __init__(
        self,
        gates: Sequence[GatedInlet],
        outlets: Sequence[PassesBarriers],
        keep: Callable[[int], None],
    ) -> None:
        self.gates = gates
        self.outlets = outlets
        self.keep = keep
        passed = min((outlet.barrier for outlet in outlets), default=0)
        for gate in gates:
            gate.passed = passed

    @property
    def reached(self) -> int:
        """The number of the barrier at which an input stands; 0 if none does."""
        return max((gate.inlet.barrier for gate in self.gates if gate.is_at_barrier), default=0)

    def pass_on(self) -> bool:
        """Passes the barrier, now that no input has anything before it; False if there is none: the
        inputs have ended."""
        number = self.reached
        if not number:
            return False
        self.keep(number)
        for outlet in self.outlets:
            if outlet.barrier < number:
                outlet.set_barrier(number)
        for gate in self.gates:
            gate.passed = number
        return True
