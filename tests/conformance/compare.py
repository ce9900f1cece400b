"""One real run, recorded, and the same in the simulator; what differs is told, and is a bug in one
of the two worlds."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final

import psutil

from conveyor.core.crashes import NO_STATE
from conveyor.errors import Deadlock, ScheduleMismatch
from conveyor.recording.crash_points import WINDOW
from conveyor.recording.reader import Recording
from conveyor.report import DeadLetter, Report
from conveyor.sim.schedule import Death, Schedule
from tests.conformance.topologies import Case
from tests.store_faults import STORES, Fault, planned

__all__ = ["Outcome", "Recorded", "sizes"]

STAGE: Final = re.compile(r"stage '[^']*'")
COUNTED: Final = (
    "items_in",
    "items_out",
    "passed",
    "dropped",
    "skipped",
    "dead_lettered",
    "failed",
    "flushed",
    "left_over",
)


@dataclass(frozen=True)
class Outcome:
    """What came of a run: its outputs, dead letters and counts, or the error that ended it."""

    outputs: tuple[object, ...] = ()
    letters: tuple[tuple[str, int, str, str, int], ...] = ()
    counts: tuple[tuple[str, tuple[int, ...]], ...] = ()
    error: str = ""
    deaths: tuple[str, ...] = ()  # where workers died, in a run that came to its end

    @classmethod
    def of(
        cls, outputs: Sequence[object], letters: Iterable[DeadLetter], report: Report
    ) -> Outcome:
        counts = [
            (name, tuple(getattr(stage, count) for count in COUNTED))
            for name, stage in report.stages.items()
        ]
        told = [
            (each.stage, each.ordinal, repr(each.item), repr(each.exception), each.attempts)
            for each in letters
        ]
        return cls(tuple(outputs), tuple(told), tuple(counts))

    @classmethod
    def of_error(cls, error: BaseException) -> Outcome:
        if type(error).__name__ == "WorkerCrashed":  # it tells of a process
            return cls(error=f"WorkerCrashed: {STAGE.findall(str(error))}")
        if isinstance(error, Deadlock):  # what would cure it a real run does not try
            return cls(
                error="\n".join(line for line in str(error).splitlines() if line.startswith("  "))
            )
        if NO_STATE in str(
            error
        ):  # whoever says so in a real run is the parent, who does not know the item
            return cls(error=f"{type(error).__name__}: {error}")
        places = [
            note.partition(",")[0]
            for note in getattr(error, "__notes__", ())
            if note.startswith("in stage")
        ]
        items = [
            note.rpartition("item ")[2]
            for note in getattr(error, "__notes__", ())
            if note.startswith("in stage")
        ]
        return cls(error=f"{type(error).__name__}: {error} {places} {items}")

    def items_in(self) -> dict[str, int]:
        """How many items each stage took."""
        return {name: counts[0] for name, counts in self.counts}

    def difference(self, other: Outcome) -> str:
        for name in ("error", "outputs", "letters", "counts", "deaths"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                return f"{name}: recorded {mine!r}, replayed {theirs!r}"
        return ""


def told(deaths: Iterable[Death], done: Mapping[str, int]) -> tuple[str, ...]:
    """Where workers died; with nothing of an item out that never came, is at the end, and there the
    next store is not known."""
    places: list[Death] = []
    for worker, item, step, *_ in deaths:
        step = {"held": "taken"}.get(
            step, step.replace("held", "emitted")
        )  # what a real run cannot tell apart
        at_end = (
            step in ("taken", "closed0") or (step == "emitted" and item is None)
        ) and item in (None, done[worker])
        places.append(Death(worker, None, "end") if at_end else Death(worker, item, step))
    return tuple(sorted(map(str, places)))


class Recorded:
    """A pipeline that is kept open, recorded run by run."""

    def __init__(self, case: Case, path: Path, random: Random) -> None:
        self.case = case
        self.path = path
        self.random = random
        self.pipeline: Any = case.build()
        self.deaths = 0
        # Beside the kills at any moment, some at a store: in a worker's first life, and so once in
        # each pipeline.
        stages = random.sample(case.killed, random.randint(0, len(case.killed)))
        self.plan = planned(
            *[Fault(stage, random.choice(STORES), random.choice((1, 2, 5, 20))) for stage in stages]
        )

    def __enter__(self) -> Recorded:
        self.plan.__enter__()
        self.pipeline.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.pipeline.__exit__(None, None, None)
        self.plan.__exit__(None, None, None)

    def run(self, items: Sequence[int], streamed: int | None) -> Outcome:
        """One run; of one that is streamed that many results are taken."""
        over = threading.Event()
        killer = threading.Thread(target=self.kill, args=(over,))
        if self.case.killed and self.random.random() < 0.7:
            killer.start()
        try:
            return self.outcome(items, streamed)
        except Exception as error:
            return Outcome.of_error(error)
        finally:
            over.set()
            if killer.ident is not None:
                killer.join()

    def outcome(self, items: Sequence[int], streamed: int | None) -> Outcome:
        if streamed is None:
            result = self.pipeline.run(items, record=self.path)
            return Outcome.of(result, result.dead_letters, result.report)
        with self.pipeline.stream(items, record=self.path) as stream:
            results: Iterable[object] = stream
            outputs = list(islice(results, streamed))
            if len(outputs) == streamed:
                return Outcome(tuple(outputs))
        return Outcome.of(outputs, stream.dead_letters, stream.report)

    def kill(self, over: threading.Event) -> None:
        """Kills workers at any moment: idle, at work, while they finish; and who takes the place of
        one, while it starts."""
        for latest_s in self.random.choice(
            ((0,), (0.02,), (0.02,), (0.02,), (0.1,), (0.02, 0.02), (0.02, 0.1, 0.02))
        ):
            stage = self.random.choice(self.case.killed)
            over.wait(self.random.random() * latest_s)
            pid = self.pid_of(stage)
            with suppress(psutil.NoSuchProcess):
                if pid is not None and psutil.Process(pid).ppid() == os.getpid():
                    os.kill(pid, signal.SIGKILL)

    def pid_of(self, stage: str) -> int | None:
        """The worker that a stage has now, alone or with others; between two it has none."""
        deployment = self.pipeline._session.deployment
        if deployment is None:
            return None
        runner = deployment.runner
        nodes = runner.supervisor.topology.nodes
        for node, handle in list(runner.supervisor.processes.handles.items()):
            if stage in {nodes[part].name for part in nodes[node].parts or (node,)}:
                return int(handle.pid)
        return None

    def replay(self, items: Sequence[int], said: Path | str) -> tuple[Outcome, str]:
        """What comes of the run that a file or a schedule says, and the schedule that the replay
        says of itself."""
        try:
            simulation = self.pipeline.replay(items, said)
        except ScheduleMismatch as mismatch:
            return Outcome(error=f"ScheduleMismatch: {mismatch}"), ""
        except Exception as error:
            notes = [
                note for note in getattr(error, "__notes__", ()) if note.startswith("replay it: ")
            ]
            return Outcome.of_error(error), notes[0].split("'")[1] if notes else ""
        outcome = Outcome.of(simulation, simulation.dead_letters, simulation.report)
        deaths = told(Schedule.parse(simulation.schedule).deaths, outcome.items_in())
        return replace(outcome, deaths=deaths), simulation.schedule

    def divergence(self, items: Sequence[int], streamed: int | None = None) -> str:
        """What one run and its replay differ in, or its replay and that of the schedule which that
        one has."""
        real = self.run(items, streamed)
        replayed, schedule = self.replay(items, self.path)
        if difference := self.difference(real, replayed, streamed):
            return difference
        again, _ = self.replay(items, schedule)
        difference = replayed.difference(again)
        return difference and f"its schedule {schedule} gives another run: {difference}"

    def difference(self, real: Outcome, replayed: Outcome, streamed: int | None) -> str:
        """What the run and the replay of its recording differ in."""
        recording = Recording.read(self.path.read_bytes(), self.path.name)
        self.deaths += len(recording.crashes)
        # A stream that was closed early
        if streamed is not None and not real.error and not real.counts:
            return Outcome(real.outputs).difference(Outcome(replayed.outputs, error=replayed.error))
        if real.error:
            return real.difference(replayed)
        if any(each.point.step == WINDOW for each in recording.crashes):
            # With several items in hand it is only known how much was committed and given
            return replace(real, deaths=replayed.deaths).difference(replayed)
        deaths = [
            Death(each.worker, each.point.item, each.point.step) for each in recording.crashes
        ]
        return replace(real, deaths=told(deaths, real.items_in())).difference(replayed)


def sizes(random: Random, most: int) -> int:
    """Mostly a handful of items, now and then many."""
    return random.choice([0, 1, 2, 3, 5, 8, 13, 30, min(most, 100), most])
