"""Many short runs of a pipeline, with pauses in them and between them: a worker can be killed at
every moment that there is.

Knows the public API, what must come out, and where to count what the workers were about.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final
from unittest.mock import patch

from conveyor import Pipeline, Report
from conveyor.core.crashes import Deaths, Moment
from conveyor.errors import PoisonItem
from conveyor.report import DeadLetter
from tests.chaos.board import Board
from tests.chaos.pipelines import Found, Hammered

__all__ = ["Restless"]

SIZES: Final = (0, 1, 3, 30, 300, 3000)
PAUSES_S: Final = (0.0, 0.001, 0.01, 0.1)  # the longest lets everybody fall asleep
PAUSES_IN_A_RUN: Final = 4
DEADLY: Final = 3
RUNS_OF_ONE: Final = 8


@dataclass
class Restless:
    """Runs `pipeline` until there were enough kills; `moments` says at which they were noticed.

    An item whose worker is killed three times while it has only that at its job is poison, as it
    must be: `poisoned` counts.
    """

    board: Board
    pipeline: Hammered
    capacity: int
    microseconds: int
    method: str
    random: Random
    found: Found = field(default_factory=Found)
    reports: list[Report] = field(default_factory=list[Report])
    letters: list[DeadLetter] = field(default_factory=list[DeadLetter])
    items: int = 0
    moments: Counter[str] = field(default_factory=Counter[str])
    poisoned: int = 0

    def work(self, kills: int, deadline: float) -> None:
        died = Deaths.died

        def counted(deaths: Deaths, moment: Moment, *arguments: Any, **named: Any) -> int | None:
            self.moments[moment.name.lower().replace("_", " ")] += 1
            return died(deaths, moment, *arguments, **named)

        with patch.object(Deaths, "died", counted):
            while self.board.kills < kills and time.monotonic() < deadline:
                self.runs()

    def runs(self) -> None:
        """One pipeline, opened for several runs or for one."""
        pipeline: Any = Pipeline
        with ExitStack() as stack:
            pl = self.pipeline.build(
                self.capacity, self.microseconds, pipeline(start_method=self.method)
            )
            is_warm = not self.pipeline.remembers and self.random.random() < 0.7
            if is_warm:
                stack.enter_context(pl)
            for _ in range(self.random.randint(1, RUNS_OF_ONE) if is_warm else 1):
                at_work = self.moments["at work"]
                try:
                    letters = self.run(pl, self.random.choice(SIZES))
                except PoisonItem:
                    if self.moments["at work"] < at_work + DEADLY:
                        raise
                    self.poisoned += 1
                else:
                    self.account(letters, self.moments["at work"] - at_work)
                self.board.pulled += 1
                self.pause()

    def account(self, letters: Sequence[DeadLetter], at_work: int) -> None:
        """An item that was given up for so many deaths is not lost; any other must not have been
        given up at all."""
        deadly = [letter for letter in letters if isinstance(letter.exception, PoisonItem)]
        if DEADLY * len(deadly) <= at_work:
            self.poisoned += len(deadly)
            self.found += Found(lost=-len(deadly))
            letters = [letter for letter in letters if letter not in deadly]
        self.letters += letters

    def run(self, pl: Any, size: int) -> Sequence[DeadLetter]:
        """Gives the dead letters."""
        if self.random.random() < 0.5:
            result = pl.run(self.source(size))
            outputs = [*result]
        else:
            with pl.stream(self.source(size)) as result:
                outputs = list[Any]()
                for output in result:
                    outputs.append(output)
                    self.pause_sometimes(size)
        self.found += self.pipeline.check(outputs, size)
        self.reports.append(result.report)
        self.items += size
        letters: Sequence[DeadLetter] = result.dead_letters
        return letters

    def source(self, size: int) -> Iterator[int]:
        for item in range(size):
            self.pause_sometimes(size)
            self.board.pulled += 1
            yield item
        self.pause()

    def pause_sometimes(self, size: int) -> None:
        if self.random.random() * size < PAUSES_IN_A_RUN:
            self.pause()

    def pause(self) -> None:
        time.sleep(self.random.choice(PAUSES_S))  # drawn, so that workers die awake and asleep
