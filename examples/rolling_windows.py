"""Readings of sensors: each minute, the mean of the last five, and what is out of the ordinary.

The time is that of the readings, not that of the clock on the wall, so the result is the same
whenever this is run. A reading that comes too late for its windows is counted, and nothing else.
"""

import math
import random
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from conveyor import Filter, Pipeline, Sliding, Window, Windowed


class Reading(NamedTuple):
    sensor: str
    at: float  # seconds
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


def mean(window: Windowed[str, float]) -> float:
    return window.value / window.count


last_five = Window(
    Sliding(300, 60), time=time_of, key=sensor_of, fold=add, initial=0.0, lateness_s=30
)
pl = Pipeline[Reading]().add(last_five).add(Filter(lambda window: mean(window) > 35))
hot = pl.run(readings(hours=24))

ends = [window.end / 60 for window in hot if not isinstance(window.end, datetime)]
print(f"{hot[0].key} above 35 degrees from minute {ends[0]:.0f} to minute {ends[-1]:.0f}")
print(f"the warmest five minutes: {max(map(mean, hot)):.1f} degrees")
print(f"too late: {hot.report.stages['window'].skipped} readings")
