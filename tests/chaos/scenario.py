"""The inner process: one pipeline, run to its end while its workers are killed, and the verdict on
what came out.

    python -m tests.chaos.scenario SPEC DIRECTORY

It knows nothing of the kills but how many there have been: its source goes on until there were
enough.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final, cast

from conveyor import Pipeline, Processor, Report
from conveyor.report import DeadLetter
from tests.chaos.board import FILE, Board
from tests.chaos.jobs import is_poison, is_slow
from tests.chaos.pipelines import PIPELINES, Found
from tests.chaos.restless import Restless
from tests.chaos.steps import install
from tests.processes import descriptors, living_children

if TYPE_CHECKING:
    from tests.chaos.lost_hosts import LostHosts

__all__ = ["VERDICT", "Spec", "Verdict", "judge", "judged"]

VERDICT: Final = "verdict.json"


@dataclass(frozen=True)
class Spec:
    """What is to be run, and how much of it; `step`: whose workers die, and where, if they are not
    killed from outside.

    `restless`: in many runs with pauses, and workers are killed whatever they are about.  `hosts`:
    on so many hosts, each in a process of its own; `loses_hosts`: these are killed, and no workers.
    """

    pipeline: str
    method: str
    capacity: int
    microseconds: int
    items: int
    kills: int
    seed: int = 0
    streamed: bool = False
    step: tuple[str, str] | None = None
    seconds: float = 60.0  # the source ends then, whatever has been reached
    restless: bool = False
    hosts: int = 0
    loses_hosts: bool = False


@dataclass(frozen=True)
class Verdict:
    """What came of it; `miscounted`: stages whose report does not add up; `error`: what ended the
    run before its time.

    `moments`: what the workers were about that were killed, if that was counted; `poisoned`: items
    that were at their job, alone, at three of these deaths.
    """

    items: int = 0
    lost: int = 0
    repeated: int = 0
    disorder: int = 0
    miscounted: int = 0
    restarts: int = 0
    children: int = 0
    descriptors: int = 0
    seconds: float = 0.0
    error: str = ""
    poisoned: int = 0
    moments: dict[str, int] = field(default_factory=dict[str, int])


def source(spec: Spec, board: Board) -> Iterator[int]:
    """Numbers, until there were enough of them and enough kills."""
    deadline = time.monotonic() + spec.seconds
    number = 0
    while (number < spec.items or board.kills < spec.kills) and time.monotonic() < deadline:
        board.pulled = number + 1
        yield number
        number += 1


def judged(spec: Spec, board: Board) -> Verdict:
    empty: Any = Pipeline
    # What a first run leaves open for good.
    empty(start_method=spec.method).add(Processor(abs)).run([1], **options_of(spec))
    if spec.restless:
        return judged_restless(spec, board)
    if spec.loses_hosts:
        return judged_without_hosts(spec, board)
    before = descriptors()
    deaths = install(*spec.step, spec.kills) if spec.step is not None else nullcontext()
    started, error = time.monotonic(), ""
    outputs: list[object] = []
    report = Report()
    try:
        with deaths:
            outputs, report, error = results(spec, board)
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}"
    seconds = time.monotonic() - started
    found = Found() if error else PIPELINES[spec.pipeline].check(outputs, board.pulled)
    return Verdict(
        items=board.pulled,
        lost=found.lost,
        repeated=found.repeated,
        disorder=found.disorder,
        miscounted=miscounted(report),
        restarts=sum(stage.restarts for stage in report.stages.values()),
        children=len(living_children()),
        descriptors=(descriptors() - before).total(),
        seconds=seconds,
        error=error,
    )


def judged_restless(spec: Spec, board: Board) -> Verdict:
    pipeline = PIPELINES[spec.pipeline]
    runs = Restless(
        board, pipeline, spec.capacity, spec.microseconds, spec.method, Random(spec.seed)
    )
    verdict = judged_runs(spec, runs)
    return replace(
        verdict,
        miscounted=sum(map(miscounted, runs.reports)),
        restarts=sum(stage.restarts for report in runs.reports for stage in report.stages.values()),
        children=len(living_children()),
        error=verdict.error or wrongly_buried(runs.letters),
        poisoned=runs.poisoned,
        moments=dict(runs.moments),
    )


def judged_without_hosts(spec: Spec, board: Board) -> Verdict:
    from tests.chaos.lost_hosts import LostHosts  # no other scenario has to wait for it

    pipeline = PIPELINES[spec.pipeline]
    runs = LostHosts(
        board, pipeline, spec.capacity, spec.microseconds, spec.hosts, Random(spec.seed)
    )
    return replace(judged_runs(spec, runs), children=runs.left, moments=dict(runs.ends))


def judged_runs(spec: Spec, runs: Restless | LostHosts) -> Verdict:
    """What came of many runs, as far as all of them tell it."""
    before = descriptors()
    started, error = time.monotonic(), ""
    try:
        runs.work(spec.kills, started + spec.seconds)
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised} after {runs.items} items"
    return Verdict(
        items=runs.items,
        lost=runs.found.lost,
        repeated=runs.found.repeated,
        disorder=runs.found.disorder,
        descriptors=(descriptors() - before).total(),
        seconds=time.monotonic() - started,
        error=error,
    )


def options_of(spec: Spec) -> dict[str, Any]:
    """Where it runs."""
    if not spec.hosts:
        return {}
    from tests.host_processes import InProcesses  # no other scenario has to wait for it

    shares = 1 if spec.seed % 4 < 2 else None  # the host that has the program's memory
    return {"engine": InProcesses(spec.hosts, on_ours=shares)}


def results(spec: Spec, board: Board) -> tuple[list[object], Report, str]:
    """The outputs, the report, and which items were given up that should not have been."""
    pipeline: Any = Pipeline
    pipeline = PIPELINES[spec.pipeline].build(
        spec.capacity, spec.microseconds, pipeline(start_method=spec.method)
    )
    where = options_of(spec)
    if not spec.streamed:
        result = pipeline.run(source(spec, board), **where)
        return list(result), result.report, wrongly_buried(result.dead_letters)
    with pipeline.stream(source(spec, board), **where) as stream:
        return list(stream), stream.report, wrongly_buried(stream.dead_letters)


def wrongly_buried(letters: Iterable[DeadLetter]) -> str:
    wrong = [
        letter
        for letter in letters
        if not (is_poison(cast("int", letter.item)) or is_slow(cast("int", letter.item)))
    ]
    return "; ".join(f"item {letter.item} was given up: {letter.exception!r}" for letter in wrong)


def miscounted(report: Report) -> int:
    """In how many stages more or fewer items came in than are accounted for."""
    return sum(
        stage.items_in
        != stage.passed
        + stage.dropped
        + stage.skipped
        + stage.dead_lettered
        + stage.failed
        + stage.fork_failed
        for stage in report.stages.values()
        if stage.kind in ("Processor", "Filter", "FlatMap")
    )


def main() -> None:
    values = json.loads(sys.argv[1])
    if values["step"] is not None:
        values["step"] = tuple(values["step"])
    judge(Spec(**values), Path(sys.argv[2]))


def judge(spec: Spec, directory: Path) -> None:
    """Runs a scenario, and leaves the verdict in a directory."""
    verdict = judged(spec, Board(Path(os.environ[FILE])))
    (directory / VERDICT).write_text(json.dumps(asdict(verdict)))


if __name__ == "__main__":
    main()
