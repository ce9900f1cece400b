"""How a failure in a worker becomes an exception of the caller.

Knows: what a worker tells of a failure, and the words for it.  Must never know: how workers are watched or ended.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Final

from conveyor.errors import JobExited, JobRaised, NotPicklable
from conveyor.job_node import ItemFailed
from conveyor.shipping import pack_error, unpack_error

__all__ = ["LOADING", "Failure", "failure_of", "raised_by"]

LOADING: Final = "loading the stage"


@dataclass(frozen=True, slots=True)
class Failure:
    """What ended a worker's run, as it travels: where, and the exception, pickled if that brings it back, and as text."""

    node: int
    where: str
    error: bytes | None
    text: str
    trace: str
    is_exception: bool


class WorkerTraceback(Exception):
    """The traceback of an exception, as it was printed in the worker; the exception's cause."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n{self.text}"


def failure_of(node: int, where: str, error: BaseException) -> Failure:
    """Called in the worker: `error` as it travels."""
    if isinstance(error, ItemFailed):
        where = error.item if error.ordinal is None else f"item {error.ordinal}: {error.item}"
        error = error.error
    return Failure(
        node,
        where,
        pack_error(error),
        "".join(traceback.format_exception_only(error)).strip(),
        "".join(traceback.format_exception(error)),
        isinstance(error, Exception),
    )


def raised_by(failure: Failure, stage: str, worker: str) -> BaseException:
    """The exception that a failure is for the caller; its cause is the worker's traceback, its note says where it happened."""
    original = unpack_error(failure.error)
    error: BaseException
    if not failure.is_exception:
        error = JobExited(f"stage {stage!r}: the job ended its process: {failure.text}")
    elif failure.where == LOADING:
        error = NotPicklable(f"stage {stage!r} cannot be loaded in its worker: {failure.text}")
    elif original is None:
        error = JobRaised(f"{failure.text}\n{failure.trace}")
    else:
        error = original
    error.add_note(f"in stage {stage!r}, {worker}, {failure.where}")
    error.__cause__ = original if original is not None and error is not original else WorkerTraceback(failure.trace)
    return error
