"""Searches the schedules of a small pipeline in each way there is: the same text on every
interpreter."""

from __future__ import annotations

from conveyor import Join, Pipe, Pipeline, Processor, ReplicatingFork
from conveyor.sim.faults import Faults


def job(number: int) -> int:
    return number + 1


ITEMS = [2, 9, 11]
pl = Pipeline[int]().add(ReplicatingFork(2)).add(Processor(job), Pipe()).add(Join(2))

print(pl.explore(ITEMS, strategy="exhaustive"))
print(pl.count(ITEMS))
never = pl.explore(ITEMS, lambda run: run != [2, 3, 9, 10, 12, 11])
assert never.failure is not None
print(never.failure.schedule, pl.replay(ITEMS, never.failure.schedule))
print(pl.explore(ITEMS, strategy="pct", schedules=20))
print(pl.simulate(ITEMS, seed=7, faults=Faults()).schedule)
