"""What `setup=` makes for one simulated worker after another.

Knows: when a copy is as good as what is made anew.  Must never know: schedules, how a worker runs.

Rule 1.  Every worker of every run has one of its own, as it was when it was made.
Rule 2.  A copy is as good where nothing tells it from another one that was made: it can be pickled,
         nothing is to be closed, it is not one thing that `setup` gives each time, and it brings no
         code along that the stage has not got.
"""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Awaitable, Callable

from conveyor.sim.prepare.stage_copy import LivePickler, PackedStage
from conveyor.stages import Job, Resource, completed

__all__ = ["Resources"]


class Resources:
    """Those of one stage: made for the first two workers, copied for all others if that is as
    good."""

    def __init__(self, packed: PackedStage) -> None:
        self.packed = packed
        self.first: Resource | None = None
        self.is_decided = False
        self.data: bytes | None = None

    def set_up(
        self, stage: Job[object, object], awaits: Callable[[Awaitable[object]], object]
    ) -> None:
        """Gives a worker's stage one; raises what `setup` raises."""
        if self.data is not None:
            stage._stage_resource = Resource(pickle.loads(self.data))  # pyright: ignore[reportPrivateUsage]  # a worker sets itself up
            return
        completed(stage.setup(), awaits)
        made = stage._stage_resource  # pyright: ignore[reportPrivateUsage]  # the same
        if self.is_decided or made is None:
            return
        if self.first is None:  # a single run needs no copies
            self.first = made
            return
        self.is_decided = True
        if made.value is not self.first.value and not made.is_to_be_closed:
            self.data = self.packed_value(made.value)
        self.first = None

    def packed_value(self, value: object) -> bytes | None:
        """The value as it is now; None if a copy would not be as good."""
        with io.BytesIO() as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of things that will not be pickled for ever
            pickler = LivePickler(file)
            try:
                pickler.dump(value)
            except Exception:  # whatever a class of the user's raises
                return None
            return file.getvalue() if pickler.code.keys() <= self.packed.code.keys() else None
