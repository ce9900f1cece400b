"""Makes the kept recordings anew, for a new format: python -m tests.kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from conveyor import BalancingFork, Join, Pipe, Pipeline, Processor, ReplicatingFork, Zip
from tests.kept import Total, double, endless_at_5, increment, killed_once, small_only

HERE = Path(__file__).parent


def main() -> None:
    letters = Processor(small_only, on_error="dead_letter")
    shape: Any = Pipeline[int]().add(ReplicatingFork(2)).add(Pipe(9), BalancingFork(2, name="pool"))
    shape = shape.add(Processor(double), Processor(increment), Processor(increment))
    shape = shape.add(Pipe(), Join(2, ordered=True)).add(Zip(2)).add(BalancingFork())
    shape = shape.add(Processor(sum)).add(Join()).add(Total())
    ways: dict[str, tuple[Any, int]] = {
        "forks_and_joins": (shape, 12),
        "letters": (Pipeline[int]().add(BalancingFork(2)).add(letters, letters).add(Join(2)), 10),
        "faults": (
            Pipeline[int]()
            .add(Processor(killed_once, name="killed"))
            .add(Processor(endless_at_5, name="endless", timeout_s=0.5, on_error="skip")),
            8,
        ),
    }
    for name, (made, items) in ways.items():
        made.run(range(items), record=HERE / f"{name}.cvd")


if __name__ == "__main__":
    main()
