"""How stages travel between processes: jobs, and forks that have a function.

Knows: how a stage is packed and unpacked.  Must never know: how processes are started, or whether
there are any.

A stage travels by value where it must: lambdas, closures, and everything that is defined in
`__main__`.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, NamedTuple, TypeAlias, cast

from conveyor.errors import NotPicklable, TopologyError
from conveyor.items.of_one_machine import OfOneMachine, is_refused, refuse
from conveyor.items.unpickling import loaded
from conveyor.stages import AnySelectingFork, Job

__all__ = ["Packed", "check_initializer", "pack_stage", "unpack_fork", "unpack_stage"]

AnyWritten: TypeAlias = Job[object, object] | AnySelectingFork


ADVICE: Final = (
    "What its function refers to must be picklable; open files, locks and connections belong into "
    "setup()"
)
OF_MULTIPROCESSING: Final = (
    "multiprocessing's own locks, queues and values reach only processes that it starts itself; "
    "those of a multiprocessing.Manager() can be sent to any"
)

OF_EACH: Final = (
    "setup() can make one on each machine; what all are to share belongs on a server that they "
    "reach"
)


def pack_stage(
    stage: AnyWritten,
    name: str,
    initializer: Callable[[], object] | None = None,
    *,
    elsewhere: bool = False,
) -> bytes:
    """A stage as it travels; raises `NotPicklable`, with the way to what cannot be pickled, if it
    cannot, and `TopologyError` if it has what other machines cannot have, and is to run
    `elsewhere`.

    The initializer comes with it, so that both see the same globals of the script.
    """
    try:
        return dump(stage if initializer is None else (stage, initializer), elsewhere)
    except Exception as error:
        raise refused(stage, name, error, elsewhere) from error


def dump(value: object, elsewhere: bool) -> bytes:
    # With cloudpickle, which is slow to import, and a worker need not have it.
    from conveyor.items.pickling import dumped

    return dumped(value, check if elsewhere else None)


def check(thing: object) -> object:
    refuse(thing)
    return NotImplemented


def refused(
    stage: AnyWritten, name: str, error: Exception, elsewhere: bool
) -> NotPicklable | TopologyError:
    from conveyor.items.unpicklable import parts_of, reason

    def parts(whole: object) -> Iterator[tuple[str, object]]:
        """The functions that a stage was made with, if it was: only those can be to blame."""
        if elsewhere and is_refused(whole):  # what it is made of says less
            return iter(())
        fn, make = stage.stage_options.fn, stage.stage_options.setup
        if whole is not stage or fn is None:
            return parts_of(whole)
        return iter([("", fn), *([("setup=", make)] if make is not None else [])])

    found = reason(stage, error, partial(dump, elsewhere=elsewhere), parts)
    way = " -> ".join([f"stage {name!r}", *found.way])
    if isinstance(found.error, OfOneMachine):
        return TopologyError(
            f"stage {name!r} cannot run elsewhere: {way}: {found.error}. {OF_EACH}"
        )
    advice = OF_MULTIPROCESSING if "through inheritance" in str(error) else ADVICE
    return NotPicklable(
        f"stage {name!r} cannot be sent to its worker: {way}: {found.words}. {advice}"
    )


def check_initializer(initializer: Callable[[], object], *, elsewhere: bool = False) -> None:
    """Raises as `pack_stage` does, for an initializer that cannot be sent."""
    from conveyor.items.unpicklable import parts_of, reason

    try:
        dump(initializer, elsewhere)
    except Exception as error:
        found = reason(initializer, error, partial(dump, elsewhere=elsewhere), parts_of)
        way = " -> ".join(["the initializer", *found.way])
        if isinstance(found.error, OfOneMachine):
            raise TopologyError(
                f"the initializer cannot run elsewhere: {way}: {found.error}. Let it make such "
                "things itself, on each machine"
            ) from error
        raise NotPicklable(
            f"the initializer cannot be sent to the workers: {way}: {found.words}. What it refers "
            "to must be picklable; let it open files, locks and connections itself"
        ) from error


class Packed(NamedTuple):
    """A stage as it travels, and what is called before its setup."""

    stage: Job[object, object]
    initializer: Callable[[], object] | None


def unpack_stage(data: bytes) -> Packed:
    found = pickle.loads(data)
    packed = Packed(*found) if isinstance(found, tuple) else Packed(found, None)
    loaded(packed.stage)
    return packed


def unpack_fork(data: bytes) -> AnySelectingFork:
    fork = cast("AnySelectingFork", pickle.loads(data))
    loaded(fork)
    return fork
