"""What is kept of a stream on several machines that has a checkpoint, too.

Knows: which results stand, and of which its checkpoint is told.  Must never know: hosts, how a
manifest is written.

Rule 1.  The checkpoint is told of results once they stand, and not before: once a barrier behind
         them is noted, in the program's memory.  What it knows has come before the barrier that was
         noted last.
Rule 2.  So all that the program can have acknowledged can be made durable at once, from what was
         noted at that barrier; no worker is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from conveyor.core.engine import Give
from conveyor.core.epochs import NodeState
from conveyor.core.keeping import Acknowledging, Keeping, Windows
from conveyor.report import DeadLetter, Report
from conveyor.runtime.hosts.lasting import Lasting, position_of
from conveyor.runtime.process.deferral import Deferral

__all__ = ["KeptLasting"]


class KeptLasting(Lasting):
    """One such run: what it lasts by, what keeps it, and what the program acknowledges; `kept` and
    `acknowledging` are its checkpoint."""

    def __init__(
        self,
        items: Iterable[object],
        windows: Windows,
        give: Give,
        kept: Keeping,
        acknowledging: Acknowledging,
    ) -> None:
        super().__init__(items, windows, give)
        self.every_s = kept.every_s
        self.manifest = kept.manifest
        self.kept = kept
        self.acknowledging = acknowledging
        self.is_durable = False  # what was noted last
        self.told: Callable[[Report], Report] = same  # the report of a life, as of the whole run

    @property
    def stands_at(self) -> str:
        return f"{super().stands_at} of those that came since the stream was opened"

    def note(
        self, items: int, nodes: Mapping[int, NodeState], letters: Sequence[DeadLetter]
    ) -> None:
        with Deferral():  # what it knows, and what is noted, are of the same barrier
            self.acknowledging.take(self.held[: self.through])
            self.kept.mark()
            super().note(items, nodes, letters)
            self.is_durable = False

    def complete(
        self,
        items: int,
        nodes: Mapping[int, NodeState],
        letters: Sequence[DeadLetter],
        is_finished: bool,
    ) -> None:
        if is_finished:
            self.give_rest()
        else:
            self.note(items, nodes, letters)
        self.kept.complete(self.begins_at + items, nodes, letters, is_finished)
        self.is_durable = True

    def go_on(self) -> None:
        if self.is_durable:
            self.kept.go_on()
        super().go_on()

    def give_rest(self) -> None:
        self.acknowledging.take(self.held)
        super().give_rest()

    # ---------------------------------------------------------------------------
    # what is acknowledged

    @property
    def earlier(self) -> Sequence[object]:
        return ()  # they are given before the first of several lives

    @property
    def given(self) -> int:
        return self.acknowledging.given

    @property
    def at_barrier(self) -> int:
        return self.acknowledging.at_barrier

    @property
    def kept_to(self) -> int:
        return self.acknowledging.kept_to

    def gave(self, results: Sequence[object], /) -> None:
        self.acknowledging.gave(results)

    def acknowledge(self, count: int) -> None:
        self.acknowledging.acknowledge(count)

    def lacks(self) -> bool:
        return self.acknowledging.lacks()

    def write_again(self) -> bool:
        """The same; or from what was noted last, which has all that may be acknowledged."""
        if self.acknowledging.write_again():
            return True
        if self.next is not None and self.at_barrier > self.kept_to:
            known, letters = self.next.nodes, cast("Any", self.next.kept["letters"])
            self.kept.complete(position_of(self.next), known, letters, False)
            self.kept.go_on()
        return not self.lacks()

    def finish(self, report: Report, letters: Sequence[DeadLetter]) -> None:
        self.acknowledging.finish(self.told(report), letters)

    def over(self) -> None:
        self.acknowledging.over()


def same(report: Report) -> Report:
    return report
