"""Visits of a web site: the clicks of a user that are less than half an hour apart.

All clicks of a user go to one lane, in order, so that each lane can gather sessions by itself. A
session is given out when the clock of the events says that nothing can be added to it any more.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from conveyor import Join, PartitioningFork, Pipeline, Processor, Session, Window, Windowed

LANES = 2
MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Click:
    user: str
    at: float  # seconds
    page: str


@dataclass(frozen=True, slots=True)
class Visit:
    user: str = ""
    begin: float = math.inf
    end: float = -math.inf
    pages: int = 0
    bought: bool = False

    @property
    def minutes(self) -> float:
        return (self.end - self.begin) / MINUTE


def clicks(count: int) -> Iterator[Click]:
    """Clicks as they come in, in order of time but for some seconds."""
    chance = random.Random(3)
    now = 0.0
    for _ in range(count):
        now += chance.expovariate(1 / 20)
        user = f"user{chance.randrange(40):02}"
        page = chance.choices(["/", "/search", "/item", "/paid"], [4, 3, 3, 1])[0]
        yield Click(user, now - chance.uniform(0, 5), page)


def user_of(click: Click) -> str:
    return click.user


def time_of(click: Click) -> float:
    return click.at


def with_click(visit: Visit, click: Click) -> Visit:
    begin, end = min(visit.begin, click.at), max(visit.end, click.at)
    return Visit(click.user, begin, end, visit.pages + 1, visit.bought or click.page == "/paid")


def visit(window: Windowed[str, Visit]) -> Visit:
    return window.value


def window() -> Window[Click, Windowed[str, Visit]]:
    gap = Session(30 * MINUTE)
    return Window(gap, time=time_of, key=user_of, fold=with_click, initial=Visit(), lateness_s=5)


pl = Pipeline[Click]().add(PartitioningFork(LANES, key=user_of)).add(window(), window())
visits = pl.add(Processor(visit), Processor(visit)).add(Join(LANES)).run(clicks(5_000))

bought = [visit for visit in visits if visit.bought]
print(f"{len(visits)} visits of {len({visit.user for visit in visits})} users")
print(f"{sum(visit.pages for visit in visits) / len(visits):.1f} pages a visit")
print(f"{len(bought) / len(visits):.0%} of the visits ended with a purchase")
longest = max(visits, key=lambda visit: visit.minutes)
print(f"the longest: {longest.user}, {longest.pages} pages in {longest.minutes:.0f} minutes")
