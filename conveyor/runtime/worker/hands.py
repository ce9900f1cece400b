"""Those of a worker that work on several items at once, in one run.

This file knows which items are done.  It must never know what works on them.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable, Sequence
from operator import attrgetter

from conveyor.core.concurrent_node import ConcurrentNode, Held, first_done
from conveyor.core.timekeeper import Limit
from conveyor.runtime.worker.crew import Crew

__all__ = ["NotedHands", "WorkingHands"]


class WorkingHands:
    """Those that a crew lends to one run; `changed` is told how many items are in hand, `chose` of
    each that is done, out of its turn, which of those in hand it is, and `ran_out` of each attempt
    whose time ran out, before it is known what became of its item."""

    def __init__(
        self,
        crew: Crew,
        node: ConcurrentNode,
        most: int,
        changed: Callable[[int], None],
        chose: Callable[[int], None] | None,
        ran_out: Callable[[Held], None] | None,
    ) -> None:
        self.decided = 0  # as far as that is told
        self.crew = crew
        self.node = node
        self.most = most
        self.changed = changed
        self.chose = chose
        self.ran_out = ran_out
        self.in_hand = 0
        self.ordered = node.stage.stage_options.ordered
        self.finished: deque[Held] = deque()
        self.failed: Held | None = None  # the first that ends the run
        self.told: Held | None = None  # of those the one that was given before all others

    def begin(self, held: Held) -> None:
        self.in_hand += 1
        self.changed(self.in_hand)
        self.crew.begin(self.node, held, self.done)

    def done(self, held: Held) -> None:
        """Called when an item is done."""
        if self.ran_out is not None:
            for _ in range(held.timeouts):
                self.ran_out(held)
        self.finished.append(held)
        if self.ordered and held.error is not None and self.node.ends_run(held.error):
            self.failed = self.failed or held

    def options(self, only: Held | None, held: Sequence[Held]) -> list[int]:
        return []  # nobody is asked

    def is_done(self, only: Held | None, until: int) -> bool:
        if self.failed is not None:
            return True
        if only is not None:
            return only.is_done
        if self.finished and self.finished[0] is self.told:
            self.finished.popleft()
        # Of a copy, which is made at one blow: meanwhile threads add to it
        return any(each.position < until for each in tuple(self.finished))

    def chosen(
        self, only: Held | None, answer: int, held: Sequence[Held], until: int
    ) -> list[Held]:
        if self.failed is not None:  # whatever its turn is: nothing comes behind it
            done = [self.failed]
        elif only is None:
            finished = [self.finished.popleft() for _ in range(len(self.finished))]
            done = [each for each in finished if each.position < until and each is not self.told]
            self.finished.extendleft(each for each in finished[::-1] if each.position >= until)
            if self.chose is not None:
                left = [each.position for each in held]
                for each in done:
                    self.chose(left.index(each.position))
                    left.remove(each.position)
        elif self.ordered:
            done = first_done(held)
            self.finished.clear()
        else:  # it is out in part; its thread may not have come to say that it is done
            done = [only]
            self.told = only
        self.in_hand -= len(done)
        self.changed(self.in_hand)
        return done


class NotedHands(WorkingHands):
    """The same, where items go on in turns: `chose` is told of each step which of those in hand it
    is of, and `ran_out` before it if that is the first behind the end of its time."""

    def __init__(
        self,
        crew: Crew,
        node: ConcurrentNode,
        most: int,
        changed: Callable[[int], None],
        chose: Callable[[int], None],
        ran_out: Callable[[Held], None],
    ) -> None:
        super().__init__(crew, node, most, changed, None, None)
        self.tell = chose
        self.tell_late = ran_out
        self.late: dict[Held, Limit] = {}  # which is told already
        # Those that are in hand, as long as nobody waits for anything but them: one that is done
        # is in hand until the loop comes to it
        self.going: list[Held] = []

    def begin(self, held: Held) -> None:
        insort(self.going, held, key=attrgetter("position"))
        super().begin(held)

    def stepped(self, held: Held) -> None:
        """An item goes on to its next await."""
        limit = held.limit
        if limit is not None and limit.expired() and self.late.get(held) is not limit:
            self.late[held] = limit
            self.tell_late(held)
        self.decided += 1
        self.tell(self.going.index(held))

    def done(self, held: Held) -> None:
        self.late.pop(held, None)
        if not self.ordered:
            self.going.remove(held)
        else:
            del self.going[: len(first_done(self.going))]
        super().done(held)
