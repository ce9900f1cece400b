"""What can be run, and is hardly meant: a warning says so before the run begins.

Knows: what is run, and over what.  Must never know: how a pipeline runs.
"""

from __future__ import annotations

import warnings

from conveyor.errors import LikelyMistakeWarning
from conveyor.graph.draft import Draft
from conveyor.items.lost_changes import lost_change
from conveyor.stages import Job, only_function

__all__ = ["warn_of_letters", "warn_of_lost_changes"]

SHOWN = 40


def warn_of_letters(call: str, text: str, stacklevel: int) -> None:
    """Warns of a string in place of an iterable of strings."""
    shown = text if len(text) <= SHOWN else text[:SHOWN] + "..."
    warnings.warn(
        f"{call} was given a string, {shown!r}, and takes its letters one by one: for one item "
        "write [text], for the lines of a file open(path), for the letters list(text)",
        LikelyMistakeWarning,
        stacklevel=stacklevel + 1,
    )


def warn_of_lost_changes(draft: Draft, stacklevel: int) -> None:
    """Warns of jobs that only put their items into a container of this process."""
    for place in draft.places:
        function = only_function(place.stage) if isinstance(place.stage, Job) else None
        change = lost_change(function) if function is not None else None
        if change is not None:
            warnings.warn(
                f"stage {place.name!r} calls {change} in a process of its own, on a copy: here "
                "nothing is changed by it.  Leave the stage out and take what run() returns, or "
                "what stream() gives, one by one",
                LikelyMistakeWarning,
                stacklevel=stacklevel + 1,
            )
