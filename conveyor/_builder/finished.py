"""A stream whose run had finished before: what is left of it is given.

Knows: what an engine is asked for.  Must never know: workers; there are none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final, NoReturn

from conveyor.core.engine import Engine, Give, RunOptions, StopToken, WorkerStart
from conveyor.core.keeping import Acknowledging, Keeping
from conveyor.graph.pace import Paces
from conveyor.graph.topology import Topology
from conveyor.report import DeadLetter, Report

__all__ = ["Finished"]

SAID: Final = (
    "nothing was run: the run in this checkpoint had finished, and this is its report; "
    "Checkpoint(directory, fresh=True) begins again"
)


class Finished:
    """An engine for that one stream, in the place of another one; and what that opens."""

    source_error: BaseException | None = None

    def __init__(self, engine: Engine, acknowledging: Acknowledging, kept: Any) -> None:
        self.engine = engine
        self.acknowledging = acknowledging
        self.give: Give | None = acknowledging.gave
        self.kept = kept

    def lanes(self) -> int:
        return self.engine.lanes()

    def begun_by(self, start: WorkerStart) -> Finished:
        return self

    def open(self, topology: Topology, paces: Paces) -> Finished:
        return self

    def open_kept(self, topology: Topology, paces: Paces, keeping: Keeping | None) -> Finished:
        return self

    def run(self, items: Iterable[object], stop: StopToken, options: RunOptions) -> NoReturn:
        raise AssertionError("it is there for a stream")

    def stream(
        self,
        items: Iterable[object],
        stop: StopToken,
        options: RunOptions,
        results: deque[object],
    ) -> Finished:
        results.extend(self.acknowledging.earlier)
        return self

    def paces(self) -> Paces:
        return {}

    def is_outdated(self) -> bool:
        return True  # it does not serve for another run

    def is_busy(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing is open."""

    def advance(self) -> bool:
        return True

    def report(self) -> Report:
        report = self.kept["report"]
        assert isinstance(report, Report)
        return replace(report, notes=(*report.notes, SAID))

    def letters(self) -> tuple[DeadLetter, ...]:
        letters: tuple[DeadLetter, ...] = self.kept["letters"]
        return letters

    def leave(self) -> None:
        self.acknowledging.write_again()

    def end(self, failed: bool, error: BaseException | None) -> Report:
        self.acknowledging.over()
        if self.acknowledging.lacks():
            self.acknowledging.write_again()
        return self.report()
