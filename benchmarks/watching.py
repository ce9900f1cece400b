"""What it costs to write a run down: the same pipelines, recorded and not."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.fine import chain
from benchmarks.harness import Comparison, Goal, Section, processor_seconds
from conveyor import BalancingFork, Join, Pipeline, Processor
from conveyor.recording.format import DECIDED
from conveyor.recording.frames import FRAME, frames_in
from conveyor.recording.reader import Recording

FINE = 1_000_000
POOLED = 2_000_000
COARSE = 1_500
RUNS = 3
MILLION = 1e6


def add_one(number: int) -> int:
    return number + 1


def work(number: int) -> int:
    """About a third of a millisecond."""
    for _ in range(10_000):
        number = number * 5 & 0xFFFF
    return number


def pool(job: Any) -> Pipeline[Any, Any]:
    return Pipeline[int]().add(BalancingFork(2)).add(Processor(job), Processor(job)).add(Join(2))


def measure_in_turns(comparison: Comparison, costs: Comparison, rounds: int) -> None:
    """As a comparison does, but that who comes first changes from round to round: differences this
    small depend on it."""
    for number in range(2 * rounds + 2):
        competitors = list(comparison.competitors.items())
        for name, figure in reversed(competitors) if number % 2 else competitors:
            comparison.figures.setdefault(name, []).append(figure())
    for figures in (*comparison.figures.values(), *costs.figures.values()):
        del figures[:2]  # of rounds behind which nothing is kept


def measure(rounds: int) -> Section:
    comparison, costs = Comparison("M items/s", rounds), Comparison("s of processor time", rounds)
    with (
        tempfile.TemporaryDirectory() as directory,
        chain(pipes=False) as fine,
        pool(add_one) as pooled,
        pool(work) as coarse,
    ):
        path = Path(directory) / "run.cvd"
        pairs: list[tuple[str, str]] = []
        cases: list[tuple[str, Any, int]] = [
            ("four trivial stages", fine, FINE),
            ("a trivial stage on two lanes", pooled, POOLED),
            ("0.3 ms an item on two lanes", coarse, COARSE),
        ]
        for name, pipeline, items in cases:
            numbers = list(range(items))
            for record in (None, path):
                title = name + (", recorded" if record else "")

                def run(
                    pipeline: Any = pipeline,
                    numbers: list[int] = numbers,
                    record: Path | None = record,
                    title: str = title,
                ) -> None:
                    before = processor_seconds()
                    for _ in range(RUNS):
                        assert len(pipeline.run(numbers, record=record)) == len(numbers)
                    costs.figures.setdefault(title, []).append(processor_seconds() - before)

                comparison.add_rate(title, RUNS * items / MILLION, run)
            pairs.append((name, f"{name}, recorded"))
        measure_in_turns(comparison, costs, rounds)
        sizes: list[str] = []
        for name, pipeline, items in cases[1:]:
            pipeline.run(list(range(items)), record=path)
            told = frames_in(path.read_bytes(), path.name)
            decided = sum(FRAME.size + len(payload) for kind, payload in told if kind == DECIDED)
            decisions = sum(map(len, Recording.read(path.read_bytes(), "").decisions.values()))
            sizes.append(f"{decided / decisions:.2g} bytes a decision ({name})")
    goals = [
        Goal(
            "P10",
            f"recorded: {name}, times the same unrecorded",
            comparison.ratio(recorded, name),
            0.97,
        )
        for name, recorded in pairs
    ]
    goals += [
        Goal(
            "P10",
            f"recorded: {name}, its processor time",
            costs.ratio(recorded, name),
            1.03,
            at_least=False,
        )
        for name, recorded in pairs
    ]
    text = (
        f"The same run with `record=` and without, the report as always. For its decisions a "
        f"file has\n{' and '.join(sizes)}.\n"
        "To begin and to end a recording takes one to three milliseconds. Processor time, of all "
        "processes together, says\n"
        "more than time where others use the machine."
    )
    return Section("Watching", text, [comparison.markdown(), costs.markdown()], goals)
