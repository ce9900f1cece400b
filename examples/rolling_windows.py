"""Readings of sensors: each minute, the mean of the last five, and what is out of the ordinary.

The time is that of the readings, not that of the clock on the wall, so the result is the same
whenever this is run. A reading that comes too late for its windows is counted, and nothing else.

    python examples/rolling_windows.py
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from conveyor import Filter, Pipeline, Processor, Sliding, Window, Windowed

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Reading:
    sensor: str
    at: float  # seconds
    degrees: float


@dataclass(frozen=True, slots=True)
class Mean:
    sensor: str
    minute: int
    degrees: float


def readings(hours: int) -> Iterator[Reading]:
    """One each ten seconds of each sensor; at noon the one in the kitchen sees a fire."""
    chance = random.Random(5)
    for step in range(hours * 360):
        for sensor, base in (("cellar", 12.0), ("kitchen", 21.0)):
            at = step * 10 - (chance.random() < 0.001) * 3600  # a few are an hour late
            is_fire = sensor == "kitchen" and abs(at / 3600 - 12) < 0.1
            daily = 3 * math.sin(at / 3600 * math.pi / 12)
            yield Reading(sensor, at, base + daily + chance.gauss(0, 0.5) + 40 * is_fire)


def sensor_of(reading: Reading) -> str:
    return reading.sensor


def time_of(reading: Reading) -> float:
    return reading.at


def add(total: float, reading: Reading) -> float:
    return total + reading.degrees


def mean(window: Windowed[str, float]) -> Mean:
    assert isinstance(window.end, int | float)  # as the times are
    return Mean(window.key, round(window.end / MINUTE), window.value / window.count)


def is_odd(mean: Mean) -> bool:
    return mean.degrees > 35


five_minutes = Window(
    Sliding(5 * MINUTE, MINUTE), time=time_of, key=sensor_of, fold=add, initial=0.0, lateness_s=30.0
)
pl = Pipeline[Reading]().add(five_minutes).add(Processor(mean)).add(Filter(is_odd))
result = pl.run(readings(hours=24))
first, last = result[0], result[-1]
print(f"{first.sensor} above 35 degrees from minute {first.minute} to minute {last.minute}")
print(f"the warmest five minutes: {max(mean.degrees for mean in result):.1f} degrees")
print(f"too late: {result.report.stages['window'].skipped} readings")
