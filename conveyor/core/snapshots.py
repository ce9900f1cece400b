"""How the state of a stateful processor outlives its worker.

Knows: what belongs to a state that was saved, and what has to come out a second time.  Must never
know: where it is kept.

Rule 1.  A slice goes out, then the state is saved with the positions of the inputs that it covers,
         and only then they are committed.
Rule 2.  A worker that starts takes the newest state that was saved as a whole and commits what it
         covers.
Rule 3.  What had gone out past it comes out again, on the restored state, and is not sent a second
         time; the merge is pinned to the input of the newest tag until then.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from conveyor.core.job_node import Node, Piece
from conveyor.errors import NotPicklable
from conveyor.items.sealing import PROTOCOL
from conveyor.report import Tally
from conveyor.stages import Restorable

__all__ = ["RestoredNode", "Saved", "StateMemory", "packed_state"]


class Saved(NamedTuple):
    """What goes with a state: the run, whether `finish` is done, how many outputs were given, and
    where each input stands."""

    run: int
    finished: bool
    given: int
    positions: tuple[int, ...]


def packed_state(stage: Restorable, name: str) -> bytes:
    """What `snapshot()` of the stage of this name gives, as it is kept.

    Raises what `snapshot()` raises, and `NotPicklable` for a state that cannot be kept.
    """
    state = stage.snapshot()
    try:
        return pickle.dumps(state, PROTOCOL)
    except Exception as error:  # pickle's, or of the state's own way of being pickled
        raise NotPicklable(
            f"stage {name!r}: what snapshot() gave cannot be pickled: {error}"
        ) from error


class StateMemory(Protocol):
    """Where the states of one processor are kept: at least the newest."""

    def newest(self) -> Saved | None: ...
    def save(self, saved: Saved) -> None:
        """Keeps the processor's state as it is now: all at once, or not at all."""
        ...


class RestoredNode:
    """A node whose processor was restored: its first `left` outputs are out already and are left
    out; `memory` keeps the state.

    They come of the items before the position `until`, which may be taken in smaller slices than
    the first time.
    """

    def __init__(self, memory: StateMemory) -> None:
        self.memory = memory
        self.left = 0
        self.until = 0  # the position of the input behind which nothing may be left

    def around(self, node: Node) -> Node:
        self.node = node
        self.tally: Tally = node.tally
        return self

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterator[Piece]:
        for out, done, extra in self.node(items, skip, limit):
            known = min(self.left, len(out))
            self.left -= known
            yield out[known:], done, extra

    def finish(self, skip: int, limit: int) -> Iterable[Piece]:
        return self.node.finish(skip, limit)
