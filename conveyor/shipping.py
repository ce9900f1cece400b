"""How stages travel between processes.

Knows: pickle, and cloudpickle for stages.  Must never know: how processes are started, or whether there are any.

A stage travels by value where it must: lambdas, closures, and everything that is defined in `__main__`.
"""

from __future__ import annotations

import pickle
from typing import cast

from conveyor.codec import PROTOCOL
from conveyor.errors import NotPicklable
from conveyor.stages import Job

__all__ = ["pack_stage", "unpack_stage"]


def pack_stage(stage: Job[object, object], name: str) -> bytes:
    """A stage as it travels; raises `NotPicklable` if it cannot."""
    import cloudpickle  # which is slow to import, and a worker need not have it

    try:
        return cloudpickle.dumps(stage, PROTOCOL)
    except Exception as error:
        raise NotPicklable(
            f"stage {name!r} cannot be sent to its worker: {type(error).__name__}: {error}. "
            "What its function refers to must be picklable; open files, locks and connections belong into setup()"
        ) from error


def unpack_stage(data: bytes) -> Job[object, object]:
    return cast("Job[object, object]", pickle.loads(data))
