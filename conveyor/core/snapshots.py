"""How the state of a stateful processor outlives its worker.

Knows: what belongs to a state that was saved, and what has to come out a second time.  Must never
know: where it is kept.

Rule 1.  A slice goes out, then the state is saved with the positions of the inputs that it covers,
         and only then they are committed.
Rule 2.  A worker that starts takes the newest state that was saved as a whole and commits what it
         covers.
Rule 3.  What had gone out past it comes out again, on the restored state, and is not sent a second
         time; the join is pinned to the input of the newest tag until then.
Rule 4.  A state that may be large is written as a log: all of it, and behind that what has changed
         since, until that is as much again.  A log is read up to where its last entry was written
         as a whole.
Rule 5.  All of a large state is not written at once, which would hold up the items: a part of it
         goes into the next log whenever the state is saved, and so does what has changed since the
         first of them.  So once all parts are there the next log has the state as it is then,
         though no two parts are of one moment.  Until then the log before it counts.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, Protocol

from conveyor.core.job_node import Node, Piece
from conveyor.core.stamps import cut
from conveyor.errors import NotPicklable
from conveyor.items.sealing import PROTOCOL
from conveyor.report import Tally
from conveyor.stages import Job, Restorable, StateJob, TellsChanges, keeps_outputs

__all__ = [
    "FEW",
    "PART",
    "Entry",
    "KeptOutputs",
    "RestoredNode",
    "Saved",
    "StateLog",
    "StateMemory",
    "packed_state",
    "state_of",
]

# Bytes of changes for which it is not worth to write all of the state.
FEW: Final = 4096
# Bytes of a state that are written at once, which takes some milliseconds of whatever they are.
PART: Final = 1 << 17


class Saved(NamedTuple):
    """What goes with a state: the run, whether `finish` is done, how many outputs were given, where
    each input stands, and how much was decided: how often something came due, or which of several
    items in hand goes on."""

    run: int
    finished: bool
    given: int
    positions: tuple[int, ...]
    decided: int = 0


def packed_state(stage: Restorable, name: str) -> bytes:
    """What `snapshot()` of the stage of this name gives, as it is kept.

    Raises what `snapshot()` raises, and `NotPicklable` for a state that cannot be kept.
    """
    its = "its state" if isinstance(stage, StateJob) else "what snapshot() gave"
    return packed(stage.snapshot(), name, its)


def packed(state: object, name: str, its: str) -> bytes:
    try:
        return pickle.dumps(state, PROTOCOL)
    except Exception as error:  # pickle's, or of the state's own way of being pickled
        raise NotPicklable(f"stage {name!r}: {its} cannot be pickled: {error}") from error


class Entry(NamedTuple):
    """What is written of a state: `changes` behind the log, `part` behind the next log, which it
    may begin.  If that `is_whole` now, it is the log from now on."""

    changes: bytes = b""
    part: bytes = b""
    begins: bool = False
    is_whole: bool = False

    def written(self, log: bytes, ahead: bytes) -> tuple[bytes, bytes]:
        """The log, and as much of the next as there is, once this is written.

        >>> Entry(b"c", b"2").written(b"ab", b"1")
        (b'abc', b'12')
        >>> Entry(b"", b"3", is_whole=True).written(b"abc", b"12")
        (b'123', b'')
        """
        ahead = self.part if self.begins else ahead + self.part
        return (ahead, b"") if self.is_whole else (log + self.changes, ahead)


class StateLog:
    """The state of one processor as it is written, entry by entry.

    That of one that `TellsChanges` is written as a whole now and then, and what has changed in
    between: twice what changes, in the long run, is written of a state of any size.
    """

    def __init__(self, stage: Restorable, name: str) -> None:
        self.stage = stage
        self.name = name
        self.whole: int | None = None  # bytes that the log began with
        self.behind = 0  # bytes of what has changed since
        self.parts: Iterator[object] | None = None  # those that the next log has not got yet
        self.ahead = 0  # bytes of the next log

    def entry(self, is_last: bool) -> Entry:
        """The next one: the state as it is now; the `is_last` of a run is whole, as little is left
        then.

        Raises what the stage raises, and `NotPicklable`.
        """
        stage = self.stage
        if not isinstance(stage, TellsChanges) or is_last or self.whole is None:
            return self.all_at_once()
        if self.parts is None and self.behind > self.whole + FEW:
            size = self.whole + self.behind
            if size <= PART:
                return self.all_at_once()
            self.parts = stage._parts(-(-size // PART))  # pyright: ignore[reportPrivateUsage]  # no user asks for them
            self.ahead = 0
        changes = stage._changes()  # pyright: ignore[reportPrivateUsage]  # the same
        data = b"" if changes is None else packed(changes, self.name, "its state")
        self.behind += len(data)
        return Entry(data) if self.parts is None else self.with_parts(data, self.parts)

    def all_at_once(self) -> Entry:
        data = packed_state(self.stage, self.name)
        self.whole, self.behind, self.parts = len(data), 0, None
        return Entry(b"", data, begins=True, is_whole=True)

    def with_parts(self, changes: bytes, parts: Iterator[object]) -> Entry:
        """What has changed goes into both logs, and behind it some of the parts, of no fewer bytes:
        so the next log is whole before long, however much changes.

        The next log begins with its first part, which has these changes as well as any later.
        """
        begins, is_whole = not self.ahead, False
        written = [] if begins else [changes]
        left = max(PART, len(changes))
        while left > 0 and not is_whole:
            part = next(parts, None)
            if part is None:
                is_whole = True
            else:
                written.append(packed(part, self.name, "its state"))
                left -= len(written[-1])
        data = b"".join(written)
        self.ahead += len(data)
        if is_whole:
            self.whole, self.behind, self.parts = self.ahead, 0, None
        return Entry(changes, data, begins, is_whole)

    def read(self, data: bytes) -> None:
        """Gives the state to the processor, which is new: the entries written so far.

        Of a log that was written in parts the first counts as the whole: so it is written anew
        before long.
        """
        with io.BytesIO(data) as file:
            self.stage.restore(pickle.load(file))
            self.whole = file.tell()
            self.behind = len(data) - self.whole
            while file.tell() < len(data):
                stage = self.stage
                assert isinstance(stage, TellsChanges)
                stage._apply(pickle.load(file))  # pyright: ignore[reportPrivateUsage]  # nor gives them back


class KeptOutputs:
    """A restorable job, and what it has given in a run and is not out: one state."""

    def __init__(self, stage: Restorable) -> None:
        self.stage = stage
        self.outputs: list[object] = []

    def snapshot(self) -> object:
        return self.stage.snapshot(), self.outputs

    def restore(self, state: tuple[object, list[object]], /) -> None:
        kept, self.outputs = state
        self.stage.restore(kept)


def state_of(stage: Job[object, object]) -> Restorable | None:
    """What is saved of a job, if anything is."""
    if not (stage.is_restorable and isinstance(stage, Restorable)):
        return None
    return stage if not keeps_outputs(stage) else KeptOutputs(stage)


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
    the first time.  With several items in hand, `state` is all that is saved, and `decided` how
    often it was decided which of them goes on.
    """

    def __init__(self, memory: StateMemory, state: Restorable | None = None) -> None:
        self.memory = memory
        self.state = state
        self.left = self.decided = 0
        self.until = 0  # the position of the input behind which nothing may be left

    def begins_run(self) -> None:
        """A run begins, be it with the state of an earlier one: all that was given before is
        out."""
        if isinstance(self.state, KeptOutputs):
            self.state.outputs = []

    def around(self, node: Node) -> Node:
        self.node = node
        self.tally: Tally = node.tally
        return self

    def __call__(self, items: list[object], skip: int, limit: int) -> Iterator[Piece]:
        for out, done, extra in self.node(items, skip, limit):
            known = min(self.left, len(out))
            self.left -= known
            yield cut(out, known, len(out)), done, extra

    def finish(self, skip: int, limit: int) -> Iterable[Piece]:
        return self.node.finish(skip, limit)
