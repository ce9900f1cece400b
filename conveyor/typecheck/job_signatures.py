"""How a job is called with an item, and what it gives then, as far as annotations tell.

Knows: the kinds of jobs, and which of their functions say what.  Must never know: what a lane
carries.
"""

from __future__ import annotations

import collections.abc as abc
from collections.abc import Iterator, Sequence
from types import FunctionType, MethodType, NoneType
from typing import Any, Final, TypeVar

from conveyor.stages import (
    Batch,
    Job,
    Late,
    PerKey,
    Reduce,
    Scan,
    StateJob,
    Unbatch,
    Window,
    Windowed,
    written,
)
from conveyor.typecheck.builtin_signatures import Signature
from conveyor.typecheck.builtin_types import of
from conveyor.typecheck.call_signatures import NOTHING_KNOWN, signatures_of
from conveyor.typecheck.members import attribute
from conveyor.typecheck.type_forms import (
    UNKNOWN,
    args_as,
    parameters_of,
    plain,
    substitute,
    union,
    without_none,
)

__all__ = ["also_called", "is_declared", "signatures_of_job"]

T = TypeVar("T")
IN_PYTHON: Final = (FunctionType, MethodType)
OF_BATCH: Final = (Signature(T, of(list, T)),)
OF_UNBATCH: Final = (Signature(of(abc.Iterable, T), of(abc.Iterable, T)),)


def signatures_of_job(job: Job[Any, Any]) -> Sequence[Signature]:
    """How the job can be called with one item; never empty."""
    takes, gives = declared(job)
    if takes is not UNKNOWN and gives is not UNKNOWN:
        return (Signature(takes, gives),)
    signatures = (
        signatures_of_state_job(job) if isinstance(job, StateJob) else signatures_as_written(job)
    )
    if takes is not UNKNOWN:
        return [Signature(takes, found.gives) for found in signatures[:1]]
    return (
        signatures if gives is UNKNOWN else [Signature(found.takes, gives) for found in signatures]
    )


def signatures_as_written(job: Job[Any, Any]) -> Sequence[Signature]:
    signatures: Sequence[Signature] = signatures_of(written(job))
    if isinstance(job, Unbatch):
        signatures = OF_UNBATCH
    elif job.stage_options.setup is not None and not isinstance(written(job), IN_PYTHON):
        signatures = NOTHING_KNOWN  # what a builtin takes may differ if it is given more
    # Then it gives more than its process() does
    if attribute(type(job), "finish")[0] is not Job and declared(job)[1] is UNKNOWN:
        return [Signature(found.takes, UNKNOWN) for found in signatures]
    return signatures


def signatures_of_state_job(job: StateJob[Any, Any]) -> Sequence[Signature]:
    """What it gives in the end, rather than what its process() returns."""
    match job:
        case Batch():
            return OF_BATCH
        case Scan() | Reduce():
            return signatures_of(job.fn, 1)
        case PerKey(sample=Job() as sample):
            return [
                Signature(found.takes, without_none(plain(found.gives)))
                for found in signatures_of_job(sample)
            ]
        case Window():
            return signatures_of_window(job)
        case _:
            return (Signature(UNKNOWN, UNKNOWN),)


def signatures_of_window(job: Window[Any, Any]) -> Sequence[Signature]:
    """It takes what its fold does."""
    keys = [NoneType] if job.key is None else [each.gives for each in signatures_of(job.key)]
    key = UNKNOWN if UNKNOWN in keys else union(keys)
    return [
        Signature(found.takes, given_out(job, of(Windowed, key, plain(found.gives)), found.takes))
        for found in signatures_of(job.fold, 1)
    ]


def given_out(job: Window[Any, Any], windowed: object, item: object) -> object:
    return union([windowed, of(Late, item)]) if job.late == "emit" else windowed


def also_called(job: Job[Any, Any]) -> Iterator[tuple[str, Sequence[Signature]]]:
    """What else is called with each item, by its name."""
    if isinstance(job, PerKey | Window) and job.key is not None:
        yield "key", signatures_of(job.key)
    if isinstance(job, Window):
        yield "time", signatures_of(job.time)


def declared(job: Job[Any, Any]) -> tuple[object, object]:
    """The type arguments of a job: `Processor[int, str](f)`, or `class Parse(Processor[int,
    str])`."""
    written: object = getattr(job, "__orig_class__", type(job))
    if written is type(job) and (
        not job.is_stateful or (isinstance(job, StateJob) and parameters_of(type(job)))
    ):
        return UNKNOWN, UNKNOWN
    takes, gives = args_as(written, Job) or (UNKNOWN, UNKNOWN)
    return substitute(takes, {}), substitute(gives, {})


def is_declared(job: Job[Any, Any]) -> bool:
    """Does it say by its type arguments what it gives?"""
    return declared(job)[1] is not UNKNOWN
