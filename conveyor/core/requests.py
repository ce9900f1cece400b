"""What a drive loop asks of its world: to wait for something, or to decide something.

Knows: when a request can be answered.  Must never know: what answers it, or how the waiting is
done.

A loop makes one object of each kind it needs and yields it again and again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Generic, Protocol, TypeAlias, final

from typing_extensions import TypeVar

from conveyor.core.channel import Inlet, Outlet, ends_of
from conveyor.core.timers import Timer

__all__ = [
    "ALL_ENDED",
    "COME_DUE",
    "TAKE",
    "ChooseDone",
    "ChooseInput",
    "ChooseLane",
    "InHand",
    "Request",
    "WaitForItems",
    "WaitForRoom",
]

Blob = TypeVar("Blob")

ALL_ENDED: Final = -1
COME_DUE: Final = -2
TAKE: Final = -1


@final
class WaitForItems:
    """A wait: the only input has nothing pending and has not ended."""

    __slots__ = ("inlet",)

    def __init__(self, inlet: Inlet) -> None:
        self.inlet = inlet

    def ready(self) -> bool:
        return self.inlet.pending() or self.inlet.ended()


class ChooseInput:
    """A decision: which input of a first-come join is read next; `ALL_ENDED` when none can give
    anything any more."""

    __slots__ = ("inlets", "name")

    def __init__(self, name: str, inlets: Sequence[Inlet]) -> None:
        self.name = name
        self.inlets = inlets

    def options(self) -> list[int]:
        return [index for index, inlet in enumerate(self.inlets) if inlet.pending()]

    def ready(self) -> bool:
        for inlet in self.inlets:
            if inlet.pending():
                return True
        return self.all_ended()

    def all_ended(self) -> bool:
        return all(ends_of(self.inlets))


@final
class TimedChoice(ChooseInput):
    """The same for a job that time wakes or holds up, which may have a single input, too:
    `COME_DUE` is the answer if something comes due before the next item."""

    __slots__ = ("timer",)

    def __init__(self, name: str, inlets: Sequence[Inlet], timer: Timer) -> None:
        super().__init__(name, inlets)
        self.timer = timer

    def options(self) -> list[int]:
        return super().options() if self.timer.is_open() else []

    def ready(self) -> bool:
        if self.timer.is_past():
            return True
        return super().ready() if self.timer.is_open() else self.all_ended()


@final
class ChooseLane:
    """A decision: which lane of a balancing fork the next record goes to; `lanes` says which
    outlets are below each.

    The lane is chosen first and waited for afterwards: choosing only among lanes with room would
    lose outcomes.
    """

    __slots__ = ("adaptive", "items", "lanes", "name")

    def __init__(self, name: str, lanes: Sequence[range], adaptive: bool) -> None:
        self.name = name
        self.lanes = lanes
        self.adaptive = adaptive
        self.items = 0


class InHand(Protocol):
    """The items that a node has in hand side by side."""

    @property
    def taken(self) -> int:
        """The position up to which all were taken in hand."""
        ...

    def __len__(self) -> int: ...
    def has_room(self) -> bool:
        """Is there a hand free for another item?"""
        ...

    def may_take(self) -> bool:
        """Is there another item, and a hand free for it?"""
        ...

    def options(self) -> list[int]:
        """Which of them may be done next, or go on, by their place among them, the oldest first;
        none if there is no choice."""
        ...

    def is_done(self) -> bool:
        """Is one of them done that may be given next?"""
        ...


@final
class ChooseDone:
    """A decision: which of the items in hand is done next, or goes on to its next await, by its
    place among them, the oldest first; `TAKE` to take another in hand before."""

    __slots__ = ("in_hand", "name")

    def __init__(self, name: str, in_hand: InHand) -> None:
        self.name = name
        self.in_hand = in_hand

    def options(self) -> list[int]:
        """None if nothing is to be decided: then `plain` is the answer, once it is `ready`."""
        return [] if self.in_hand.may_take() else self.in_hand.options()

    @property
    def plain(self) -> int:
        return TAKE if self.in_hand.may_take() else 0

    def ready(self) -> bool:
        return self.in_hand.is_done() or self.in_hand.may_take()


@final
class WaitForRoom(Generic[Blob]):
    """A wait: there is no room yet for a record in every lane it goes to."""

    __slots__ = ("blob", "items", "outlets")

    def __init__(self) -> None:
        self.outlets: Sequence[Outlet[Blob]] = ()
        self.items = 0
        self.blob: Blob | None = None

    def ready(self) -> bool:
        blob = self.blob
        if blob is None:
            return True
        for outlet in self.outlets:
            if not outlet.fits(self.items, blob):
                return False
        return True


Request: TypeAlias = WaitForItems | ChooseInput | ChooseLane | ChooseDone | WaitForRoom[Blob]
