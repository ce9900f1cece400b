"""Which engine a pipeline runs on: the one file beside `runtime` that names what is in there.

Knows: this machine as the engine, and what a caller may choose for it.  Must never know: what an
engine does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conveyor.core.engine import Engine
    from conveyor.runtime.parent.async_runs import AsyncStream
    from conveyor.runtime.parent.session import Session
    from conveyor.runtime.parent.stream import Stream
    from conveyor.runtime.placement import Placement
    from conveyor.runtime.process.start import StartMethod
    from conveyor.runtime.worker_start import WorkerStart

__all__ = [
    "AsyncStream",
    "Placement",
    "Session",
    "StartMethod",
    "Stream",
    "WorkerStart",
    "engine_for",
    "session_on",
    "start_of",
]


def engine_for(start: WorkerStart, placement: Placement | None = None) -> Engine:
    """The engine that such a choice means."""
    from conveyor.runtime.parent.this_machine import ThisMachine

    return ThisMachine(start) if placement is None else ThisMachine(start, placement)


def start_of(
    method: StartMethod | None,
    initializer: Callable[[], object] | None,
    preload: Sequence[str],
) -> WorkerStart:
    """How workers begin, as a program chooses; raises `TopologyError` for what cannot be."""
    from conveyor.runtime.worker_start import worker_start

    return worker_start(method, initializer, preload)


def session_on(engine: Engine) -> Session:
    """A new session of a pipeline that runs on this engine by default."""
    from conveyor.runtime.parent.session import Session

    return Session(engine)
