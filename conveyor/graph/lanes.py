"""How many lanes each fork of a pipeline has that was written without a number, where the engine
has been told.

Knows: which stages stand on the lanes of which fork.  Must never know: what an engine is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from conveyor.errors import TopologyError
from conveyor.graph.draft import Draft
from conveyor.stages import BalancingFork, Job, PartitioningFork, cores_of

__all__ = ["adaptive_forks", "chosen_lanes", "widest"]


def adaptive_forks(draft: Draft) -> list[str]:
    """Their names, in the order in which they were added."""
    return [place.name for at, place in enumerate(draft.places) if draft.is_adaptive(at)]


def widest(draft: Draft) -> int:
    """How many cores the widest of the stages on their lanes can use."""
    return max(
        (
            cores_of(place.stage)
            for place in draft.places
            if isinstance(place.stage, Job) and any(draft.is_adaptive(f.fork) for f in place.frames)
        ),
        default=1,
    )


def chosen_lanes(draft: Draft, wanted: Callable[[str], int | None]) -> Mapping[str, int]:
    """How many lanes the forks have that stages are `wanted` on so many lanes of, by their names: a
    stage chooses for the innermost fork around it.

    Raises `TopologyError` if there is none, if it has fewer, or if two stages disagree.
    """
    chosen: dict[str, tuple[int, str]] = {}
    for place in draft.places:
        n = wanted(place.name) if isinstance(place.stage, Job) else None
        if n is None:
            continue
        forks = [frame.fork for frame in place.frames if draft.is_adaptive(frame.fork)]
        if not forks:
            raise TopologyError(
                f"{place.name!r} is to be on {n} lanes, and stands on those of no fork that was "
                "written without a number: put BalancingFork() before it, and Join() behind"
            )
        fork = draft.places[forks[-1]]
        stage = fork.stage
        most = stage.max_lanes if isinstance(stage, BalancingFork | PartitioningFork) else None
        if most is not None and n > most:
            raise TopologyError(
                f"{place.name!r} is to be on {n} lanes, and {fork.name!r} has {most} at most"
            )
        other = chosen.setdefault(fork.name, (n, place.name))
        if other[0] != n:
            raise TopologyError(
                f"{place.name!r} is to be on {n} lanes of {fork.name!r}, and {other[1]!r} on "
                f"{other[0]} of the same"
            )
    return {name: n for name, (n, _) in chosen.items()}
