"""How stages travel between processes.

Knows: how a stage is packed and unpacked.  Must never know: how processes are started, or whether
there are any.

A stage travels by value where it must: lambdas, closures, and everything that is defined in
`__main__`.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Final, cast

from conveyor.errors import NotPicklable
from conveyor.items.unpickling import loaded
from conveyor.stages import Job

__all__ = ["pack_stage", "unpack_stage"]


ADVICE: Final = (
    "What its function refers to must be picklable; open files, locks and connections belong into "
    "setup()"
)
OF_MULTIPROCESSING: Final = (
    "multiprocessing's own locks, queues and values reach only processes that it starts itself; "
    "those of a multiprocessing.Manager() can be sent to any"
)


def pack_stage(stage: Job[object, object], name: str) -> bytes:
    """A stage as it travels; raises `NotPicklable`, with the way to what cannot be pickled, if it
    cannot."""
    # With cloudpickle, which is slow to import, and a worker need not have it.
    from conveyor.items.pickling import dumped

    try:
        return dumped(stage)
    except Exception as error:
        raise refused(stage, name, error) from error


def refused(stage: Job[object, object], name: str, error: Exception) -> NotPicklable:
    from conveyor.items.pickling import dumped
    from conveyor.items.unpicklable import parts_of, reason

    def parts(whole: object) -> Iterator[tuple[str, object]]:
        """The functions that a stage was made with, if it was: only those can be to blame."""
        fn, make = stage.stage_options.fn, stage.stage_options.setup
        if whole is not stage or fn is None:
            return parts_of(whole)
        return iter([("", fn), *([("setup=", make)] if make is not None else [])])

    found = reason(stage, error, dumped, parts)
    way = " -> ".join([f"stage {name!r}", *found.way])
    advice = OF_MULTIPROCESSING if "through inheritance" in str(error) else ADVICE
    return NotPicklable(
        f"stage {name!r} cannot be sent to its worker: {way}: {found.words}. {advice}"
    )


def unpack_stage(data: bytes) -> Job[object, object]:
    stage = cast("Job[object, object]", pickle.loads(data))
    loaded(stage)
    return stage
