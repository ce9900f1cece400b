"""How a failure in a worker becomes an exception of the caller, and an item that was given up a
dead letter.

Knows: what a worker tells of these, and the words for it.  Must never know: how workers are watched
or ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from conveyor.core.crashes import NO_STATE
from conveyor.core.job_node import LOST, ForkFailed, ItemFailed, is_cancelled
from conveyor.errors import ItemTimeout, JobExited, NotPicklable
from conveyor.items.remote_errors import SentError, WorkerTraceback, sent, set_cause
from conveyor.items.sealing import Sealed
from conveyor.report import DeadLetter

__all__ = [
    "INITIALIZER",
    "LOADING",
    "SETUP",
    "TEARDOWN",
    "THE_WORKER",
    "Failure",
    "SentLetter",
    "failure_of",
    "delivered",
    "letter_arrived",
    "letter_sent",
    "lost_in_time",
    "raised_by",
]

# Where a worker failed, if not at an item or in `finish`.
LOADING: Final = "loading the stage"
INITIALIZER: Final = "initializer()"
SETUP: Final = "setup()"
TEARDOWN: Final = "teardown()"
THE_WORKER: Final = "the worker itself"


@dataclass(frozen=True, slots=True)
class Failure:
    """What ended a worker's run, as it travels: where, and the exception."""

    node: int
    where: str
    error: SentError
    is_exception: bool

    @property
    def text(self) -> str:
        """The type and the text of the exception."""
        return self.error.text


def failure_of(node: int, where: str, error: BaseException) -> Failure:
    """Called in the worker: `error` as it travels."""
    if isinstance(error, ItemFailed):
        where = error.item if error.ordinal is None else f"item {error.ordinal}: {error.item}"
        if isinstance(error, ForkFailed):
            where = f"at the fork {error.fork!r}, {where}"
        error = error.error
    return Failure(node, where, sent(error), isinstance(error, Exception))


def lost_in_time(stage: str, timeout_s: float) -> ItemTimeout:
    """The error of an item that took too long for a worker whose state cannot be restored."""
    return ItemTimeout(
        f"stage {stage!r}: an item took longer than timeout_s={timeout_s:g} allows; {NO_STATE}"
    )


def raised_by(failure: Failure, stage: str, worker: str) -> BaseException:
    """The exception that a failure is for the caller; its cause is the worker's traceback, its note
    says where it happened."""
    note = f"in stage {stage!r}, {worker}, {failure.where}"
    if not failure.is_exception:
        error: BaseException = exited(failure.error, stage)
    elif failure.where == LOADING:
        error = NotPicklable(f"stage {stage!r} cannot be loaded in its worker: {failure.text}")
        set_cause(error, cause_of(failure.error))
    else:
        return failure.error.arrived(note)
    error.add_note(note)
    return error


def exited(error: SentError, stage: str) -> JobExited:
    """What is raised, or put aside, where a job has raised what is no `Exception`: the caller would
    end by it, or seem to be cancelled."""
    cause = cause_of(error)
    how = (
        "the job was cancelled, and not by its run: by itself, or what it awaits was"
        if is_cancelled(cause)
        else "the job ended its process"
    )
    raised = JobExited(f"stage {stage!r}: {how}: {error.text}")
    set_cause(raised, cause)
    return raised


def cause_of(error: SentError) -> BaseException:
    return error.original() or WorkerTraceback(error.trace)


class SentLetter(NamedTuple):
    """A dead letter as it travels, its item as the stage got it: the caller can perhaps open it
    where the stage could not."""

    stage: str
    ordinal: int
    item: object
    error: SentError
    attempts: int


def letter_sent(letter: DeadLetter) -> SentLetter:
    """Called in the worker: a letter as its node wrote it, its item still sealed, as it travels."""
    return SentLetter(
        letter.stage, letter.ordinal, letter.item, sent(letter.exception), letter.attempts
    )


def letter_arrived(letter: SentLetter) -> DeadLetter:
    """The letter as the caller gets it."""
    item = letter.item
    try:
        opened = item.open() if isinstance(item, Sealed) else item
    except NotPicklable:
        opened = LOST
    error = letter.error.arrived()
    if not isinstance(error, Exception):
        error = exited(letter.error, letter.stage)
    return DeadLetter(letter.stage, letter.ordinal, opened, error, letter.attempts)


def delivered(letter: DeadLetter) -> DeadLetter:
    """The letter as it arrives, for a world without processes."""
    return letter_arrived(letter_sent(letter))
