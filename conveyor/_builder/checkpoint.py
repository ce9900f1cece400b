"""Where a run is kept, so that it can go on when everything has died.

Knows: what a user says of it.  Must never know: how it is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike, fspath

__all__ = ["Checkpoint"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A directory in which a run is kept: how far it has come, every `every_s` seconds, so that it
    goes on from there when it was killed.

    With `fresh` the run begins again: what the directory and the sink hold of it is thrown away.

    >>> Checkpoint("state/", every_s=5).every_s
    5
    """

    directory: str | PathLike[str]
    every_s: float = 10.0
    fresh: bool = False

    def __init__(
        self, directory: str | PathLike[str], every_s: float = 10.0, *, fresh: bool = False
    ) -> None:
        if not fspath(directory):
            raise ValueError(
                "Checkpoint(''): it must name a directory; the working directory is '.'"
            )
        if not every_s > 0:
            raise ValueError(f"Checkpoint(every_s={every_s!r}): it must be more than 0 seconds")
        object.__setattr__(self, "directory", directory)
        object.__setattr__(self, "every_s", every_s)
        object.__setattr__(self, "fresh", fresh)
