"""Steps a drive loop for real: answers what it asks, and says when it has to wait.

This file knows requests and their answers, and how a side that sleeps asks to be woken.  It must
never know how the waiting is done, or which process waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic

from typing_extensions import TypeVar

from conveyor.core.drive import Drive
from conveyor.core.requests import (
    COME_DUE,
    TAKE,
    ChooseDone,
    ChooseInput,
    ChooseLane,
    Request,
    WaitForItems,
    WaitForRoom,
)
from conveyor.runtime.step.balancing import Balancer, RoundRobin
from conveyor.runtime.step.contract import (
    FOR_ITEMS,
    FOR_NOTHING,
    FOR_ROOM,
    FOR_TIME,
    PacedInlet,
    PacedOutlet,
    WaitReason,
)
from conveyor.runtime.step.timer import ClockTimer

__all__ = ["DriveLoop"]

Blob = TypeVar("Blob")


class DriveLoop(Generic[Blob]):
    """One drive loop under way; `balancer` is there if its worker owns a balancing fork, `timer` if
    time wakes its job or holds it up."""

    def __init__(
        self,
        drive: Drive[Blob],
        inlets: Sequence[PacedInlet],
        outlets: Sequence[PacedOutlet],
        balancer: Balancer | None,
        timer: ClockTimer | None = None,
    ) -> None:
        self.drive = drive
        self.inlets = inlets
        self.outlets = outlets
        self.balancer = balancer
        self.timer = timer
        self.round_robin = RoundRobin()
        self.request: Request[Blob] | None = None
        self.finished = False

    def step(self) -> bool:
        """Goes on until there is something to wait for; gives whether there was anything to do."""
        moved = False
        while not self.finished:
            request = self.request
            try:
                if request is None:
                    self.request = next(self.drive)
                elif self.able():
                    self.request = self.drive.send(self.answer(request))
                else:
                    break
            except StopIteration:
                self.finished = True
            moved = True
        return moved

    def able(self) -> bool:
        """Can the loop go on from where it stands?"""
        request = self.request
        if isinstance(request, ChooseLane):
            return self.balancer is None or self.balancer.can_choose(request)
        return request is None or request.ready()

    def answer(self, request: Request[Blob]) -> int:
        if isinstance(request, ChooseInput):
            if self.timer is not None and self.timer.is_past():
                return COME_DUE
            return self.round_robin.next(request)
        if isinstance(request, ChooseLane) and self.balancer is not None:
            return self.balancer.choose(request)
        if isinstance(request, ChooseDone):
            return TAKE if request.in_hand.may_take() else 0
        return 0

    def blocked(self) -> bool:
        """Does the loop wait for room in its outlets, and not for input?"""
        return isinstance(self.request, WaitForRoom | ChooseLane)

    def wait_reason(self) -> WaitReason:
        """What the loop waits for, now that it sleeps."""
        request = self.request
        if self.finished or request is None or isinstance(request, ChooseDone):
            return FOR_NOTHING
        if isinstance(request, WaitForRoom):
            items, blob = request.items, request.blob
            assert blob is not None
            # A large record may be waiting for others of its producer to be read: in lanes that are
            # not empty.
            full = [
                outlet
                for outlet in request.outlets
                if outlet.queued() and not outlet.fits(items, blob)
            ]
            return WaitReason(FOR_ROOM, self.mask(full), items)
        # A source that idles waits for room, too
        if isinstance(request, ChooseLane) or (not self.inlets and self.outlets):
            return WaitReason(
                FOR_ROOM, self.mask([outlet for outlet in self.outlets if outlet.queued()])
            )
        if self.wakes_in() is not None:
            return WaitReason(FOR_TIME, 0)
        if self.inlets:
            empty = [not inlet.pending() and not inlet.ended() for inlet in self.inlets]
            return WaitReason(FOR_ITEMS, sum(lacks << lane for lane, lacks in enumerate(empty)))
        return FOR_NOTHING

    def wakes_in(self) -> float | None:
        """In how many seconds the loop can go on, whatever comes; None: not by time alone."""
        if self.timer is None or not isinstance(self.request, ChooseInput):
            return None
        return self.timer.wakes_in()

    def mask(self, outlets: Sequence[object]) -> int:
        return sum((outlet in outlets) << lane for lane, outlet in enumerate(self.outlets))

    def has_items(self) -> bool:
        return any(inlet.pending() for inlet in self.inlets)

    def is_awake(self) -> None:
        """Takes back all that was asked for by `sleeps`, also by a worker that died asleep."""
        for inlet in self.inlets:
            inlet.sleeps(0)
        for outlet in self.outlets:
            outlet.sleeps(0)

    def sleeps(self, gather: int = 1) -> None:
        """Asks the other sides of what is waited for to wake this one.

        Of input, it is to be woken once `gather` items have come.
        """
        if self.balancer is not None:
            self.balancer.press()
        if self.inlets and isinstance(self.request, WaitForItems | ChooseInput):
            # While it may take none of the items that are there, no other need wake it.
            if self.timer is not None and not self.timer.is_open() and self.has_items():
                return
            for inlet in self.inlets:
                # More of an inlet that has some brings nothing: a zip or an ordered join that goes
                # on with none of these waits for another lane.
                if not inlet.pending():
                    inlet.sleeps(inlet.head + gather)
            return
        if isinstance(self.request, ChooseDone):
            if self.request.in_hand.has_room():
                for inlet in self.inlets:
                    inlet.sleeps(self.request.in_hand.taken + 1)
            return
        balancer = None if isinstance(self.request, WaitForRoom) else self.balancer
        for outlet in self.outlets:  # a source that idles waits for room, too
            outlet.sleeps(1 if balancer is None else balancer.room_from(outlet))
        # A reader that lets items gather would wait for more, while this side waits for it.
        for outlet in self.outlets:
            outlet.knock()
