"""How many schedules each strategy needs to find each bug of the corpus, over 100 seeds: the table
in docs/simulation.md.

Run from the root of the project: python -m tools.first_bug
"""

from __future__ import annotations

from pathlib import Path
from statistics import mean

from conveyor.sim.search.api import STRATEGIES, Strategy
from tests.sim.corpus import CORPUS, Bug

SEEDS = range(100)
MOST = 1000
PAGE = Path(__file__).resolve().parents[1] / "docs" / "simulation.md"
BEGIN, END = "<!-- first bug: begin -->", "<!-- first bug: end -->"


def needed(bug: Bug, strategy: Strategy) -> str:
    """The mean over all seeds; where some found nothing, how many did."""
    counts: list[int] = []
    with bug.broken():
        for seed in SEEDS:
            found = bug.pipeline().explore(
                bug.items,
                bug.check,
                strategy=strategy,
                schedules=MOST,
                seed=seed,
                faults=bug.faults,
            )
            if found.failure is not None:
                counts.append(found.failure.number)
            if strategy in ("deviations", "exhaustive"):  # chance has no part in these
                break
    if not counts:
        return "never"
    text = f"{mean(counts):.1f}"
    return text if len(counts) in (1, len(SEEDS)) else f"{text} ({len(counts)} %)"


def table() -> str:
    rows = [["bug", "least", *STRATEGIES]]
    for name, bug in CORPUS.items():
        rows.append([name, str(bug.least), *(needed(bug, strategy) for strategy in STRATEGIES)])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "| --- " * len(rows[0]) + "|", *lines[1:]])


def main() -> None:
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}")


if __name__ == "__main__":
    main()
