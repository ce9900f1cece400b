"""Where a strict pipeline expected a pipe to be written.

Knows: drafts.  Must never know: how a pipe is put in.
"""

from __future__ import annotations

from conveyor.graph.draft import Draft
from conveyor.stages import Job, Pipe

__all__ = ["implicit_pipes"]


def implicit_pipes(before: Draft, after: Draft) -> list[str]:
    """Where a strict pipeline expected a pipe to be written, in the last row; one sentence each."""
    said: list[str] = []
    for place in after.places[len(before.places) :]:
        for port in place.sources:
            source = None if port is None else after.places[port.place]
            if source is None or isinstance(source.stage, Pipe) or isinstance(place.stage, Pipe):
                continue
            if isinstance(place.stage, Job) and not isinstance(source.stage, Job):
                continue  # a processor may follow a fork or a join directly
            said.append(
                f"row {place.row}: a pipe was put in between {source.name!r} and {place.name!r}; "
                "write Pipe() to say so"
            )
    return said
