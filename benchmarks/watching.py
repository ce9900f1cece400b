"""What it costs to write a run down: the same pipelines, recorded and not."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.fine import chain
from benchmarks.harness import Comparison, Goal, Section
from conveyor import BalancingFork, Join, Pipeline, Processor
from conveyor.recording import Recording

FINE = 1_000_000
POOLED = 500_000
COARSE = 2_000
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


def measure(rounds: int) -> Section:
    comparison = Comparison("M items/s", rounds)
    with tempfile.TemporaryDirectory() as directory, chain(pipes=False) as fine, pool(add_one) as pooled, pool(work) as coarse:
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

                def run(pipeline: Any = pipeline, numbers: list[int] = numbers, record: Path | None = record) -> None:
                    assert len(pipeline.run(numbers, record=record).report.stages) > 0

                comparison.add_rate(name + (", recorded" if record else ""), items / MILLION, run)
            pairs.append((name, f"{name}, recorded"))
        comparison.measure()
        sizes: list[str] = []
        for name, pipeline, items in cases[1:]:
            bare = size_of(pipeline, path, 0)
            decisions = len(Recording.read(path.read_bytes(), "").decisions) * items
            sizes.append(f"{(size_of(pipeline, path, items) - bare) / decisions:.2f} bytes a decision ({name})")
    goals = [
        Goal("P10", f"recorded: {name}, times the same unrecorded", comparison.ratio(recorded, name), 0.95)
        for name, recorded in pairs
    ]
    text = (
        "The same run with `record=` and without, the report as always. A file has "
        + ", ".join(sizes)
        + ",\nthe prints of the input included."
    )
    return Section("Watching", text, [comparison.markdown()], goals)


def size_of(pipeline: Any, path: Path, items: int) -> int:
    pipeline.run(list(range(items)), record=path)
    return path.stat().st_size
