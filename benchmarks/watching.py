"""What it costs to write a run down: the same pipelines, recorded, traced, and neither."""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter
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
RUNS = 4  # in turns, for each round that is asked for: many short ones say more than few long
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


WAYS: dict[str, tuple[float, float]] = {"recorded": (0.97, 1.03), "traced": (0.99, 1.01)}
"""What is written, and its goals: the least of the pace, the most of the processor time."""


def measure_in_turns(
    cases: dict[str, tuple[Any, int]], files: dict[str, Path], turns: int
) -> tuple[Comparison, Comparison]:
    """The pace and the processor time of each case in each way.

    Who comes first changes from turn to turn: differences this small depend on it.
    """
    pace, cost = Comparison("M items/s", turns), Comparison("s of processor time", turns)
    options: dict[str, dict[str, Path]] = {
        "": {},
        ", recorded": {"record": files["recorded"]},
        ", traced": {"trace": files["traced"]},
    }
    for turn in range(turns + 2):
        for case, (pipeline, items) in cases.items():
            numbers = list(range(items))
            for way in [*options][:: -1 if turn % 2 else 1]:
                spent, began = processor_seconds(), perf_counter()
                assert len(pipeline.run(numbers, **options[way])) == items
                seconds = perf_counter() - began
                cost.figures.setdefault(case + way, []).append(processor_seconds() - spent)
                pace.figures.setdefault(case + way, []).append(items / MILLION / seconds)
    for figures in (*pace.figures.values(), *cost.figures.values()):
        del figures[:2]  # of turns behind which nothing is kept
    return pace, cost


def goals_of(pace: Comparison, cost: Comparison, cases: list[str]) -> list[Goal]:
    """That a file that is written costs little of the time and of the processor's."""
    goals: list[Goal] = []
    for way, (least, most) in WAYS.items():
        for name in cases:
            ratio = pace.ratio(f"{name}, {way}", name)
            goals.append(Goal("P10", f"{way}: {name}, times the same without", ratio, least))
        for name in cases:
            ratio = cost.ratio(f"{name}, {way}", name)
            what = f"{way}: {name}, its processor time"
            goals.append(Goal("P10", what, ratio, most, at_least=False))
    return goals


def bytes_a_decision(pipeline: Any, items: int, path: Path) -> float:
    pipeline.run(list(range(items)), record=path)
    told = frames_in(path.read_bytes(), path.name)
    decided = sum(FRAME.size + len(payload) for kind, payload in told if kind == DECIDED)
    decisions = Recording.read(path.read_bytes(), "").decisions.values()
    return decided / sum(map(len, decisions))


def measure(rounds: int) -> Section:
    with (
        tempfile.TemporaryDirectory() as directory,
        chain(pipes=False) as fine,
        pool(add_one) as pooled,
        pool(work) as coarse,
    ):
        files = {way: Path(directory) / way for way in WAYS}
        cases: dict[str, tuple[Any, int]] = {
            "four trivial stages": (fine, FINE),
            "a trivial stage on two lanes": (pooled, POOLED),
            "0.3 ms an item on two lanes": (coarse, COARSE),
        }
        pace, cost = measure_in_turns(cases, files, RUNS * rounds)
        sizes = [
            f"{bytes_a_decision(*cases[name], files['recorded']):.2g} bytes a decision ({name})"
            for name in [*cases][1:]
        ]
    text = (
        "The same run with `record=`, with `trace=` and without, the report as always. For its "
        f"decisions a recording has\n{' and '.join(sizes)}.\n"
        "To begin and to end one takes one to three milliseconds. Processor time, of all "
        "processes together, says\n"
        "more than time where others use the machine."
    )
    tables = [pace.markdown(), cost.markdown()]
    return Section("Watching", text, tables, goals_of(pace, cost, [*cases]))
