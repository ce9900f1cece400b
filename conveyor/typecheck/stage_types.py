"""What a stage takes and what it gives, as far as annotations tell.

Knows: stages, and what their functions say.  Must never know: where in a pipeline a stage is, how
it runs.

Nothing here raises: what cannot be read is UNKNOWN, and what is UNKNOWN refuses nothing.
"""

from __future__ import annotations

import collections.abc as abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard, assert_never, get_args, get_origin

from typing_extensions import TypeIs

from conveyor.stages import (
    AnySelectingFork,
    AnyStage,
    Fork,
    Gives,
    Job,
    Join,
    PartitioningFork,
    Pipe,
    RoutingFork,
    SelectingFork,
    SplittingFork,
    StateJob,
    Zip,
    function_of,
    gives_of,
    is_async,
    written,
    yields_async,
)
from conveyor.stages.callables import name_of
from conveyor.typecheck.answers import Assignability
from conveyor.typecheck.assignability import assignability
from conveyor.typecheck.builtin_signatures import Signature
from conveyor.typecheck.builtin_types import of
from conveyor.typecheck.call_signatures import made_by, signatures_of
from conveyor.typecheck.job_signatures import also_called, is_declared, signatures_of_job
from conveyor.typecheck.type_forms import (
    UNKNOWN,
    args_as,
    bind,
    element_of,
    members,
    plain,
    substitute,
    union,
    without_none,
)
from conveyor.typecheck.type_words import words

__all__ = ["Passage", "declared_input", "misfit", "pass_through", "taken_by"]


@dataclass(frozen=True, slots=True)
class Passage:
    """What a lane carries behind a stage, or why the stage refuses it; `lanes` if that is not the
    same for each lane of a fork."""

    gives: object
    refusal: str | None = None
    lanes: tuple[object, ...] = ()


NOT_SAID: Final = Passage(UNKNOWN)


def pass_through(stage: AnyStage, carried: Sequence[object]) -> Passage:
    """What comes out of a stage whose lanes carry these types.

    >>> from conveyor.stages import Processor
    >>> pass_through(Processor(len), [str])
    Passage(gives=<class 'int'>, refusal=None, lanes=())
    >>> pass_through(Processor(len), [int]).refusal
    'takes Sized, but the lane carries int'
    """
    try:
        match stage:
            case Job():
                return _through_job(stage, carried[0])
            case Zip():
                return Passage(of(tuple, *carried))
            case SelectingFork():
                return _through_selection(stage, carried[0])
            case Pipe() | Fork() | Join():
                return Passage(union(carried))
            case _:
                assert_never(stage)
    except Exception:  # an annotation is any object, and may raise anything when it is looked at
        return NOT_SAID


def _through_job(job: Job[Any, Any], carried: object) -> Passage:
    refusal = _misfit_beside(job)
    if refusal is not None:
        return Passage(UNKNOWN, refusal)
    signatures = signatures_of_job(job)
    found = _called_with(signatures, carried)
    if not found:
        return Passage(
            UNKNOWN, _misfit(carried, union([signature.takes for signature in signatures]))
        )
    for name, called in also_called(job):
        if not _called_with(called, carried):
            takes = union([signature.takes for signature in called])
            return Passage(UNKNOWN, f"its {name} {_misfit(carried, takes)}")
    (gives,) = found
    if is_async(job):
        gives = awaited(gives)
    if isinstance(job, StateJob):
        return Passage(plain(gives))
    kind = gives_of(job)
    match kind:
        case Gives.RESULT:
            return Passage(without_none(plain(gives)))
        case Gives.EVERY_RESULT:
            return Passage(plain(gives))
        case Gives.ITEM:
            return Passage(kept(gives, carried))
        case Gives.SAME_ITEM | Gives.UNOPENED:
            return Passage(carried)
        case Gives.EACH:
            if is_declared(job):
                return Passage(gives)
            return Passage(yielded(gives)) if yields_async(job) else _elements(job, gives)
        case _:
            assert_never(kind)


def _through_selection(fork: AnySelectingFork, carried: object) -> Passage:
    """A fork that looks at its items leaves their type as it is, but for what a guard says."""
    signatures = signatures_of(function_of(fork))
    found = _called_with(signatures, carried)
    if not found:
        taken = union([signature.takes for signature in signatures])
        return Passage(UNKNOWN, _misfit(carried, taken))
    (verdict,) = found
    match fork:
        case PartitioningFork():
            return Passage(carried)
        case RoutingFork():
            if assignability(verdict, int) is Assignability.NO:
                name = name_of(function_of(fork))
                return Passage(UNKNOWN, f"must give an int, but {name} gives {words(verdict)}")
            return Passage(carried)
        case SplittingFork():
            first = kept(verdict, carried)
            kinds = members(carried)
            is_told = get_origin(verdict) is TypeIs and len(kinds) > 1 and first in kinds
            others = union([kind for kind in kinds if kind != first]) if is_told else carried
            return Passage(carried, lanes=(first, others))
        case _:
            assert_never(fork)


def awaited(gives: object) -> object:
    """What comes of a coroutine that is awaited; anything else as it is."""
    return get_args(gives)[2] if get_origin(gives) is abc.Coroutine else gives


def yielded(gives: object) -> object:
    """What an async generator yields."""
    of_async = (abc.AsyncIterator, abc.AsyncIterable, abc.AsyncGenerator)
    return get_args(gives)[0] if get_origin(gives) in of_async else UNKNOWN


def _elements(job: Job[Any, Any], gives: object) -> Passage:
    if assignability(gives, abc.Iterable) is Assignability.NO:
        return Passage(
            UNKNOWN, f"must give an iterable, but {name_of(written(job))} gives {words(gives)}"
        )
    return Passage(element_of(gives))


def kept(verdict: object, carried: object) -> object:
    """What a filter lets pass, by what its predicate gives: all that comes, or what a `TypeGuard`
    or `TypeIs` says."""
    return get_args(verdict)[0] if get_origin(verdict) in (TypeGuard, TypeIs) else carried


def _misfit_beside(job: Job[Any, Any]) -> str | None:
    """Why a function cannot be given what its `setup` makes."""
    make = job.stage_options.setup
    if make is None:
        return None
    made, takes = made_by(make), [each.takes for each in signatures_of(written(job), 1)]
    taken = UNKNOWN if UNKNOWN in takes else union(takes)
    if assignability(made, taken) is not Assignability.NO:
        return None
    full = words(made) == words(taken)
    return (
        f"takes {words(taken, full=full)} beside its item, but setup={name_of(make)} makes "
        f"{words(made, full=full)}"
    )


def misfit(carried: object, taken: object) -> str | None:
    """Why what a lane carries cannot be given to what takes this; None if it can, or none can
    tell."""
    try:
        fits = assignability(carried, taken) is not Assignability.NO
        return None if fits else _misfit(carried, taken)
    except Exception:  # as in `pass_through`
        return None


def _misfit(carried: object, taken: object) -> str:
    full = words(carried) == words(taken)
    return f"takes {words(taken, full=full)}, but the lane carries {words(carried, full=full)}"


def _called_with(signatures: Sequence[Signature], carried: object) -> tuple[object, ...]:
    """The type of the result, by the first signature that fits; empty if none does."""
    for signature in signatures:
        fit = assignability(carried, signature.takes)
        if fit is Assignability.YES or (fit is Assignability.UNSURE and len(signatures) == 1):
            return (substitute(signature.gives, bind(signature.takes, carried)),)
        if fit is Assignability.UNSURE:
            return (UNKNOWN,)  # this one, or one of those after it
    kinds = members(carried)
    if len(kinds) == 1 or len(signatures) == 1:
        return ()
    results = [_called_with(signatures, kind) for kind in kinds]
    return (union([kind for result in results for kind in result]),) if all(results) else ()


def taken_by(job: Job[Any, Any]) -> object:
    """The type of what a job can be given; UNKNOWN if it does not say.

    >>> from conveyor.stages import Processor
    >>> taken_by(Processor(str.upper)), taken_by(Processor(lambda item: item))
    (<class 'str'>, typing.Any)
    """
    try:
        taken = [signature.takes for signature in signatures_of_job(job)]
        return UNKNOWN if UNKNOWN in taken else union(taken)
    except Exception:  # as above
        return UNKNOWN


def declared_input(pipeline: object, kind: type) -> object:
    """`int` of a `Pipeline[int]()`; UNKNOWN of a `Pipeline()`, whatever the variable that it is put
    in was declared as."""
    try:
        args = args_as(getattr(pipeline, "__orig_class__", type(pipeline)), kind)
        return substitute(args[0], {}) if args else UNKNOWN
    except Exception:  # as above
        return UNKNOWN
