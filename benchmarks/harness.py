"""How competitors are compared: run in turn, round after round, so that a machine that slows down
slows each.

Knows: rounds, medians, ratios within a round, goals.  Must never know: what is measured.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from time import clock_gettime, perf_counter
from typing import Final

import psutil

__all__ = [
    "Comparison",
    "Goal",
    "Section",
    "Skipped",
    "busy_elsewhere",
    "in_a_row",
    "processor_clock",
    "processor_seconds",
]


CLOCK_OF_PROCESS: Final = 2  # clock_getcpuclockid(3): with the number of a process, inverted, above


@dataclass(frozen=True, slots=True)
class Goal:
    """What was to be reached: a figure and its bound, which it must not exceed, or must not fall
    short of, in any run."""

    number: str
    what: str
    figure: float
    bound: float
    at_least: bool = True
    before: tuple[float, ...] = ()  # what earlier runs reached

    @property
    def figures(self) -> tuple[float, ...]:
        return *self.before, self.figure

    @property
    def worst(self) -> float:
        return min(self.figures) if self.at_least else max(self.figures)

    @property
    def met(self) -> bool:
        return self.worst >= self.bound if self.at_least else self.worst <= self.bound

    def markdown(self) -> str:
        missed = abs(self.worst - self.bound) / self.bound
        verdict = (
            "met"
            if self.met
            else f"missed by {missed:.0%}"
            if missed >= 0.01
            else "missed by less than 1 %"
        )
        bound = f"{'≥' if self.at_least else '≤'} {self.bound:g}"
        return (
            f"| {self.number} | {self.what} | {bound} |"
            f" {' '.join(f'{figure:.3g}' for figure in self.figures)} | {verdict} |"
        )


@dataclass
class Comparison:
    """Figures of several competitors, one a round; each is compared with the first of the same
    round."""

    unit: str
    rounds: int
    competitors: dict[str, Callable[[], float]] = field(
        default_factory=dict[str, Callable[[], float]]
    )
    figures: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def add(self, name: str, figure: Callable[[], float]) -> None:
        """A competitor that measures itself."""
        self.competitors[name] = figure

    def add_rate(self, name: str, work: float, run: Callable[[], object]) -> None:
        """A competitor that does so much work when it runs; its figure is work a second."""
        self.competitors[name] = lambda: work / _seconds(run)

    def add_seconds(self, name: str, run: Callable[[], object]) -> None:
        """A competitor whose figure is how long it takes."""
        self.competitors[name] = lambda: _seconds(run)

    def measure(self) -> Comparison:
        """All rounds, behind one of which nothing is kept."""
        for each in self.competitors.values():
            each()
        for _ in range(self.rounds):
            for name, figure in self.competitors.items():
                self.figures.setdefault(name, []).append(figure())
        return self

    def median(self, name: str) -> float:
        return median(self.figures[name])

    def ratio(self, name: str, other: str) -> float:
        """The median of the ratios within a round."""
        return median(
            own / theirs
            for own, theirs in zip(self.figures[name], self.figures[other], strict=True)
        )

    def ratio_to_best(self, name: str, others: Sequence[str]) -> float:
        """The median of the ratios to whichever of the others was best in the round, where more is
        better."""
        return median(
            own / max(self.figures[other][number] for other in others)
            for number, own in enumerate(self.figures[name])
        )

    def best(self, *names: str) -> str:
        return max(names, key=self.median)

    def markdown(self) -> str:
        first = next(iter(self.figures))
        lines = [f"| | {self.unit} | ratio | rounds |", "| --- | --- | --- | --- |"]
        for name, figures in self.figures.items():
            rounds = " ".join(f"{figure:.3g}" for figure in figures)
            lines.append(
                f"| {name} | {median(figures):.3g} | {self.ratio(name, first):.3g} | {rounds} |"
            )
        return "\n".join(lines)


class Skipped(Exception):
    """A workload that cannot be measured here, and why."""


@dataclass(frozen=True)
class Section:
    """What one workload has to say: a heading, what was done, tables, and which goals it is
    about."""

    title: str
    text: str
    tables: list[str]
    goals: list[Goal]

    def markdown(self) -> str:
        goals = [
            "| goal | what | bound | reached | |",
            "| --- | --- | --- | --- | --- |",
            *(g.markdown() for g in self.goals),
        ]
        parts = [
            f"## {self.title}",
            self.text,
            *self.tables,
            *(["\n".join(goals)] if self.goals else []),
        ]
        return "\n\n".join(parts)


def in_a_row(sections: list[Section]) -> Section:
    """What several runs have to say: the last, and what each reached of the goals."""
    last = sections[-1]
    figures = zip(*[[goal.figure for goal in section.goals] for section in sections], strict=True)
    goals = [
        replace(goal, before=reached[:-1])
        for goal, reached in zip(last.goals, figures, strict=True)
    ]
    return replace(last, goals=goals)


def processor_seconds() -> float:
    """What this process and all below it have spent so far."""
    own = psutil.Process()
    return sum(map(seconds_of, [own, *own.children(recursive=True)]))


def seconds_of(process: psutil.Process) -> float:
    """What a process has spent, in all of its threads: on Linux by its own clock, to the
    nanosecond, and elsewhere as the system counts, in hundredths."""
    if sys.platform == "linux":
        return clock_gettime(~process.pid << 3 | CLOCK_OF_PROCESS)
    times = process.cpu_times()
    spent: float = times.user + times.system
    return spent


def processor_clock() -> str:
    """How finely `processor_seconds` counts, as a section says it."""
    if sys.platform == "linux":
        return "Processor time is counted in nanoseconds."
    return "Processor time is counted in hundredths of a second here, which is coarse."


def busy_elsewhere() -> float:
    """The share of the machine, 0 to 1, that others use while this program does nothing for a
    second."""
    percent: float = psutil.cpu_percent(interval=1.0)
    return percent / 100


def _seconds(run: Callable[[], object]) -> float:
    started = perf_counter()
    run()
    return perf_counter() - started
