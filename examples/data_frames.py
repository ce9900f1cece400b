"""A table that is too large for memory, part by part: cleaned, enriched, summed up.

Needs pandas (pip install pandas). `preload` imports it once for all workers; `read_only` hands the
columns over in place, without a copy, to a job that changes nothing.

    python examples/data_frames.py
"""

# Of what pandas gives, checkers know little.
# pyright: basic, reportMissingImports=false, reportReturnType=false, reportCallIssue=false
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
import sys
from collections.abc import Iterator

from conveyor import BalancingFork, Join, Pipeline, Processor, Reduce

try:
    import numpy as np
    import pandas as pd
except ImportError:
    print("this example needs pandas: pip install pandas")
    sys.exit(0)

ROWS = 100_000
DISTRICTS = np.array(["north", "south", "west"])


def parts(count: int) -> Iterator[pd.DataFrame]:
    """Stands for `pandas.read_csv(path, chunksize=ROWS)`."""
    for number in range(count):
        chance = np.random.default_rng(number)
        yield pd.DataFrame(
            {
                "district": chance.integers(0, len(DISTRICTS), ROWS),
                "km": chance.gamma(2.0, 2.0, ROWS),
                "minutes": chance.gamma(3.0, 5.0, ROWS),
            }
        )


def cleaned(trips: pd.DataFrame) -> pd.DataFrame:
    return trips[(trips.km > 0.1) & (trips.minutes > 1.0)]


def with_speed(trips: pd.DataFrame) -> pd.DataFrame:
    return trips.assign(kmh=60 * trips.km / trips.minutes)


def summed(trips: pd.DataFrame) -> pd.DataFrame:
    return trips.groupby("district").agg(
        trips=("km", "size"), km=("km", "sum"), fastest=("kmh", "max")
    )


def together(total: pd.DataFrame | None, part: pd.DataFrame) -> pd.DataFrame:
    if total is None:
        return part
    rows = pd.concat([total, part]).groupby(level=0)
    return rows.agg({"trips": "sum", "km": "sum", "fastest": "max"})


pl = (
    Pipeline[pd.DataFrame](preload=["pandas"])
    .add(BalancingFork())
    .add(Processor(cleaned, read_only=True))
    .add(Processor(with_speed, read_only=True))
    .add(Processor(summed, read_only=True))
    .add(Join(ordered=True))
    .add(Reduce(together, None))
)
[total] = pl.run(parts(10))
assert total is not None  # there were parts
for number, row in total.iterrows():
    print(f"{DISTRICTS[number]:6} {row.trips:9,.0f} trips, {row.km / row.trips:.2f} km each")
