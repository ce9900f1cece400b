"""What jobs log, on its way out of the worker.

This file knows log records, and where in a run the code is that makes one.  It must never know how
they travel, or what the program does with them.

Rule 1.  Nothing waits: not a job for room, not the program for a worker.  What there is no room for
         is counted.
Rule 2.  A record travels as it is, as far as it pickles; what does not arrives as text.
"""

from __future__ import annotations

import io
import logging
import os
import pickle
import threading
from collections.abc import Callable
from typing import Final, NamedTuple, cast

from conveyor.items.atoms import is_atom
from conveyor.items.current_item import CURRENT
from conveyor.items.remote_errors import SentError, cut, sent
from conveyor.items.sealing import PROTOCOL
from conveyor.items.short_repr import short_repr
from conveyor.runtime.shm.log_buffer import MOST_IN_ENTRY, LogBuffer

__all__ = ["JobLogs", "SentRecord"]

MOST_TEXT: Final = MOST_IN_ENTRY // 4  # characters, each of which takes up to four bytes
MOST_PICKLED: Final = MOST_IN_ENTRY // 2
TEXTS: Final = ("exc_text", "stack_info")


class SentRecord(NamedTuple):
    """A record as it travels: what cannot change, all that is pickled, and its exception.

    `pickled` are attributes that take the place of those in `plain`, if they can be had where it
    arrives.
    """

    plain: dict[str, object]
    pickled: bytes | None
    error: SentError | None


class JobLogs(logging.Handler):
    """The handler of a worker's root logger.

    `wake` has the program take what there is; without it, it does so when it next looks around.
    """

    def __init__(
        self, buffer: LogBuffer, logged: Callable[[], None], wake: Callable[[], None]
    ) -> None:
        super().__init__()
        self.buffer = buffer
        self.logged = logged
        self.wake = wake
        self.pid = os.getpid()
        self.thread = threading.get_ident()
        self.is_busy = False

    def emit(self, record: logging.LogRecord) -> None:
        """Sends a record on its way, with the fields `stage`, `worker` and `item`."""
        if os.getpid() != self.pid:  # a process that a job has forked has no way to the program
            last = logging.lastResort
            if last is not None and record.levelno >= last.level:
                last.handle(record)
            return
        if self.is_busy:  # a signal handler came between, or what is pickled logs itself
            self.buffer.drop()
            return
        self.is_busy = True
        try:
            self.locate(record)
            is_urgent = self.buffer.add(packed(record))
            self.logged()
            if is_urgent:
                self.wake()
        except Exception:
            self.handleError(record)
        finally:
            self.is_busy = False

    def locate(self, record: logging.LogRecord) -> None:
        """Adds where the record was made; fields of the user's own of these names are left as they
        are."""
        stage, item = CURRENT.whereabouts(threading.get_ident() == self.thread)
        for name, value in (("stage", stage), ("worker", self.pid), ("item", item)):
            record.__dict__.setdefault(name, value)


def packed(record: logging.LogRecord) -> bytes:
    """A record as it travels, and no larger than an entry may be."""
    fields = dict(vars(record))
    exception = fields.pop("exc_info")
    plain = {name: value for name, value in fields.items() if is_atom(value)}
    others = {name: value for name, value in fields.items() if name not in plain}
    if others:
        plain |= {name: short_repr(value) for name, value in others.items()}
    if "args" in others or "msg" in others:
        others |= {"msg": record.msg, "args": record.args}
        plain |= {"msg": record.getMessage(), "args": None}
    error = error_of(exception)
    if error is not None:
        plain["exc_text"] = record.exc_text or error.trace.rstrip("\n")
    whole = dumped(SentRecord(plain, pickled(others) if others else None, error))
    return whole if len(whole) <= MOST_IN_ENTRY else dumped(shortened(record, plain))


def error_of(exception: object) -> SentError | None:
    """The exception of a record as it travels; without its own pickle if that is large."""
    if not isinstance(exception, tuple):
        return None
    _, error, _ = cast("tuple[object, object, object]", exception)
    if not isinstance(error, BaseException):
        return None
    told = sent(error)
    if told.pickled is not None and len(told.pickled) > MOST_PICKLED:
        return SentError(None, told.text, told.trace)
    return told


def shortened(record: logging.LogRecord, plain: dict[str, object]) -> SentRecord:
    """A record that is too large, as text, and that cut."""
    standard = vars(logging.makeLogRecord({}))
    kept = {
        name: value
        for name, value in plain.items()
        if name in standard or (type(value) in (int, float, bool, str) and len(str(value)) < 100)
    }
    kept |= {"msg": cut(record.getMessage(), MOST_TEXT // 2), "args": None}
    for name in TEXTS:
        if (text := plain.get(name)) is not None:
            kept[name] = cut(str(text), MOST_TEXT // 8)
    return SentRecord(kept, None, None)


def dumped(record: SentRecord) -> bytes:
    return pickle.dumps(tuple(record), PROTOCOL)


class Bounded(io.BytesIO):
    """Takes so much and no more."""

    def write(self, data: object, /) -> int:
        if self.tell() + memoryview(cast("bytes", data)).nbytes > MOST_PICKLED:
            raise OverflowError("this is too much for a log record")
        return super().write(cast("bytes", data))


def pickled(values: dict[str, object]) -> bytes | None:
    """Pickles what a record has besides plain values; None if that cannot be, or is too large."""
    file = Bounded()
    try:
        pickle.Pickler(file, PROTOCOL).dump(values)
    except Exception:  # whatever its pickling raises: it arrives as text
        return None
    return file.getvalue()
