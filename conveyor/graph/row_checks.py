"""What may stand in a row at all, whatever its lanes are.

Knows: stages, and what is mistaken for one.  Must never know: lanes, or what is in a pipeline so
far.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard, assert_never, cast

from conveyor.errors import TopologyError
from conveyor.stages import (
    KINDS,
    AnyStage,
    Gives,
    Job,
    Join,
    Stage,
    Zip,
    check_is_written,
    gives_of,
)

__all__ = ["checked_kind", "is_one_to_one", "taken_by"]


def taken_by(stage: AnyStage) -> int:
    """How many lanes a stage takes; one of a join that takes as many as there are."""
    return stage.n or 1 if isinstance(stage, Join | Zip) else 1


def checked_kind(stage: object, where: str) -> AnyStage:
    """The stage; raises `TopologyError` for anything that no graph can be built of."""
    if not isinstance(stage, Stage):
        raise TopologyError(f"{where}: {stage!r} is not a stage; {hint_for(stage)}")
    if not is_known(stage):
        raise TopologyError(
            f"{where}: {stage!r} is a stage of an unknown kind: nothing is known of where its "
            f"items go; derive {type(stage).__name__} from one of the stages that there are"
        )
    if isinstance(stage, Job):
        try:
            check_is_written(stage)
        except TopologyError as error:
            raise TopologyError(f"{where}: {error}") from None
    return stage


def is_known(stage: Stage) -> TypeGuard[AnyStage]:
    return isinstance(stage, KINDS)


def is_row(thing: object) -> bool:
    return isinstance(thing, list | tuple) and all(
        isinstance(each, Stage) for each in cast("Sequence[object]", thing)
    )


def hint_for(thing: object) -> str:
    if is_row(thing):
        return (
            "a row of several stages is written without brackets: add(first, second), or "
            "add(*stages)"
        )
    otherwise = (
        "wrap it: Processor(...)"
        if callable(thing)
        else "stages are jobs, such as Processor, pipes, forks, joins and zips"
    )
    return (
        f"make one: {thing.__name__}(...)"
        if isinstance(thing, type) and issubclass(thing, Stage)
        else otherwise
    )


def is_job(stage: Stage) -> TypeGuard[Job[Any, Any]]:
    return isinstance(stage, Job)


def is_one_to_one(stage: Stage) -> bool:
    """Does a stage give one item for each?

    A class that gives results may gather items.  So may not a function; that it gives None, which
    is no item, is not known.
    """
    if not is_job(stage):
        return False
    gives = gives_of(stage)
    match gives:
        case Gives.RESULT:
            return not stage.is_stateful
        case Gives.EVERY_RESULT | Gives.SAME_ITEM | Gives.UNOPENED:
            return True
        case Gives.ITEM | Gives.EACH:
            return False
        case _:
            assert_never(gives)
