"""What all scenarios come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median

from tests.chaos.scenario import Spec
from tests.chaos.watch import Outcome, outcome

__all__ = ["Tally", "all_of"]


def all_of(specs: Sequence[Spec], at_once: int) -> Iterator[Outcome]:
    """The outcomes of scenarios, some of which run at the same time."""
    with ThreadPoolExecutor(at_once) as pool:
        yield from pool.map(outcome, specs)


@dataclass
class Tally:
    """Adds up outcomes, and remembers those in which something was wrong."""

    kills: int = 0
    items: int = 0
    lost: int = 0
    repeated: int = 0
    disorder: int = 0
    hangs: int = 0
    orphans: int = 0
    wrong: list[str] = field(default_factory=list[str])
    poisoned: int = 0
    moments: Counter[str] = field(default_factory=Counter[str])
    recoveries_ms: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    @property
    def is_clean(self) -> bool:
        return not self.wrong

    def add(self, found: Outcome) -> None:
        verdict = found.verdict
        self.kills += found.kills
        self.items += verdict.items
        self.lost += verdict.lost
        self.repeated += verdict.repeated
        self.disorder += verdict.disorder
        self.hangs += found.hangs
        self.orphans += found.orphans + verdict.children
        self.moments.update(verdict.moments)
        self.poisoned += verdict.poisoned
        self.recoveries_ms.setdefault(found.spec.method, []).extend(found.recoveries_ms)
        if not found.is_clean:
            said = found.stderr.strip().splitlines()[-1:] if not verdict.error else []
            self.wrong.append(
                f"{found.spec}\n    {verdict}\n    hangs {found.hangs}, orphans {found.orphans}"
                f" {said}"
            )
        elif found.kills < found.spec.kills:
            self.wrong.append(f"{found.spec}: only {found.kills} kills in {verdict.seconds:.0f} s")

    def line(self, name: str, outcomes: Iterable[Outcome]) -> str:
        """Adds some outcomes, and tells how those went."""
        part = Tally()
        for found in outcomes:
            self.add(found)
            part.add(found)
        return "\n".join([f"{name:34}{part.counts()}", *part.wrong])

    def note(self, name: str, complaint: str) -> None:
        print(f"  {name:60}{complaint or 'as it must'}", flush=True)
        if complaint:
            self.wrong.append(f"{name}: {complaint}")

    def counts(self) -> str:
        found = f"{self.lost} lost, {self.repeated} repeated, {self.disorder} out of order"
        text = (
            f"{self.kills:6} kills {self.items:9} items: {found}, {self.hangs} hangs,"
            f" {self.orphans} orphans"
        )
        return text + (f"; {len(self.wrong)} runs not as they must" if self.wrong else "")

    def summary(self, seconds: float) -> str:
        lines = ["", f"in all {self.counts()} in {seconds:.0f} s"]
        for method, times in self.recoveries_ms.items():
            if times:
                slow = sorted(times)[-1 - len(times) // 100]
                figures = (
                    f"median {median(times):.0f} ms, 99 of 100 within {slow:.0f} ms, {len(times)}"
                    " measured"
                )
                lines.append(f"at work again after a kill under {method}: {figures}")
        if self.moments:
            moments = ", ".join(f"{count} {name}" for name, count in self.moments.most_common())
            lines.append(f"of those killed at any moment: {moments}")
            lines.append(
                "items that were at their job, alone, at three of these, and so poison:"
                f" {self.poisoned}"
            )
        lines.append(
            f"{self.lost} lost, {self.repeated} repeated, {self.hangs} hangs, {self.orphans}"
            " orphans"
        )
        return "\n".join(lines)
