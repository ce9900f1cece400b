"""Which worker runs on which core.

Knows: cores and affinity.  Must never know: what the workers do.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, count

from conveyor.errors import TopologyError
from conveyor.report import without_lanes
from conveyor.runtime.descriptors import check_room

__all__ = ["Placement", "usable_cores", "usable_physical_cores"]

CGROUP_QUOTA = "/sys/fs/cgroup/cpu.max"

_turn = count()


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the workers of a pipeline run.

    By default each has a core of its own while cores last, or as many as its stage can use
    (`cores=`), neighbours on neighbouring cores.  One that has to wait for its core, because others
    are at work there, is let go while other cores are free.  Where there are more processors than
    cores, neighbours share a worker, if nothing on them or between them asks for more; and if there
    still are more workers than cores, the system places them.  `pinned` names cores for some
    stages, `unpinned` leaves all to the system; stages that are pinned, and with `fuse=False` all,
    have a worker each.

    >>> Placement.pinned({"resize": [0, 1]}).cores["resize"]
    (0, 1)
    """

    cores: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    spread: bool = True
    fuse: bool = True

    @classmethod
    def pinned(cls, cores: Mapping[str, Collection[int]]) -> Placement:
        """The named stages on these cores; all others are left to the system."""
        return cls({name: tuple(sorted(chosen)) for name, chosen in cores.items()}, spread=False)

    @classmethod
    def unpinned(cls) -> Placement:
        """Every worker wherever the system puts it."""
        return cls(spread=False)

    def may_share(self, stage: str) -> bool:
        """May this stage share a worker with its neighbours?"""
        return self.fuse and stage not in self.cores and without_lanes(stage) not in self.cores

    def place(
        self, workers: Sequence[str], wanted: Sequence[int] = ()
    ) -> tuple[list[tuple[int, ...]], tuple[str, ...]]:
        """The cores of each worker, by name (none: left to the system), and what the report should
        say about it; `wanted` is how many each can use, by default one.

        Raises `TopologyError` for a stage that is not there or a core that cannot be used.
        """
        stages = {without_lanes(name) for name in workers} | set(workers)
        for name, cores in self.cores.items():
            if name not in stages:
                raise TopologyError(
                    f"placement: there is no stage {name!r}; the workers are {', '.join(workers)}"
                )
            if not cores or not set(cores) <= set(usable_cores()):
                raise TopologyError(
                    f"placement of {name!r}: cores {list(cores)}; "
                    f"this process may use {usable_cores()}"
                )
        if not hasattr(os, "sched_setaffinity"):
            note = (
                ("placement: this system does not let a process choose its cores",)
                if self.spread or self.cores
                else ()
            )
            return [() for _ in workers], note
        usable = usable_cores()
        wanted = wanted or [1] * len(workers)
        if self.spread and sum(wanted) <= len(usable):
            # Two pipelines should not meet on one core
            first = next(_turn) if sum(wanted) < len(usable) else 0
            ends = accumulate(wanted)
            return [
                tuple(sorted(usable[(first + i) % len(usable)] for i in range(end - width, end)))
                for width, end in zip(wanted, ends, strict=True)
            ], ()
        return [
            self.cores.get(name) or self.cores.get(without_lanes(name), ()) for name in workers
        ], too_few(dict(zip(workers, wanted, strict=True)), len(usable))


def too_few(wanted: Mapping[str, int], usable: int) -> tuple[str, ...]:
    """What the report says of stages that can use more cores than there are.

    >>> too_few({"parse": 1, "fit/0": 8, "fit/1": 8}, 4)
    ("placement: 'fit' can use 8 cores, and this process may use 4",)
    """
    return tuple(
        f"placement: {name!r} can use {cores} cores, and this process may use {usable}"
        for name, cores in {without_lanes(name): n for name, n in wanted.items()}.items()
        if cores > usable
    )


def usable_cores() -> list[int]:
    """The logical cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def usable_physical_cores() -> int:
    """How many physical cores this process may use, its affinity and its cgroup's quota respected;
    1 at least."""
    import psutil  # which is slow to import, and a worker does not ask

    check_room(2, "a look at how many cores there are")
    logical = len(usable_cores())
    physical, all_logical = psutil.cpu_count(logical=False), psutil.cpu_count()
    threads = max(1, all_logical // physical) if physical and all_logical else 1
    return max(1, min(-(-logical // threads), _quota() or logical))


def _quota() -> int | None:
    try:
        with open(CGROUP_QUOTA) as file:
            quota, period = file.read().split()
    except (OSError, ValueError):
        return None  # no such limit here
    return None if quota == "max" else max(1, int(quota) // int(period))
