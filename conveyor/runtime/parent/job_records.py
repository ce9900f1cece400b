"""What the jobs of all workers log, handed to the loggers of the program.

Knows: where workers leave their records, and the program's loggers.  Must never know: when to look,
what a handler does with a record.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Final

from conveyor.items.remote_errors import WorkerTraceback, set_cause
from conveyor.runtime.parent.engine_log import ENGINE
from conveyor.runtime.parent.shared import Shared
from conveyor.runtime.process.program_logging import LoggingLevels
from conveyor.runtime.shm.fence import fence
from conveyor.runtime.shm.log_buffer import LogBuffer
from conveyor.runtime.worker.job_logs import SentRecord

__all__ = ["JobRecords"]

AT_ONCE: Final = 256  # records of a worker, so that the run goes on meanwhile
EVERY_S: Final = 5.0  # between two words on what was dropped


@dataclass(slots=True)
class Dropped:
    """How many records of a worker were dropped: before this run, and as far as it was said."""

    before: int = 0
    said: int = 0


class JobRecords:
    """The records of all workers of a deployment; `stages` are the names of theirs, by node."""

    def __init__(
        self, shared: Shared, stages: Mapping[int, str], pid: Callable[[int], int | None]
    ) -> None:
        self.shared = shared
        self.stages = stages
        self.pid = pid
        self.buffers: dict[int, LogBuffer] = {
            node: shared.layout.log_buffer(shared.memory, node) for node in stages
        }
        self.dropped = {node: Dropped() for node in stages}
        self.levels: LoggingLevels | None = None  # as they were told last
        self.next_word = 0.0

    def begin_run(self) -> None:
        """Tells the workers the levels of the program's loggers, if those have changed."""
        for node, count in self.dropped.items():
            count.before = count.said = self.buffers[node].dropped
        levels = LoggingLevels.of_this_process()
        if levels != self.levels:
            if self.levels is not None:  # those of the first are told when a worker starts
                self.tell(levels)
            self.levels = levels

    def tell(self, levels: LoggingLevels) -> None:
        data, base = pickle.dumps(tuple(levels)), self.shared.layout.levels_base
        self.shared.memory.reserve(base, base + len(data))
        self.shared.memory.write_at(base, data)
        self.shared.control.tell_levels(len(data))

    def look(self) -> None:
        """Hands on what has come, if anything has; not too much at once."""
        if self.shared.control.take_logged():
            fence()  # a worker adds, and says so; this side takes that back, and looks
            for node in self.buffers:
                self.take(node, AT_ONCE)
            if any(buffer.has_more for buffer in self.buffers.values()):
                self.shared.control.has_logged()
        if self.next_word and monotonic() >= self.next_word:
            self.tell_dropped()

    def take_all(self) -> None:
        """Hands on all that there is, and says what was dropped."""
        for node in self.buffers:
            self.take_all_of(node)
        self.tell_dropped()

    def take_all_of(self, node: int) -> None:
        """Hands on all that one worker has left, which no longer adds to it."""
        while self.buffers[node].has_more:
            self.take(node, AT_ONCE)

    def take(self, node: int, most: int) -> None:
        for entry in self.buffers[node].take(most):
            handed_on(arrived(SentRecord(*pickle.loads(entry))))
        if not self.next_word and self.buffers[node].dropped > self.dropped[node].said:
            self.next_word = monotonic() + EVERY_S

    def tell_dropped(self) -> None:
        """Says how many records were dropped since that was said last."""
        self.next_word = 0.0
        for node, count in self.dropped.items():
            dropped = self.buffers[node].dropped
            if new := dropped - count.said:
                count.said = dropped
                ENGINE.warning(
                    "stage %r: %d log records were dropped: its worker logs faster than they can "
                    "be taken, or they were too large",
                    self.stages[node],
                    new,
                    extra={"stage": self.stages[node], "worker": self.pid(node), "item": None},
                )

    def notes(self) -> tuple[str, ...]:
        """What the report says of this run."""
        lost = {
            self.stages[node]: self.buffers[node].dropped - count.before
            for node, count in self.dropped.items()
        }
        return tuple(
            f"stage {stage!r}: {count:,} log records were dropped"
            for stage, count in lost.items()
            if count
        )


def arrived(sent: SentRecord) -> logging.LogRecord:
    """A record as the program's handlers get it."""
    plain, pickled, error = sent
    fields = dict(plain)
    if pickled is not None:
        try:
            fields |= pickle.loads(pickled)
        except Exception:  # what it needs is not known here: it arrives as text
            fields = dict(plain)
    fields["exc_info"] = None
    if error is not None and (original := error.original()) is not None:
        set_cause(original, WorkerTraceback(error.trace))
        fields["exc_info"] = (type(original), original, None)
    record = logging.makeLogRecord(fields)
    # The program may have a name of its own for the level
    name = logging.getLevelName(record.levelno)
    if not name.startswith("Level "):
        record.levelname = name
    return record


def handed_on(record: logging.LogRecord) -> None:
    """Gives a record to the logger of its name, if that is still to take such.

    What a handler raises is told as logging tells of such things, and does not end the run.
    """
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        try:
            logger.handle(record)
        except Exception:
            logging.NullHandler().handleError(record)
