"""How many classes of schedules there are, worked out without running any.

Knows: pipes as lists, jobs as functions.  Must never know: the drive loop, nodes, the search: it is there to check them.

A dynamic programme over what is in the pipes.  Each state is where everything has gone as far as it can without reading from a
join; from there each lane that has an item for the join is another way to go on, and equal states are counted once.  Where
several joins could read, the programme stands only if one of them has all it can get; else, and where stages have a state or an
order to keep, there is no answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from conveyor.sim.plan import Plan

__all__ = ["count_classes"]


def count_classes(plan: Plan, items: Sequence[object]) -> int | None:
    return None
