"""Rounds of measurements, and the table they make."""

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

__all__ = ["Table"]


@dataclass
class Table:
    """Rates of several competitors on the same work, each compared with the first."""

    title: str
    unit: str
    work: float
    rates: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def time(self, name: str, run: Callable[[], object]) -> None:
        """Measures one run of a competitor."""
        started = perf_counter()
        run()
        self.rates.setdefault(name, []).append(self.work / (perf_counter() - started))

    def ratio(self, name: str) -> float:
        """How fast a competitor is beside the first, in the same round."""
        first = next(iter(self.rates.values()))
        return median(own / other for own, other in zip(self.rates[name], first, strict=True))

    def markdown(self) -> str:
        lines = [f"## {self.title}", "", f"| | {self.unit} | ratio | rounds |", "| --- | --- | --- | --- |"]
        for name, rates in self.rates.items():
            rounds = " ".join(f"{rate:.2f}" for rate in rates)
            lines.append(f"| {name} | {median(rates):.2f} | {self.ratio(name):.2f} | {rounds} |")
        return "\n".join([*lines, ""])
