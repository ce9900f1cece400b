"""What the runs of an earlier deployment have told of a stage, for who shares a worker in the next.

Knows: seconds.  Must never know: how they were measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

__all__ = ["Paces", "StagePace", "newer"]


class StagePace(NamedTuple):
    """One stage in one run; where it has several lanes, one of them.

    work_s: seconds in its job alone; busy_s: seconds in which it also opened its items and made its
    results safe, which it does in a shared worker, too; moving: what it took beside that to read
    its items and publish its results, in times of `busy_s`, while it had a worker to itself; None:
    it never had.
    """

    work_s: float
    busy_s: float
    moving: float | None = None

    @property
    def moving_s(self) -> float:
        return 0.0 if self.moving is None else self.moving * self.busy_s

    @property
    def handing_s(self) -> float:
        """What it takes to hand its items over.

        >>> StagePace(work_s=2.0, busy_s=3.0, moving=0.5).handing_s
        2.5
        """
        return self.busy_s - self.work_s + self.moving_s


Paces: TypeAlias = Mapping[str, StagePace]
"""Of each stage by its name, without the number of a lane."""


def newer(before: Paces, now: Paces) -> Paces:
    """What is known behind another run.

    A stage that shares a worker moves nothing: of that the run before told.

    >>> newer({"f": StagePace(2.0, 3.0, 0.5)}, {"f": StagePace(1.0, 1.5)})
    {'f': StagePace(work_s=1.0, busy_s=1.5, moving=0.5)}
    """
    known = {**before}
    for name, pace in now.items():
        told = pace.moving is not None or name not in known
        known[name] = pace if told else pace._replace(moving=known[name].moving)
    return known
