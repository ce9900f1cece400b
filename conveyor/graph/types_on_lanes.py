"""What each job of a draft takes and gives, in words.

Knows: how types go from stage to stage.  Must never know: how a stage is run.
"""

from __future__ import annotations

from dataclasses import dataclass

from conveyor.graph.draft import Draft, Port, Relay
from conveyor.stages import Job
from conveyor.typecheck.stage_types import pass_through, taken_by
from conveyor.typecheck.type_forms import UNKNOWN, substitute
from conveyor.typecheck.type_words import words

__all__ = ["JobTypes", "types_of_jobs"]


@dataclass(frozen=True, slots=True)
class JobTypes:
    """What a job takes, and what it gives: `Any` where annotations do not tell.

    It takes what its lane carries; where that is not known, what it says itself.
    """

    name: str
    takes: str
    gives: str


def types_of_jobs(draft: Draft, carries: object) -> list[JobTypes]:
    """The jobs in the order in which they were added; `carries` is the type of the items."""
    found: list[JobTypes] = []
    on: dict[Port | None, object] = {None: carries}
    for index, place in enumerate(draft.places):
        taken = [on[port] for port in place.sources]
        assert not isinstance(place.stage, Relay)  # those are put in when a draft is compiled
        passage = pass_through(place.stage, taken)
        if isinstance(place.stage, Job):
            (takes,) = taken
            if takes is UNKNOWN:
                takes = substitute(taken_by(place.stage), {})
            found.append(JobTypes(place.name, words(takes), words(passage.gives)))
        width = getattr(place.stage, "n", None) or 1
        for out, gives in enumerate(passage.lanes or (passage.gives,) * width):
            on[Port(index, out)] = gives
    return found
