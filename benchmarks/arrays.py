"""Large items: arrays of 8 MB through two stages, of which one gives an array of the same size and
one a number."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks import peers
from benchmarks.harness import Comparison, Goal, Section
from conveyor import Pipeline, Processor

ITEMS = 40
SIZE = 1_000_000

Floats: TypeAlias = NDArray[np.float64]


def scaled(array: Floats) -> Floats:
    return array * 0.5


def total(array: Floats) -> float:
    return float(array.sum())


def scaled_total(array: Floats) -> float:
    return total(scaled(array))


def measure(rounds: int) -> Section:
    arrays = [np.full(SIZE, float(number)) for number in range(ITEMS)]
    expected = [scaled_total(array) for array in arrays]
    target = np.empty(SIZE)
    comparison = Comparison("items/s", rounds)

    def checked(results: list[float]) -> None:
        assert results == expected

    def copy_all() -> None:
        for array in arrays:
            np.copyto(target, array)

    with (
        peers.fork.Pool(peers.WORKERS) as pool,
        peers.mpire_map(scaled_total) as mpire,
        Pipeline[Floats]().add(Processor(scaled)).add(Processor(total)) as copied,
        Pipeline[Floats]()
        .add(Processor(scaled, read_only=True))
        .add(Processor(total, read_only=True)) as in_place,
    ):
        pooled, mapped = "`Pool(2).imap`", "joblib, memory maps"
        conveyor, read_only = "Conveyor, defaults", "Conveyor, `read_only=True`"
        comparison.add_rate(pooled, ITEMS, lambda: checked(list(pool.imap(scaled_total, arrays))))
        comparison.add_rate(conveyor, ITEMS, lambda: checked(copied.run(arrays)))
        comparison.add_rate(read_only, ITEMS, lambda: checked(in_place.run(arrays)))
        comparison.add_rate(
            mapped, ITEMS, lambda: checked(peers.joblib_map(scaled_total, arrays, "1M"))
        )
        comparison.add_rate("mpire", ITEMS, lambda: checked(mpire(arrays)))
        comparison.add_rate(
            "one process", ITEMS, lambda: checked([scaled_total(array) for array in arrays])
        )
        comparison.add_rate("limit: a copy of each in memory", ITEMS, copy_all)
        comparison.measure()
    goals = [
        Goal("P3", "arrays: times `Pool`", comparison.ratio(conveyor, pooled), 3),
        Goal(
            "P3", "arrays: times `Pool`, `read_only=True`", comparison.ratio(read_only, pooled), 4
        ),
        Goal(
            "P3",
            "arrays: times joblib's memory maps, `read_only=True`",
            comparison.ratio(read_only, mapped),
            1.0,
        ),
    ]
    text = (
        f"{ITEMS} arrays of {SIZE * 8 / 1e6:.0f} MB through `a * 0.5` and `a.sum()`. Conveyor "
        f"moves two arrays an item,\n"
        "from stage to stage; all others one, as they run both stages as one function."
    )
    return Section("Arrays", text, [comparison.markdown()], goals)
