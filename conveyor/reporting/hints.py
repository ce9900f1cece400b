"""What a report advises where handing items over costs more than the work that is done on them.

Knows: what the workers of each stage did, in seconds.  Must never know: how that was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

__all__ = ["ITEMS", "SECONDS", "WorkerPace", "hints", "one_thread_notes"]

# Below this nothing is said, nor learned: of so short a run, of so few items; of so small a part of
# its time.
SECONDS: Final = 0.05
ITEMS: Final = 1_000
SHARE: Final = 0.2

US_PER_S: Final = 1e6

ADVICE: Final = (
    "what helps: fewer and larger items (Batch), one function in place of two neighbours, "
    "neighbours that share a worker (no Pipe() between them, no fuse=False), lanes only for what "
    "takes longer than that"
)


class WorkerPace(NamedTuple):
    """What the workers of some stages did with so many items, all lanes together.

    `work_s` is time in the jobs alone, `handing_s` what it took to read the items, open them, make
    the results safe, and publish them.
    """

    stages: str
    items: int
    work_s: float
    handing_s: float

    @property
    def hurts(self) -> bool:
        """Does handing over cost more than the work?"""
        return self.items >= ITEMS and self.handing_s > self.work_s

    def __str__(self) -> str:
        work, handing = (each / self.items * US_PER_S for each in (self.work_s, self.handing_s))
        return f"{self.stages} ({work:.1f} µs of work an item, {handing:.1f} µs to hand it over)"


def together(paces: Iterable[WorkerPace]) -> list[WorkerPace]:
    """The lanes of the same stages as one."""
    found: dict[str, WorkerPace] = {}
    for pace in paces:
        known = found.get(pace.stages, WorkerPace(pace.stages, 0, 0.0, 0.0))
        found[pace.stages] = WorkerPace(
            pace.stages,
            known.items + pace.items,
            known.work_s + pace.work_s,
            known.handing_s + pace.handing_s,
        )
    return list(found.values())


def hints(paces: Iterable[WorkerPace], seconds: float) -> tuple[str, ...]:
    """A note for a run of so many seconds, if handing over cost more than the work in some workers,
    and that was no small part of the run."""
    hurts = [
        pace
        for pace in together(paces)
        if pace.hurts and seconds >= SECONDS and pace.handing_s >= SHARE * seconds
    ]
    if not hurts:
        return ()
    return (f"handing over costs more than the work in {', '.join(map(str, hurts))}; {ADVICE}",)


def one_thread_notes(libraries: Mapping[str, Iterable[str]], free: int) -> tuple[str, ...]:
    """A note for each stage whose numeric libraries had one thread while so many cores were free.

    >>> one_thread_notes({"fit": ["openblas"]}, free=6)[0][:82]
    'fit uses openblas, which has one thread in a worker, and 6 cores are free: cores=n'
    """
    if free < 1:
        return ()
    are = "1 core is" if free == 1 else f"{free} cores are"
    return tuple(
        f"{stage} uses {' and '.join(names)}, which {'has' if len(list(names)) == 1 else 'have'} "
        f"one thread in a worker, and {are} free: cores=n gives the stage several, a "
        "BalancingFork(n) several workers"
        for stage, names in libraries.items()
    )
