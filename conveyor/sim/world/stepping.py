"""Several items in hand whose calls share a state: which of them goes on to its next await is
decided.

This file knows which of them can go on.  It must never know event loops but by their steps, or who
decides.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Protocol

from conveyor.core.concurrent_node import ConcurrentNode, Held, first_done
from conveyor.core.timekeeper import Timekeeper
from conveyor.errors import ConveyorError

__all__ = ["Stepped", "Steps"]

# So often an item goes on while others could: one that asks again and again may wait for them.
PATIENCE: Final = 1000


class Stepped(Timekeeper, Protocol):
    """The event loop in which the items of one worker are."""

    stage: str

    def take(self, held: Held, work: Coroutine[Any, Any, None]) -> None: ...
    def can_go_on(self, held: Held) -> bool: ...
    def next_at(self, held: Held) -> float: ...
    def step(self, held: Held) -> None: ...
    def let_go(self, held: Held) -> None: ...
    def has_limit(self, held: Held) -> bool: ...
    def run_out(self, held: Held) -> None: ...
    def wait_for_background(self) -> bool: ...
    def never_comes(self) -> ConveyorError: ...


class Steps:
    """Hands of which one moves at a time.

    `runs_out` says of the item that goes on, whose time is limited, whether it is over now; None:
    only its own time tells.
    """

    def __init__(
        self,
        loop: Stepped,
        node: ConcurrentNode,
        most: int,
        runs_out: Callable[[], bool] | None,
    ) -> None:
        self.loop = loop
        self.node = node
        self.most = most
        self.runs_out = runs_out
        self.decided = 0
        self.newest: Held | None = None  # that went on
        self.in_a_row = 0  # so many times
        self.ordered = node.stage.stage_options.ordered

    def begin(self, held: Held) -> None:
        self.loop.take(held, self.node.work_async(held, self.loop))

    def can_go_on(self, held: Held) -> bool:
        return not held.is_done and self.loop.can_go_on(held)

    def options(self, only: Held | None, held: Sequence[Held]) -> list[int]:
        """By default the first in time goes on: what clocks would do."""
        able = [at for at, each in enumerate(held) if self.can_go_on(each)]
        if self.in_a_row >= PATIENCE and len(able) > 1:
            able = [at for at in able if held[at] is not self.newest] or able
        return sorted(able, key=lambda at: self.loop.next_at(held[at]))

    def is_done(self, only: Held | None, until: int) -> bool:
        return False  # none can go on: they wait for others, or for what does not come

    def chosen(
        self, only: Held | None, answer: int, held: Sequence[Held], until: int
    ) -> list[Held]:
        going = held[answer]
        if self.can_go_on(going):
            self.decided += 1
            self.in_a_row = self.in_a_row + 1 if going is self.newest else 1
            self.newest = going
            if self.runs_out is not None and self.loop.has_limit(going) and self.runs_out():
                self.loop.run_out(going)
            self.loop.step(going)
        elif any(map(self.can_go_on, held)) or self.loop.wait_for_background():
            return []
        else:
            self.give_up(next(each for each in held if not each.is_done))
        if not self.ordered:
            return [each for each in held if each.is_done]
        return first_done(held)

    def give_up(self, held: Held) -> None:
        """It waits, and so do all others, for what does not come."""
        held.error = self.loop.never_comes()
        held.is_done = True
        self.loop.let_go(held)
