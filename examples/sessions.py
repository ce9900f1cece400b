"""Visits of a web site: the clicks of a user that are less than half an hour apart.

All clicks of a user go to one lane, in order, so each lane gathers visits by itself. A visit is
given out when the clock of the clicks says that nothing can be added to it any more.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from conveyor import Join, PartitioningFork, Pipeline, Session, Window

GAP_S = 30 * 60.0


@dataclass(frozen=True, slots=True)
class Click:
    user: str
    at: float  # seconds
    page: str


def clicks(count: int) -> Iterator[Click]:
    """Clicks as they come in, in order of time but for some seconds."""
    chance = random.Random(3)
    now = 0.0
    for _ in range(count):
        now += chance.expovariate(1 / 20)
        page = chance.choices(["/", "/search", "/item", "/paid"], [4, 3, 3, 1])[0]
        yield Click(f"user{chance.randrange(40):02}", now - chance.uniform(0, 5), page)


def user_of(click: Click) -> str:
    return click.user


def time_of(click: Click) -> float:
    return click.at


def has_bought(before: bool, click: Click) -> bool:
    return before or click.page == "/paid"


visits = Window(
    Session(GAP_S), time=time_of, key=user_of, fold=has_bought, initial=False, lateness_s=5
)
pl = Pipeline[Click]().add(PartitioningFork(key=user_of)).add(visits).add(Join())
result = pl.run(clicks(5_000))

print(f"{len(result)} visits of {len({visit.key for visit in result})} users")
print(f"{sum(visit.count for visit in result) / len(result):.1f} pages a visit")
print(f"{sum(visit.value for visit in result) / len(result):.0%} ended with a purchase")
longest = max(result, key=lambda visit: visit.length_s)
minutes = (longest.length_s - GAP_S) / 60
print(f"the longest: {longest.key}, {longest.count} pages in {minutes:.0f} minutes")
